//! Queues of servers, where those wait whose server is full: HAProxy's way.

use std::collections::VecDeque;

use super::*;
use crate::model::{OnFull, Redispatch};

/// A server that takes one session at a time.
const ONE: Spec = Spec { max_sessions: Some(1), ..PLAIN };

/// HAProxy's way with retries.
const SAME_SERVER: Retries = Retries::Counted { most: 3, redispatch: Redispatch::Never };

fn waits(balance: Balance, servers: &[Spec], queues: &[Option<u32>]) -> model::Backend {
    let mut spec = backend(balance, servers);
    (spec.on_full, spec.retries, spec.judged_by) = (OnFull::Wait, SAME_SERVER, model::JudgedBy::Probes);
    for (server, queue) in spec.servers.iter_mut().zip(queues) {
        server.max_queue = *queue;
    }
    spec
}

fn source(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

/// A source that is tied to the server of this number.
fn tied_to(number: usize, spec: &model::Backend) -> IpAddr {
    let name = format!("s{number}");
    let is_his = |source: &IpAddr| match watched(spec.clone()).lease(*source, &Tried::new()) {
        Lease::Leased(leased) => leased.server.name.as_str() == name,
        _ => false,
    };
    (1..=u8::MAX).map(source).find(is_his).expect("each server has a source")
}

fn leased(pool: &Arc<Pool>, source: IpAddr) -> Leased {
    match pool.lease(source, &Tried::new()) {
        Lease::Leased(leased) => leased,
        other => panic!("expected a server, got {other:?}"),
    }
}

fn waiting(pool: &Arc<Pool>, source: IpAddr) -> queue::Ticket {
    match pool.lease(source, &Tried::new()) {
        Lease::Wait(ticket) => ticket,
        other => panic!("expected to wait, got {other:?}"),
    }
}

/// Who waits: for each server alone, and for any.
fn queued(pool: &Pool) -> (Vec<u32>, u32) {
    let of_servers = pool.servers().iter().map(|server| server.counters.counts().queued).collect();
    (of_servers, pool.counters.counts().queued)
}

/// What has been answered, if anything has.
async fn now(ticket: &mut queue::Ticket) -> Option<queue::Answer> {
    tokio::select! {
        biased;
        answer = ticket.wait() => Some(answer),
        () = std::future::ready(()) => None,
    }
}

// Seen to fail with waiters counted in the backend's queue, and with a queue that is never full.
#[tokio::test]
async fn who_is_tied_to_a_full_server_waits_for_it_until_its_queue_is_full() {
    let spec = waits(Balance::SourceMap, &[ONE, ONE], &[Some(2), None]);
    let (his, others) = (tied_to(1, &spec), tied_to(2, &spec));
    let pool = watched(spec);
    let holder = leased(&pool, his);
    let (mut first, mut second) = (waiting(&pool, his), waiting(&pool, his));
    assert_eq!((queued(&pool), pool.snapshot().queued), ((vec![2, 0], 0), 2));
    let Lease::Crowded(server) = pool.lease(his, &Tried::new()) else { panic!("its queue is full") };
    assert_eq!(
        (server.name.as_str(), server.counters.counts().chosen),
        ("s1", 3),
        "who waits and who can't were its, too"
    );
    assert_eq!(leased(&pool, others).server.name.as_str(), "s2");
    drop(holder);
    assert!(now(&mut second).await.is_none(), "the first comes first");
    let answer = now(&mut first).await.expect("the slot is the first one's");
    assert_eq!((answer.course.server_place, answer.course.backend_place), (1, 0));
    drop(answer);
    assert_eq!(now(&mut second).await.expect("and then the second one's").course.server_place, 2);
    assert_eq!(queued(&pool), (vec![0, 0], 0));
}

#[tokio::test]
async fn who_leaves_has_been_served_nothing() {
    let spec = waits(Balance::SourceMap, &[ONE], &[None]);
    let pool = watched(spec);
    let holder = leased(&pool, SOURCE);
    let (impatient, patient) = (waiting(&pool, SOURCE), waiting(&pool, SOURCE));
    let course = impatient.leave();
    assert_eq!((course.server.map(|server| server.name.to_string()).as_deref(), course.server_place), (Some("s1"), 1));
    assert_eq!(patient.leave().server_place, 1, "nobody was served before it left");
    assert_eq!(queued(&pool), (vec![0], 0));
    drop(holder);
    drop(leased(&pool, SOURCE));
}

// Seen to fail with the server's own queue served first, and with the backend's.
#[tokio::test]
async fn the_oldest_of_both_queues_has_the_slot() {
    let pool = watched(waits(Balance::IdleFirst, &[ONE], &[Some(1)]));
    let holder = leased(&pool, SOURCE);
    let mut tickets: Vec<_> = (0..3).map(|_| waiting(&pool, SOURCE)).collect();
    assert_eq!(queued(&pool), (vec![1], 2), "a queue with a limit is filled, and the rest wait for any");
    drop(holder);
    let first = now(&mut tickets[0]).await.expect("the oldest waited for this server");
    // Younger than those in the backend's queue, and there is place in the server's.
    let mut youngest = waiting(&pool, SOURCE);
    assert_eq!(queued(&pool), (vec![1], 2));
    drop(first);
    let second = now(&mut tickets[1]).await.expect("the oldest waited for any");
    assert_eq!((second.course.server_place, second.course.backend_place), (0, 1));
    assert!(now(&mut youngest).await.is_none());
    drop(second);
    assert_eq!(now(&mut tickets[2]).await.expect("so did the next").course.backend_place, 2);
    assert!(now(&mut youngest).await.is_some());
}

// Seen to fail with the backend's queue not looked at.
#[tokio::test]
async fn a_method_that_goes_round_has_newcomers_wait_behind_those_who_wait() {
    for (balance, is_behind) in [(Balance::RoundRobin, true), (Balance::IdleFirst, false)] {
        let mut spec = waits(balance, &[Spec { max_sessions: Some(4), ..PLAIN }], &[None]);
        (spec.servers[0].min_sessions, spec.full_sessions) = (Some(1), Some(4));
        let pool = watched(spec);
        let _load = [pool.counters.begin(), pool.counters.begin()];
        let _holders = [leased(&pool, SOURCE), leased(&pool, SOURCE)];
        let _waits = waiting(&pool, SOURCE);
        // With more load than when the first began to wait, there would be room.
        let _more = pool.counters.begin();
        assert_eq!(matches!(pool.lease(SOURCE, &Tried::new()), Lease::Wait(_)), is_behind, "{balance:?}");
    }
}

/// What HAProxy 3.2.26 did with `balance source`, `minconn 1 maxconn 5` and `fullconn 10`, client after client. Seen to fail where
/// nobody is served when one more comes to wait, and with a limit that is the same at any load.
#[tokio::test]
async fn a_limit_that_grows_lets_in_those_who_wait() {
    let mut spec = waits(Balance::SourceMap, &[Spec { max_sessions: Some(5), ..PLAIN }], &[None]);
    (spec.servers[0].min_sessions, spec.full_sessions) = (Some(1), Some(10));
    let pool = watched(spec);
    let (mut tickets, mut held, mut load) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = Vec::new();
    for _ in 0..12 {
        load.push(pool.counters.begin());
        match pool.lease(SOURCE, &Tried::new()) {
            Lease::Leased(leased) => held.push(leased),
            Lease::Wait(ticket) => tickets.push(ticket),
            other => panic!("got {other:?}"),
        }
        while let Some(leased) = first_leased(&mut tickets).await {
            held.push(leased);
        }
        seen.push((pool.servers()[0].counters.sessions(), queued(&pool).0[0]));
    }
    let expected = [(1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4), (4, 5), (5, 5), (5, 6), (5, 7)];
    assert_eq!(seen, expected);
    // A session that ends counts until it has gone.
    held.remove(0);
    load.pop();
    assert_eq!((pool.servers()[0].counters.sessions(), queued(&pool).0[0]), (5, 6));
}

/// The lease of whoever is first in line, if it has been given one.
async fn first_leased(tickets: &mut Vec<queue::Ticket>) -> Option<Leased> {
    let answer = now(tickets.first_mut()?).await?;
    tickets.remove(0);
    answer.outcome.ok()
}

// Seen to fail with moves that are not counted.
#[tokio::test]
async fn who_waits_for_a_server_that_is_taken_out_chooses_anew() {
    let spec = waits(Balance::SourceMap, &[ONE, ONE], &[None, Some(1)]);
    let his = tied_to(1, &spec);
    let pool = watched(spec);
    let _holder = leased(&pool, his);
    let mut tickets: Vec<_> = (0..3).map(|_| waiting(&pool, his)).collect();
    told();
    pool.set_admin_state(&pool.servers()[0], AdminState::Maint);
    let told = told();
    assert_eq!((told[0].requeued, told[0].queued), (3, 0));
    let first = now(&mut tickets[0]).await.expect("the other server has a slot");
    assert_eq!((first.course.moves, first.course.server_place), (1, 1));
    assert_eq!(first.outcome.unwrap().server.name.as_str(), "s2");
    assert!(now(&mut tickets[1]).await.is_some(), "the first has given the slot back");
    let counts = pool.servers().iter().map(|server| server.counters.counts().moves).collect::<Vec<_>>();
    assert_eq!((counts, pool.counters.counts().moves), (vec![3, 0], 3));
    drop(tickets);
    assert_eq!(queued(&pool), (vec![0, 0], 0));
}

#[tokio::test]
async fn who_finds_a_full_queue_where_it_moves_to_is_turned_away() {
    let spec = waits(Balance::SourceMap, &[ONE, ONE], &[None, Some(1)]);
    let (his, others) = (tied_to(1, &spec), tied_to(2, &spec));
    let pool = watched(spec);
    let _holders = [leased(&pool, his), leased(&pool, others)];
    let (mut first, mut second) = (waiting(&pool, his), waiting(&pool, his));
    pool.set_admin_state(&pool.servers()[0], AdminState::Maint);
    assert!(now(&mut first).await.is_none(), "it waits for the other server");
    let answer = now(&mut second).await.expect("for which no other may wait");
    assert_eq!(answer.outcome.err(), Some(Refusal::Crowded));
    assert_eq!(answer.course.server.unwrap().name.as_str(), "s2");
}

#[tokio::test]
async fn who_waits_for_a_server_that_goes_down_waits_on_or_is_sent_there() {
    for (retries, waits_on) in
        [(SAME_SERVER, true), (Retries::Counted { most: 3, redispatch: Redispatch::LAST }, false)]
    {
        let spec = model::Backend { retries, ..waits(Balance::SourceMap, &[ONE, ONE], &[None, None]) };
        let his = tied_to(1, &spec);
        let pool = watched(spec);
        let holder = leased(&pool, his);
        let mut tickets = vec![waiting(&pool, his), waiting(&pool, his)];
        probe(&pool, 1, REFUSED);
        let mut sent = Vec::new();
        while let Some(leased) = first_leased(&mut tickets).await {
            sent.push(leased.server.name.to_string());
        }
        let expected: &[&str] = if waits_on { &[] } else { &["s1", "s1"] };
        assert_eq!(sent, expected, "{retries:?}");
        drop(holder);
        let next = first_leased(&mut tickets).await;
        assert_eq!(next.is_some(), waits_on, "a slot of a server that is down is one");
    }
}

// Seen to fail with those who wait for any left out of the count.
#[tokio::test]
async fn nobody_waits_for_any_when_the_last_server_is_gone() {
    let pool = watched(waits(Balance::RoundRobin, &[ONE], &[None]));
    let _holder = leased(&pool, SOURCE);
    let ticket = waiting(&pool, SOURCE);
    told();
    let change = probe(&pool, 1, REFUSED).expect("it goes down");
    assert_eq!((change.requeued, change.queued), (1, 0));
    assert_eq!(served(ticket).await.err(), Some(Refusal::NoServer));
}

proptest! {
    /// The manual's sentences (section 5.2): a server has at most `maxconn` sessions, "the next ones wait in its queue until
    /// a connection is released", and at most `maxqueue` "will wait in the queue for this server".
    #[test]
    fn queues_follow_their_sentences(
        limits in prop::collection::vec((1..4_u32, 1..4_u32), 2),
        steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>()), 1..80),
    ) {
        let specs: Vec<_> = limits.iter().map(|(most, _)| Spec { max_sessions: Some(*most), ..PLAIN }).collect();
        let queues: Vec<_> = limits.iter().map(|(_, queue)| Some(*queue)).collect();
        let spec = waits(Balance::SourceMap, &specs, &queues);
        let sources = [tied_to(1, &spec), tied_to(2, &spec)];
        let pool = watched(spec);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // The model: of each server, who has a session and who waits, by the number of the step that they came with.
        let (mut has, mut waits) = ([Vec::new(), Vec::new()], [VecDeque::new(), VecDeque::new()]);
        let (mut leases, mut tickets) = (std::collections::HashMap::new(), std::collections::HashMap::new());
        for (number, (kind, chance)) in steps.into_iter().enumerate() {
            let server = chance.index(2);
            let (most, queue) = (limits[server].0 as usize, limits[server].1 as usize);
            match kind {
                0..=2 => match pool.lease(sources[server], &Tried::new()) {
                    Lease::Leased(leased) => {
                        prop_assert!(has[server].len() < most && waits[server].is_empty());
                        has[server].push(number);
                        leases.insert(number, leased);
                    }
                    Lease::Wait(ticket) => {
                        prop_assert!(has[server].len() == most && waits[server].len() < queue);
                        waits[server].push_back(number);
                        tickets.insert(number, ticket);
                    }
                    Lease::Crowded(_) => prop_assert_eq!((has[server].len(), waits[server].len()), (most, queue)),
                    Lease::Refused(refusal) => prop_assert!(false, "{refusal:?}"),
                },
                3 if !has[server].is_empty() => {
                    let place = chance.index(has[server].len());
                    let ended = has[server].swap_remove(place);
                    leases.remove(&ended);
                    if let Some(next) = waits[server].pop_front() {
                        let mut ticket: queue::Ticket = tickets.remove(&next).expect("it waits");
                        let answer = runtime.block_on(now(&mut ticket)).expect("the first has the slot");
                        leases.insert(next, answer.outcome.expect("a slot"));
                        has[server].push(next);
                    }
                }
                4 if !waits[server].is_empty() => {
                    let place = chance.index(waits[server].len());
                    let leaver = waits[server].remove(place).expect("it is there");
                    tickets.remove(&leaver);
                }
                _ => {}
            }
            let counted: Vec<_> = pool.servers().iter().map(|server| server.counters.counts()).collect();
            for server in 0..2 {
                let counts = counted[server];
                let (sessions, queued) = (has[server].len() as u32, waits[server].len() as u32);
                prop_assert_eq!((counts.sessions, counts.queued), (sessions, queued));
            }
        }
    }
}
