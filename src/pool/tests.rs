//! The pool against its sentences: who gets a session, what a lease holds, what verdicts do to the choice.

mod agents;
mod looking;
mod operator;
mod spread;
mod waiting;

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::event::{AdminState, CheckStatus, DownCause, Evidence, Readiness, ServerState, VerdictSource};
use crate::model::{
    BackendName, BackendTimeouts, Balance, Check, Endpoint, HostAddress, OnNoServer, Policy, Probe, ProxyId, Retries,
    ServerId, ServerName, Weight,
};

pub(super) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A server as a test describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub weight: u16,
    pub backup: bool,
    pub max_sessions: Option<u32>,
}

pub(super) const PLAIN: Spec = Spec { weight: 1, backup: false, max_sessions: None };

pub(super) fn backend(balance: Balance, servers: &[Spec]) -> model::Backend {
    let check = Check {
        fast_interval: Duration::from_millis(500),
        timeout: Duration::from_secs(1),
        ..Check::new(Probe::Tcp, Duration::from_secs(2))
    };
    let server = |(number, spec): (u32, &Spec)| model::Server {
        weight: Weight::new(spec.weight).unwrap(),
        backup: spec.backup,
        max_sessions: spec.max_sessions,
        check: Some(check.clone()),
        ..model::Server::new(
            ServerId(number),
            ServerName::new(&format!("s{number}")).unwrap(),
            Endpoint { host: HostAddress::Ip(Ipv4Addr::LOCALHOST.into()), port: 1 },
        )
    };
    model::Backend {
        id: ProxyId::FIRST,
        name: BackendName::new("b").unwrap(),
        balance,
        servers: (1..).zip(servers).map(server).collect(),
        timeouts: BackendTimeouts {
            connect: Duration::from_secs(10),
            dial: Duration::from_secs(2),
            queue: Duration::from_secs(10),
            server: None,
            tunnel: None,
            half_close: None,
        },
        on_no_server: OnNoServer::Reset,
        closing: Policy::evenkeel().closing,
        dial_hedge: None,
        judged_by: model::JudgedBy::Everything,
        max_dials: u32::MAX,
        slow_start: None,
        issuer: None,
        required: false,
        keepalive: None,
        check: None,
        retries: Retries::Others,
        log_health_checks: false,
        is_listen: false,
        all_backups: false,
        draws: 2,
        on_full: model::OnFull::Next,
        full_sessions: None,
    }
}

thread_local! {
    /// What the pools of this test have told.
    static TOLD: std::cell::RefCell<Vec<ServerChange>> = const { std::cell::RefCell::new(Vec::new()) };
}

pub(super) fn watched(spec: model::Backend) -> Arc<Pool> {
    let observe = |change: &Change| {
        if let Change::Server(change) = change {
            TOLD.with_borrow_mut(|told| told.push(change.clone()));
        }
    };
    Pool::alone(spec, Arc::new(observe))
}

