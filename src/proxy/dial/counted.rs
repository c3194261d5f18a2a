//! HAProxy's retries: the same server again after a pause, or another one where `option redispatch` lets it.
//!
//! The counts are its own, too: a server's connection error is the last one alone, and a dial that goes elsewhere counts as
//! a move of the server before it and as no retry.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::{Failure, failed, once};
use crate::model::{Redispatch, Retries};
use crate::net::DialError;
use crate::net::reactor::Stream;
use crate::pool::server::Server;
use crate::pool::{Leased, Pool, Tried, counters};
use crate::proxy::lease::{self, Denied};
use crate::proxy::record::Record;

/// How often a session may dial, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub most: u32,
    pub redispatch: Redispatch,
}

/// Dials until a server answers or the retries are used up. `begun` becomes the time from which on the last server was
/// dialled.
pub(super) async fn tries(
    client: &Stream,
    record: &mut Record,
    pool: &Arc<Pool>,
    mut leased: Leased,
    rules: Rules,
    begun: &mut Instant,
) -> Result<(Stream, Leased), Failure> {
    let deadline = *begun + pool.spec.timeouts.connect;
    leased.count_choice();
    loop {
        let by = deadline.min(Instant::now() + pool.spec.timeouts.dial);
        let dialled = Instant::now();
        let outcome = tokio::select! {
            outcome = once(record, pool, &leased, by) => outcome,
            ending = crate::proxy::interrupted(client, record) => return Err(Failure::Ended(ending)),
        };
        let error = match outcome {
            Ok(stream) => {
                leased.connected(dialled.elapsed());
                return Ok((stream, leased));
            }
            Err(error) => error,
        };
        if record.retries >= rules.most || Instant::now() >= deadline {
            failed(record, pool, &leased, &error);
            return Err(Failure::Dial(error));
        }
        record.retries += 1;
        leased = again(client, record, pool, leased, rules, &error, begun).await?;
    }
}

/// The server for the next dial, when its time has come.
async fn again(
    client: &Stream,
    record: &mut Record,
    pool: &Arc<Pool>,
    leased: Leased,
    rules: Rules,
    error: &DialError,
    begun: &mut Instant,
) -> Result<Leased, Failure> {
    let others = pool.active() > 1;
    let elsewhere = may_leave(pool, &leased.server, rules, record.retries, others);
    let before = Arc::clone(&leased.server);
    // Given back before the pause, as HAProxy does it: who waits for this server may be next, and it may be this session again.
    let kept = if elsewhere {
        drop(leased);
        None
    } else {
        Some(leased)
    };
    // Who has waited in vain for an answer has waited long enough.
    if !matches!(error, DialError::TimedOut) && (kept.is_some() || !others) {
        let pause = Retries::pause(pool.spec.timeouts.dial);
        tokio::select! {
            () = sleep(pause) => {}
            ending = crate::proxy::interrupted(client, record) => return Err(Failure::Ended(ending)),
        }
    }
    if let Some(leased) = kept {
        count_retry(pool, &before);
        leased.server.counters.count_again();
        return Ok(leased);
    }
    let mut leased = another(client, record, pool, &before).await?;
    if Arc::ptr_eq(&leased.server, &before) {
        count_retry(pool, &before);
    } else {
        record.note_move();
        [before.counters.as_ref(), pool.counters.as_ref()].iter().for_each(|of| counters::count(&of.moves));
        leased.count_choice();
    }
    record.waited = Some(record.age());
    *begun = Instant::now();
    Ok(leased)
}

/// Whether the next dial, the one of this number after the first, may be of another server.
fn may_leave(pool: &Pool, server: &Arc<Server>, rules: Rules, number: u32, others: bool) -> bool {
    rules.redispatch != Redispatch::Never
        && (rules.redispatch.is_due(number, rules.most)
            || (others && !pool.spec.balance.is_sticky())
            || !pool.is_running(server))
}

/// A server other than the one before, or that one if no other has room.
async fn another(
    client: &Stream,
    record: &mut Record,
    pool: &Arc<Pool>,
    before: &Arc<Server>,
) -> Result<Leased, Failure> {
    if !pool.spec.balance.is_sticky()
        && let Some(leased) = pool.lease_at_once(record.client().ip(), &vec![Arc::clone(before)])
    {
        record.server = Some(Arc::clone(&leased.server));
        return Ok(leased);
    }
    let outcome = lease::next(client, record, pool, &Tried::new()).await;
    record.enter_phase(crate::event::Phase::Connect);
    outcome.map_err(|denied| match denied {
        Denied::NoServer => {
            record.server = None;
            Failure::Dial(DialError::Refused)
        }
        Denied::Ended(ending) => Failure::Ended(ending),
    })
}

fn count_retry(pool: &Pool, server: &Server) {
    [server.counters.as_ref(), pool.counters.as_ref()].iter().for_each(|of| counters::count(&of.retries));
}
