//! A monitoring system that reads the load balancer's counters all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::harness::wait::pause;

/// Counters by name, as read at one time.
pub type Counters = BTreeMap<&'static str, u64>;

/// How often they are read.
const EVERY: Duration = Duration::from_millis(50);

pub struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Series>,
}

/// What was seen of the counters.
#[derive(Debug, Default)]
pub struct Series {
    pub read: usize,
    /// Nobody answered.
    pub missed: usize,
    /// A counter was less than before.
    pub fell: usize,
    /// Sessions of which no counter knows any more.
    pub sessions_lost: u64,
    last: Counters,
}

/// The counter of sessions that have begun.
pub const SESSIONS: &str = "sessions";

impl Watch {
    /// Reads until [`Watch::end`].
    pub fn begin(read: impl Fn() -> Option<Counters> + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut series = Series::default();
            while !end.load(Relaxed) {
                series.add(read());
                pause(EVERY);
            }
            series
        });
        Self { ended, thread }
    }

    pub fn end(self) -> Series {
        self.ended.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

impl Series {
    fn add(&mut self, counters: Option<Counters>) {
        self.read += 1;
        let Some(counters) = counters else {
            self.missed += 1;
            return;
        };
        for (name, value) in &counters {
            let before = self.last.get(name).copied().unwrap_or(0);
            if *value < before {
                self.fell += 1;
                if *name == SESSIONS {
                    self.sessions_lost += before - value;
                }
            }
        }
        self.last = counters;
    }
}
