//! What dials do to a pool: who is dialled beside a silent one, what is counted, and what they tell of a server.

use tokio::time::advance;

use super::super::tests::{
    PLAIN, REFUSED, SOURCE, Spec, backend, lease, lease_name, pool, probe, served, told, verdict, watched,
};
use super::*;
use crate::event::{AdminState, ServerState};
use crate::model::{self, Backend, Balance, JudgedBy};
use crate::pool::{Lease, Network};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A pool of servers whose probes have passed, where a dial counts as silent after 250 ms.
fn sound(servers: &[Spec]) -> Arc<Pool> {
    let hedge = Some(Duration::from_millis(250));
    let pool = watched(Backend { dial_hedge: hedge, ..backend(Balance::First, servers) });
    (1..=servers.len()).for_each(|number| drop(probe(&pool, number, Readiness::Ready)));
    pool
}

/// The name of the server that a session is also given whose dial of the first one is silent.
fn beside_first(pool: &Arc<Pool>) -> Option<String> {
    let leased = pool.lease_beside(SOURCE, &vec![Arc::clone(&pool.servers()[0])])?;
    Some(leased.server.name.to_string())
}

fn chosen(pool: &Arc<Pool>) -> Vec<u64> {
    pool.servers().iter().map(|server| server.counters.counts().chosen).collect()
}

// Seen to fail when the lease itself is counted.
#[test]
fn only_who_wins_counts_as_chosen() {
    let pool = sound(&[PLAIN, PLAIN]);
    let (_, lost) = lease(&pool);
    let mut won = pool.lease_beside(SOURCE, &vec![Arc::clone(&lost.server)]).unwrap();
    assert_eq!(chosen(&pool), [0, 0]);
    won.connected(MILLISECOND);
    drop(lost);
    assert_eq!(chosen(&pool), [0, 1]);
    assert_eq!(pool.counters.counts().chosen, 1);
}

// Seen to fail without the bound, and when a connection that stands goes on counting.
#[tokio::test]
async fn a_server_with_too_many_unfinished_dials_is_passed_over_and_then_waited_for() {
    let pool = watched(Backend { max_dials: 2, ..backend(Balance::First, &[PLAIN, PLAIN]) });
    let mut leases: Vec<_> = (0..4).map(|_| lease(&pool)).collect();
    let names: Vec<_> = leases.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["s1", "s1", "s2", "s2"]);
    let waiting = || match pool.lease(SOURCE, &Tried::new()) {
        Lease::Wait(ticket) => ticket,
        other => panic!("expected to wait, got {other:?}"),
    };
    let (one, other) = (waiting(), waiting());
    leases[2].1.connected(MILLISECOND);
    let one = served(one).await.unwrap();
    assert_eq!(one.server.name.as_str(), "s2", "its connection stands");
    drop(leases.remove(0));
    let other = served(other).await.unwrap();
    assert_eq!(other.server.name.as_str(), "s1", "its dial was given up");
}

#[test]
fn a_second_dial_goes_to_none_but_a_sound_server() {
    let backup = Spec { backup: true, ..PLAIN };
    let pool = sound(&[PLAIN, PLAIN, backup]);
    let second = Arc::clone(&pool.servers()[1]);
    assert_eq!(beside_first(&pool).as_deref(), Some("s2"));
    // One failed probe makes a suspect; one that passes heals it.
    pool.apply(&second, verdict(REFUSED));
    assert_eq!(beside_first(&pool).as_deref(), Some("s3"));
    pool.apply(&second, verdict(Readiness::Ready));
    assert_eq!(beside_first(&pool).as_deref(), Some("s2"));
    pool.set_admin_state(&second, AdminState::Drain);
    assert_eq!(beside_first(&pool).as_deref(), Some("s3"));
    probe(&pool, 3, Readiness::Draining);
    assert_eq!(beside_first(&pool), None);
}

// Seen to fail without the question for the transition.
#[test]
fn a_second_dial_never_goes_to_a_server_in_transition() {
    let pool = watched(backend(Balance::First, &[PLAIN, PLAIN]));
    assert_eq!(beside_first(&pool), None, "nothing has been seen of it");
    pool.apply(&pool.servers()[1], verdict(Readiness::Ready));
    assert_eq!(beside_first(&pool).as_deref(), Some("s2"));
}

