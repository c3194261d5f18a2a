//! What is shown of the tables of sources.

use tokio::time::Instant;

use super::process::Facts;
use crate::event::{TableSnapshot, TrackedSource};
use crate::model::TableName;

impl Facts {
    /// All tables.
    pub(super) fn tables(&self) -> Vec<TableSnapshot> {
        let now = Instant::now();
        self.process.tables.current().iter().map(|table| table.snapshot(now)).collect()
    }

    /// The sources of a table of which this is true; none if there is no such table.
    pub fn tracked(&self, table: &TableName, is_wanted: &dyn Fn(&TrackedSource) -> bool) -> Vec<TrackedSource> {
        let tables = self.process.tables.current();
        let table = tables.iter().find(|known| known.spec.name == *table);
        table.map(|table| table.sources(Instant::now(), is_wanted)).unwrap_or_default()
    }
}
