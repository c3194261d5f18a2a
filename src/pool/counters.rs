//! What is counted of a frontend, a server or a backend.
//!
//! One struct serves all three, with every column that HAProxy's outputs have and TCP gives a meaning. Workers write
//! without a lock; what is counted for every chunk of bytes has a place of its own for each worker.

mod clearing;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Counts;

/// Live counters; [`Counters::counts`] reads them.
#[derive(Debug, Default)]
pub struct Counters {
    sessions: AtomicU32,
    sessions_max: AtomicU32,
    sessions_total: AtomicU64,
    traffic: [Traffic; SHARDS],
    pub denied: AtomicU64,
    pub denied_contents: AtomicU64,
    pub denied_sessions: AtomicU64,
    pub handshake_errors: AtomicU64,
    pub embryonic: AtomicU64,
    pub request_errors: AtomicU64,
    pub connect_errors: AtomicU64,
    pub response_errors: AtomicU64,
    pub retries: AtomicU64,
    pub moves: AtomicU64,
    pub hedges: AtomicU64,
    pub connects: AtomicU64,
    pub chosen: AtomicU64,
    pub client_aborts: AtomicU64,
    pub server_aborts: AtomicU64,
    pub check_failures: AtomicU64,
    pub downs: AtomicU64,
    dialled: AtomicU64,
    dial_micros: AtomicU64,
    queued: AtomicU32,
    queued_max: AtomicU32,
    /// Of a backend: most that waited at a time, for its servers or for any.
    waiting_max: AtomicU32,
    recent: Mutex<Recent>,
    /// What a process that this one has replaced had counted, or still counts.
    inherited: Mutex<Counts>,
}

/// Workers beyond this number share places, which is still exact.
const SHARDS: usize = 16;

/// Bytes that went through one worker, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Traffic {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    /// Bytes passed on from the client to the server.
    pub fn add_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    /// Bytes passed on from the server to the client.
    pub fn add_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }
}

/// What needs several fields at once; touched once or twice in a session's life.
#[derive(Debug, Default)]
struct Recent {
    rate: Rate,
    last_session: Option<Instant>,
    queue: Average,
    connect: Average,
    total: Average,
}

