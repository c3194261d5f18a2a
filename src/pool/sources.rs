//! What is remembered of the addresses that sessions come from. Part of the pool's locked state, as the counts are.

mod held;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::balance::{Candidate, Given};
use crate::event::SharedSource;

/// Sources without a live session that a backend remembers, so that an agent that has lost all of its sessions is led
/// on from where it was.
pub const QUIET_SOURCES: usize = 4_096;

/// A value for each source: kept for as long as the source has a live session, and after that until a number of others
/// have gone quiet later. An IPv4-mapped IPv6 address is the IPv4 address.
#[derive(Debug)]
pub struct BySource<T> {
    known: HashMap<IpAddr, Known<T>>,
    /// Those without a live session by the turn at which they were last touched, which is unique.
    quiet: BTreeMap<u64, IpAddr>,
    quiet_max: usize,
    turns: u64,
}

#[derive(Debug)]
struct Known<T> {
    live: u32,
    /// Its key in `quiet`, if it has no live session.
    touched: u64,
    value: T,
}

impl<T: Default> BySource<T> {
    /// Remembers so many sources that have no live session.
    pub fn remembering(quiet_max: usize) -> Self {
        Self { known: HashMap::new(), quiet: BTreeMap::new(), quiet_max, turns: 0 }
    }

    /// Sessions of a source that are counted now.
    pub fn live(&self, source: IpAddr) -> u32 {
        self.known.get(&source.to_canonical()).map_or(0, |known| known.live)
    }

    pub fn value(&self, source: IpAddr) -> Option<&T> {
        self.known.get(&source.to_canonical()).map(|known| &known.value)
    }

    /// The values of all sources with a live session, with their numbers of them.
    pub fn all_live(&self) -> impl Iterator<Item = (IpAddr, u32, &T)> {
        let live = self.known.iter().filter(|(_, known)| known.live > 0);
        live.map(|(source, known)| (*source, known.live, &known.value))
    }

    /// Changes what is known of a source. If nothing of it lives, and no place is kept for such, that is soon forgotten.
    pub fn change<R>(&mut self, source: IpAddr, change: impl FnOnce(&mut T) -> R) -> R {
        self.touch(source, |known| change(&mut known.value))
    }

    /// Counts one more live session of a source.
    pub fn begin(&mut self, source: IpAddr) {
        self.touch(source, |known| known.live += 1);
    }

    /// Counts one less, which [`BySource::begin`] has counted.
    pub fn end(&mut self, source: IpAddr) {
        self.touch(source, |known| known.live = known.live.saturating_sub(1));
    }

    fn touch<R>(&mut self, source: IpAddr, change: impl FnOnce(&mut Known<T>) -> R) -> R {
        let source = source.to_canonical();
        self.turns += 1;
        let known = self.known.entry(source).or_insert_with(|| Known { live: 0, touched: 0, value: T::default() });
        self.quiet.remove(&known.touched);
        let result = change(known);
        known.touched = self.turns;
        if known.live == 0 {
            self.quiet.insert(self.turns, source);
        }
        while self.quiet.len() > self.quiet_max
            && let Some((_, forgotten)) = self.quiet.pop_first()
        {
            self.known.remove(&forgotten);
        }
        result
    }
}

/// What the servers of one backend have been given from each source: the memory of `spread`.
#[derive(Debug)]
pub(super) struct Sources(BySource<Vec<Share>>);

/// What one server has been given from one source.
#[derive(Debug)]
struct Share {
    /// The server's key, which it keeps when it leaves the list and comes back.
    server: u64,
    live: u32,
    /// The choices of those of the live ones whose connection has not come about yet, in their order.
    dialling: Vec<u64>,
    /// The last choice whose connection came about.
    connected: u64,
}

/// One session's part of the memory. A server that could not be connected to has been given nothing.
#[derive(Debug)]
pub(super) struct Claim {
    source: IpAddr,
    choice: u64,
    connected: bool,
}

impl Share {
    /// A dial that may yet succeed counts, so that several at once go to several servers.
    fn last(&self) -> u64 {
        self.dialling.last().map_or(self.connected, |choice| self.connected.max(*choice))
    }
}

impl Sources {
    pub fn new() -> Self {
        Self(BySource::remembering(QUIET_SOURCES))
    }

    /// Tells the candidates what they have been given from a source.
    pub fn fill(&self, source: IpAddr, candidates: &mut [Candidate]) {
        let shares = self.0.value(source).map(Vec::as_slice).unwrap_or_default();
        for candidate in candidates {
            let share = shares.iter().find(|share| share.server == candidate.key);
            candidate.given = share.map(|share| Given { live: share.live, last: share.last() }).unwrap_or_default();
        }
    }

