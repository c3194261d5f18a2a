//! How many dials may be joined by a second one: pure.
//!
//! A second dial costs servers that have done nothing wrong. When a whole network is slow, nearly all dials seem silent,
//! and twice the load is the last thing that it needs.

/// A tenth of a second dial is earned with each dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Budget {
    /// In tenths of a second dial.
    saved: u32,
}

/// Dials that earn a second one.
const PRICE: u32 = 10;

/// Second dials that can be saved: those of a busy second, in which a server falls silent.
const MOST: u32 = 100;

/// Second dials that a pool begins with, so that it need not be busy to be quick.
const FIRST: u32 = 10;

impl Default for Budget {
    fn default() -> Self {
        Self { saved: FIRST * PRICE }
    }
}

impl Budget {
    pub fn earn(&mut self) {
        self.saved = (self.saved + 1).min(MOST * PRICE);
    }

    pub fn allows(&self) -> bool {
        self.saved >= PRICE
    }

    /// Spends one, which must be allowed.
    pub fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(PRICE);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Seen to fail with savings that have no bound.
        #[test]
        fn a_tenth_of_all_dials_is_joined_and_what_was_saved(
            stretches in proptest::collection::vec((0..2500_u32, 0..300_u32), 0..6),
        ) {
            let mut budget = Budget::default();
            // Each dial, and whether it was joined by a second.
            let mut history: Vec<bool> = Vec::new();
            for (dials, silent) in stretches {
                for number in 0..dials {
                    budget.earn();
                    history.push(number < silent && budget.allows());
                    if history.last() == Some(&true) {
                        budget.spend();
                    }
                }
            }
            let joined = |part: &[bool]| u32::try_from(part.iter().filter(|joined| **joined).count()).unwrap();
            let length = |part: &[bool]| u32::try_from(part.len()).unwrap();
            prop_assert!(joined(&history) <= FIRST + length(&history) / PRICE);
            for begin in (0..history.len()).step_by(97) {
                let part = &history[begin..];
                prop_assert!(joined(part) <= MOST + length(part) / PRICE);
            }
        }

        // Seen to fail with a price of 9, with a bound of 99, and with nothing at the start.
        #[test]
        fn nothing_that_was_earned_is_lost_below_the_bound(dials in 0..2000_u32) {
            let mut budget = Budget::default();
            (0..dials).for_each(|_| budget.earn());
            let mut joined = 0;
            while budget.allows() {
                budget.spend();
                joined += 1;
            }
            prop_assert_eq!(joined, (10 + dials / 10).min(100));
        }
    }
}
