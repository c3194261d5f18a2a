//! Tables: what is counted of each source, for rules and routes to ask (`model::Table`).
//!
//! A source is known from the first session that tracks it on, for as long as one does and some time after. A session
//! tracks by a guard ([`Tracking`]), so whatever ends it, its connection is no longer counted as open. All workers share a
//! table's lock, which is held for a decision and its counting: so counts are exact across workers.

mod known;
mod rate;
mod tracks;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use self::known::Known;
pub use self::tracks::{Tracked, Tracks};
use crate::event::{TableSnapshot, TrackedSource};
use crate::model::{self, Count, OnTableFull, TableKey, TableName};

/// A table under one configuration.
#[derive(Debug)]
pub struct Table {
    pub spec: model::Table,
    known: Arc<Mutex<Known>>,
    /// What its times are counted from, in milliseconds.
    epoch: Instant,
}

/// What a session tracks: its source counts as connected until this is dropped.
#[derive(Debug)]
pub struct Tracking {
    table: Arc<Table>,
    key: Key,
}

/// A source as a number, by which all of them are in order: its IPv6 address, or that of which its IPv4 address is the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u128);

/// Sources that are looked at in one go by who looks at all of them: nobody else waits for longer.
const AT_ONCE: usize = 256;

impl Table {
    pub fn new(spec: model::Table) -> Arc<Self> {
        Arc::new(Self { spec, known: Arc::default(), epoch: Instant::now() })
    }

    /// The same table under another configuration; what is known stays, unless it is known by another key. Rates begin anew
    /// with another period.
    fn renewed(&self, spec: model::Table) -> Arc<Self> {
        if spec.key != self.spec.key {
            return Self::new(spec);
        }
        let periods = |of: &model::Table| [Count::ConnRate, Count::SessRate].map(|count| period(of, count));
        if periods(&spec) != periods(&self.spec) {
            self.known().forget_rates();
        }
        Arc::new(Self { spec, known: Arc::clone(&self.known), epoch: self.epoch })
    }

    /// Counts a connection of this source until the guard is dropped; `None` if the table can't know it.
    pub fn track(self: &Arc<Self>, source: IpAddr, now: Instant) -> Option<Tracking> {
        let key = Key::of(source, self.spec.key)?;
        self.known().track(key, &self.spec, self.at(now)).then(|| Tracking { table: Arc::clone(self), key })
    }

    /// What is counted of a source; `None` if it is not counted.
    pub fn count(&self, source: IpAddr, count: Count, now: Instant) -> Option<u32> {
        self.count_of(Key::of(source, self.spec.key)?, count, now)
    }

    fn count_of(&self, key: Key, count: Count, now: Instant) -> Option<u32> {
        self.spec.stores(count).then(|| self.known().count(key, count, &self.spec, self.at(now)))
    }

    pub fn snapshot(&self, now: Instant) -> TableSnapshot {
        let at = self.at(now);
        while self.known().sweep(&self.spec, at) {}
        let model::Table { name, key, size, store, .. } = &self.spec;
        let store = store.iter().map(|stored| stored.count()).collect();
        TableSnapshot { name: name.clone(), key: *key, size: *size, used: self.known().used(), store }
    }

    /// The sources of which this is true, in the order of their addresses.
    pub fn sources(&self, now: Instant, is_wanted: &dyn Fn(&TrackedSource) -> bool) -> Vec<TrackedSource> {
        let mut wanted = Vec::new();
        let mut after = None;
        loop {
            let page = self.known().page(after, AT_ONCE, &self.spec, self.at(now));
            let Some((last, _)) = page.last() else { return wanted };
            after = Some(*last);
            let sources = page.into_iter().filter_map(|(_, source)| source);
            wanted.extend(sources.filter(|source| is_wanted(source)));
        }
    }

    /// Forgets these sources, but for those that are tracked; how many.
    pub fn forget(&self, sources: &[IpAddr]) -> usize {
        let keys = sources.iter().filter_map(|source| Key::of(*source, self.spec.key));
        keys.filter(|key| self.known().forget(*key)).count()
    }

    fn at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What a panic could leave half done is one source's count.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The period of a rate in milliseconds, if the table stores it.
fn period(spec: &model::Table, count: Count) -> Option<u64> {
    let period = spec.store.iter().find(|stored| stored.count() == count)?.period()?;
    Some(u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1))
}

impl Tracking {
    /// Counts the connection as a session.
    fn begin_session(&self, now: Instant) {
        let table = &self.table;
        table.known().begin_session(self.key, &table.spec, table.at(now));
    }

    fn count(&self, count: Count, now: Instant) -> Option<u32> {
        self.table.count_of(self.key, count, now)
    }

    /// What another table has counted of the same key.
    fn count_in(&self, other: &Table, count: Count, now: Instant) -> Option<u32> {
        match other.spec.key == self.table.spec.key {
            true => other.count_of(self.key, count, now),
            // As with HAProxy, which takes the key as it is.
            false => other.spec.stores(count).then_some(0),
        }
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        let table = &self.table;
        table.known().end(self.key, table.at(Instant::now()));
    }
}

impl Key {
    /// `None` for who has no such key.
    fn of(source: IpAddr, kind: TableKey) -> Option<Self> {
        Some(Self(match kind.of(source)? {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        }))
    }

    /// The address as a table of this kind has it.
    fn address(self, kind: TableKey) -> IpAddr {
        let ip = Ipv6Addr::from_bits(self.0);
        match (kind, ip.to_ipv4_mapped()) {
            (TableKey::Ip, Some(ip)) => ip.into(),
            _ => ip.into(),
        }
    }
}

/// The tables of one configuration.
#[derive(Debug)]
pub struct Tables {
    own: Vec<Arc<Table>>,
    /// Those of the configuration that is in force.
    current: Arc<Mutex<Vec<Arc<Table>>>>,
}

impl Tables {
    pub fn new(specs: &[model::Table]) -> Self {
        let own: Vec<_> = specs.iter().cloned().map(Table::new).collect();
        Self { current: Arc::new(Mutex::new(own.clone())), own }
    }

    /// Those of another configuration, which is in force from now on. A table of the same name goes on counting.
    pub fn renewed(&self, specs: &[model::Table]) -> Self {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = specs.iter().map(|spec| match current.iter().find(|table| table.spec.name == spec.name) {
            Some(known) => known.renewed(spec.clone()),
            None => Table::new(spec.clone()),
        });
        let own: Vec<_> = renewed.collect();
        current.clone_from(&own);
        Self { own, current: Arc::clone(&self.current) }
    }

    pub fn named(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.own.iter().find(|table| table.spec.name == *name)
    }

    /// Those of the configuration that is in force, whichever these are of.
    pub fn current(&self) -> Vec<Arc<Table>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
