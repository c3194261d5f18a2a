//! Accepting: one loop for each listener and worker, which never ends by an error, never spins and never waits for a
//! client.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;

use super::frontend::{Frontend, Permits};
use super::limit::Limit;
use super::record::Record;
use super::worker::Worker;
use crate::model::OnLimit;
use crate::net::reactor::Stream;
use crate::net::{self, AcceptError, Listener};

/// A client that has come in, within the session limits.
#[derive(Debug)]
pub struct Accepted {
    pub client: Stream,
    pub record: Box<Record>,
}

/// Connections taken in a row before the worker's sessions have their turn again.
const BATCH: usize = 16;

/// How long accepting pauses when a resource has run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is dropped.
pub async fn serve(listener: Listener, frontend: Arc<Frontend>, worker: Rc<Worker>) {
    let mut scarcity = Scarcity::default();
    loop {
        if let Err(error) = listener.ready().await {
            // The runtime's own failure: nothing to accept with. Not seen short of shutting down.
            scarcity.wait(&frontend, &error.to_string()).await;
            continue;
        }
        if let Err(error) = accept_batch(&listener, &frontend, &worker).await {
            scarcity.wait(&frontend, &error.to_string()).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Takes what waits in the accept queue, within the limits; an error is one of resources.
async fn accept_batch(listener: &Listener, frontend: &Arc<Frontend>, worker: &Rc<Worker>) -> Result<(), AcceptError> {
    for _ in 0..BATCH {
        let (client, peer, permits) = match frontend.process.on_limit {
            OnLimit::Queue => {
                // The permit comes first, so that whoever can't be served stays in the kernel's queue.
                let permits = match frontend.permits() {
                    Ok(permits) => permits,
                    Err(limit) => {
                        note_full(limit, frontend);
                        limit.freed().await;
                        continue;
                    }
                };
                let Some((client, peer)) = take(listener, worker)? else { return Ok(()) };
                (client, peer, permits)
            }
            OnLimit::Reset => {
                // The connection comes first: a permit that another worker holds for a moment, to find the queue
                // empty, must not turn anyone away.
                let Some((client, peer)) = take(listener, worker)? else { return Ok(()) };
                match frontend.permits() {
                    Ok(permits) => (client, peer, permits),
                    Err(limit) => {
                        note_full(limit, frontend);
                        crate::pool::counters::count(&frontend.counters.denied);
                        net::options::reset_on_close(&client);
                        continue;
                    }
                }
            }
        };
        begin(client, peer, listener.address(), permits, frontend, worker);
    }
    Ok(())
}

/// The next connection of the queue that is still one.
fn take(listener: &Listener, worker: &Worker) -> Result<Option<(Stream, SocketAddr)>, AcceptError> {
    loop {
        match listener.accept() {
            Ok(Some((client, peer))) => {
                let client = Stream::accepted(&worker.reactor, client).map_err(AcceptError::from)?;
                return Ok(Some((client, peer)));
            }
            Ok(None) => return Ok(None),
            Err(AcceptError::Connection) => {}
            Err(error @ AcceptError::Resource(_)) => return Err(error),
        }
    }
}

fn begin(
    client: Stream,
    peer: SocketAddr,
    listener: SocketAddr,
    permits: Permits,
    frontend: &Arc<Frontend>,
    worker: &Rc<Worker>,
) {
    let record = Record::begin(worker, frontend, permits, peer, listener);
    spawn_local(super::session(Accepted { client, record }));
}

fn note_full(limit: &Limit, frontend: &Frontend) {
    if limit.note_full() {
        let whose = if std::ptr::eq(limit, frontend.process.limit.as_ref()) { "the process" } else { "the frontend" };
        tracing::warn!(
            frontend = %frontend.spec.name,
            max_sessions = limit.max(),
            "session limit of {whose} reached: {}",
            match frontend.process.on_limit {
                OnLimit::Queue => "new clients wait until a session ends",
                OnLimit::Reset => "new clients are reset",
            }
        );
    }
}

/// Having run out of something: told once an episode, and waited out without spinning.
#[derive(Debug, Default)]
struct Scarcity {
    last: Option<Instant>,
}

impl Scarcity {
    /// How long accepting must have gone well for the next failure to be another episode: a descriptor that is freed and
    /// taken again is none.
    const CALM: Duration = Duration::from_secs(5);

    async fn wait(&mut self, frontend: &Frontend, error: &str) {
        if self.last.is_none_or(|last| last.elapsed() >= Self::CALM) {
            frontend.process.note_accept_pause();
            tracing::error!(frontend = %frontend.spec.name, error, "can't accept: pausing until there is room again");
        }
        tokio::time::sleep(PAUSE).await;
        self.last = Some(Instant::now());
    }
}
