//! What follows a dial that has failed.

use std::num::NonZeroI32;
use std::time::Duration;

use super::DialRefused;

/// Whom a session dials after a dial that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// Each server that may have it, once, in the balance method's order and without a pause.
    Others,
    /// HAProxy's `retries` and `option redispatch` (its manual, section 4.2).
    Counted {
        /// Dials after the first.
        most: u32,
        redispatch: Redispatch,
    },
}

impl Retries {
    /// How long HAProxy waits before it dials a server again that has refused: a second, or the dial's own time where
    /// that is shorter.
    pub fn pause(dial: Duration) -> Duration {
        dial.min(Duration::from_secs(1))
    }

    /// The longest that all dials of a session may take together, each of which may take `dial`.
    pub fn longest(self, dial: Duration) -> Duration {
        match self {
            Self::Others => dial,
            Self::Counted { most, .. } => {
                let (dials, pauses) = (dial.saturating_mul(most.saturating_add(1)), Self::pause(dial));
                dials.saturating_add(pauses.saturating_mul(most))
            }
        }
    }
}

impl From<DialRefused> for Retries {
    fn from(refused: DialRefused) -> Self {
        match refused {
            DialRefused::NextServer => Self::Others,
            DialRefused::SameServer { retries, .. } => Self::Counted { most: retries, redispatch: Redispatch::Never },
        }
    }
}

/// Which of the counted dials may go to another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redispatch {
    Never,
    /// Every so manieth, counted from the first one; if negative, from the last one. Where the method ties no session to a
    /// server and another one is usable, every one does.
    Every(NonZeroI32),
}

impl Redispatch {
    /// `option redispatch` without a number: the last one.
    pub const LAST: Self = Self::Every(NonZeroI32::new(-1).expect("it is not 0"));

    /// Whether the dial of this number after the first, of at most `most`, is one of them.
    pub fn is_due(self, number: u32, most: u32) -> bool {
        let Self::Every(interval) = self else { return false };
        let (number, most, interval) = (i64::from(number), i64::from(most), i64::from(interval.get()));
        let every = if interval > 0 { interval } else { most + 1 + interval };
        // Counted from the last one, more than there are is none.
        every > 0 && number % every == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(interval: i32, most: u32) -> Vec<u32> {
        let redispatch = Redispatch::Every(NonZeroI32::new(interval).unwrap());
        (1..=most).filter(|number| redispatch.is_due(*number, most)).collect()
    }

    #[test]
    fn the_last_one_goes_elsewhere_or_every_so_manieth() {
        assert_eq!(due(-1, 3), [3]);
        assert_eq!(due(1, 3), [1, 2, 3]);
        assert_eq!(due(2, 5), [2, 4]);
        assert_eq!(due(-2, 5), [4]);
        assert_eq!(due(-4, 3), [0_u32; 0]);
        assert!(!Redispatch::Never.is_due(3, 3));
    }

    #[test]
    fn all_dials_together_have_the_time_that_each_may_take() {
        let counted = Retries::Counted { most: 3, redispatch: Redispatch::LAST };
        assert_eq!(counted.longest(Duration::from_secs(10)), Duration::from_secs(43));
        assert_eq!(counted.longest(Duration::from_millis(300)), Duration::from_millis(2100));
    }
}
