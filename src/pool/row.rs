//! Three of a kind within a second: of refusals, and of resets, that is no accident. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The last of its kind, as long as nothing came between them.
#[derive(Debug, Default, Clone)]
pub struct Row {
    /// Newest first.
    last: [Option<Instant>; Self::LENGTH - 1],
}

impl Row {
    /// How many make a row,
    pub const LENGTH: usize = 3;
    /// if they come within this time.
    const WITHIN: Duration = Duration::from_secs(1);

    /// Notes one; whether it makes the row full, which begins another.
    pub fn note(&mut self, now: Instant) -> bool {
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) <= Self::WITHIN;
        if self.last.iter().all(|at| at.as_ref().is_some_and(is_recent)) {
            self.forget();
            return true;
        }
        self.last.rotate_right(1);
        self.last[0] = Some(now);
        false
    }

    /// Something else has come: nothing before it counts.
    pub fn forget(&mut self) {
        self.last = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Seen to fail with a row of two, with a second that is not looked at, and with successes that change nothing.
        #[test]
        fn three_within_a_second_are_a_row(steps in proptest::collection::vec((0..700_u64, 0..4_u8), 0..40)) {
            let mut row = Row::default();
            let begin = Instant::now();
            let mut now = begin;
            // Those that count still.
            let mut counting: Vec<Instant> = Vec::new();
            for (pause, kind) in steps {
                now += Duration::from_millis(pause);
                if kind == 0 {
                    row.forget();
                    counting.clear();
                    continue;
                }
                counting.push(now);
                counting.retain(|at| now - *at <= Duration::from_secs(1));
                let full = counting.len() >= 3;
                prop_assert_eq!(row.note(now), full);
                if full {
                    counting.clear();
                }
            }
        }
    }
}
