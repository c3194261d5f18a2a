//! `source`: a client's address decides, and goes on deciding while servers come and go.
//!
//! Weighted rendezvous hashing: every server has a number for every source, and the smallest wins. A server that leaves
//! moves only its own sources, one that joins takes only what it wins, and the order of the list means nothing. Two
//! load balancers with the same server names choose alike, because nothing here depends on the process.

use std::net::IpAddr;

use super::{Candidate, weighted};

/// The server whose claim on this source is the strongest.
pub(super) fn pick(candidates: &[Candidate], source: IpAddr) -> Option<usize> {
    let source = mixed_source(source);
    let (place, _) = weighted(candidates)
        .map(|(place, candidate)| (place, claim(candidate, source)))
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(place)
}

/// Stable number for a server's name: FNV-1a, 64 bits.
pub fn server_key(name: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    name.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The address as one well-mixed number; IPv4 as its mapped IPv6 address, so that both forms are one source.
fn mixed_source(source: IpAddr) -> u64 {
    let bits = match source {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    mix(mix(high) ^ low)
}

/// An exponentially distributed number whose rate is the weight: the smallest of several belongs to each with a chance
/// in proportion to its weight, and no claim depends on another server's.
fn claim(candidate: &Candidate, source: u64) -> f64 {
    let hash = mix(mix(candidate.key) ^ source);
    // 52 bits and a half: within (0, 1), both ends excluded, and exact in an f64.
    let uniform = ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -uniform.ln() / f64::from(candidate.weight)
}

/// SplitMix64's step: one increment and its finalizer, so that 0 isn't mapped to itself.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::tests::idle;
    use super::*;

    fn sources() -> impl Iterator<Item = IpAddr> {
        (0..30_000_u32).map(|i| Ipv4Addr::from_bits(0x0a00_0000 + i).into())
    }

    fn winner(servers: &[Candidate], source: IpAddr) -> Option<u64> {
        pick(servers, source).map(|place| servers[place].key)
    }

    proptest! {
        #[test]
        fn the_order_of_the_list_means_nothing(
            weights in proptest::collection::vec(0..=256_u16, 1..8),
            source in any::<IpAddr>(),
            turn in 0..8_usize,
        ) {
            let servers = idle(&weights);
            let mut turned = servers.clone();
            turned.rotate_left(turn % weights.len());
            turned.swap(0, weights.len() / 2);
            prop_assert_eq!(winner(&servers, source), winner(&turned, source));
        }

        #[test]
        fn a_server_that_leaves_moves_only_its_own_sources(
            weights in proptest::collection::vec(0..=256_u16, 2..8),
            source in any::<IpAddr>(),
            leaving in 0..8_usize,
        ) {
            let servers = idle(&weights);
            let mut left = servers.clone();
            let gone = left.remove(leaving % weights.len());
            let before = winner(&servers, source);
            if before != Some(gone.key) {
                prop_assert_eq!(winner(&left, source), before);
            }
        }

        #[test]
        fn a_server_that_gains_weight_loses_no_source(
            weights in proptest::collection::vec(0..=255_u16, 1..8),
            source in any::<IpAddr>(),
            heavier in 0..8_usize,
        ) {
            let servers = idle(&weights);
            let mut changed = servers.clone();
            let heavier = heavier % weights.len();
            changed[heavier].weight += 1;
            let (before, after) = (winner(&servers, source), winner(&changed, source));
            prop_assert!(after == before || after == Some(servers[heavier].key));
        }

        #[test]
        fn both_forms_of_an_ipv4_address_are_one_source(source in any::<Ipv4Addr>()) {
            let servers = idle(&[1, 2, 3, 4, 5]);
            prop_assert_eq!(pick(&servers, source.into()), pick(&servers, source.to_ipv6_mapped().into()));
        }
    }

    // Seen to fail with the weight left out of the claim.
    #[test]
    fn neighbouring_sources_are_spread_by_weight() {
        let servers = idle(&[1, 2, 0, 3]);
        let mut counts = [0_u32; 4];
        for source in sources() {
            counts[pick(&servers, source).unwrap()] += 1;
        }
        // Five standard deviations of the binomial distribution are under 450.
        for (count, expected) in counts.into_iter().zip([5_000_u32, 10_000, 0, 15_000]) {
            assert!(count.abs_diff(expected) < 450, "{counts:?}");
        }
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn sources_of_both_families_differ_by_every_bit() {
        let servers = idle(&[1; 200]);
        let base = Ipv6Addr::from_bits(0x2001_0db8_u128 << 96);
        let moved = (0..128).filter(|bit| {
            let other = Ipv6Addr::from_bits(base.to_bits() ^ (1 << bit));
            pick(&servers, base.into()) != pick(&servers, other.into())
        });
        // A bit that is ignored never moves a source; one that counts does so 199 times of 200.
        assert!(moved.count() > 120);
    }

    /// Another version, or another machine of a pair, must choose alike: these are the written-down choices.
    #[test]
    fn choices_are_stable() {
        assert_eq!(server_key("a"), 0xaf63_dc4c_8601_ec8c, "from the tables that FNV was published with");
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf, "the first output of SplitMix64 seeded with 0");
        let servers = idle(&[1, 1, 1, 1, 1]);
        let chosen: Vec<_> = sources().take(12).map(|source| pick(&servers, source).unwrap()).collect();
        assert_eq!(chosen, [3, 3, 0, 4, 1, 1, 4, 3, 1, 3, 4, 1]);
    }
}
