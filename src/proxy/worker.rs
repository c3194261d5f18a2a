//! What the sessions of one worker share. A session lives and dies on one worker.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::handover::Seat;
use super::listener;
use super::table::Tracked;
use crate::event::SessionId;
use crate::net::pipe::Pipes;
use crate::net::reactor::Reactor;
use crate::observe::access_log::Records;
use crate::pool::sessions::Sessions;

/// One worker, as its own thread sees it.
#[derive(Debug)]
pub struct Worker {
    /// Through which the bytes of all its sessions go, one read at a time.
    pub scratch: RefCell<Box<[u8]>>,
    /// Watches the connections of its sessions.
    pub reactor: Rc<Reactor>,
    /// Through which bulk goes.
    pub pipes: Pipes,
    pub sessions: Arc<Sessions>,
    /// Where sources of its sessions are counted.
    pub tracked: Tracked,
    pub records: Records,
    /// Among the workers that accept on the same listeners.
    pub seat: Seat,
}

/// Bytes that one read takes at most.
pub const SCRATCH: usize = 128 * 1024;

impl Worker {
    /// A worker within the current runtime; [`Worker::run`] must be a task of it.
    pub fn new(sessions: Arc<Sessions>, records: Records, seat: Seat) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            reactor: Reactor::new()?,
            pipes: Pipes::default(),
            sessions,
            tracked: Tracked::default(),
            records,
            seat,
        }))
    }

    /// What the worker does beside its sessions, for as long as it is polled.
    pub async fn run(self: Rc<Self>) {
        tokio::join!(Rc::clone(&self.reactor).drive(), self.sweep(), listener::receive(&self));
    }

    /// Looks at all sessions again and again, and shows by it that the worker turns.
    async fn sweep(&self) {
        let mut turn = tokio::time::interval(Sessions::SWEEP);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.seat.pulse().beat();
            self.sessions.sweep();
            if let Some(every) = self.records.progress() {
                self.sessions.call_for_progress(every);
            }
        }
    }
}

/// When a worker last turned, and which session it carries at the moment, readable from any thread.
#[derive(Debug)]
pub struct Pulse {
    epoch: Instant,
    /// Milliseconds since `epoch`.
    last: AtomicU64,
    /// Place and generation of the session whose turn it is; 0 between turns. Generations begin at 1.
    carried: AtomicU64,
}

impl Pulse {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), last: AtomicU64::new(0), carried: AtomicU64::new(0) })
    }

    /// Notes that it turns.
    pub fn beat(&self) {
        self.last.store(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Polls a session, which is known to be the one that is carried for as long as that takes.
    pub fn carry<T>(&self, session: SessionId, poll: impl FnOnce() -> T) -> T {
        /// A poll that panics is over as well.
        struct Over<'a>(&'a AtomicU64);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(0, Relaxed);
            }
        }
        self.carried.store(u64::from(session.slot) << 32 | u64::from(session.generation), Relaxed);
        let _over = Over(&self.carried);
        poll()
    }

    /// The session that the worker of this number carries at the moment.
    pub fn carried(&self, worker: u16) -> Option<SessionId> {
        let carried = self.carried.load(Relaxed);
        let id = SessionId { worker, slot: (carried >> 32) as u32, generation: carried as u32 };
        (carried != 0).then_some(id)
    }

    /// Since the worker last turned.
    pub fn age(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_millis(self.last.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn whose_turn_it_is_is_known_for_as_long_as_it_lasts() {
        let pulse = Pulse::new();
        let id = SessionId { worker: 3, slot: 0, generation: 1 };
        assert_eq!(pulse.carry(id, || pulse.carried(3)), Some(id));
        assert_eq!(pulse.carried(3), None);
        let id = SessionId { worker: 0, slot: u32::MAX, generation: u32::MAX };
        let panicked = catch_unwind(AssertUnwindSafe(|| pulse.carry(id, || panic!("{:?}", pulse.carried(0)))));
        assert!(panicked.is_err() && pulse.carried(0).is_none());
    }
}
