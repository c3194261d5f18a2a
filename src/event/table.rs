//! What tables know of sources at one moment.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::{Count, Stored, TableKey, TableName};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSnapshot {
    pub name: TableName,
    pub key: TableKey,
    /// Sources that it knows at a time.
    pub size: u32,
    /// Sources that it knows now.
    pub used: u32,
    /// What it counts.
    pub store: Vec<Count>,
}

/// A source that a table knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedSource {
    /// No other source of the table has or had it.
    pub number: u64,
    /// As the table's key has it.
    pub source: IpAddr,
    /// By how many counters of open sessions it is tracked.
    pub trackers: u32,
    /// Until it is forgotten, unless it is tracked; nothing if it never is.
    pub expires: Duration,
    /// What the table stores, in the order of [`Count::ALL`].
    pub counts: Vec<(Stored, u32)>,
}

impl TrackedSource {
    /// One of its counts.
    pub fn count(&self, wanted: Count) -> Option<u32> {
        self.counts.iter().find(|(stored, _)| stored.count() == wanted).map(|(_, count)| *count)
    }
}
