//! When something was heard in the last seconds, coarsely: a bit for each stretch of time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The last 64 stretches of one length. One thread writes, any reads.
#[derive(Debug)]
pub struct History {
    /// The lowest bit is the stretch that ended last.
    bits: AtomicU64,
    stretch: Duration,
}

impl History {
    pub fn new(stretch: Duration) -> Self {
        Self { bits: AtomicU64::new(0), stretch }
    }

    /// Notes whether anything was heard in the stretch that has just ended.
    pub fn push(&self, heard: bool) {
        self.bits.store(self.bits.load(Relaxed) << 1 | u64::from(heard), Relaxed);
    }

    /// Whether anything was heard between these times ago, the longer one first; what may have been outside does not
    /// count, and neither does what is longer ago than 64 stretches.
    pub fn heard_between(&self, longest: Duration, shortest: Duration) -> bool {
        let stretches = |time: Duration| time.as_millis() / self.stretch.as_millis().max(1);
        // The stretch under way has no bit yet: the lowest one began a stretch or two ago.
        let (from, to) = (stretches(shortest) + 1, stretches(longest).saturating_sub(1).min(64));
        (from..to).any(|place| self.bits.load(Relaxed) >> place & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of tenths of a second, `x` for one in which something was heard, the last one at the end.
    fn history(stretches: &str) -> History {
        let history = History::new(Duration::from_millis(100));
        stretches.chars().for_each(|stretch| history.push(stretch == 'x'));
        history
    }

    fn between(history: &History, longest: u64, shortest: u64) -> bool {
        history.heard_between(Duration::from_millis(longest), Duration::from_millis(shortest))
    }

    // Seen to fail with either end one stretch wider, and with a shift that wraps.

    #[test]
    fn only_what_was_certainly_within_counts() {
        // Heard between 0.5 and 0.6 s before the last stretch ended, which is up to 0.1 s ago.
        let history = history("x.....");
        assert!(between(&history, 800, 400));
        assert!(between(&history, 700, 400));
        assert!(!between(&history, 600, 400), "it may have been before");
        assert!(!between(&history, 800, 500), "it may have been after");
    }

    #[test]
    fn what_is_too_long_ago_is_forgotten() {
        let history = history(&format!("x{}", ".".repeat(63)));
        assert!(between(&history, 100_000, 0));
        history.push(false);
        assert!(!between(&history, 100_000, 0));
        assert!(!between(&History::new(Duration::ZERO), 100_000, 0));
    }
}
