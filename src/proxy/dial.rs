//! The connection to the server, or to the next one when it does not come about. The client's bytes stay in the
//! kernel meanwhile, so that nothing is lost by trying again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::lease::{self, Assigned, Denied};
use super::record::{Ended, Record};
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::DialRefused;
use crate::net::reactor::Stream;
use crate::net::{self, DialError};
use crate::pool::counters;
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
    let begun = Instant::now();
    match tries(&client, &mut record, &pool, leased, begun).await {
        Ok((server, mut leased)) => {
            leased.connected();
            record.dialled = Some(begun.elapsed());
            // One getsockname: the kernel chose this address in connect, and it is the client's in the server's own logs.
            record.source = server.local_address().ok();
            Ok(Connected { client, server, record, leased })
        }
        Err(Failure::Dial(error)) => {
            lease::turn_away(&client, &pool);
            Err(record.end(ending_of(&error)))
        }
        Err(Failure::Ended(ending)) => {
            net::options::reset_on_close(&client);
            Err(record.end(ending))
        }
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
        let error = tokio::select! {
            connected = one_server(record, pool, &leased, by) => match connected {
                Ok(server) => return Ok((server, leased)),
                Err(error) => error,
            },
            ending = super::interrupted(client, record) => return Err(Failure::Ended(ending)),
        };
        tracing::debug!(backend = %pool.spec.name, server = %leased.server.spec.name, %error, "dial failed");
        if matches!(record.frontend.process.policy.dial_refused, DialRefused::SameServer { .. })
            || Instant::now() >= deadline
        {
            return Err(Failure::Dial(error));
        }
        tried.push(Arc::clone(&leased.server));
        drop(leased);
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

/// Dials one server, and again if HAProxy's way is wanted.
async fn one_server(record: &Record, pool: &Pool, leased: &Leased, deadline: Instant) -> Result<Stream, DialError> {
    let (mut left, pause) = match record.frontend.process.policy.dial_refused {
        DialRefused::NextServer => (0, Duration::ZERO),
        DialRefused::SameServer { retries, pause } => (retries, pause),
    };
    loop {
        let result = once(record, pool, leased, deadline.min(Instant::now() + pool.spec.timeouts.dial)).await;
        match result {
            Err(error) if left > 0 && Instant::now() + pause < deadline => {
                tracing::debug!(server = %leased.server.spec.name, %error, "dial failed, trying the same server again");
                left -= 1;
                counters::count(&leased.server.counters.retries);
                counters::count(&pool.counters.retries);
                sleep(pause).await;
            }
            result => return result,
        }
    }
}

async fn once(record: &Record, pool: &Pool, leased: &Leased, deadline: Instant) -> Result<Stream, DialError> {
    let counters = [leased.server.counters.as_ref(), pool.counters.as_ref()];
    counters.iter().for_each(|of| counters::count(&of.connects));
    let result = match leased.server.address() {
        Some(address) => {
            let dial = Stream::dial(&record.worker.reactor, address);
            timeout_at(deadline, dial).await.unwrap_or(Err(DialError::TimedOut))
        }
        None => Err(DialError::Unreachable),
    };
    match &result {
        // An error of our own is never the server's.
        Ok(_) | Err(DialError::Local(_) | DialError::NoNetwork) => {}
        Err(_) => counters::count(&leased.server.counters.connect_errors),
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
