//! Which of several servers gets the next session: one pure function, [`pick`].
//!
//! Counts and history come in as [`Candidate`]s and the choice goes out as an index. The caller leaves out the servers
//! that can't be chosen at all, holds its lock across reading the counts, the choice and counting it, and so makes
//! least-connections exact, whatever number of workers ask. Each method is a file of its own.

use std::net::IpAddr;

use crate::model::Balance;

mod first;
mod least_conn;
mod random;
mod round_robin;
mod source;
mod spread;

pub use random::draw;
pub use source::server_key;

/// A server that may be chosen, and what the methods know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Identifies the server across calls and processes: [`server_key`] of its name.
    pub key: u64,
    /// Share of new sessions; 0 is never chosen.
    pub weight: u16,
    /// Sessions that it has, counted from the choice on.
    pub in_flight: u32,
    /// Number of the choice at which it was last chosen, counted from 1; 0 if it never was.
    pub last_chosen: u64,
    /// What a round robin has counted of it: 0 at first, changed by [`pick`], carried by the caller to the next call.
    pub credit: i64,
    /// What it has been given from the source that asks; filled for [`Balance::Spread`] only.
    pub given: Given,
    /// The lot fell on it: [`draw`], for [`Balance::Random`] only.
    pub drawn: bool,
}

/// What a server has been given from one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// Sessions of the source that it has, counted from the choice on.
    pub live: u32,
    /// Number of the choice that last gave it one, as in [`Candidate::last_chosen`]; 0 if none is remembered.
    pub last: u64,
}

/// Index of the candidate that gets a session from `source`; `None` if all weights are 0 or there is none.
///
/// Candidates stand in file order. Only the two round robins change them (`credit`), only [`Balance::Source`]
/// looks at `source`, where an IPv4-mapped IPv6 address is the IPv4 address; for [`Balance::Spread`] the caller has
/// looked up what the source has been given, and for [`Balance::Random`] it has drawn.
pub fn pick(method: Balance, candidates: &mut [Candidate], source: IpAddr) -> Option<usize> {
    match method {
        Balance::LeastConn => least_conn::pick(candidates),
        Balance::RoundRobin => round_robin::pick(candidates),
        Balance::First => first::pick(candidates),
        Balance::Source => source::pick(candidates, source),
        Balance::Spread => spread::pick(candidates),
        Balance::IdleFirst => least_conn::pick_idle_first(candidates),
        Balance::StaticRoundRobin => round_robin::pick_static(candidates),
        Balance::Random => random::pick(candidates),
    }
}

/// The candidates that can be chosen, with their places in the list.
fn weighted(candidates: &[Candidate]) -> impl DoubleEndedIterator<Item = (usize, &Candidate)> {
    candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight > 0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Candidates of these weights, idle and never chosen.
    pub(super) fn idle(weights: &[u16]) -> Vec<Candidate> {
        let name = |place| server_key(&format!("server-{place}"));
        weights
            .iter()
            .enumerate()
            .map(|(place, &weight)| {
                let given = Given::default();
                Candidate { key: name(place), weight, in_flight: 0, last_chosen: 0, credit: 0, given, drawn: false }
            })
            .collect()
    }

    /// Makes `sessions` choices as a pool does, nothing ever ending, and counts them per candidate.
    pub(super) fn spread(method: Balance, candidates: &mut [Candidate], sessions: u64) -> Vec<u64> {
        let mut counts = vec![0; candidates.len()];
        for number in 1..=sessions {
            let Some(chosen) = pick(method, candidates, Ipv4Addr::LOCALHOST.into()) else { break };
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
    fn sessions_that_stay_are_spread_by_weight() {
        for method in [Balance::LeastConn, Balance::RoundRobin] {
            assert_eq!(spread(method, &mut idle(&[1, 1, 1]), 300), [100, 100, 100], "{method:?}");
            assert_eq!(spread(method, &mut idle(&[1, 2, 1]), 300), [75, 150, 75], "{method:?}");
        }
    }
}
