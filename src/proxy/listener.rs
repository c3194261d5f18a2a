//! Accepting: one loop for each listener and worker, which never ends by an error, never spins and never waits for a
//! client.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};

use super::frontend::{Door, Frontend, Permits};
use super::handover::{Arrival, Load};
use super::limit::Limit;
use super::record::{Admission, Record};
use super::worker::Worker;
use crate::clock;
use crate::event::{self, Change, LimitReached};
use crate::model::{ListenAddress, OnLimit};
use crate::net::reactor::Stream;
use crate::net::{self, AcceptError, BindOptions, Listener};

/// A client that has come in, within the session limits.
#[derive(Debug)]
pub struct Accepted {
    pub client: Stream,
    pub record: Box<Record>,
}

impl Accepted {
    /// An arrival at the worker that has it, where its record begins.
    pub fn at(worker: &Rc<Worker>, arrival: Arrival, load: Load) -> io::Result<Self> {
        let Arrival { socket, peer, listener, permits, frontend, door } = arrival;
        let client = Stream::accepted(&worker.reactor, socket)?;
        let record = Record::begin(worker, &frontend, Admission { permits, load, door }, peer, listener);
        Ok(Self { client, record })
    }
}

/// Connections taken in a row before the worker's sessions have their turn again.
const BATCH: usize = 16;

/// How long accepting pauses when a resource has run out.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener while it is open: its socket, and the frontend whose clients come in by it. Every worker accepts on it.
#[derive(Debug)]
pub struct OpenListener {
    pub bound: net::Bound,
    entrance: watch::Sender<Entrance>,
    /// Nobody listens at the moment.
    shut: watch::Sender<bool>,
    /// Nobody is to be accepted any more.
    closed: watch::Sender<bool>,
    /// Another process decides whether the socket listens.
    left: AtomicBool,
    /// Gone after the socket, and so with the last who holds this.
    _held: mpsc::Sender<Infallible>,
}

/// Where those who come in find themselves.
#[derive(Debug, Clone)]
struct Entrance {
    frontend: Arc<Frontend>,
    door: Arc<Door>,
}

impl Entrance {
    fn at(address: ListenAddress, frontend: Arc<Frontend>) -> Self {
        let door = frontend.door(address);
        Self { frontend, door }
    }

    fn permits(&self) -> Result<Permits, &Arc<Limit>> {
        self.frontend.permits(&self.door)
    }
}

/// Tells when a listener is closed, that is, when nobody holds it any more.
#[derive(Debug)]
pub struct Closing(mpsc::Receiver<Infallible>);

impl OpenListener {
    pub fn new(bound: net::Bound, frontend: Arc<Frontend>) -> (Arc<Self>, Closing) {
        let (held, closing) = mpsc::channel(1);
        let entrance = watch::Sender::new(Entrance::at(bound.address(), frontend));
        (
            Arc::new(Self {
                bound,
                entrance,
                shut: watch::Sender::new(false),
                closed: watch::Sender::new(false),
                left: AtomicBool::new(false),
                _held: held,
            }),
            Closing(closing),
        )
    }

    /// Whose clients come in now.
    pub fn frontend(&self) -> Arc<Frontend> {
        Arc::clone(&self.entrance.borrow().frontend)
    }

    /// The door that it is.
    pub fn door(&self) -> Arc<Door> {
        Arc::clone(&self.entrance.borrow().door)
    }

    /// What the socket is to be made with.
    pub fn options(&self) -> BindOptions {
        let entrance = self.entrance.borrow();
        BindOptions::of(&entrance.frontend.spec, &entrance.door.spec)
    }

    /// Has those who come in from now on belong to another frontend, or to the same under a new configuration.
    pub fn lead_to(&self, frontend: Arc<Frontend>) {
        self.entrance.send_replace(Entrance::at(self.bound.address(), frontend));
    }

    /// Says whether the kernel refuses clients for the time being.
    pub fn set_shut(&self, shut: bool) {
        self.shut.send_replace(shut);
    }

    pub fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Has the workers accept no more once nobody waits.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Leaves the socket to a process that has it, too: it stays as that one has it.
    pub fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    async fn closed(&self) {
        // The sender is its own.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    async fn opened(&self) {
        // The sender is its own.
        let _ = self.shut.subscribe().wait_for(|shut| !shut).await;
    }
}

