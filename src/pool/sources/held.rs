//! Which sources hold sessions at how many servers, for those who look.

use std::collections::BinaryHeap;

use super::{Share, Sources};
use crate::event::{SourceHeld, SourcesSnapshot};
use crate::model::{Balance, ServerName};
use crate::pool::Pool;

impl Pool {
    /// Who holds what, if the balance method is to bring each source to every server.
    pub fn sources(&self) -> Option<SourcesSnapshot> {
        let state = self.lock();
        let servers = state.members.iter().map(|member| (member.server.key, member.server.name.clone())).collect();
        (state.spec.balance == Balance::Spread).then(|| state.sources.held(servers))
    }
}

impl Sources {
    /// Servers are known by their keys. The lock is held meanwhile: so only those that are shown are sorted and copied.
    fn held(&self, servers: Vec<(u64, ServerName)>) -> SourcesSnapshot {
        let mut held = vec![0; servers.len() + 1];
        let mut least = BinaryHeap::with_capacity(SourcesSnapshot::SHOWN + 1);
        for (address, _, shares) in self.0.all_live() {
            let at = servers.iter().filter(|(key, _)| live(shares, *key) > 0).count();
            held[at] += 1;
            least.push((at, address));
            if least.len() > SourcesSnapshot::SHOWN {
                least.pop();
            }
        }
        let named = least.into_sorted_vec().into_iter().map(|(_, address)| {
            let shares = self.0.value(address).map(Vec::as_slice).unwrap_or_default();
            SourceHeld { address, sessions: servers.iter().map(|(key, _)| live(shares, *key)).collect() }
        });
        let least = named.collect();
        SourcesSnapshot { servers: servers.into_iter().map(|(_, name)| name).collect(), held, least }
    }
}

/// A source's sessions at a server.
fn live(shares: &[Share], server: u64) -> u32 {
    shares.iter().find(|share| share.server == server).map_or(0, |share| share.live)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn source(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    fn servers() -> Vec<(u64, ServerName)> {
        (1..=3).map(|key| (key, ServerName::new(&format!("s{key}")).unwrap())).collect()
    }

    #[test]
    fn who_holds_the_fewest_servers_comes_first() {
        let mut sources = Sources::new();
        for server in 1..=3 {
            sources.begin(source(1), server, server);
        }
        for server in [2, 2, 9] {
            sources.begin(source(2), server, server);
        }
        let gone = sources.begin(source(3), 1, 1);
        sources.end(1, &gone);
        let held = sources.held(servers());
        assert_eq!(held.held, [0, 1, 0, 1], "a server that has left is none of them, and who has nothing is nobody");
        assert_eq!((held.total(), held.complete()), (2, 1));
        let expected = [(source(2), vec![0, 2, 0]), (source(1), vec![1, 1, 1])];
        let shown: Vec<_> = held.least.into_iter().map(|it| (it.address, it.sessions)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn of_many_only_so_many_are_named_and_all_are_counted() {
        let mut sources = Sources::new();
        let many = u32::try_from(SourcesSnapshot::SHOWN).unwrap() + 50;
        for number in 0..many {
            // The last ones have the fewest.
            for server in 1..=if number < 60 { 3 } else { 1 } {
                sources.begin(source(number), server, 1);
            }
        }
        let held = sources.held(servers());
        assert_eq!((held.total(), held.complete(), held.held[1]), (many, 60, many - 60));
        assert_eq!(held.least.len(), SourcesSnapshot::SHOWN);
        assert!(held.least[..SourcesSnapshot::SHOWN - 10].iter().all(|it| it.servers() == 1));
    }
}
