//! Which of several servers gets the next session: one pure function, [`pick`].
//!
//! Counts and history come in as [`Candidate`]s, and the choice goes out as an index. The caller holds its lock across
//! reading the counts, the choice and counting it, and so makes least-connections exact, whatever number of workers ask.
//! Methods that go round have a [`Memory`], which the caller keeps. Each method is a file of its own.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::Balance;

mod first;
mod least_conn;
mod map;
mod random;
mod ring;
mod source;
mod spread;
mod wheel;

use self::map::Map;
use self::ring::Ring;
use self::wheel::Wheel;

pub use random::draw;
pub use source::server_key;

/// A server that may be chosen, and what the methods know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Identifies the server across calls and processes: [`server_key`] of its name.
    pub key: u64,
    /// Its number in its backend.
    pub number: u32,
    /// Share of new sessions; 0 is never chosen, and means that it is none of those which may be.
    pub weight: u16,
    /// Whether it may be chosen now: it has room, and the session has not tried it.
    pub is_free: bool,
    /// Sessions that it has, counted from the choice on.
    pub in_flight: u32,
    /// Number of the choice at which it was last chosen, counted from 1; 0 if it never was.
    pub last_chosen: u64,
    /// What it has been given from the source that asks; filled for [`Balance::Spread`] only.
    pub given: Given,
    /// The lot fell on it: [`draw`], for [`Balance::Random`] only.
    pub drawn: bool,
}

impl Candidate {
    /// What a table of all servers is made of.
    fn share(&self) -> (u64, u16) {
        (self.key, self.weight)
    }
}

/// What methods remember from one choice to the next.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    wheel: Wheel,
    map: Map,
    ring: Ring,
}

impl Memory {
    /// Takes note of servers that come, go or change their weight, where the order of turns depends on when they did.
    pub fn heed(&mut self, method: Balance, candidates: &[Candidate]) {
        if method == Balance::RoundRobin {
            self.wheel.heed(candidates);
        }
    }
}

/// What a server has been given from one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// Sessions of the source that it has, counted from the choice on.
    pub live: u32,
    /// Number of the choice that last gave it one, as in [`Candidate::last_chosen`]; 0 if none is remembered.
    pub last: u64,
}

/// Index of the candidate that gets a session from `source`; `None` if none of those that have a weight is free, or there
/// is none.
///
/// Candidates are all servers in file order. An IPv4-mapped IPv6 `source` is the IPv4 address; for [`Balance::Spread`] the
/// caller has looked up what the source has been given, and for [`Balance::Random`] it has drawn.
pub fn pick(method: Balance, candidates: &[Candidate], source: IpAddr, memory: &mut Memory) -> Option<usize> {
    match method {
        Balance::LeastConn => least_conn::pick(candidates),
        Balance::RoundRobin => memory.wheel.pick(candidates),
        Balance::First => first::pick(candidates),
        Balance::Source => source::pick(candidates, source),
        Balance::Spread => spread::pick(candidates),
        Balance::IdleFirst => least_conn::pick_idle_first(candidates),
        Balance::StaticRoundRobin => memory.map.pick_next(candidates),
        Balance::Random => random::pick(candidates),
        Balance::SourceMap => memory.map.pick_by(map::folded(source), candidates),
        Balance::SourceMixedMap => memory.map.pick_by(map::folded_and_mixed(source), candidates),
        Balance::SourceRing => memory.ring.pick(source, candidates),
    }
}

/// As [`pick`], for a session whose source has no address: where that would decide, servers have their turns, as with
/// HAProxy.
pub fn pick_for_nobody(method: Balance, candidates: &[Candidate], memory: &mut Memory) -> Option<usize> {
    match method {
        Balance::Source | Balance::SourceMap | Balance::SourceMixedMap => memory.map.pick_next(candidates),
        Balance::SourceRing => memory.ring.pick_next(candidates),
        // None of the others asks where it comes from.
        _ => pick(method, candidates, IpAddr::V4(Ipv4Addr::UNSPECIFIED), memory),
    }
}

/// The candidates that can be chosen, with their places in the list.
fn weighted(candidates: &[Candidate]) -> impl DoubleEndedIterator<Item = (usize, &Candidate)> {
    candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight > 0 && candidate.is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates of these weights, idle and never chosen.
    pub(super) fn idle(weights: &[u16]) -> Vec<Candidate> {
        let name = |place| server_key(&format!("server-{place}"));
        weights
            .iter()
            .enumerate()
            .zip(1..)
            .map(|((place, &weight), number)| Candidate {
                key: name(place),
                number,
                weight,
                is_free: true,
                in_flight: 0,
                last_chosen: 0,
                given: Given::default(),
                drawn: false,
            })
            .collect()
    }

    /// Candidates of these weights, as HAProxy counts them.
    pub(super) fn scaled(weights: &[u16]) -> Vec<Candidate> {
        let mut candidates = idle(weights);
        candidates.iter_mut().for_each(|candidate| candidate.weight *= 16);
        candidates
    }

    /// Makes `sessions` choices as a pool does, nothing ever ending, and counts them per candidate.
    pub(super) fn spread(method: Balance, candidates: &mut [Candidate], sessions: u64) -> Vec<u64> {
        let mut counts = vec![0; candidates.len()];
        let mut memory = Memory::default();
        for number in 1..=sessions {
            let Some(chosen) = pick(method, candidates, Ipv4Addr::LOCALHOST.into(), &mut memory) else { break };
            candidates[chosen].in_flight += 1;
            candidates[chosen].last_chosen = number;
            counts[chosen] += 1;
        }
        counts
    }

    #[test]
    fn weight_zero_and_an_empty_list_are_never_chosen() {
        for method in Balance::ALL {
            assert!(spread(method, &mut idle(&[]), 1).is_empty(), "{method:?}");
            assert_eq!(spread(method, &mut idle(&[0, 0]), 1), [0, 0], "{method:?}");
            assert_eq!(spread(method, &mut idle(&[0, 3, 0]), 10), [0, 10, 0], "{method:?}");
        }
    }

    #[test]
    fn who_is_not_free_is_never_chosen() {
        for method in Balance::ALL {
            let mut candidates = idle(&[1, 1, 0]);
            candidates[0].is_free = false;
            assert_eq!(spread(method, &mut candidates, 10), [0, 10, 0], "{method:?}");
            candidates[1].is_free = false;
            assert_eq!(spread(method, &mut candidates, 1), [0, 0, 0], "{method:?}");
        }
    }

    #[test]
    fn sessions_that_stay_are_spread_by_weight() {
        for method in [Balance::LeastConn, Balance::RoundRobin] {
            assert_eq!(spread(method, &mut idle(&[1, 1, 1]), 300), [100, 100, 100], "{method:?}");
            assert_eq!(spread(method, &mut idle(&[1, 2, 1]), 300), [75, 150, 75], "{method:?}");
        }
    }
}