    /// Notes the choice of a server for a session of a source.
    pub fn begin(&mut self, source: IpAddr, server: u64, choice: u64) -> Claim {
        self.0.begin(source);
        self.0.change(source, |shares| {
            let share = share(shares, server);
            share.live += 1;
            share.dialling.push(choice);
        });
        Claim { source, choice, connected: false }
    }

    /// Notes that the session has its connection.
    pub fn connect(&mut self, server: u64, claim: &mut Claim) {
        if std::mem::replace(&mut claim.connected, true) {
            return;
        }
        self.0.change(claim.source, |shares| {
            let share = share(shares, server);
            share.dialling.retain(|choice| *choice != claim.choice);
            share.connected = share.connected.max(claim.choice);
        });
    }

    /// Notes the end of the session.
    pub fn end(&mut self, server: u64, claim: &Claim) {
        self.0.change(claim.source, |shares| {
            let share = share(shares, server);
            share.live -= 1;
            share.dialling.retain(|choice| *choice != claim.choice);
            // One that has never been connected to says nothing.
            shares.retain(|share| share.live > 0 || share.connected > 0);
        });
        self.0.end(claim.source);
    }

    /// The source with the most sessions of those that have several at each of the usable servers, and more than there
    /// are servers: several agents behind one address, who can't be told apart.
    pub fn shared(&self, usable: &[u64], servers: usize) -> Option<SharedSource> {
        let several = |shares: &[Share], server: &u64| shares.iter().any(|it| it.server == *server && it.live > 1);
        let is_shared = |(_, live, shares): &(IpAddr, u32, &Vec<Share>)| {
            *live as usize > servers && usable.iter().all(|server| several(shares, server))
        };
        if usable.is_empty() {
            return None;
        }
        let mut others = 0;
        let most = self.0.all_live().filter(is_shared).inspect(|_| others += 1);
        let (address, sessions, _) = most.max_by_key(|(address, live, _)| (*live, std::cmp::Reverse(*address)))?;
        Some(SharedSource { address, sessions, others: others - 1 })
    }
}

#[cfg(test)]
impl Sources {
    /// Live sessions and dials under way of all sources.
    pub fn all_counts(&self) -> (u32, usize) {
        let shares = || self.0.known.values().flat_map(|known| &known.value);
        (shares().map(|share| share.live).sum(), shares().map(|share| share.dialling.len()).sum())
    }
}

fn share(shares: &mut Vec<Share>, server: u64) -> &mut Share {
    let place = shares.iter().position(|share| share.server == server).unwrap_or_else(|| {
        shares.push(Share { server, live: 0, dialling: Vec::new(), connected: 0 });
        shares.len() - 1
    });
    &mut shares[place]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    // Seen to fail when the source that was touched last is forgotten first, and when live ones are counted among the
    // quiet.
    #[test]
    fn of_the_sources_without_sessions_only_the_last_are_remembered() {
        let mut memory = BySource::<u32>::remembering(3);
        memory.begin(source(0));
        for number in 1..=4 {
            memory.begin(source(number));
            memory.change(source(number), |value| *value = number);
            memory.end(source(number));
        }
        memory.change(source(2), |value| *value += 100);
        memory.change(source(5), |value| *value = 5);
        let known: Vec<_> = (0..=5).map(|number| memory.value(source(number)).copied()).collect();
        assert_eq!(known, [Some(0), None, Some(102), None, Some(4), Some(5)]);
        assert_eq!((memory.live(source(0)), memory.live(source(5))), (1, 0));
        assert_eq!((memory.known.len(), memory.quiet.len()), (4, 3));
    }

    #[test]
    fn who_comes_back_is_not_forgotten_while_it_is_there() {
        let mut memory = BySource::<u32>::remembering(1);
        memory.change(source(1), |value| *value = 1);
        memory.begin(source(1));
        for number in 2..10 {
            memory.change(source(number), |value| *value = number);
        }
        assert_eq!(memory.value(source(1)), Some(&1));
        memory.end(source(1));
        assert_eq!((memory.known.len(), memory.quiet.len()), (1, 1), "it has gone quiet last");
        assert_eq!(memory.value(source(1)), Some(&1));
    }

    #[test]
    fn who_remembers_nobody_forgets_a_source_with_its_last_session() {
        let mut memory = BySource::<u32>::remembering(0);
        memory.begin(source(1));
        memory.begin(source(1));
        memory.end(source(1));
        assert_eq!(memory.live(source(1)), 1);
        memory.end(source(1));
        assert!(memory.known.is_empty() && memory.quiet.is_empty());
    }

    #[test]
    fn both_forms_of_an_ipv4_address_are_one_source() {
        let mut memory = BySource::<u32>::remembering(1);
        memory.begin(source(1));
        let IpAddr::V4(plain) = source(1) else { panic!("it is IPv4") };
        assert_eq!(memory.live(plain.to_ipv6_mapped().into()), 1);
        memory.end(plain.to_ipv6_mapped().into());
        assert_eq!(memory.live(source(1)), 0);
    }
}
