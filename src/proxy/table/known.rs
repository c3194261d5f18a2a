//! The sources that a table knows, with time as an argument: milliseconds of the table's own.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::rate::Rate;
use super::{Key, OnTableFull, period};
use crate::event::TrackedSource;
use crate::model::{Count, Stored, Table};

/// Some 190 bytes a source, of which there are only as many as have come.
#[derive(Debug, Default)]
pub struct Known {
    sources: BTreeMap<Key, Source>,
    /// Those that nobody tracks, by the turn at which they were last touched, which is unique: the next to be forgotten
    /// first.
    quiet: BTreeMap<u64, Key>,
    turns: u64,
}

#[derive(Debug)]
pub struct Source {
    /// Its first turn, which is its number.
    number: u64,
    /// Its last turn: its key in `quiet`, if nobody tracks it.
    turn: u64,
    touched: u64,
    trackers: u32,
    connections: u32,
    sessions: u32,
    connection_rate: Rate,
    session_rate: Rate,
}

/// Sources that are forgotten in one go: nobody who comes in pays for all that have left.
const SWEPT: usize = 64;

impl Known {
    pub fn used(&self) -> u32 {
        u32::try_from(self.sources.len()).unwrap_or(u32::MAX)
    }

    /// Counts one more connection of a source; false if there is no room for it.
    pub fn track(&mut self, key: Key, spec: &Table, at: u64) -> bool {
        self.sweep(spec, at);
        // Its time may be up although it is there still.
        if self.sources.get(&key).is_some_and(|source| source.is_over(spec, at)) {
            self.forget(key);
        }
        if !self.sources.contains_key(&key) && !self.make_room(spec) {
            return false;
        }
        self.touch(key, at, |source| {
            source.trackers += 1;
            source.connections = source.connections.saturating_add(1);
            if let Some(period) = period(spec, Count::ConnRate) {
                source.connection_rate.count(at, period);
            }
        });
        true
    }

    /// Counts a session of a source that is tracked.
    pub fn begin_session(&mut self, key: Key, spec: &Table, at: u64) {
        self.touch(key, at, |source| {
            source.sessions = source.sessions.saturating_add(1);
            if let Some(period) = period(spec, Count::SessRate) {
                source.session_rate.count(at, period);
            }
        });
    }

    /// The end of a connection that was counted.
    pub fn end(&mut self, key: Key, at: u64) {
        self.touch(key, at, |source| source.trackers = source.trackers.saturating_sub(1));
    }

    /// What is counted of a source: nothing if it is not known. That somebody asks makes it no younger.
    pub fn count(&self, key: Key, count: Count, spec: &Table, at: u64) -> u32 {
        let source = self.sources.get(&key).filter(|source| !source.is_over(spec, at));
        source.map_or(0, |source| source.count(count, spec, at))
    }

    /// Forgets some of those whose time is up; whether there may be more.
    pub fn sweep(&mut self, spec: &Table, at: u64) -> bool {
        for _ in 0..SWEPT {
            let Some((_, key)) = self.quiet.first_key_value() else { return false };
            let key = *key;
            if self.sources.get(&key).is_some_and(|source| !source.is_over(spec, at)) {
                return false;
            }
            self.forget(key);
        }
        true
    }

    /// Forgets a source, unless it is tracked.
    pub fn forget(&mut self, key: Key) -> bool {
        match self.sources.get(&key) {
            Some(source) if source.trackers == 0 => {
                self.quiet.remove(&source.turn);
                self.sources.remove(&key).is_some()
            }
            _ => false,
        }
    }

    pub fn forget_rates(&mut self) {
        for source in self.sources.values_mut() {
            (source.connection_rate, source.session_rate) = (Rate::default(), Rate::default());
        }
    }

    /// So many of them behind one; what of these has been forgotten in fact is left empty.
    pub fn page(&self, after: Option<Key>, most: usize, spec: &Table, at: u64) -> Vec<(Key, Option<TrackedSource>)> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = self.sources.range((begin, Bound::Unbounded)).take(most);
        page.map(|(key, source)| (*key, (!source.is_over(spec, at)).then(|| source.told(*key, spec, at)))).collect()
    }

    /// Whether one more may be known. Those that are tracked are known beyond the table's size.
    fn make_room(&mut self, spec: &Table) -> bool {
        let is_full = |known: &Self| known.sources.len() >= spec.size as usize;
        match spec.on_full {
            OnTableFull::Keep => !is_full(self),
            OnTableFull::Forget => {
                for _ in 0..SWEPT {
                    let Some(oldest) = self.quiet.first_key_value().map(|(_, key)| *key).filter(|_| is_full(self))
                    else {
                        break;
                    };
                    self.forget(oldest);
                }
                true
            }
        }
    }

    fn touch(&mut self, key: Key, at: u64, change: impl FnOnce(&mut Source)) {
        self.turns += 1;
        let turn = self.turns;
        let source = self.sources.entry(key).or_insert_with(|| Source::new(turn));
        self.quiet.remove(&source.turn);
        change(source);
        (source.turn, source.touched) = (turn, at);
        if source.trackers == 0 {
            self.quiet.insert(turn, key);
        }
    }
}

impl Source {
    fn new(turn: u64) -> Self {
        Self {
            number: turn,
            turn,
            touched: 0,
            trackers: 0,
            connections: 0,
            sessions: 0,
            connection_rate: Rate::default(),
            session_rate: Rate::default(),
        }
    }

    fn is_over(&self, spec: &Table, at: u64) -> bool {
        self.trackers == 0 && lifetime(spec).is_some_and(|lifetime| at.saturating_sub(self.touched) >= lifetime)
    }

    fn count(&self, count: Count, spec: &Table, at: u64) -> u32 {
        let over = |rate: &Rate| period(spec, count).map_or(0, |period| rate.over(at, period));
        match count {
            Count::ConnCnt => self.connections,
            Count::ConnRate => over(&self.connection_rate),
            Count::ConnCur => self.trackers,
            Count::SessCnt => self.sessions,
            Count::SessRate => over(&self.session_rate),
        }
    }

    fn told(&self, key: Key, spec: &Table, at: u64) -> TrackedSource {
        // One that is tracked is given its time anew whenever that is up.
        let age = at.saturating_sub(self.touched);
        let expires = lifetime(spec).map_or(0, |lifetime| lifetime - age % lifetime);
        let count = |stored: &Stored| (*stored, self.count(stored.count(), spec, at));
        TrackedSource {
            number: self.number,
            source: key.address(spec.key),
            trackers: self.trackers,
            expires: Duration::from_millis(expires),
            counts: spec.store.iter().map(count).collect(),
        }
    }
}

/// In milliseconds; `None` if a source is never too old.
fn lifetime(spec: &Table) -> Option<u64> {
    spec.expire.map(|expire| u64::try_from(expire.as_millis()).unwrap_or(u64::MAX).max(1))
}
