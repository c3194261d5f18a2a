//! The connection to the server, or to the next one when it does not come about. The client's bytes stay in the
//! kernel meanwhile, so that nothing is lost by trying again.
//!
//! Servers are dialled in rounds, unless a backend counts its retries (`counted`). A round is one dial, or two: a dial that is silent for long is joined by one to another
//! server, and the first to connect wins. Each holds a lease of its own, which ends with it.

mod counted;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::lease::{self, Assigned, Denied};
use super::record::{Ended, Record};
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::{ProxyVersion, Retries};
use crate::net::proxy_header::{self, Parties};
use crate::net::reactor::Stream;
use crate::net::{self, DialError, Way};
use crate::pool::counters;
use crate::pool::server::Server;
use crate::pool::{Leased, Pool, Tried};

/// A session with both its connections.
#[derive(Debug)]
pub struct Connected {
    pub client: Stream,
    pub server: Stream,
    pub record: Box<Record>,
    pub leased: Leased,
}

/// For how long servers are tried that count as down, all together.
const LAST_RESORT: Duration = Duration::from_secs(2);

pub async fn dial(assigned: Assigned) -> Result<Connected, Ended> {
    let Assigned { client, mut record, pool, leased } = assigned;
    record.enter_phase(Phase::Connect);
    let mut begun = Instant::now();
    let outcome = match pool.spec.retries {
        Retries::Others => tries(&client, &mut record, &pool, leased, begun).await,
        Retries::Counted { most, redispatch } => {
            let rules = counted::Rules { most, redispatch };
            counted::tries(&client, &mut record, &pool, leased, rules, &mut begun).await
        }
    };
    match outcome {
        Ok((server, leased)) => {
            record.dialled = Some(begun.elapsed());
            // One getsockname: the kernel chose this address in connect, and it is the client's in the server's own logs.
            record.source = server.local_address().ok();
            tell_connected(&record, &pool, &leased);
            if let Some(version) = leased.server.spec().send_proxy {
                introduce(&record, &client, &server, version);
            }
            Ok(Connected { client, server, record, leased })
        }
        Err(Failure::Dial(error)) => {
            record.note_said(&client);
            lease::turn_away(&client, &pool);
            Err(record.end(ending_of(&error)))
        }
        Err(Failure::Ended(ending)) => {
            record.note_said(&client);
            net::options::reset_on_close(&client);
            Err(record.end(ending))
        }
    }
}

/// Tells the server whose session it is, in one segment with what the client has said already. What can't be written
/// shows in the relay.
fn introduce(record: &Record, client: &Stream, server: &Stream, version: ProxyVersion) {
    // A client without an address is named as one that can't be.
    let ends = record.client().socket().zip(record.destination(client).socket());
    let header = proxy_header::encode(version, ends.map(|(source, destination)| Parties::new(source, destination)));
    let _ = server.send_first(&header, client.has_unread());
}

fn tell_connected(record: &Record, pool: &Pool, leased: &Leased) {
    let (backend, server) = (&pool.spec.name, &leased.server.name);
    match record.source {
        Some(source) => record.trace(Step::Connected, format_args!("{backend}/{server} from {source}")),
        None => record.trace(Step::Connected, format_args!("{backend}/{server}")),
    }
}

/// Why a session has no connection to a server in the end.
enum Failure {
    /// Of the last dial.
    Dial(DialError),
    Ended(Ending),
}

/// Dials one server after another until one answers, none is left, or the time is up.
async fn tries(
    client: &Stream,
    record: &mut Record,
    pool: &Arc<Pool>,
    mut leased: Leased,
    begun: Instant,
) -> Result<(Stream, Leased), Failure> {
    let mut deadline = begun + pool.spec.timeouts.connect;
    let mut tried = Tried::new();
    let mut last_resort = false;
    loop {
        if leased.last_resort && !std::mem::replace(&mut last_resort, true) {
            deadline = deadline.min(Instant::now() + LAST_RESORT);
        }
        let by = if last_resort { share(deadline, pool, &tried) } else { deadline };
        let first = tried.len();
        let outcome = tokio::select! {
            outcome = round(record, pool, leased, by, &mut tried) => outcome,
            ending = super::interrupted(client, record) => return Err(Failure::Ended(ending)),
        };
        // Each of a round but its first is a second dial.
        record.retries += u32::try_from(tried.len() - first - 1).unwrap_or(u32::MAX);
        let error = match outcome {
            Ok((server, leased)) => {
                note_winner(record, pool, &tried[first], &leased.server);
                return Ok((server, leased));
            }
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(Failure::Dial(error));
        }
        let asked = Instant::now();
        leased = match lease::next(client, record, pool, &tried).await {
            Ok(leased) => leased,
            Err(Denied::NoServer) => return Err(Failure::Dial(error)),
            Err(Denied::Ended(ending)) => return Err(Failure::Ended(ending)),
        };
        // A wait for a slot has a limit of its own, and must not use up the time of the dial that follows.
        deadline += asked.elapsed();
        record.enter_phase(Phase::Connect);
        note_move(record, pool, &tried);
    }
}

