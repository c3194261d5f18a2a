//! Which server a session gets, and the wait for it when all are full.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::record::{Ended, Record};
use super::route::Routed;
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::OnNoServer;
use crate::net;
use crate::net::reactor::Stream;
use crate::pool::queue::Ticket;
use crate::pool::{Lease, Leased, Pool, Tried};

/// A session with a slot of a server.
#[derive(Debug)]
pub struct Assigned {
    pub client: Stream,
    pub record: Box<Record>,
    pub pool: Arc<Pool>,
    pub leased: Leased,
}

pub async fn lease(Routed { client, mut record, pool }: Routed) -> Result<Assigned, Ended> {
    match next(&client, &mut record, &pool, &Tried::new()).await {
        Ok(leased) => Ok(Assigned { client, record, pool, leased }),
        Err(Denied::NoServer) => {
            record.note_said(&client);
            turn_away(&client, &pool);
            Err(record.end(Ending::new(Who::Server, Phase::Connect, Cause::NoServer)))
        }
        Err(Denied::Ended(ending)) => {
            record.note_said(&client);
            net::options::reset_on_close(&client);
            Err(record.end(ending))
        }
    }
}

/// Why there is no server for a session.
#[derive(Debug)]
pub(super) enum Denied {
    /// Nobody may have it, or all who may have been tried.
    NoServer,
    /// It ended while it waited.
    Ended(Ending),
}

/// A slot of a server that the session has not tried; waits for one when all are full.
pub(super) async fn next(
    client: &Stream,
    record: &mut Record,
    pool: &Arc<Pool>,
    tried: &Tried,
) -> Result<Leased, Denied> {
    let leased = match pool.lease(record.client().ip(), tried) {
        Lease::Leased(leased) => leased,
        Lease::Refused(_) => return Err(Denied::NoServer),
        Lease::Wait(ticket) => wait(client, record, pool, ticket).await?,
    };
    record.waited.get_or_insert_default();
    record.server = Some(Arc::clone(&leased.server));
    record.trace(Step::Leased, format_args!("{}/{}", pool.spec.name, leased.server.name));
    Ok(leased)
}

async fn wait(client: &Stream, record: &mut Record, pool: &Pool, ticket: Ticket) -> Result<Leased, Denied> {
    record.enter_phase(Phase::Queue);
    record.place_in_queue = ticket.ahead + 1;
    let begun = Instant::now();
    let outcome = tokio::select! {
        answer = timeout(pool.spec.timeouts.queue, ticket.wait()) => match answer {
            Ok(answer) => answer.map_err(|_| Denied::NoServer),
            Err(_) => Err(Denied::Ended(Ending::new(Who::ServerTimeout, Phase::Queue, Cause::TimedOut))),
        },
        ending = super::interrupted(client, record) => Err(Denied::Ended(ending)),
    };
    *record.waited.get_or_insert_default() += begun.elapsed();
    outcome
}

/// What a client meets when nobody can have it.
pub(super) fn turn_away(client: &Stream, pool: &Pool) {
    match pool.spec.on_no_server {
        OnNoServer::TryAll | OnNoServer::Reset | OnNoServer::CloseListener => net::options::reset_on_close(client),
        OnNoServer::Close => {}
    }
}
