//! When it is time to tell that a server's certificate ends: pure, with time as an argument.

use std::time::{Duration, SystemTime};

/// How many days are left when it is told; 0 is told once they are over.
const STEPS: [u64; 5] = [30, 14, 7, 1, 0];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What has been told of one server's certificate.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// Its end, and the step that was told last.
    told: Option<(SystemTime, u64)>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// `None` once it is over.
    pub left: Option<Duration>,
}

impl Expiry {
    /// Looks at a certificate that was seen; each step of each certificate is told once.
    pub fn look(&mut self, not_after: SystemTime, now: SystemTime) -> Option<Due> {
        let left = not_after.duration_since(now).ok();
        let step = step(left)?;
        let before = self.told.filter(|(end, _)| *end == not_after).map(|(_, step)| step);
        if before.is_some_and(|before| before <= step) {
            return None;
        }
        self.told = Some((not_after, step));
        Some(Due { left })
    }
}

/// The step that so much time is within; `None` if it is too much to be told of.
fn step(left: Option<Duration>) -> Option<u64> {
    let Some(left) = left else { return Some(0) };
    let within = |step: &&u64| **step > 0 && left <= DAY * u32::try_from(**step).unwrap_or(u32::MAX);
    STEPS.iter().rev().find(within).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * u32::try_from(days).unwrap()
    }

    /// The days left with which something is told, looking six times a day at a certificate that ends on day 40.
    fn told() -> Vec<Option<u64>> {
        let mut expiry = Expiry::default();
        let looks = (0..41 * 6).map(|look| at(0) + DAY / 6 * look + Duration::from_secs(1));
        let told = looks.filter_map(|now| expiry.look(at(40), now));
        told.map(|due| due.left.map(|left| left.as_secs() / DAY.as_secs())).collect()
    }

    // Seen to fail without the memory of what was told, and with the steps in the other order.
    #[test]
    fn each_step_is_told_once() {
        assert_eq!(told(), [Some(29), Some(13), Some(6), Some(0), None]);
    }

    #[test]
    fn one_that_is_first_seen_late_is_told_once_and_another_one_anew() {
        let mut expiry = Expiry::default();
        assert!(expiry.look(at(40), at(35)).is_some());
        assert!(expiry.look(at(40), at(36)).is_none(), "that is within the same seven days");
        assert!(expiry.look(at(400), at(36)).is_none(), "it was renewed");
        assert!(expiry.look(at(43), at(37)).is_some(), "another one, which ends soon, too");
    }
}
