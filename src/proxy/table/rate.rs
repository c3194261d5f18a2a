//! How many events there were over the last period, worked out from two numbers: HAProxy's way.
//!
//! "The frequency counter reports the average rate over the period": what the present period has counted, and of the one
//! before it as large a part as the present one still lacks.

/// Events of two periods, the second of which has begun. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    begun: u64,
    now: u32,
    before: u32,
}

impl Rate {
    /// Counts an event.
    pub fn count(&mut self, at: u64, period: u64) {
        let elapsed = at.saturating_sub(self.begun);
        if *self == Self::default() || elapsed >= 2 * period {
            *self = Self { begun: at, now: 0, before: 0 };
        } else if elapsed >= period {
            *self = Self { begun: self.begun + period, now: 0, before: self.now };
        }
        self.now = self.now.saturating_add(1);
    }

    /// Events over the period that ends now.
    pub fn over(&self, at: u64, period: u64) -> u32 {
        let elapsed = at.saturating_sub(self.begun);
        let (past, now, rest) = match elapsed / period {
            0 => (self.before, self.now, period - elapsed),
            1 => (self.now, 0, 2 * period - elapsed),
            _ => return 0,
        };
        // A single event is told for as long as it may be: it would be none at once.
        if now == 0 && past <= 1 {
            return past;
        }
        let total = u128::from(past) * u128::from(rest) + u128::from(now) * u128::from(period);
        u32::try_from(total / u128::from(period)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(events: &[u64], period: u64) -> Rate {
        let mut rate = Rate::default();
        events.iter().for_each(|at| rate.count(*at, period));
        rate
    }

    // Seen to fail with a previous period that counts whole, and with one that counts by the part that has passed.
    #[test]
    fn the_previous_period_counts_by_the_part_of_it_that_is_less_than_a_period_ago() {
        let ten = rate(&[1_000; 10], 3_000);
        assert_eq!([1_000, 3_999, 4_000, 5_500, 6_400, 7_000].map(|at| ten.over(at, 3_000)), [10, 10, 10, 5, 2, 0]);
        // Ten in one period and four in the next, of which three tenths have passed.
        let both = rate(&[&[1_000; 10][..], &[4_100; 4]].concat(), 3_000);
        assert_eq!(both.over(4_900, 3_000), 7 + 4);
    }

    #[test]
    fn periods_follow_one_another_from_the_first_event_on_and_begin_anew_after_a_pause() {
        assert_eq!(rate(&[5, 2_990, 3_010], 3_000), Rate { begun: 3_005, now: 1, before: 2 });
        assert_eq!(rate(&[5, 6_005], 3_000), Rate { begun: 6_005, now: 1, before: 0 });
    }

    #[test]
    fn one_event_is_one_for_two_periods() {
        let one = rate(&[1_000], 3_000);
        assert_eq!([1_000, 4_500, 6_999, 7_000].map(|at| one.over(at, 3_000)), [1, 1, 1, 0]);
    }

    proptest! {
        /// Never more than there were in the last two periods, and never fewer than in the present one.
        #[test]
        fn a_rate_is_between_what_one_period_and_what_two_have_seen(
            gaps in prop::collection::vec(0..5_000_u64, 1..60), period in 1..5_000_u64, later in 0..12_000_u64,
        ) {
            let mut at = 1;
            let events: Vec<u64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            let (rate, now) = (rate(&events, period), at + later);
            let since = |start: u64| u32::try_from(events.iter().filter(|event| **event >= start).count()).unwrap();
            let found = rate.over(now, period);
            prop_assert!(found <= since(now.saturating_sub(2 * period)), "{found}");
            if later == 0 {
                prop_assert!(found >= since(rate.begun), "{found}");
            }
        }
    }
}
