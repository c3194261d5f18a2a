//! What a pool keeps for those who look back: its servers' last probes, how long dials and probes took, who holds what.

use super::*;
use crate::event::SourcesSnapshot;

fn seen(state: Readiness, detail: &str, millis: u64) -> Verdict {
    let mut verdict = verdict(state);
    verdict.evidence.detail = detail.into();
    verdict.evidence.duration = Duration::from_millis(millis);
    verdict
}

// Seen to fail with the newest first.
#[tokio::test(start_paused = true)]
async fn the_last_twenty_probes_are_kept_and_all_are_counted() {
    let pool = pool(&[PLAIN, PLAIN]);
    let servers = pool.servers();
    for number in 0..25 {
        let state = if number % 5 == 0 { REFUSED } else { Readiness::Ready };
        pool.apply(&servers[0], seen(state, &number.to_string(), 2));
    }
    let passive = Verdict { source: VerdictSource::Passive, ..seen(REFUSED, "a dial", 0) };
    pool.apply(&servers[0], passive);
    let details: Vec<_> = pool.probes(&servers[0].name).into_iter().map(|seen| seen.detail).collect();
    assert_eq!(details, (5..25).map(|number| number.to_string()).collect::<Vec<_>>(), "no dial is among them");
    let probes = pool.server_snapshot(&servers[0]).unwrap().check.unwrap().probes;
    assert_eq!((probes.ended, probes.failed, probes.time), (25, 5, Duration::from_millis(50)));
    assert!(pool.probes(&servers[1].name).is_empty());
    assert!(pool.probes(&ServerName::new("gone").unwrap()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn probes_that_fail_while_the_server_is_down_are_counted_too() {
    let pool = pool(&[PLAIN]);
    let server = pool.servers().remove(0);
    (0..7).for_each(|_| pool.apply(&server, verdict(REFUSED)));
    let snapshot = pool.server_snapshot(&server).unwrap();
    assert!(snapshot.counts.check_failures < 7, "HAProxy's count ends where the server is down");
    assert_eq!(snapshot.check.unwrap().probes.failed, 7);
}

#[tokio::test(start_paused = true)]
async fn dials_are_timed_when_their_connection_stands() {
    let pool = pool(&[PLAIN]);
    let mut leases: Vec<_> = (0..3)
        .map(|_| match pool.lease(SOURCE, &Tried::new()) {
            Lease::Leased(leased) => leased,
            other => panic!("expected a lease, got {other:?}"),
        })
        .collect();
    leases[0].connected(Duration::from_millis(2));
    leases[1].connected(Duration::from_millis(3));
    leases[1].connected(Duration::from_millis(9));
    leases[2].refused();
    for counts in [pool.snapshot().counts, pool.snapshot().servers[0].counts] {
        assert_eq!((counts.dialled, counts.dial_time), (2, Duration::from_millis(5)));
    }
}

#[test]
fn who_holds_what_is_known_of_a_backend_that_spreads_and_of_no_other() {
    let spread = watched(backend(Balance::Spread, &[PLAIN; 3]));
    let leases: Vec<_> = (0..3)
        .map(|_| match spread.lease(SOURCE, &Tried::new()) {
            Lease::Leased(leased) => leased,
            other => panic!("expected a lease, got {other:?}"),
        })
        .collect();
    let SourcesSnapshot { servers, held, least } = spread.sources().unwrap();
    assert_eq!((servers.len(), held), (3, vec![0, 0, 0, 1]));
    assert_eq!((least[0].address, &least[0].sessions), (SOURCE, &vec![1, 1, 1]));
    drop(leases);
    assert_eq!(spread.sources().unwrap().total(), 0);
    assert_eq!(pool(&[PLAIN]).sources(), None);
}
