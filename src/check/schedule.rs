//! When the servers of one host are probed: pure, with time as an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How far a time between two probes may be from the interval, as a part of it: probes of many hosts, and of many load
/// balancers, must not fall into step.
const JITTER: f64 = 0.1;

/// From one probe of a server to the next, at least, if that one is not due by itself.
const BREATH: Duration = Duration::from_millis(200);

/// The probes of one host in common rounds, one place for each server.
///
/// A server that is due begins a round, and the others join it as far as their own jitter allows. In time that brings
/// together again what a slow probe or another interval has drawn apart.
#[derive(Debug)]
pub(super) struct Schedule {
    places: Vec<Place>,
    rng: fastrand::Rng,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Waiting {
        /// When its last probe began.
        last: Option<Instant>,
        /// From then on it may join a round,
        earliest: Instant,
        /// and then it begins one.
        due: Instant,
    },
    Running {
        started: Instant,
        /// From the start of this probe to the start of the next, in intervals.
        factor: f64,
        /// Something has happened that this probe may have begun too early to see.
        again: bool,
    },
}

impl Schedule {
    /// All are due at once.
    pub fn new(servers: usize, now: Instant, rng: fastrand::Rng) -> Self {
        Self { places: vec![Place::Waiting { last: None, earliest: now, due: now }; servers], rng }
    }

    /// When the next round begins; `None` while every server is being probed.
    pub fn next(&self) -> Option<Instant> {
        let due = |place: &Place| match place {
            Place::Waiting { due, .. } => Some(*due),
            Place::Running { .. } => None,
        };
        self.places.iter().filter_map(due).min()
    }

    /// Begins a round; the servers to probe now. Each is to be reported by [`Schedule::end`].
    pub fn begin(&mut self, now: Instant) -> Vec<usize> {
        // One factor for the round: servers with the same interval stay together.
        let factor = 1.0 + JITTER * (2.0 * self.rng.f64() - 1.0);
        let mut round = Vec::new();
        for (number, place) in self.places.iter_mut().enumerate() {
            if matches!(place, Place::Waiting { earliest, .. } if *earliest <= now) {
                *place = Place::Running { started: now, factor, again: false };
                round.push(number);
            }
        }
        round
    }

    /// A probe has ended; its server's next comes an interval after this one's start, or now if that has passed.
    pub fn end(&mut self, server: usize, now: Instant, interval: Duration) {
        let Place::Running { started, factor, again } = self.places[server] else { return };
        let due = now.max(started + interval.mul_f64(factor));
        let earliest = due.min(now.max(started + interval.mul_f64(1.0 - JITTER)));
        self.places[server] = Place::Waiting { last: Some(started), earliest, due };
        if again {
            self.hasten(server, now);
        }
    }

    /// A server is to be probed no later than so long from now on.
    pub fn bring_forward(&mut self, server: usize, now: Instant, interval: Duration) {
        if let Place::Waiting { earliest, due, .. } = &mut self.places[server] {
            let soon = now + interval;
            *due = soon.min(*due);
            *earliest = soon.min(*earliest);
        }
    }

