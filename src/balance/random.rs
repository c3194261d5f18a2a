//! `random`: of some servers drawn by lot, the one with the fewest sessions for its weight.
//!
//! Two draws are enough to keep loads close to each other without any order that several load balancers could fall into
//! together; one draw looks at no load at all.

use super::{Candidate, least_conn, weighted};

/// Draws so many times, each server with a chance in proportion to its weight; one may be drawn more than once.
pub fn draw(candidates: &mut [Candidate], draws: u32, rng: &mut fastrand::Rng) {
    let total: u64 = weighted(candidates).map(|(_, candidate)| u64::from(candidate.weight)).sum();
    for _ in 0..draws {
        let mut lot = rng.u64(..total.max(1));
        let drawn = candidates.iter_mut().find(|candidate| {
            let weight = u64::from(candidate.weight);
            let is_it = lot < weight;
            lot = lot.saturating_sub(weight);
            is_it
        });
        if let Some(candidate) = drawn {
            candidate.drawn = true;
        }
    }
}

/// The least loaded of those that were drawn, or of all if none was.
pub(super) fn pick(candidates: &[Candidate]) -> Option<usize> {
    let of_drawn = least_conn::pick_among(candidates, |candidate| candidate.drawn);
    of_drawn.or_else(|| least_conn::pick(candidates))
}

#[cfg(test)]
mod tests {
    use super::super::tests::idle;
    use super::*;

    /// How often each is chosen, nothing ever ending.
    fn chosen(weights: &[u16], draws: u32, sessions: u32) -> Vec<u32> {
        let (mut servers, mut rng) = (idle(weights), fastrand::Rng::with_seed(7));
        for _ in 0..sessions {
            servers.iter_mut().for_each(|candidate| candidate.drawn = false);
            draw(&mut servers, draws, &mut rng);
            let place = pick(&servers).unwrap();
            servers[place].in_flight += 1;
        }
        servers.iter().map(|candidate| candidate.in_flight).collect()
    }

    #[test]
    fn one_draw_follows_the_weights_and_two_level_the_loads() {
        let one = chosen(&[1, 2, 0, 1], 1, 4000);
        // Six standard deviations of the binomial distribution are under 190.
        assert!(one.iter().zip([1000_u32, 2000, 0, 1000]).all(|(count, due)| count.abs_diff(due) < 190), "{one:?}");
        assert_eq!(one[2], 0);
        let two = chosen(&[1, 2, 0, 1], 2, 4000);
        assert!(two.iter().zip([1000_u32, 2000, 0, 1000]).all(|(count, due)| count.abs_diff(due) < 12), "{two:?}");
    }

    #[test]
    fn without_a_draw_the_least_loaded_of_all_is_chosen() {
        let mut servers = idle(&[1, 1]);
        servers[0].in_flight = 1;
        assert_eq!(pick(&servers), Some(1));
    }
}
