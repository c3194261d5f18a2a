//! Which server a session gets, and the wait for it when all are full.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::record::{Ended, Record};
use super::route::Routed;
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::{OnFull, OnNoServer};
use crate::net;
use crate::net::reactor::Stream;
use crate::pool::queue::{Answer, Ticket};
use crate::pool::{Lease, Leased, Pool, Refusal, Tried};

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
            let_go(&client, &pool, ending);
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
        Lease::Crowded(server) => {
            record.server = Some(server);
            return Err(Denied::Ended(CROWDED));
        }
        Lease::Wait(ticket) => wait(client, record, pool, ticket).await?,
    };
    record.waited.get_or_insert_default();
    record.server = Some(Arc::clone(&leased.server));
    record.trace(Step::Leased, format_args!("{}/{}", pool.spec.name, leased.server.name));
    Ok(leased)
}

/// What a session meets that is tied to a server for which as many wait already as may.
const CROWDED: Ending = Ending::new(Who::Server, Phase::Queue, Cause::QueueFull);

async fn wait(client: &Stream, record: &mut Record, pool: &Pool, mut ticket: Ticket) -> Result<Leased, Denied> {
    record.enter_phase(Phase::Queue);
    let begun = Instant::now();
    let outcome = tokio::select! {
        answer = timeout(pool.spec.timeouts.queue, ticket.wait()) => match answer {
            Ok(answer) => Ok(answer),
            Err(_) => Err(Ending::new(Who::ServerTimeout, Phase::Queue, Cause::TimedOut)),
        },
        ending = super::interrupted(client, record) => Err(ending),
        cause = gone(client) => Err(Ending::new(Who::Client, Phase::Queue, cause)),
    };
    *record.waited.get_or_insert_default() += begun.elapsed();
    let (course, outcome) = match outcome {
        Ok(Answer { outcome, course }) => (
            course,
            outcome.map_err(|refusal| match refusal {
                Refusal::Crowded => Denied::Ended(CROWDED),
                Refusal::NoServer | Refusal::AllTried => Denied::NoServer,
            }),
        ),
        Err(ending) => (ticket.leave(), Err(Denied::Ended(ending))),
    };
    record.note_wait(&course);
    // Whoever waits for any server is nobody's meanwhile, as with HAProxy; else it is told who had it last.
    if course.server.is_some() || pool.spec.on_full == OnFull::Wait {
        record.server = course.server;
    }
    outcome
}

/// Returns when the client has finished without a word, and will have nothing to say to a server, either; or when it is seen
/// here that it has reset.
async fn gone(client: &Stream) -> Cause {
    let seen = poll_fn(|cx| client.poll_peek(cx, &mut [0], 0)).await;
    client.look_again();
    match seen {
        Ok(peeked) if peeked.length == 0 => Cause::Finished,
        // What it has said waits with it.
        Ok(_) => std::future::pending().await,
        Err(_) => Cause::Reset,
    }
}

/// What a client meets whose session ends before it is connected: one that waited in vain is turned away.
pub(super) fn let_go(client: &Stream, pool: &Pool, ending: Ending) {
    match ending.who {
        Who::Server | Who::ServerTimeout => turn_away(client, pool),
        _ => net::options::reset_on_close(client),
    }
}

/// What a client meets when nobody can have it.
pub(super) fn turn_away(client: &Stream, pool: &Pool) {
    match pool.spec.on_no_server {
        OnNoServer::TryAll | OnNoServer::Reset | OnNoServer::CloseListener => net::options::reset_on_close(client),
        OnNoServer::Close => {}
    }
}