#[test]
fn of_all_dials_a_tenth_may_be_joined_by_a_second() {
    let pool = sound(&[PLAIN, PLAIN]);
    assert_eq!((0..100).filter(|_| beside_first(&pool).is_some()).count(), 10, "what it begins with");
    let joined = (0..1000).filter(|_| {
        let first = lease(&pool).1;
        pool.lease_beside(SOURCE, &vec![Arc::clone(&first.server)]).is_some()
    });
    assert_eq!(joined.count(), 100);
}

#[test]
fn a_dial_is_silent_after_its_least_time_or_four_times_the_usual() {
    let pool = sound(&[PLAIN]);
    let dials = |count: usize, took| (0..count).for_each(|_| lease(&pool).1.connected(took));
    dials(990, 10 * MILLISECOND);
    assert_eq!(pool.silence(), Some(250 * MILLISECOND));
    dials(10, 200 * MILLISECOND);
    assert_eq!(pool.silence(), Some(250 * MILLISECOND), "one in a hundred may be slow");
    dials(1, 200 * MILLISECOND);
    let usual = pool.silence().unwrap() / 4;
    assert!(usual >= 200 * MILLISECOND && usual <= 250 * MILLISECOND, "{usual:?}");
    // Seen to fail without LOST.
    dials(100, 900 * MILLISECOND);
    assert_eq!(pool.silence(), Some(1000 * MILLISECOND), "a SYN that is not answered for a second is lost");
    let waits = watched(backend(Balance::First, &[PLAIN]));
    assert_eq!(waits.silence(), None);
}

// Seen to fail when silence does not count, when it never ends, and when an answer does not end it.
#[tokio::test(start_paused = true)]
async fn a_server_whose_dials_are_silent_is_chosen_last_until_it_answers() {
    let pool = sound(&[PLAIN, PLAIN]);
    let first = Arc::clone(&pool.servers()[0]);
    let (_, mut dialling) = lease(&pool);
    pool.note_silence(&first);
    assert_eq!((lease_name(&pool).as_str(), first.is_late()), ("s2", true));
    assert!(first.host.is_asked(), "whatever else runs there is as dead if the host is");
    dialling.connected(300 * MILLISECOND);
    assert_eq!((lease_name(&pool).as_str(), first.is_late()), ("s1", false));
    pool.note_silence(&first);
    pool.apply(&first, verdict(Readiness::Ready));
    assert_eq!(lease_name(&pool), "s1", "its probe passed");
    pool.note_silence(&first);
    advance(2 * Duration::from_secs(1)).await;
    assert_eq!(lease_name(&pool), "s1", "it was long ago");
    let only = pool_of_one_silent();
    assert_eq!(lease_name(&only), "s1", "there is no other");
}

fn pool_of_one_silent() -> Arc<Pool> {
    let pool = pool(&[PLAIN]);
    pool.note_silence(&pool.servers()[0]);
    pool
}

// Seen to fail when a success between them changes nothing, and when it takes four.
#[tokio::test(start_paused = true)]
async fn three_refusals_in_a_row_take_a_server_down_once() {
    let pool = sound(&[PLAIN, PLAIN]);
    let first = Arc::clone(&pool.servers()[0]);
    let refuse = || lease(&pool).1.refused();
    let state = || pool.snapshot().servers[0].state;
    told();
    refuse();
    refuse();
    lease(&pool).1.connected(MILLISECOND);
    refuse();
    refuse();
    assert_eq!(state(), ServerState::Ready, "a connection came between them");
    advance(Duration::from_millis(1001)).await;
    refuse();
    refuse();
    assert_eq!(state(), ServerState::Ready, "the others are too old");
    let held: Vec<_> = (0..4).map(|_| lease(&pool).1).collect();
    held.iter().for_each(Leased::refused);
    let changes = told();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].to, ServerState::Down(DownCause::Refused));
    assert_eq!(changes[0].evidence.as_ref().unwrap().detail, "3 sessions in a row were refused");
    assert_eq!(first.counters.counts().downs, 1);
    // Only its probes bring it back.
    let mut held = held;
    held[3].connected(MILLISECOND);
    assert_eq!(state(), ServerState::Down(DownCause::Refused));
    assert!(probe(&pool, 1, Readiness::Ready).is_some());
}