    /// A server is to be probed as soon as may be: never while it is being probed, nor within [`BREATH`] of the last time.
    pub fn hasten(&mut self, server: usize, now: Instant) {
        match &mut self.places[server] {
            Place::Waiting { last, earliest, due } => {
                let soon = last.map_or(now, |last| now.max(last + BREATH));
                *due = soon.min(*due);
                *earliest = soon.min(*earliest);
            }
            Place::Running { again, .. } => *again = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How one server behaves in a simulation.
    #[derive(Debug, Clone, Copy)]
    struct Manner {
        interval: Duration,
        probe: Duration,
    }

    /// Plays the schedule for a time without any clock; each server's starts, since the beginning.
    fn play(manners: &[Manner], seed: u64, length: Duration) -> Vec<Vec<Duration>> {
        let begin = Instant::now();
        let mut schedule = Schedule::new(manners.len(), begin, fastrand::Rng::with_seed(seed));
        let mut starts = vec![Vec::new(); manners.len()];
        let mut running: Vec<(Instant, usize)> = Vec::new();
        loop {
            let ending = running.iter().copied().min();
            let now = match (schedule.next(), ending) {
                (Some(due), Some((end, server))) if end <= due => {
                    running.retain(|&(_, other)| other != server);
                    schedule.end(server, end, manners[server].interval);
                    continue;
                }
                (Some(due), _) => due,
                (None, Some((end, server))) => {
                    running.retain(|&(_, other)| other != server);
                    schedule.end(server, end, manners[server].interval);
                    continue;
                }
                (None, None) => unreachable!("nobody waits and nobody runs"),
            };
            if now - begin > length {
                return starts;
            }
            for server in schedule.begin(now) {
                assert!(!running.iter().any(|&(_, other)| other == server), "two probes of one server at a time");
                starts[server].push(now - begin);
                running.push((now + manners[server].probe, server));
            }
        }
    }

    /// Plays one server that is wanted to be probed at these times; its starts.
    fn play_wishing(manner: Manner, seed: u64, length: Duration, wishes: &[Duration]) -> Vec<Duration> {
        let begin = Instant::now();
        let mut schedule = Schedule::new(1, begin, fastrand::Rng::with_seed(seed));
        let (mut starts, mut ending, mut wishes) = (Vec::new(), None, wishes.iter().peekable());
        loop {
            let now = ending.or(schedule.next()).expect("it waits, or it runs");
            if now - begin > length {
                return starts;
            }
            if let Some(wish) = wishes.next_if(|wish| begin + **wish <= now) {
                schedule.hasten(0, begin + *wish);
            } else if ending.take().is_some() {
                schedule.end(0, now, manner.interval);
            } else if !schedule.begin(now).is_empty() {
                starts.push(now - begin);
                ending = Some(now + manner.probe);
            }
        }
    }

    fn manner() -> impl Strategy<Value = Manner> {
        (100..5000_u64, 1..8000_u64).prop_map(|(interval, probe)| Manner {
            interval: Duration::from_millis(interval),
            probe: Duration::from_millis(probe),
        })
    }

    proptest! {
        // Seen to fail with twice the jitter, with a due time that counts from the probe's end, and with a first probe
        // after one interval.
        #[test]
        fn each_server_has_its_interval_whatever_the_others_do(
            manners in proptest::collection::vec(manner(), 1..5),
            seed in any::<u64>(),
        ) {
            let starts = play(&manners, seed, Duration::from_secs(60));
            for (manner, starts) in manners.iter().zip(starts) {
                prop_assert_eq!(starts[0], Duration::ZERO, "the first probe is at once");
                prop_assert!(starts.len() > 5);
                for pair in starts.windows(2) {
                    let gap = (pair[1] - pair[0]).as_secs_f64();
                    let (interval, probe) = (manner.interval.as_secs_f64(), manner.probe.as_secs_f64());
                    prop_assert!(gap >= (0.9 * interval).max(probe) - 1e-6, "{gap} after {manner:?}");
                    prop_assert!(gap <= (1.1 * interval).max(probe) + 1e-6, "{gap} after {manner:?}");
                }
            }
        }

        // Seen to fail with a wish that a running probe swallows, with a wish that waits for the interval, and without the
        // breath between two.
        #[test]
        fn a_probe_that_is_wanted_comes_as_soon_as_it_may(
            manner in manner(),
            seed in any::<u64>(),
            wishes in proptest::collection::vec(0..20_000_u64, 1..40),
        ) {
            let mut wishes: Vec<_> = wishes.into_iter().map(Duration::from_millis).collect();
            wishes.sort();
            let starts = play_wishing(manner, seed, Duration::from_secs(30), &wishes);
            for pair in starts.windows(2) {
                let least = manner.probe.max(BREATH.min(manner.interval.mul_f64(0.9)));
                prop_assert!(pair[1] - pair[0] >= least, "{pair:?} after {manner:?}");
            }
            for wish in wishes {
                let last = starts.iter().rfind(|start| **start < wish).copied();
                let may = last.map_or(wish, |last| wish.max(last + BREATH.max(manner.probe)));
                let next = starts.iter().find(|start| **start >= wish).copied();
                prop_assert!(next.is_some_and(|next| next <= may), "wanted at {wish:?}, came at {next:?}");
            }
        }

        #[test]
        fn servers_of_one_interval_share_every_round(seed in any::<u64>(), servers in 2..5_usize) {
            let manner = Manner { interval: Duration::from_secs(2), probe: Duration::from_millis(3) };
            let starts = play(&vec![manner; servers], seed, Duration::from_secs(60));
            prop_assert!(starts.iter().all(|other| *other == starts[0]));
        }
    }

    #[test]
    fn servers_that_were_drawn_apart_find_together_again() {
        let (begin, interval) = (Instant::now(), Duration::from_secs(2));
        for seed in 0..20 {
            let mut schedule = Schedule::new(2, begin, fastrand::Rng::with_seed(seed));
            assert_eq!(schedule.begin(begin), [0, 1]);
            schedule.end(0, begin, interval);
            schedule.end(1, begin + Duration::from_millis(2600), interval);
            let together = (0..2000).any(|_| {
                let now = schedule.next().unwrap();
                let round = schedule.begin(now);
                round.iter().for_each(|&server| schedule.end(server, now, interval));
                round == [0, 1]
            });
            assert!(together);
        }
    }

    #[test]
    fn hosts_do_not_fall_into_step() {
        let manner = Manner { interval: Duration::from_secs(2), probe: Duration::from_millis(3) };
        let [one, other] = [1, 2].map(|seed| play(&[manner], seed, Duration::from_secs(60)));
        assert!(one[0].iter().zip(&other[0]).skip(1).all(|(one, other)| one != other));
    }
}
