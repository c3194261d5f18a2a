//! Points in time that all processes of the bench read from the same clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds of the machine's monotonic clock: what the client writes down, the bench can hold against the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Self(seconds * 1_000_000 + nanoseconds / 1000)
    }

    /// How long it is after another; nothing if it is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    pub fn plus(self, time: Duration) -> Self {
        Self(self.0 + u64::try_from(time.as_micros()).expect("a bench doesn't last that long"))
    }

    /// What is left until then.
    pub fn left(self) -> Duration {
        self.since(Self::now())
    }
}