#[test]
fn refusals_take_down_nobody_who_could_not_come_back_and_nobody_under_haproxy_s_policy() {
    let mut unchecked = backend(Balance::First, &[PLAIN]);
    unchecked.servers[0].check = None;
    let haproxy = model::Backend { judged_by: JudgedBy::Probes, ..backend(Balance::First, &[PLAIN]) };
    let hosts = [model::Host { address: haproxy.servers[0].address.host.clone(), servers: Vec::new() }];
    let network = Network::new(&hosts, std::slice::from_ref(&haproxy));
    let haproxy = Pool::new(haproxy, &network, Arc::new(|_| {}));
    for (pool, wants_probe) in [(watched(unchecked), true), (haproxy, false)] {
        let server = Arc::clone(&pool.servers()[0]);
        (0..9).for_each(|_| lease(&pool).1.refused());
        assert_eq!(pool.snapshot().servers[0].state, ServerState::Ready);
        lease(&pool).1.unanswered();
        assert_eq!(server.is_probe_wanted(), wants_probe);
    }
}

// Seen to fail when either of the two wants none.
#[tokio::test]
async fn a_failed_dial_wants_a_probe_and_a_refusal_proves_the_network() {
    let pool = sound(&[PLAIN]);
    let server = Arc::clone(&pool.servers()[0]);
    for fail in [Leased::refused, Leased::unanswered] {
        assert!(!server.is_probe_wanted());
        fail(&lease(&pool).1);
        server.host.probe.notified().await;
        assert!(server.is_probe_wanted());
    }
    let other = watched(backend(Balance::First, &[PLAIN]));
    let server = Arc::clone(&other.servers()[0]);
    lease(&other).1.unanswered();
    assert_eq!(server.host.heard(), None);
    lease(&other).1.refused();
    assert!(server.host.heard().is_some());
}

/// How many of 202 sessions that all end at once the first server gets.
fn taken_by_first(pool: &Arc<Pool>) -> usize {
    (0..202).filter(|_| lease_name(pool) == "s1").count()
}

// Seen to fail with a way that is not looked at, and with weights that are not told in hundredths.
#[tokio::test(start_paused = true)]
async fn a_server_that_has_recovered_comes_back_slowly_if_wanted() {
    for (slow_start, after) in [(Some(Duration::from_secs(100)), [2, 67]), (None, [101, 101])] {
        let pool = watched(Backend { slow_start, ..backend(Balance::RoundRobin, &[PLAIN, PLAIN]) });
        assert_eq!(taken_by_first(&pool), 101, "never at the start");
        probe(&pool, 1, REFUSED).unwrap();
        probe(&pool, 1, Readiness::Ready).unwrap();
        let mut taken = vec![taken_by_first(&pool)];
        advance(Duration::from_secs(50)).await;
        taken.push(taken_by_first(&pool));
        advance(Duration::from_secs(50)).await;
        // Whose turn it is goes on from before.
        assert!(taken_by_first(&pool).abs_diff(101) <= 1, "{slow_start:?}");
        assert!(taken.iter().zip(after).all(|(taken, after)| taken.abs_diff(after) <= 1), "{slow_start:?}: {taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_on_its_way_back_has_all_sessions_if_there_is_no_other() {
    let slow_start = Some(Duration::from_secs(100));
    let pool = watched(Backend { slow_start, ..backend(Balance::LeastConn, &[PLAIN, PLAIN]) });
    probe(&pool, 2, REFUSED).unwrap();
    probe(&pool, 1, REFUSED).unwrap();
    probe(&pool, 1, Readiness::Ready).unwrap();
    let leases: Vec<_> = (0..50).map(|_| lease(&pool)).collect();
    assert!(leases.iter().all(|(name, _)| name == "s1"));
}

// Seen to fail with resets that say nothing, with two that are enough, and with resets that are never forgotten.
#[tokio::test(start_paused = true)]
async fn sessions_are_asked_when_others_of_the_same_machine_are_reset_one_after_another() {
    use crate::pool::conduct::Conduct;
    let pool = sound(&[PLAIN]);
    let server = &pool.servers()[0];
    let conduct = || {
        pool.look();
        server.conduct()
    };
    server.host.note_reset();
    server.host.note_reset();
    assert_eq!(conduct(), Conduct::Leave, "two may be an accident");
    server.host.note_reset();
    assert_eq!(conduct(), Conduct::Ask);
    advance(Duration::from_secs(1)).await;
    assert_eq!(conduct(), Conduct::Leave);
}
