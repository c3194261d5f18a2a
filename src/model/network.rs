//! Networks of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses that begin as `address` does, over the length of the prefix in bits. One of IPv4 is never an
/// IPv4-mapped one of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network that this address belongs to; `None` if its family has no such prefix.
    pub fn of(address: IpAddr, prefix: u8) -> Option<Self> {
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if (96..=128).contains(&prefix) => Self::of(mapped.into(), prefix - 96),
            (IpAddr::V4(ip), _) => {
                let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                let address = Ipv4Addr::from_bits(ip.to_bits() & !host).into();
                (prefix <= 32).then_some(Self { address, prefix })
            }
            (IpAddr::V6(ip), _) => {
                let host = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
                let address = Ipv6Addr::from_bits(ip.to_bits() & !host).into();
                (prefix <= 128).then_some(Self { address, prefix })
            }
        }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether an address is one of it. An IPv4-mapped one counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self::of(address, self.prefix).as_ref() == Some(self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix == whole {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        Network::of(address.parse().unwrap(), prefix).unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_alike() {
        let contains = |network: Network, address: &str| network.contains(address.parse().unwrap());
        let ten = network("10.0.0.0", 8);
        assert!(contains(ten, "10.255.0.1") && contains(ten, "::ffff:10.1.2.3"));
        assert!(!contains(ten, "11.0.0.0") && !contains(ten, "a00::"));
        let all = network("0.0.0.0", 0);
        assert!(contains(all, "255.255.255.255") && !contains(all, "::1"));
        let private = network("fd00::", 8);
        assert!(contains(private, "fdff::1") && !contains(private, "fc00::1") && !contains(private, "253.0.0.0"));
        let one = network("10.0.0.1", 32);
        assert!(contains(one, "10.0.0.1") && !contains(one, "10.0.0.0"));
        assert_eq!(network("::ffff:10.0.0.0", 104), ten);
        assert_eq!((ten.to_string(), one.to_string()), ("10.0.0.0/8".to_owned(), "10.0.0.1".to_owned()));
        assert_eq!(Network::of("10.0.0.0".parse().unwrap(), 33), None);
    }

    proptest! {
        // Seen to fail with the mask one bit too long or too short.
        #[test]
        fn an_address_is_in_exactly_the_networks_whose_bits_it_shares(a in any::<u32>(), flipped in 0..32_u8, prefix in 0..=32_u8) {
            let network = Network::of(Ipv4Addr::from_bits(a).into(), prefix).unwrap();
            let other = Ipv4Addr::from_bits(a ^ (1 << (31 - flipped)));
            prop_assert!(network.contains(Ipv4Addr::from_bits(a).into()));
            prop_assert_eq!(network.contains(other.into()), flipped >= prefix);
        }
    }
}
