//! The threads that carry sessions.
//!
//! Each worker is a runtime of its own. All workers accept on the same listening sockets, each through a descriptor of
//! its own, so that there is one accept queue for each address: nothing is lost when the number of workers changes, and a
//! second process can't bind. A new connection wakes every worker that has nothing to do, which EPOLLEXCLUSIVE would
//! spare, were it not for the runtime's epoll around it; benches/README.md has that and the other ways, measured.

use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use super::RunError;
use crate::model;
use crate::observe::access_log::Records;
use crate::observe::logging::Logging;
use crate::pool::sessions::Sessions;
use crate::proxy::handover::{self, Seat};
use crate::proxy::listener::{self, OpenListener};
use crate::proxy::worker::{Pulse, Worker};

/// A worker that has not turned for so long is stuck.
pub const STUCK: Duration = Duration::from_secs(2);

/// How often it is looked whether something has ended: a stop that is this late is not noticed.
const LOOK: Duration = Duration::from_millis(10);

/// The listeners that are open.
pub type Listeners = Arc<[Arc<OpenListener>]>;

/// All workers, while they run.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    watched: Vec<Watched>,
    end: watch::Sender<bool>,
}

/// A worker as the control thread sees it.
#[derive(Debug, Clone)]
pub struct Watched {
    pub sessions: Arc<Sessions>,
    pub pulse: Arc<Pulse>,
}

/// What a worker's thread is started with.
struct Part {
    listeners: watch::Receiver<Listeners>,
    records: Records,
    seat: Seat,
    watched: Watched,
    end: watch::Receiver<bool>,
}

impl Workers {
    /// Starts them. They accept on the listeners that are open, whichever these are at the time.
    pub fn start(count: usize, listeners: &watch::Receiver<Listeners>, logging: &Logging) -> Result<Self, RunError> {
        let (end, ends) = watch::channel(false);
        let mut workers = Self { threads: Vec::new(), watched: Vec::new(), end };
        for (index, seat) in (0..).zip(handover::seats(count)) {
            let watched = Watched { sessions: Sessions::new(index), pulse: Arc::clone(seat.pulse()) };
            let part = Part {
                listeners: listeners.clone(),
                records: logging.records(),
                seat,
                watched: watched.clone(),
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

impl Part {
    /// Serves until it is told to end.
    async fn work(self) {
        let Self { mut listeners, records, seat, watched, mut end } = self;
        let worker = match Worker::new(watched.sessions, records, seat) {
            Ok(worker) => worker,
            Err(error) => return tracing::error!(%error, "a worker can't watch connections"),
        };
        let run = spawn_local(Rc::clone(&worker).run());
        let mut accepting = Accepting::default();
        // A sender that is gone is an end as well: the control thread has left.
        let end = async { drop(end.wait_for(|end| *end).await) };
        tokio::pin!(end);
        loop {
            accepting.renew(&listeners.borrow_and_update(), &worker);
            tokio::select! {
                changed = listeners.changed() => if changed.is_err() { break },
                () = &mut end => break,
            }
        }
        drop(accepting);
        run.abort();
    }
}

/// The accept loops of one worker.
#[derive(Default)]
struct Accepting(Vec<(Weak<OpenListener>, AbortHandle)>);

impl Accepting {
    /// Accepts on these listeners from now on; on others that are closed by now it ceases to.
    fn renew(&mut self, listeners: &Listeners, worker: &Rc<Worker>) {
        let is = |known: &Weak<OpenListener>, listener: &Arc<OpenListener>| known.as_ptr() == Arc::as_ptr(listener);
        // One that is closed accepts those who wait, and ends by itself.
        self.0.retain(|(known, _)| listeners.iter().any(|listener| is(known, listener)));
        for listener in listeners.iter() {
            if !self.0.iter().any(|(known, _)| is(known, listener)) {
                let task = spawn_local(listener::serve(Arc::clone(listener), Rc::clone(worker)));
                self.0.push((Arc::downgrade(listener), task.abort_handle()));
            }
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, task)| task.abort());
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

/// Whether it ends in time.
pub async fn within(longest: Duration, future: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(longest, future).await.is_ok()
}