/// A server that the configuration names wrongly is told of once, and only if no probe ever passed.
#[tokio::test(start_paused = true)]
async fn a_server_that_was_never_up_is_told_of_after_five_minutes() {
    thread_local! {
        static SAID: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let observe = |change: &Change| {
        if let Change::NeverUp(told) = change {
            SAID.with_borrow_mut(|said| said.push(told.text()));
        }
    };
    let pool = Pool::alone(backend(Balance::LeastConn, &[PLAIN, PLAIN, PLAIN]), Arc::new(observe));
    let said = || SAID.with_borrow_mut(std::mem::take);
    let servers = pool.servers();
    let down = || verdict(Readiness::Down(DownCause::Refused));
    pool.apply(&servers[0], down());
    pool.apply(&servers[1], verdict(Readiness::Ready));
    (0..3).for_each(|_| pool.apply(&servers[1], down()));
    tokio::time::advance(NeverUp::AFTER - Duration::from_secs(1)).await;
    pool.look();
    assert_eq!(said(), [""; 0]);
    tokio::time::advance(Duration::from_secs(1)).await;
    (0..3).for_each(|_| pool.look());
    assert_eq!(said(), ["b/s1 has never been up: is 127.0.0.1:1 its address, and is it a controller?"]);
}

/// What was told since it was last asked.
pub(super) fn told() -> Vec<ServerChange> {
    TOLD.with_borrow_mut(std::mem::take)
}

pub(super) fn pool(servers: &[Spec]) -> Arc<Pool> {
    watched(backend(Balance::LeastConn, servers))
}

pub(super) fn verdict(state: Readiness) -> Verdict {
    let status = if state == Readiness::Ready { CheckStatus::L4Ok } else { CheckStatus::L4Con };
    let evidence = Evidence::of(status, SystemTime::UNIX_EPOCH);
    Verdict { state, evidence, source: VerdictSource::Probe }
}

pub(super) const REFUSED: Readiness = Readiness::Down(DownCause::Refused);

/// Takes a server down, or up, as its probes would.
pub(super) fn probe(pool: &Arc<Pool>, number: usize, state: Readiness) -> Option<ServerChange> {
    let server = &pool.servers()[number - 1];
    told();
    (0..3).for_each(|_| pool.apply(server, verdict(state)));
    told().pop()
}

/// The name of the server that the next session gets, kept busy by the lease.
pub(super) fn lease(pool: &Arc<Pool>) -> (String, Leased) {
    match pool.lease(SOURCE, &Tried::new()) {
        Lease::Leased(leased) => (leased.server.name.to_string(), leased),
        other => panic!("expected a lease, got {other:?}"),
    }
}

pub(super) fn lease_name(pool: &Arc<Pool>) -> String {
    lease(pool).0
}

#[test]
fn leases_count_until_they_are_dropped() {
    let pool = pool(&[PLAIN, PLAIN]);
    let (first, kept) = lease(&pool);
    let (second, _kept_too) = lease(&pool);
    assert_ne!(first, second);
    drop(kept);
    assert_eq!(lease_name(&pool), first, "it is the least loaded again");
}

#[test]
fn three_hundred_idle_sessions_spread_by_weight() {
    for (weights, expected) in [([1, 1, 1], [100, 100, 100]), ([1, 2, 1], [75, 150, 75])] {
        let pool = pool(&weights.map(|weight| Spec { weight, ..PLAIN }));
        let _leases: Vec<_> = (0..300).map(|_| lease(&pool)).collect();
        let counts: Vec<_> = pool.servers().iter().map(|server| server.counters.sessions()).collect();
        assert_eq!(counts, expected, "{weights:?}");
    }
}

#[test]
fn backups_serve_when_no_primary_is_usable() {
    let pool = pool(&[PLAIN, Spec { backup: true, ..PLAIN }]);
    assert_eq!(lease_name(&pool), "s1");
    let change = probe(&pool, 1, REFUSED).expect("it went down");
    assert_eq!((change.active_left, change.backup_left), (0, 1));
    assert_eq!(lease_name(&pool), "s2");
    probe(&pool, 1, Readiness::Ready).expect("it came up");
    assert_eq!(lease_name(&pool), "s1");
}

#[test]
fn of_several_backups_the_first_that_is_usable_has_all_sessions() {
    const BACKUP: Spec = Spec { backup: true, ..PLAIN };
    let pool = pool(&[PLAIN, BACKUP, BACKUP]);
    probe(&pool, 1, REFUSED);
    let leases: Vec<_> = (0..3).map(|_| lease(&pool)).collect();
    assert!(leases.iter().all(|(name, _)| name == "s2"), "{leases:?}");
    probe(&pool, 2, REFUSED);
    assert_eq!(lease_name(&pool), "s3");
}

#[test]
fn a_draining_primary_comes_after_a_ready_backup_and_before_nobody() {
    let pool = pool(&[PLAIN, Spec { backup: true, ..PLAIN }]);
    let change = probe(&pool, 1, Readiness::Draining).expect("it drains");
    assert_eq!(change.to, ServerState::Draining);
    assert_eq!(lease_name(&pool), "s2");
    probe(&pool, 2, REFUSED);
    assert_eq!(lease_name(&pool), "s1");
}

#[test]
fn weight_zero_takes_nobody() {
    let pool = pool(&[Spec { weight: 0, ..PLAIN }, PLAIN]);
    let _leases: Vec<_> = (0..10).map(|_| lease(&pool)).collect();
    assert_eq!(pool.servers()[0].counters.sessions(), 0);
}

#[test]
fn the_operator_s_word_is_followed_whoever_is_left() {
    let pool = pool(&[PLAIN]);
    let server = Arc::clone(&pool.servers()[0]);
    for state in [AdminState::Drain, AdminState::Maint] {
        pool.set_admin_state(&server, state);
        assert!(matches!(pool.lease(SOURCE, &Tried::new()), Lease::Refused(Refusal::NoServer)), "{state:?}");
    }
    pool.set_admin_state(&server, AdminState::Ready);
    assert_eq!(lease_name(&pool), "s1");
}

#[test]
fn a_server_that_the_operator_took_out_is_not_even_the_last_resort() {
    let pool = watched(model::Backend { on_no_server: OnNoServer::TryAll, ..backend(Balance::LeastConn, &[PLAIN]) });
    let server = Arc::clone(&pool.servers()[0]);
    for state in [AdminState::Drain, AdminState::Maint] {
        pool.set_admin_state(&server, state);
        probe(&pool, 1, REFUSED);
        assert!(matches!(pool.lease(SOURCE, &Tried::new()), Lease::Refused(Refusal::NoServer)), "{state:?}");
    }
    pool.set_admin_state(&server, AdminState::Ready);
    assert!(lease(&pool).1.last_resort, "the operator gave it back, and it is still down");
}

#[test]
fn servers_that_are_down_are_tried_last_and_only_if_wanted() {
    let servers = [PLAIN, PLAIN];
    let resets = pool(&servers);
    let tries = watched(model::Backend { on_no_server: OnNoServer::TryAll, ..backend(Balance::LeastConn, &servers) });
    for pool in [&resets, &tries] {
        probe(pool, 1, REFUSED);
        assert_eq!(lease_name(pool), "s2");
        probe(pool, 2, REFUSED);
    }
    assert!(matches!(resets.lease(SOURCE, &Tried::new()), Lease::Refused(Refusal::NoServer)));
    let (_, leased) = lease(&tries);
    assert!(leased.last_resort);
    let both = tries.servers();
    assert!(matches!(tries.lease(SOURCE, &both), Lease::Refused(Refusal::AllTried)));
}

#[test]
fn who_was_tried_is_not_given_again() {
    let pool = pool(&[PLAIN, PLAIN]);
    let tried = vec![Arc::clone(&pool.servers()[0])];
    for _ in 0..3 {
        let Lease::Leased(leased) = pool.lease(SOURCE, &tried) else { panic!("the second is left") };
        assert_eq!(leased.server.name.as_str(), "s2");
    }
}

#[test]
fn a_change_is_told_once_with_what_it_leaves() {
    let pool = pool(&[PLAIN, PLAIN]);
    let server = Arc::clone(&pool.servers()[0]);
    let (_, _kept) = lease(&pool);
    pool.apply(&server, verdict(REFUSED));
    let change = told().pop().expect("a new server is one failure from down");
    assert_eq!((change.from, change.to), (ServerState::Ready, ServerState::Down(DownCause::Refused)));
    assert_eq!((change.sessions, change.active_left), (1, 1));
    pool.apply(&server, verdict(REFUSED));
    assert!(told().is_empty());
    assert_eq!(server.counters.counts().check_failures, 1, "failures while down are no news");
    assert_eq!(server.counters.counts().downs, 1);
}

#[test]
fn an_error_of_our_own_says_nothing_of_the_server() {
    let pool = pool(&[PLAIN]);
    assert!(probe(&pool, 1, Readiness::Down(DownCause::Local)).is_none());
    assert_eq!(lease_name(&pool), "s1");
}

#[test]
fn a_backend_without_servers_left_knows_since_when() {
    let pool = pool(&[PLAIN]);
    assert!(pool.usable().now && !pool.usable().ever, "nothing has been seen of it yet");
    probe(&pool, 1, Readiness::Ready);
    assert!(pool.usable().ever);
    probe(&pool, 1, REFUSED);
    let snapshot = pool.snapshot();
    assert!(!snapshot.up && snapshot.ever_up && snapshot.active == 0 && snapshot.counts.downs == 1);
}

pub(super) async fn served(mut ticket: queue::Ticket) -> Result<Leased, Refusal> {
    ticket.wait().await.outcome
}

#[tokio::test]
async fn who_waits_for_a_slot_is_served_in_order() {
    let pool = pool(&[Spec { max_sessions: Some(1), ..PLAIN }]);
    let (_, holder) = lease(&pool);
    let mut tickets = Vec::new();
    for _ in 0..3 {
        let Lease::Wait(ticket) = pool.lease(SOURCE, &Tried::new()) else { panic!("the server is full") };
        tickets.push(ticket);
    }
    assert_eq!(pool.snapshot().counts.queued, 3);
    let impatient = tickets.remove(1);
    drop(impatient);
    let last = tickets.pop().unwrap();
    let first = tickets.pop().unwrap();
    drop(holder);
    let slot = served(first).await.expect("the slot goes to the first");
    assert!(matches!(pool.lease(SOURCE, &Tried::new()), Lease::Wait(_)), "a newcomer does not overtake");
    drop(slot);
    drop(served(last).await.expect("and then to the last"));
    assert_eq!(pool.snapshot().counts.queued, 0);
    assert_eq!(lease_name(&pool), "s1");
}

#[tokio::test]
async fn who_waits_for_one_server_holds_up_nobody_who_can_have_another() {
    let pool = pool(&[Spec { max_sessions: Some(1), ..PLAIN }; 2]);
    let [one, other] = [lease(&pool).1, lease(&pool).1];
    // The first in line can only have `one`; those behind can have either.
    let Lease::Wait(first) = pool.lease(SOURCE, &vec![Arc::clone(&other.server)]) else { panic!("both are full") };
    let Lease::Wait(second) = pool.lease(SOURCE, &Tried::new()) else { panic!("both are full") };
    let Lease::Wait(third) = pool.lease(SOURCE, &Tried::new()) else { panic!("both are full") };
    let (name, freed) = (one.server.name.clone(), other.server.name.clone());
    drop(other);
    assert_eq!(pool.snapshot().queued, 2, "the slot went to the second");
    let second = served(second).await.expect("a slot that it can have");
    assert_eq!(second.server.name, freed);
    drop(one);
    assert_eq!(served(first).await.expect("its slot").server.name, name);
    drop(served(third).await.expect("the slot that the first gave back"));
    drop(second);
    assert_eq!(pool.snapshot().queued, 0);
}

#[tokio::test]
async fn who_waits_is_turned_away_when_the_last_server_goes() {
    let pool = pool(&[Spec { max_sessions: Some(1), ..PLAIN }]);
    let (_, _holder) = lease(&pool);
    let Lease::Wait(ticket) = pool.lease(SOURCE, &Tried::new()) else { panic!("the server is full") };
    probe(&pool, 1, REFUSED);
    assert_eq!(served(ticket).await.err(), Some(Refusal::NoServer));
}

#[test]
fn leastconn_is_exact_across_threads() {
    let pool = pool(&[PLAIN, PLAIN, PLAIN]);
    let leases: Vec<_> = std::thread::scope(|scope| {
        let lease_many = || (0..250).map(|_| lease(&pool).1).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(lease_many)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let counts: Vec<_> = pool.servers().iter().map(|server| server.counters.sessions()).collect();
    assert_eq!(counts.iter().sum::<u32>(), 1000);
    assert!(counts.iter().all(|count| (333..=334).contains(count)), "{counts:?}");
    drop(leases);
    assert!(pool.servers().iter().all(|server| server.counters.sessions() == 0));
}

proptest! {
    /// The sentence: the smallest (in flight + 1)/weight, idle servers included, counted from the choice on; ties to
    /// the least recently chosen.
    #[test]
    fn leastconn_follows_its_sentence(
        weights in prop::collection::vec(0u16..=4, 1..6),
        steps in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        let specs: Vec<_> = weights.iter().map(|&weight| Spec { weight, ..PLAIN }).collect();
        let pool = pool(&specs);
        // The model: open sessions and the time of the last choice of each server.
        let mut open = vec![0u32; weights.len()];
        let mut chosen_at = vec![0usize; weights.len()];
        let mut held: Vec<(usize, Leased)> = Vec::new();
        for (now, step) in steps.iter().enumerate() {
            // A third of the steps end a session, the others begin one.
            if step.index(3) == 0 && !held.is_empty() {
                let (server, leased) = held.swap_remove(step.index(held.len()));
                open[server] -= 1;
                drop(leased);
                continue;
            }
            let expected = (0..weights.len()).filter(|&server| weights[server] > 0).min_by(|&a, &b| {
                let load = |server: usize| f64::from(open[server] + 1) / f64::from(weights[server]);
                load(a).partial_cmp(&load(b)).unwrap().then(chosen_at[a].cmp(&chosen_at[b]))
            });
            match (expected, pool.lease(SOURCE, &Tried::new())) {
                (None, Lease::Refused(_)) => {}
                (Some(server), Lease::Leased(leased)) => {
                    prop_assert_eq!(leased.server.spec().id, ServerId(server as u32 + 1));
                    open[server] += 1;
                    chosen_at[server] = now + 1;
                    held.push((server, leased));
                }
                (expected, got) => prop_assert!(false, "expected {expected:?}, got {got:?}"),
            }
        }
    }
}
