//! `roundrobin`: each server has a turn every so often, a heavy one more often, and whoever's turn is due first has it.
//!
//! The times of turns are fractions: the n-th of a server with the weight w is due at n/w. Within one round (as many choices
//! as the weights add up to) each is chosen exactly as often as its weight says. With equal weights it is plain rotation, also
//! when a server leaves in the middle of a round: the others go on in their order, as HAProxy's do.

use std::cmp::Ordering;

use super::{Candidate, weighted};

/// The server whose next turn is due first, the first in the file among equals. `credit` counts its turns.
pub(super) fn pick(candidates: &mut [Candidate]) -> Option<usize> {
    let now = weighted(candidates).map(|(_, one)| Time::of(one.credit, one)).max()?;
    for candidate in candidates.iter_mut().filter(|candidate| candidate.weight > 0) {
        // Who was away, or has got another weight, has no backlog of turns.
        candidate.credit = candidate.credit.max(now.turns(candidate.weight) - 1);
    }
    // `min_by_key` keeps the first of equals.
    let (place, _) = weighted(candidates).min_by_key(|(_, one)| Time::of(one.credit + 1, one))?;
    candidates[place].credit += 1;
    Some(place)
}

/// When a turn is due: a number of turns over a weight.
#[derive(Clone, Copy)]
struct Time {
    turn: i64,
    weight: u16,
}

impl Time {
    fn of(turn: i64, candidate: &Candidate) -> Self {
        Self { turn, weight: candidate.weight }
    }

    /// The first turn of a server of this weight that is due no earlier.
    fn turns(self, weight: u16) -> i64 {
        let (all, own) = (i128::from(self.turn) * i128::from(weight), i128::from(self.weight));
        i64::try_from(all.div_euclid(own) + i128::from(all.rem_euclid(own) > 0)).unwrap_or(i64::MAX)
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        let crosswise = |one: &Self, other: &Self| i128::from(one.turn) * i128::from(other.weight);
        crosswise(self, other).cmp(&crosswise(other, self))
    }
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of HAProxy's `static-rr`: each choice credits every server with its weight and takes the sum of all weights from
/// the one that had most, which is counted in whole rounds only.
pub(super) fn pick_static(candidates: &mut [Candidate]) -> Option<usize> {
    let worth = |credit: i64, total: i64| (credit + total).div_euclid(total.max(1));
    let total: i64 = candidates.iter().map(|candidate| i64::from(candidate.weight)).sum();
    for candidate in candidates.iter_mut() {
        candidate.credit += i64::from(candidate.weight);
    }
    // `max_by_key` keeps the last of equals, hence from the back.
    let (place, _) = weighted(candidates).rev().max_by_key(|(_, candidate)| worth(candidate.credit, total))?;
    candidates[place].credit -= total;
    Some(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::idle;
    use super::*;

    fn turns(servers: &mut [Candidate], count: usize) -> Vec<usize> {
        std::iter::from_fn(|| pick(servers)).take(count).collect()
    }

    proptest! {
        #[test]
        fn every_stretch_as_long_as_a_round_has_each_server_as_often_as_its_weight(
            weights in proptest::collection::vec(0..=20_u16, 1..6),
            start in 0..150_usize,
        ) {
            let round = weights.iter().map(|&weight| usize::from(weight)).sum::<usize>();
            let turns = turns(&mut idle(&weights), start + round);
            for (place, &weight) in weights.iter().enumerate() {
                let count = turns.iter().skip(start).filter(|&&turn| turn == place).count();
                prop_assert_eq!(count, usize::from(weight));
            }
        }

        #[test]
        fn equal_servers_take_turns_in_file_order(servers in 1..6_usize, weight in 1..=256_u16) {
            let turns = turns(&mut idle(&vec![weight; servers]), 3 * servers);
            prop_assert_eq!(turns, (0..servers).cycle().take(3 * servers).collect::<Vec<_>>());
        }
    }

    /// The orders of HAProxy 3.2.26, from its first session on.
    #[test]
    fn a_heavy_server_has_its_turns_more_often() {
        assert_eq!(turns(&mut idle(&[2, 1]), 8), [0, 0, 1, 0, 0, 1, 0, 0]);
        assert_eq!(turns(&mut idle(&[3, 1]), 8), [0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(turns(&mut idle(&[100, 50]), 8), turns(&mut idle(&[2, 1]), 8), "only how they compare counts");
    }

    /// Seen of HAProxy 3.2.26; smooth weighted round robin was seen to give the third one two turns in a row.
    #[test]
    fn the_others_go_on_in_their_order_when_one_leaves() {
        let mut servers = idle(&[100, 100, 100]);
        assert_eq!(turns(&mut servers, 4), [0, 1, 2, 0]);
        servers.remove(1);
        assert_eq!(turns(&mut servers, 4), [1, 0, 1, 0], "the third one, which is the second now");
    }

    // The orders of HAProxy 3.2.26, from its first session on. Seen to fail with `pick` in its place.
    #[test]
    fn static_round_robin_has_haproxys_order() {
        let round = |weights: &[u16], count| {
            let mut servers = idle(weights);
            std::iter::from_fn(|| pick_static(&mut servers)).take(count).collect::<Vec<_>>()
        };
        assert_eq!(round(&[1, 2, 3], 12), [0, 2, 1, 2, 1, 2, 0, 2, 1, 2, 1, 2]);
        assert_eq!(round(&[1, 1, 1], 4), [0, 1, 2, 0]);
        let heavy = round(&[100, 10, 1], 24);
        assert_eq!(heavy.iter().position(|place| *place == 1), Some(10));
        assert_eq!(heavy.iter().filter(|place| **place == 0).count(), 22);
    }

    #[test]
    fn a_server_that_was_away_comes_back_without_a_backlog() {
        let mut servers = idle(&[1, 1, 1]);
        turns(&mut servers, 4);
        let away = servers.remove(2);
        turns(&mut servers, 100);
        servers.push(away);
        let first = turns(&mut servers, 6);
        assert_eq!(first.iter().filter(|&&turn| turn == 2).count(), 2, "{first:?}");
    }
}
