//! A table in which each server has as many slots as its weight says: HAProxy's `static-rr` goes round it, and `balance source`
//! has a slot for each address.

use std::net::IpAddr;

use super::Candidate;
use super::ring::mixed;

/// The table, and where `static-rr` is in it.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// The servers and weights that it was made of.
    made_of: Vec<(u64, u16)>,
    /// Places among the candidates.
    slots: Vec<usize>,
    next: usize,
}

impl Map {
    /// The next slot's candidate that is free.
    pub fn pick_next(&mut self, candidates: &[Candidate]) -> Option<usize> {
        self.heed(candidates);
        let begin = if self.next < self.slots.len() { self.next } else { 0 };
        let found = self.first_free(begin, candidates)?;
        self.next = found + 1;
        Some(self.slots[found])
    }

    /// The candidate of an address's slot, or of the next one that is free.
    pub fn pick_by(&mut self, hash: u32, candidates: &[Candidate]) -> Option<usize> {
        self.heed(candidates);
        let begin = hash as usize % self.slots.len().max(1);
        self.first_free(begin, candidates).map(|slot| self.slots[slot])
    }

    fn first_free(&self, begin: usize, candidates: &[Candidate]) -> Option<usize> {
        let around = (begin..self.slots.len()).chain(0..begin);
        around.into_iter().find(|slot| candidates[self.slots[*slot]].is_free)
    }

    /// Makes the table anew if it was made of others. Each slot credits every server with its weight, and goes to the one
    /// that has most, counted in whole tables; among equals the first in the file.
    fn heed(&mut self, candidates: &[Candidate]) {
        let is_of = |((key, weight), candidate): (&(u64, u16), &Candidate)| (*key, *weight) == candidate.share();
        if self.made_of.len() == candidates.len() && self.made_of.iter().zip(candidates).all(is_of) {
            return;
        }
        self.made_of = candidates.iter().map(Candidate::share).collect();
        let common = candidates.iter().map(|candidate| candidate.weight).fold(0, common_divisor).max(1);
        let weights: Vec<i64> = candidates.iter().map(|candidate| (candidate.weight / common).into()).collect();
        let total: i64 = weights.iter().sum();
        let mut credits = vec![0; weights.len()];
        self.slots.clear();
        for _ in 0..total {
            credits.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
            let worth = |place: &usize| (credits[*place] + total).div_euclid(total);
            // `max_by_key` keeps the last of equals, hence from the back.
            let best = (0..weights.len()).rev().filter(|place| weights[*place] > 0).max_by_key(worth);
            let best = best.expect("a table has slots where a server has a weight");
            credits[best] -= total;
            self.slots.push(best);
        }
    }
}

fn common_divisor(one: u16, other: u16) -> u16 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// What HAProxy makes of an address where a table is asked for it: its bits, four bytes laid over four.
pub fn folded(source: IpAddr) -> u32 {
    match source.to_canonical() {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [96, 64, 32, 0].iter().fold(0, |folded, shift| folded ^ (bits >> shift) as u32)
        }
    }
}

/// The same where `hash-type` says `avalanche`.
pub fn folded_and_mixed(source: IpAddr) -> u32 {
    mixed(folded(source))
}

#[cfg(test)]
mod tests {
    use super::super::tests::idle;
    use super::*;

    fn round(map: &mut Map, weights: &[u16], count: usize) -> Vec<usize> {
        let candidates = idle(weights);
        std::iter::from_fn(|| map.pick_next(&candidates)).take(count).collect()
    }

    /// 127.0.0.1, 127.0.0.2, …
    fn by_address(weights: &[u16], hash: fn(IpAddr) -> u32, count: u8) -> Vec<usize> {
        let (mut map, candidates) = (Map::default(), idle(weights));
        (1..=count).map(|last| map.pick_by(hash([127, 0, last / 4, last].into()), &candidates).unwrap()).collect()
    }

    // The orders of HAProxy 3.2.26. Seen to fail with a credit that is compared as it is.
    #[test]
    fn static_round_robin_has_haproxys_order() {
        let mut map = Map::default();
        assert_eq!(round(&mut map, &[1, 2, 3], 13), [0, 2, 1, 2, 1, 2, 0, 2, 1, 2, 1, 2, 0]);
        assert_eq!(round(&mut map, &[1, 0, 3], 7), [2, 2, 2, 0, 2, 2, 2]);
        assert_eq!(round(&mut map, &[1, 2, 3], 9), [1, 2, 0, 2, 1, 2, 1, 2, 0]);
        assert_eq!(round(&mut Map::default(), &[1, 1, 1], 4), [0, 1, 2, 0]);
        let heavy = round(&mut Map::default(), &[100, 10, 1], 24);
        assert_eq!(heavy.iter().position(|place| *place == 1), Some(10));
        assert_eq!(heavy.iter().filter(|place| **place == 0).count(), 22);
    }

    #[test]
    fn who_is_not_free_is_passed_over() {
        let (mut map, mut candidates) = (Map::default(), idle(&[1, 1, 1]));
        candidates[1].is_free = false;
        let turns: Vec<_> = (0..4).map(|_| map.pick_next(&candidates).unwrap()).collect();
        assert_eq!(turns, [0, 2, 0, 2]);
        candidates.iter_mut().for_each(|candidate| candidate.is_free = false);
        assert_eq!((map.pick_next(&candidates), map.pick_by(7, &candidates)), (None, None));
        assert_eq!(Map::default().pick_by(7, &[]), None);
    }

    /// Whom HAProxy 3.2.26 chose.
    #[test]
    fn an_address_has_haproxys_slot() {
        let plain = by_address(&[1, 2, 3], folded, 24);
        assert_eq!(plain, [2, 0, 2, 0, 2, 1, 2, 1, 2, 1, 2, 1, 2, 0, 2, 0, 2, 1, 2, 1, 2, 1, 2, 1]);
        assert_eq!(by_address(&[1, 0, 3], folded, 8), [2, 2, 2, 0, 2, 2, 2, 0]);
        let mixed = by_address(&[1, 2, 3], folded_and_mixed, 24);
        assert_eq!(mixed, [2, 2, 0, 1, 1, 2, 2, 2, 2, 1, 1, 1, 2, 1, 2, 1, 2, 2, 1, 2, 1, 1, 0, 0]);
    }

    #[test]
    fn an_ipv6_address_is_laid_over_itself() {
        assert_eq!(folded("102:304:500:6::7".parse().unwrap()), 0x0102_0304 ^ 0x0500_0006 ^ 7);
        assert_eq!(folded("::ffff:127.0.0.1".parse().unwrap()), 0x7f00_0001);
    }
}
