//! The threads that carry sessions.
//!
//! Each worker is a runtime of its own. All workers accept on the same listening sockets, each through a descriptor of
//! its own, so that there is one accept queue for each address: nothing is lost when the number of workers changes, and a
//! second process can't bind. A new connection wakes every worker that has nothing to do, which EPOLLEXCLUSIVE would
//! spare, were it not for the runtime's epoll around it; benches/README.md has that and the other ways, measured.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use super::RunError;
use crate::event::ProcessPhase;
use crate::model;
use crate::net;
use crate::observe::access_log::Records;
use crate::observe::logging::Logging;
use crate::pool::sessions::Sessions;
use crate::proxy::frontend::Frontend;
use crate::proxy::handover::{self, Seat};
use crate::proxy::listener;
use crate::proxy::worker::{Pulse, Worker};

/// A worker that has not turned for so long is stuck.
pub const STUCK: Duration = Duration::from_secs(2);

/// How often it is looked whether something has ended: a stop that is this late is not noticed.
const LOOK: Duration = Duration::from_millis(10);

/// All workers, while they run.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    watched: Vec<Watched>,
    /// Closed once every worker has closed its listeners.
    accepting: mpsc::Receiver<Never>,
    end: watch::Sender<bool>,
}

/// What is never sent: a channel of it tells by its end alone.
type Never = std::convert::Infallible;

/// A worker as the control thread sees it.
#[derive(Debug, Clone)]
pub struct Watched {
    pub sessions: Arc<Sessions>,
    pub pulse: Arc<Pulse>,
}

/// What a worker's thread is started with.
struct Part {
    listeners: Vec<(net::Bound, Arc<Frontend>)>,
    records: Records,
    seat: Seat,
    watched: Watched,
    phases: watch::Receiver<ProcessPhase>,
    /// Dropped with the last listener.
    accepting: mpsc::Sender<Never>,
    end: watch::Receiver<bool>,
}

impl Workers {
    /// Starts them; `bound` has the sockets of each frontend.
    pub fn start(
        count: usize,
        frontends: &[Arc<Frontend>],
        bound: &[Vec<net::Bound>],
        logging: &Logging,
        phases: &watch::Receiver<ProcessPhase>,
    ) -> Result<Self, RunError> {
        let (end, ends) = watch::channel(false);
        let (accepts, accepting) = mpsc::channel(1);
        let mut workers = Self { threads: Vec::new(), watched: Vec::new(), accepting, end };
        for (index, seat) in (0..).zip(handover::seats(count)) {
            let watched = Watched { sessions: Sessions::new(index), pulse: Arc::clone(seat.pulse()) };
            let part = Part {
                listeners: share(frontends, bound).map_err(RunError::Runtime)?,
                records: logging.records(),
                seat,
                watched: watched.clone(),
                phases: phases.clone(),
                accepting: accepts.clone(),
                end: ends.clone(),
            };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Runtime)?;
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let local = LocalSet::new();
                    local.block_on(&runtime, part.work());
                })
                .map_err(RunError::Thread)?;
            workers.threads.push(thread);
            workers.watched.push(watched);
        }
        Ok(workers)
    }

    pub fn watch(&self) -> Vec<Watched> {
        self.watched.clone()
    }

    /// Waits until every worker has closed its listeners, which they do once the phase is [`ProcessPhase::Stopping`]; a
    /// worker that is stuck is not waited for.
    pub async fn closed_listeners(&mut self) {
        let _ = within(STUCK, async { while self.accepting.recv().await.is_some() {} }).await;
    }

    /// Ends them, and whatever sessions they still have; each writes its record. A worker that is stuck is not waited for:
    /// its thread ends with the process.
    pub async fn join(self) {
        self.end.send_replace(true);
        for (index, (thread, watched)) in self.threads.into_iter().zip(self.watched).enumerate() {
            while !thread.is_finished() && watched.pulse.age() < STUCK {
                tokio::time::sleep(LOOK).await;
            }
            if !thread.is_finished() {
                tracing::error!(worker = index, "a worker hangs: ending without it");
            } else if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    }
}

/// As many workers as configured, or one for each core that this process may use.
pub fn count(spec: &model::Process) -> usize {
    spec.workers.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), |workers| workers as usize)
}

fn share(frontends: &[Arc<Frontend>], bound: &[Vec<net::Bound>]) -> io::Result<Vec<(net::Bound, Arc<Frontend>)>> {
    let shared = frontends
        .iter()
        .zip(bound)
        .flat_map(|(frontend, sockets)| sockets.iter().map(|socket| Ok((socket.share()?, Arc::clone(frontend)))));
    shared.collect()
}

impl Part {
    /// Serves until it is told to end.
    async fn work(self) {
        let Self { listeners, records, seat, watched, mut phases, accepting: accepts, mut end } = self;
        let worker = match Worker::new(watched.sessions, records, seat) {
            Ok(worker) => worker,
            Err(error) => return tracing::error!(%error, "a worker can't watch connections"),
        };
        let mut accepting = JoinSet::new();
        for (bound, frontend) in listeners {
            match net::Listener::new(bound) {
                Ok(listener) => {
                    accepting.spawn_local(listener::serve(listener, frontend, worker.clone()));
                }
                Err(error) => tracing::error!(frontend = %frontend.spec.name, %error, "can't accept"),
            }
        }
        let run = tokio::task::spawn_local(worker.run());
        // A sender that is gone is an end as well: the control thread has left.
        let _ = phases.wait_for(|phase| *phase == ProcessPhase::Stopping).await;
        accepting.shutdown().await;
        drop(accepts);
        let _ = end.wait_for(|end| *end).await;
        run.abort();
    }
}

/// Waits until nobody has a session left, or until the time is up; says whether nobody is.
pub async fn wait_until_empty(workers: &[Watched], longest: Duration) -> bool {
    let empty = async {
        while workers.iter().any(|worker| !worker.sessions.is_empty()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    within(longest, empty).await
}

async fn within(longest: Duration, future: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(longest, future).await.is_ok()
}