impl Counters {
    /// Counts a session from here until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> Open {
        let now = self.sessions.fetch_add(1, Relaxed) + 1;
        self.sessions_max.fetch_max(now, Relaxed);
        self.sessions_total.fetch_add(1, Relaxed);
        let mut recent = self.recent();
        recent.rate.count(Instant::now());
        recent.last_session = Some(Instant::now());
        drop(recent);
        Open { counters: Arc::clone(self) }
    }

    /// Counts a session once more that is open already: it is dialled again.
    pub fn count_again(&self) {
        self.sessions_total.fetch_add(1, Relaxed);
        self.recent().rate.count(Instant::now());
    }

    /// Counts one more in the queue until the guard is dropped.
    pub fn enqueue(self: &Arc<Self>) -> Queued {
        let now = self.queued.fetch_add(1, Relaxed) + 1;
        self.queued_max.fetch_max(now, Relaxed);
        Queued { counters: Arc::clone(self) }
    }

    /// Notes how many wait in a backend, for whomever.
    pub(super) fn note_waiting(&self, waiting: u32) {
        self.waiting_max.fetch_max(waiting, Relaxed);
    }

    /// The most that waited in a backend at a time.
    pub(super) fn most_waiting(&self) -> u32 {
        self.waiting_max.load(Relaxed).max(self.counts().queued_max)
    }

    /// Whether a byte has come from the server.
    pub fn has_answered(&self) -> bool {
        self.traffic.iter().any(|traffic| traffic.bytes_out.load(Relaxed) > 0)
    }

    /// Sessions open now.
    pub fn sessions(&self) -> u32 {
        self.sessions.load(Relaxed)
    }

    /// The bytes of one worker.
    pub fn traffic(&self, worker: u16) -> &Traffic {
        &self.traffic[usize::from(worker) % SHARDS]
    }

    /// Counts a dial whose connection stands, so long after it began.
    pub fn count_dial(&self, took: Duration) {
        self.dialled.fetch_add(1, Relaxed);
        self.dial_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The times of a session that has ended; a phase that it did not reach is `None`.
    pub fn time(&self, waited: Option<Duration>, dialled: Option<Duration>, total: Duration) {
        let mut recent = self.recent();
        if let Some(waited) = waited {
            recent.queue.add(waited);
        }
        if let Some(dialled) = dialled {
            recent.connect.add(dialled);
        }
        recent.total.add(total);
    }

    /// All figures as they are now.
    pub fn counts(&self) -> Counts {
        let inherited = *self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        self.own().after(&inherited)
    }

    /// Takes over what the process before this one had counted; more than once while that goes on counting.
    pub fn inherit(&self, counts: Counts) {
        *self.inherited.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn own(&self) -> Counts {
        let now = Instant::now();
        let mut recent = self.recent();
        let bytes = |of: fn(&Traffic) -> &AtomicU64| self.traffic.iter().map(|t| of(t).load(Relaxed)).sum();
        Counts {
            sessions: self.sessions(),
            sessions_max: self.sessions_max.load(Relaxed),
            sessions_total: self.sessions_total.load(Relaxed),
            bytes_in: bytes(|traffic| &traffic.bytes_in),
            bytes_out: bytes(|traffic| &traffic.bytes_out),
            rate: recent.rate.read(now),
            rate_max: recent.rate.max,
            queued: self.queued.load(Relaxed),
            queued_max: self.queued_max.load(Relaxed),
            denied: self.denied.load(Relaxed),
            denied_contents: self.denied_contents.load(Relaxed),
            denied_sessions: self.denied_sessions.load(Relaxed),
            handshake_errors: self.handshake_errors.load(Relaxed),
            embryonic: self.embryonic.load(Relaxed),
            request_errors: self.request_errors.load(Relaxed),
            connect_errors: self.connect_errors.load(Relaxed),
            response_errors: self.response_errors.load(Relaxed),
            retries: self.retries.load(Relaxed),
            moves: self.moves.load(Relaxed),
            hedges: self.hedges.load(Relaxed),
            connects: self.connects.load(Relaxed),
            chosen: self.chosen.load(Relaxed),
            client_aborts: self.client_aborts.load(Relaxed),
            server_aborts: self.server_aborts.load(Relaxed),
            check_failures: self.check_failures.load(Relaxed),
            downs: self.downs.load(Relaxed),
            last_session: recent.last_session.map(|last| now.saturating_duration_since(last)),
            queue_time: recent.queue.average,
            queue_time_max: recent.queue.max,
            connect_time: recent.connect.average,
            connect_time_max: recent.connect.max,
            total_time: recent.total.average,
            total_time_max: recent.total.max,
            dialled: self.dialled.load(Relaxed),
            dial_time: Duration::from_micros(self.dial_micros.load(Relaxed)),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // A panic between two of these fields leaves them readable: one session's figures at most are missing.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more of something that happened.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A session that is counted as open.
#[derive(Debug)]
pub struct Open {
    counters: Arc<Counters>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.sessions.fetch_sub(1, Relaxed);
    }
}

/// A session that is counted as waiting.
#[derive(Debug)]
pub struct Queued {
    counters: Arc<Counters>,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.counters.queued.fetch_sub(1, Relaxed);
    }
}

/// Events in the last second, as HAProxy counts them: this second's, and the part of the one before that a window of
/// one second still covers.
#[derive(Debug, Default)]
pub struct Rate {
    second: Option<Instant>,
    current: u32,
    previous: u32,
    /// The most so far.
    pub max: u32,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(1);

    /// Counts one event.
    pub fn count(&mut self, now: Instant) {
        self.turn(now);
        self.current += 1;
        self.max = self.max.max(self.estimate(now));
    }

    /// Events in the last second.
    pub fn read(&mut self, now: Instant) -> u32 {
        self.turn(now);
        self.estimate(now)
    }

    /// Begins another second if the present one is over.
    fn turn(&mut self, now: Instant) {
        let second = *self.second.get_or_insert(now);
        let age = now.saturating_duration_since(second);
        if age < Self::WINDOW {
            return;
        }
        self.previous = if age < 2 * Self::WINDOW { self.current } else { 0 };
        self.current = 0;
        self.second = Some(second + Duration::from_secs(age.as_secs()));
    }

    fn estimate(&self, now: Instant) -> u32 {
        let age = self.second.map_or(Duration::ZERO, |second| now.saturating_duration_since(second));
        let left = Self::WINDOW.saturating_sub(age).as_millis();
        let carried = u128::from(self.previous) * left / Self::WINDOW.as_millis();
        self.current.saturating_add(u32::try_from(carried).unwrap_or(u32::MAX))
    }
}

/// Average over about the last [`Average::WINDOW`] values, and the largest ever.
#[derive(Debug, Default)]
struct Average {
    average: Duration,
    values: u32,
    max: Duration,
}

impl Average {
    const WINDOW: u32 = 1024;

    fn add(&mut self, value: Duration) {
        self.max = self.max.max(value);
        self.values = (self.values + 1).min(Self::WINDOW);
        if value >= self.average {
            self.average += (value - self.average) / self.values;
        } else {
            self.average -= (self.average - value) / self.values;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_counts_while_it_lives() {
        let counters = Arc::new(Counters::default());
        let (first, second) = (counters.begin(), counters.begin());
        drop(first);
        let counts = counters.counts();
        assert_eq!((counts.sessions, counts.sessions_max, counts.sessions_total), (1, 2, 2));
        drop(second);
        assert_eq!(counters.sessions(), 0);
    }

    #[test]
    fn bytes_of_all_workers_add_up() {
        let counters = Counters::default();
        for worker in 0..40 {
            counters.traffic(worker).add_in(1);
            counters.traffic(worker).add_out(2);
        }
        let counts = counters.counts();
        assert_eq!((counts.bytes_in, counts.bytes_out), (40, 80));
    }

    #[test]
    fn a_rate_fades_over_the_following_second() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for _ in 0..10 {
            rate.count(start);
        }
        assert_eq!(rate.read(start + Duration::from_millis(500)), 10);
        assert_eq!(rate.read(start + Duration::from_millis(1500)), 5);
        assert_eq!(rate.read(start + Duration::from_millis(3000)), 0);
        assert_eq!(rate.max, 10);
    }

    #[test]
    fn an_average_starts_at_the_first_value() {
        let mut average = Average::default();
        average.add(Duration::from_millis(10));
        average.add(Duration::from_millis(20));
        assert_eq!((average.average, average.max), (Duration::from_millis(15), Duration::from_millis(20)));
    }
}