/// Whoever opened a socket for us keeps it, and the clients of the next process wait in it: it is left as it came. systemd
/// gives up a socket unit of which a socket does not listen.
impl Drop for OpenListener {
    fn drop(&mut self) {
        if !self.is_shut() || !self.bound.adopted || self.left.load(Relaxed) {
            return;
        }
        if let Err(error) = self.bound.listen_again(self.options().backlog) {
            tracing::error!(listener = %self.bound.address(), %error, "a socket that was opened for us is left closed");
        }
    }
}

impl Closing {
    /// Waits until it is closed. The caller bounds the time.
    pub async fn wait(mut self) {
        while self.0.recv().await.is_some() {}
    }
}

/// Accepts until the listener is closed. Who waits in its queue by then is still taken: the kernel would reset him.
pub async fn serve(open: Arc<OpenListener>, worker: Rc<Worker>) {
    let mut listener = None;
    tokio::select! {
        biased;
        () = open.closed() => {}
        error = accept_forever(&open, &mut listener, &worker) => {
            tracing::error!(listener = %open.bound.address(), %error, "can't accept");
        }
    }
    // Only at a unix socket does anybody wait that is paused: he is not let in by its end.
    let Some(listener) = listener.filter(|_| !open.is_shut()) else { return };
    let entrance = open.entrance.borrow().clone();
    // At a session limit nobody is waited for.
    while let Ok(Ok(true)) = timeout(Duration::ZERO, accept_batch(&listener, &entrance, &worker)).await {}
}

/// Ends only when the listener can't be watched. The one that is watched is left with the caller.
async fn accept_forever(open: &OpenListener, watched: &mut Option<Listener>, worker: &Rc<Worker>) -> io::Error {
    loop {
        // One that has ceased to listen counts as closed for as long as it is registered: each time another descriptor is.
        let listener = match open.bound.share().and_then(Listener::new) {
            Ok(listener) => watched.insert(listener),
            Err(error) => return error,
        };
        accept_until_shut(open, listener, worker).await;
        open.opened().await;
    }
}

async fn accept_until_shut(open: &OpenListener, listener: &Listener, worker: &Rc<Worker>) {
    let mut scarcity = Scarcity::default();
    loop {
        if let Err(error) = listener.ready().await {
            // The runtime's own failure: nothing to accept with. Not seen short of shutting down.
            scarcity.wait(&open.frontend(), &error.to_string()).await;
            continue;
        }
        if open.is_shut() {
            return;
        }
        // Asked each time: a reload may have led it elsewhere.
        let entrance = open.entrance.borrow().clone();
        if let Err(error) = accept_batch(listener, &entrance, worker).await {
            scarcity.wait(&entrance.frontend, &error.to_string()).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Takes some of those who wait in the accept queue, within the limits; whether there may be more. An error is one of
/// resources.
async fn accept_batch(listener: &Listener, entrance: &Entrance, worker: &Rc<Worker>) -> Result<bool, AcceptError> {
    let Entrance { frontend, door } = entrance;
    for _ in 0..BATCH {
        let (socket, peer, permits) = match frontend.process.on_limit {
            OnLimit::Queue => {
                // The permit comes first, so that whoever can't be served stays in the kernel's queue.
                let permits = match entrance.permits() {
                    Ok(permits) => permits,
                    Err(limit) => {
                        note_full(limit, entrance);
                        limit.freed().await;
                        // Meanwhile it may have become another frontend's listener.
                        return Ok(true);
                    }
                };
                let Some((socket, peer)) = take(listener)? else { return Ok(false) };
                (socket, peer, permits)
            }
            OnLimit::Reset => {
                // The connection comes first: a permit that another worker holds for a moment, to find the queue
                // empty, must not turn anyone away.
                let Some((socket, peer)) = take(listener)? else { return Ok(false) };
                match entrance.permits() {
                    Ok(permits) => (socket, peer, permits),
                    Err(limit) => {
                        note_full(limit, entrance);
                        crate::pool::counters::count(&frontend.counters.denied);
                        net::options::reset_on_close(&socket);
                        continue;
                    }
                }
            }
        };
        let (frontend, door) = (Arc::clone(frontend), Arc::clone(door));
        let (peer, listener) = (door.end(peer), door.end(listener.address()));
        let arrival = Arrival { socket, peer, listener, permits, frontend, door };
        if let Some((arrival, load)) = worker.seat.deal(arrival) {
            begin(arrival, load, worker)?;
        }
    }
    Ok(true)
}

/// The next connection of the queue that is still one.
fn take(listener: &Listener) -> Result<Option<(OwnedFd, Option<SocketAddr>)>, AcceptError> {
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

fn note_full(limit: &Limit, Entrance { frontend, door }: &Entrance) {
    if limit.note_full() {
        tell(frontend, frontend.whose(limit, door));
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
