//! `roundrobin`: smooth weighted round robin.
//!
//! Each choice credits every server with its weight and takes the sum of all weights from the one that had most. Within
//! one round (as many choices as the weights add up to) each is chosen exactly as often as its weight says, and a heavy
//! one's turns are spread over the round instead of coming in a row.

use super::{Candidate, weighted};

/// The server with the most credit, the first in the file among equals.
pub(super) fn pick(candidates: &mut [Candidate]) -> Option<usize> {
    pick_by(candidates, |credit, _| credit)
}

/// The same in the order of HAProxy's `static-rr`, whose map of a round counts credit in whole rounds only.
pub(super) fn pick_static(candidates: &mut [Candidate]) -> Option<usize> {
    pick_by(candidates, |credit, total| (credit + total).div_euclid(total.max(1)))
}

/// Whoever has the most credit, as `worth` counts it.
fn pick_by(candidates: &mut [Candidate], worth: impl Fn(i64, i64) -> i64) -> Option<usize> {
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
        // Seen to fail when the chosen one pays its own weight, and when it pays one more than the sum.
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

    #[test]
    fn a_heavy_servers_turns_are_spread_over_the_round() {
        assert_eq!(turns(&mut idle(&[2, 1, 1]), 8), [0, 1, 2, 0, 0, 1, 2, 0]);
        // With half of the weight, one of two neighbouring turns in each pair of a round is its own.
        assert_eq!(turns(&mut idle(&[4, 2, 2]), 8), [0, 1, 2, 0, 0, 1, 2, 0]);
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