/// Dials a server, and another beside it if that dial is silent for long. All that are dialled are added to `tried`.
async fn round(
    record: &Record,
    pool: &Arc<Pool>,
    leased: Leased,
    by: Instant,
    tried: &mut Tried,
) -> Result<(Stream, Leased), DialError> {
    let (server, last_resort) = (Arc::clone(&leased.server), leased.last_resort);
    tried.push(Arc::clone(&server));
    let mut first = pin!(one_server(record, pool, leased, by));
    tokio::select! {
        biased;
        outcome = &mut first => return outcome,
        () = silence(pool), if !last_resort => {}
    }
    pool.note_silence(&server);
    let Some(beside) = pool.lease_beside(record.client().ip(), tried) else { return first.await };
    note_hedge(pool, &server);
    tried.push(Arc::clone(&beside.server));
    let mut second = pin!(one_server(record, pool, beside, by));
    // Whichever loses is dropped where this ends, and its lease with it.
    tokio::select! {
        outcome = &mut first => match outcome {
            Ok(won) => Ok(won),
            Err(_) => second.await,
        },
        outcome = &mut second => match outcome {
            Ok(won) => Ok(won),
            Err(_) => first.await,
        },
    }
}

/// Returns once a dial that begins now is silent for longer than a dial should be.
async fn silence(pool: &Pool) {
    let Some(least) = pool.spec.dial_hedge else { return std::future::pending().await };
    let begun = Instant::now();
    sleep(least).await;
    // Asked only now: hardly any dial comes so far.
    let Some(longest) = pool.silence() else { return std::future::pending().await };
    sleep_until(begun + longest).await;
}

/// Counts a silent dial that is joined by a second one.
fn note_hedge(pool: &Pool, silent: &Server) {
    for of in [silent.counters.as_ref(), pool.counters.as_ref()] {
        counters::count(&of.hedges);
        counters::count(&of.retries);
    }
}

/// Notes who has the session, which has moved if that is not the first of the round.
fn note_winner(record: &mut Record, pool: &Pool, first: &Arc<Server>, winner: &Arc<Server>) {
    if Arc::ptr_eq(first, winner) {
        return;
    }
    record.server = Some(Arc::clone(winner));
    record.moves += 1;
    [first.counters.as_ref(), pool.counters.as_ref()].iter().for_each(|of| counters::count(&of.moves));
}

/// Until when one server is tried, so that the others which are left have as long: a silent one must not use up the
/// time of one that would answer.
fn share(deadline: Instant, pool: &Pool, tried: &Tried) -> Instant {
    let now = Instant::now();
    let left = pool.servers().len().saturating_sub(tried.len()).max(1);
    now + deadline.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX)
}

/// Counts a session that goes on to another server: as a retry and a move of the one that failed it.
fn note_move(record: &mut Record, pool: &Pool, tried: &Tried) {
    record.retries += 1;
    record.moves += 1;
    let failed = tried.last().map(|server| server.counters.as_ref());
    for of in failed.into_iter().chain([pool.counters.as_ref()]) {
        counters::count(&of.retries);
        counters::count(&of.moves);
    }
}

/// Dials one server.
async fn one_server(
    record: &Record,
    pool: &Pool,
    mut leased: Leased,
    deadline: Instant,
) -> Result<(Stream, Leased), DialError> {
    let begun = Instant::now();
    match once(record, pool, &leased, deadline.min(begun + pool.spec.timeouts.dial)).await {
        Ok(stream) => {
            leased.connected(begun.elapsed());
            Ok((stream, leased))
        }
        Err(error) => {
            failed(record, pool, &leased, &error);
            Err(error)
        }
    }
}

/// Counts and tells a dial that has failed.
fn failed(record: &Record, pool: &Pool, leased: &Leased, error: &DialError) {
    // An error of our own is never the server's.
    if !matches!(error, DialError::Local(_) | DialError::NoNetwork) {
        counters::count(&leased.server.counters.connect_errors);
    }
    tracing::debug!(backend = %pool.spec.name, server = %leased.server.name, %error, "dial failed");
    record.trace(Step::DialFailed, format_args!("{}/{}: {error}", pool.spec.name, leased.server.name));
}

async fn once(record: &Record, pool: &Pool, leased: &Leased, deadline: Instant) -> Result<Stream, DialError> {
    let counters = [leased.server.counters.as_ref(), pool.counters.as_ref()];
    counters.iter().for_each(|of| counters::count(&of.connects));
    let result = match leased.server.address() {
        Some(address) => {
            let spec = leased.server.spec();
            let dial = Stream::dial(&record.worker.reactor, address, Way::to(&spec));
            timeout_at(deadline, dial).await.unwrap_or(Err(DialError::TimedOut))
        }
        None => Err(DialError::Unreachable),
    };
    match &result {
        // An error of our own is never the server's.
        Ok(_) | Err(DialError::Local(_) | DialError::NoNetwork) => return result,
        Err(DialError::Refused) => leased.refused(),
        Err(DialError::Unreachable | DialError::TimedOut) => leased.unanswered(),
    }
    result
}

fn ending_of(error: &DialError) -> Ending {
    let (who, cause) = match error {
        DialError::Refused => (Who::Server, Cause::Refused),
        DialError::Unreachable => (Who::Server, Cause::Unreachable),
        DialError::TimedOut => (Who::ServerTimeout, Cause::TimedOut),
        DialError::NoNetwork => (Who::Resource, Cause::Unreachable),
        DialError::Local(error) => (Who::Resource, local_cause(error)),
    };
    Ending::new(who, Phase::Connect, cause)
}

fn local_cause(error: &std::io::Error) -> Cause {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE) => Cause::OutOfDescriptors,
        Some(Errno::ADDRNOTAVAIL) => Cause::OutOfPorts,
        _ => Cause::Io,
    }
}
