//! `balance source` with HAProxy's `hash-type consistent`: each server has places on a ring of all 32-bit numbers, as many as
//! its weight says, and an address goes to the nearest.

use std::net::IpAddr;

use super::Candidate;
use super::map::folded;

/// The ring.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    /// The servers and weights that it was made of.
    made_of: Vec<(u64, u16)>,
    /// Numbers in their order, each with a place among the candidates.
    nodes: Vec<(u32, usize)>,
    /// Whose turn it is of those whose sessions come from no address.
    next: usize,
}

/// The most places that a server has.
const MOST: u32 = 4096;

impl Ring {
    /// The candidate that is nearest to an address, or the next one that is free.
    pub fn pick(&mut self, source: IpAddr, candidates: &[Candidate]) -> Option<usize> {
        self.heed(candidates);
        let hash = mixed(folded(source));
        let behind = self.nodes.partition_point(|(number, _)| *number < hash);
        let count = self.nodes.len();
        let node = |place: usize| self.nodes[place % count.max(1)];
        let begin = if count == 0 {
            return None;
        } else {
            let (before, after) = (node(behind + count - 1), node(behind));
            let is_before_nearer = hash.wrapping_sub(before.0) <= after.0.wrapping_sub(hash);
            if is_before_nearer { behind + count - 1 } else { behind }
        };
        (begin..begin + count).map(|place| node(place).1).find(|place| candidates[*place].is_free)
    }

    /// The next place's candidate that is free: HAProxy goes round the ring where there is no address to look for.
    pub fn pick_next(&mut self, candidates: &[Candidate]) -> Option<usize> {
        self.heed(candidates);
        let begin = if self.next < self.nodes.len() { self.next } else { 0 };
        let mut around = (begin..self.nodes.len()).chain(0..begin);
        let found = around.find(|place| candidates[self.nodes[*place].1].is_free)?;
        self.next = found + 1;
        Some(self.nodes[found].1)
    }

    /// Makes the ring anew if it was made of others.
    fn heed(&mut self, candidates: &[Candidate]) {
        let is_of = |((key, weight), candidate): (&(u64, u16), &Candidate)| (*key, *weight) == candidate.share();
        if self.made_of.len() == candidates.len() && self.made_of.iter().zip(candidates).all(is_of) {
            return;
        }
        self.made_of = candidates.iter().map(Candidate::share).collect();
        self.nodes.clear();
        for (place, candidate) in candidates.iter().enumerate() {
            let first = candidate.number.wrapping_mul(MOST);
            let numbers = (0..u32::from(candidate.weight)).map(|node| mixed(first.wrapping_add(node)));
            self.nodes.extend(numbers.map(|number| (number, place)));
        }
        self.nodes.sort_unstable();
    }
}

/// A number of 32 bits, each bit of which depends on all (Bob Jenkins, "Integer Hash Function"), spread by a large prime as
/// HAProxy does it.
pub(super) fn mixed(number: u32) -> u32 {
    let a = number.wrapping_add(0x7ed5_5d16).wrapping_add(number << 12);
    let a = (a ^ 0xc761_c23c) ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    let a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    let a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

#[cfg(test)]
mod tests {
    use super::super::tests::scaled;
    use super::*;

    fn address(last: u8) -> IpAddr {
        [127, 0, last / 4, last].into()
    }

    /// Whom HAProxy 3.2.26 chose.
    #[test]
    fn an_address_goes_where_haproxy_has_it_go() {
        let (mut ring, candidates) = (Ring::default(), scaled(&[1, 2, 3]));
        let chosen: Vec<_> = (1..=24).map(|last| ring.pick(address(last), &candidates).unwrap()).collect();
        assert_eq!(chosen, [2, 0, 1, 2, 1, 2, 2, 2, 0, 1, 2, 2, 2, 1, 0, 2, 1, 2, 2, 2, 2, 0, 1, 1]);
    }

    /// Whom HAProxy 3.2.26 gave the sessions of a unix socket.
    #[test]
    fn without_an_address_servers_have_the_turns_that_haproxy_gives_them() {
        let (mut ring, candidates) = (Ring::default(), scaled(&[1, 2, 3]));
        let chosen: String = (0..24).map(|_| (ring.pick_next(&candidates).unwrap() + 1).to_string()).collect();
        assert_eq!(chosen, "333333333332131312311312");
        let mut some = candidates;
        some[2].is_free = false;
        assert!((0..200).all(|_| ring.pick_next(&some).is_some_and(|place| place != 2)));
        assert_eq!(Ring::default().pick_next(&[]), None);
    }

    // Seen to fail with a ring that is left as it is.
    #[test]
    fn a_server_that_leaves_moves_only_its_own_sources() {
        let (mut ring, all, left) = (Ring::default(), scaled(&[1, 2, 3]), scaled(&[1, 0, 3]));
        for last in 1..=200 {
            let before = ring.pick(address(last), &all);
            let after = ring.pick(address(last), &left);
            assert_ne!(after, Some(1));
            assert!(before == after || before == Some(1), "{last}");
        }
        let mut full = all.clone();
        full.iter_mut().for_each(|candidate| candidate.is_free = false);
        assert_eq!((ring.pick(address(1), &full), ring.pick(address(1), &[])), (None, None));
    }
}
