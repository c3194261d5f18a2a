//! How fast the sessions of one server are closed: their clients come back at once, and all together they would be a
//! storm for whoever is left.

use std::time::Duration;

use tokio::time::Instant;

/// Sessions of a server that are closed in a second, unless that takes longer than it may.
const RATE: f64 = 300.0;

/// What may be closed at once, in seconds' worth: workers look at their sessions ten times a second.
const BURST: f64 = 0.1;

/// The same where a wave begins. What is earned within the next tenth of a second comes on top of it.
const FIRST: f64 = BURST / 3.0;

/// How many may be closed by now.
#[derive(Debug)]
pub struct Pace {
    /// Within how long all are to be closed.
    spread: Duration,
    allowance: f64,
    last: Option<Instant>,
    /// Sessions a second; grows with the number of sessions, and falls when a new wave begins.
    rate: f64,
}

impl Pace {
    pub fn new(spread: Duration) -> Self {
        Self { spread, allowance: 0.0, last: None, rate: 0.0 }
    }

    /// Has all closed within another time from now on.
    pub fn renew(&mut self, spread: Duration) {
        self.spread = spread;
    }

    /// Asks to close one of so many sessions.
    pub fn take(&mut self, now: Instant, sessions: u32) -> bool {
        let since = self.last.replace(now).map(|last| now.saturating_duration_since(last));
        let wanted = RATE.max(f64::from(sessions) / self.spread.as_secs_f64().max(f64::EPSILON));
        match since {
            // While a wave goes on the number of sessions falls, and the rate must not fall with it.
            Some(since) if since < Duration::from_secs(1) => {
                self.rate = self.rate.max(wanted);
                self.allowance = (self.allowance + since.as_secs_f64() * self.rate).min(self.rate * BURST + 1.0);
            }
            _ => {
                self.rate = wanted;
                self.allowance = self.rate * FIRST;
            }
        }
        if self.allowance < 1.0 {
            return false;
        }
        self.allowance -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it takes to close so many sessions, each asking every 10 ms, and the most within a tenth of a second.
    fn close(sessions: u32, spread: Duration) -> (Duration, u32) {
        let (begin, step) = (Instant::now(), Duration::from_millis(10));
        let (mut pace, mut left, mut now) = (Pace::new(spread), sessions, begin);
        let mut closed = Vec::new();
        loop {
            closed.push((0..left).filter(|_| pace.take(now, left)).count() as u32);
            left -= closed.last().unwrap_or(&0);
            if left == 0 {
                let tenth = |from: &[u32]| from.iter().take(10).sum();
                let most = (0..closed.len()).map(|from| tenth(&closed[from..])).max();
                return (now - begin, most.unwrap_or(0));
            }
            now += step;
        }
    }

    // Seen to fail with half the rate, without the growth by `spread`, and with a first burst as large as later ones.

    #[test]
    fn three_hundred_a_second() {
        let (took, most) = close(600, Duration::from_secs(3));
        assert!((1.6..=2.2).contains(&took.as_secs_f64()), "{took:?}");
        assert!(most <= 42, "{most} in a tenth of a second");
    }

    #[test]
    fn over_at_most_the_spread() {
        let (took, most) = close(9000, Duration::from_secs(3));
        assert!((2.5..=3.1).contains(&took.as_secs_f64()), "{took:?}");
        assert!(most <= 410, "{most} in a tenth of a second");
        assert_eq!(close(9000, Duration::ZERO).0, Duration::ZERO);
    }

    #[test]
    fn a_few_are_closed_at_once() {
        assert_eq!(close(10, Duration::from_secs(3)).0, Duration::ZERO);
    }
}
