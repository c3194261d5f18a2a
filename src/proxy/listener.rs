//! Accepting: one loop for each listener and worker, which never ends by an error, never spins and never waits for a
//! client.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;

use super::frontend::Frontend;
use super::handover::{Arrival, Load};
use super::limit::Limit;
use super::record::{Admission, Record};
use super::worker::Worker;
use crate::clock;
use crate::event::{self, Change, LimitReached};
use crate::model::OnLimit;
use crate::net::reactor::Stream;
use crate::net::{self, AcceptError, Listener};

/// A client that has come in, within the session limits.
#[derive(Debug)]
pub struct Accepted {
    pub client: Stream,
    pub record: Box<Record>,
}

impl Accepted {
    /// An arrival at the worker that has it, where its record begins.
    pub fn at(worker: &Rc<Worker>, arrival: Arrival, load: Load) -> io::Result<Self> {
        let Arrival { socket, peer, listener, permits, frontend } = arrival;
        let client = Stream::accepted(&worker.reactor, socket)?;
        let record = Record::begin(worker, &frontend, Admission { permits, load }, peer, listener);
        Ok(Self { client, record })
    }
}

/// Connections taken in a row before the worker's sessions have their turn again.
const BATCH: usize = 16;

/// How long accepting pauses when a resource has run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is dropped.
pub async fn serve(mut listener: Listener, frontend: Arc<Frontend>, worker: Rc<Worker>) {
    let mut scarcity = Scarcity::default();
    loop {
        if let Err(error) = listener.ready().await {
            // The runtime's own failure: nothing to accept with. Not seen short of shutting down.
            scarcity.wait(&frontend, &error.to_string()).await;
            continue;
        }
        if frontend.is_shut() {
            frontend.opened().await;
            listener = match listener.renew() {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(frontend = %frontend.spec.name, %error, "can't accept any more"),
            };
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
        let (socket, peer, permits) = match frontend.process.on_limit {
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
                let Some((socket, peer)) = take(listener)? else { return Ok(()) };
                (socket, peer, permits)
            }
            OnLimit::Reset => {
                // The connection comes first: a permit that another worker holds for a moment, to find the queue
                // empty, must not turn anyone away.
                let Some((socket, peer)) = take(listener)? else { return Ok(()) };
                match frontend.permits() {
                    Ok(permits) => (socket, peer, permits),
                    Err(limit) => {
                        note_full(limit, frontend);
                        crate::pool::counters::count(&frontend.counters.denied);
                        net::options::reset_on_close(&socket);
                        continue;
                    }
                }
            }
        };
        let arrival = Arrival { socket, peer, listener: listener.address(), permits, frontend: Arc::clone(frontend) };
        if let Some((arrival, load)) = worker.seat.deal(arrival) {
            begin(arrival, load, worker)?;
        }
    }
    Ok(())
}

/// The next connection of the queue that is still one.
fn take(listener: &Listener) -> Result<Option<(OwnedFd, SocketAddr)>, AcceptError> {
    loop {
        match listener.accept() {
            Err(AcceptError::Connection) => {}
            other => return other,
        }
    }
}

/// Begins the sessions that other workers hand to this one.
pub async fn receive(worker: &Rc<Worker>) {
    loop {
        let (arrival, load) = worker.seat.handed_over().await;
        if let Err(error) = begin(arrival, load, worker) {
            tracing::error!(%error, "a connection can't be watched");
        }
    }
}

fn begin(arrival: Arrival, load: Load, worker: &Rc<Worker>) -> Result<(), AcceptError> {
    spawn_local(super::session(Accepted::at(worker, arrival, load)?));
    Ok(())
}

fn note_full(limit: &Limit, frontend: &Frontend) {
    if limit.note_full() {
        let (max_sessions, then) = (limit.max(), frontend.process.on_limit);
        let limit = match std::ptr::eq(limit, frontend.process.limit.as_ref()) {
            true => event::Limit::Process { max_sessions, then },
            false => event::Limit::Frontend { max_sessions, then },
        };
        tell(frontend, limit);
    }
}

fn tell(frontend: &Frontend, limit: event::Limit) {
    let reached = LimitReached { frontend: frontend.spec.name.clone(), limit, at: clock::wall() };
    (frontend.process.observe)(&Change::Limit(reached));
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
            tell(frontend, event::Limit::Resource { error: error.to_owned() });
        }
        tokio::time::sleep(PAUSE).await;
        self.last = Some(Instant::now());
    }
}
