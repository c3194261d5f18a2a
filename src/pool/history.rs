//! When something was heard in the last seconds, coarsely: a bit for each stretch of time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The last 64 stretches of one length.
#[derive(Debug)]
pub struct History {
    begun: Instant,
    stretch: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The number of the last stretch, counted from the beginning.
    last: u64,
    /// The lowest bit is the last stretch.
    bits: u64,
}

impl History {
    pub fn new(stretch: Duration) -> Self {
        Self { begun: Instant::now(), stretch, seen: Mutex::default() }
    }

    /// Notes when something was heard; to be called at least once a stretch while anything is.
    pub fn note(&self, heard: Instant) {
        let stretch = self.stretch_of(heard);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passed) = stretch.checked_sub(seen.last) {
            seen.bits = if passed < 64 { seen.bits << passed | 1 } else { 1 };
            seen.last = stretch;
        }
    }

    /// Whether anything was heard between these times before now, the longer one first; what may have been outside does
    /// not count, and neither does what is longer ago than 64 stretches.
    pub fn heard_between(&self, now: Instant, longest: Duration, shortest: Duration) -> bool {
        let (Some(from), Some(to)) = (now.checked_sub(longest), now.checked_sub(shortest)) else { return false };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // The stretches that lie within as a whole.
        let first = if from <= self.begun { 0 } else { self.stretch_of(from) + 1 };
        let end = self.stretch_of(to);
        (first..end.min(seen.last + 1)).rev().take(64).any(|stretch| {
            let place = seen.last - stretch;
            place < 64 && seen.bits >> place & 1 == 1
        })
    }

    fn stretch_of(&self, moment: Instant) -> u64 {
        let stretches = moment.saturating_duration_since(self.begun).as_nanos() / self.stretch.as_nanos().max(1);
        u64::try_from(stretches).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TENTH: Duration = Duration::from_millis(100);

    fn milliseconds(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    proptest! {
        // Seen to fail with either end one stretch wider, and with bits that are shifted by one.
        #[test]
        fn what_is_said_to_have_been_heard_was_heard(
            mut heard in proptest::collection::vec(0..20_000_u64, 0..40),
            now in 20_000..22_000_u64,
            longest in 0..8_000_u64,
            shortest in 0..3_000_u64,
        ) {
            let history = History::new(TENTH);
            heard.sort_unstable();
            heard.iter().for_each(|heard| history.note(history.begun + milliseconds(*heard)));
            let says = history.heard_between(history.begun + milliseconds(now), milliseconds(longest), milliseconds(shortest));
            let within = |margin: u64| heard.iter().any(|heard| {
                (now.saturating_sub(longest) + margin..=(now.saturating_sub(shortest)).saturating_sub(margin)).contains(heard)
            });
            prop_assert!(!says || within(0), "nothing was");
            // Too long ago is forgotten; too near an end may be missed.
            let last = heard.last().copied().unwrap_or(0);
            prop_assert!(says || !within(200) || last > now.saturating_sub(longest) + 6_300, "something was");
        }
    }

    #[test]
    fn what_is_too_long_ago_is_forgotten() {
        let history = History::new(TENTH);
        let at = |tenths: u32| history.begun + TENTH * tenths;
        history.note(at(10));
        assert!(history.heard_between(at(1000), TENTH * 995, TENTH * 900));
        history.note(at(10 + 63));
        assert!(history.heard_between(at(100), TENTH * 95, TENTH * 50));
        history.note(at(10 + 64));
        assert!(!history.heard_between(at(100), TENTH * 95, TENTH * 50));
    }
}
