//! What the sessions of one worker share. A session lives and dies on one worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::net::pipe::Pipes;
use crate::observe::access_log::Records;
use crate::pool::sessions::Sessions;

/// One worker, as its own thread sees it.
#[derive(Debug)]
pub struct Worker {
    /// Through which the bytes of all its sessions go, one read at a time.
    pub scratch: RefCell<Box<[u8]>>,
    /// Through which bulk goes.
    pub pipes: Pipes,
    pub sessions: Arc<Sessions>,
    pub records: Records,
    pulse: Arc<Pulse>,
}

/// Bytes that one read takes at most.
pub const SCRATCH: usize = 128 * 1024;

impl Worker {
    pub fn new(sessions: Arc<Sessions>, records: Records, pulse: Arc<Pulse>) -> Rc<Self> {
        Rc::new(Self {
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            pipes: Pipes::default(),
            sessions,
            records,
            pulse,
        })
    }

    /// How often the sweep looks at all sessions: deadlines are as exact as this.
    pub const SWEEP: Duration = Duration::from_millis(250);

    /// Looks at all sessions again and again, and shows by it that the worker turns.
    pub async fn sweep(self: Rc<Self>) {
        let mut turn = tokio::time::interval(Self::SWEEP);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.pulse.beat();
            self.sessions.sweep();
        }
    }
}

/// When a worker last turned, readable from any thread.
#[derive(Debug)]
pub struct Pulse {
    epoch: Instant,
    /// Milliseconds since `epoch`.
    last: AtomicU64,
}

impl Pulse {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), last: AtomicU64::new(0) })
    }

    fn beat(&self) {
        self.last.store(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Since the worker last turned.
    pub fn age(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_millis(self.last.load(Relaxed)))
    }
}
