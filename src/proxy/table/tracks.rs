//! What one session tracks.

use std::cell::OnceCell;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Table, Tables, Tracking};
use crate::model::{Count, Counter, TableName};

/// A place for each counter, filled once: what it tracks stays until the session ends.
#[derive(Debug, Default)]
pub struct Tracks([OnceCell<Tracking>; Counter::COUNT as usize]);

impl Tracks {
    /// Has a counter track what this gives, unless it tracks something.
    pub fn begin(&self, counter: Counter, track: impl FnOnce() -> Option<Tracking>) {
        let place = self.place(counter);
        if place.get().is_none()
            && let Some(tracking) = track()
        {
            // It was empty, and nobody else fills it.
            let _ = place.set(tracking);
        }
    }

    /// Counts the session with whatever is tracked.
    pub fn begin_session(&self, now: Instant) {
        self.0.iter().filter_map(OnceCell::get).for_each(|tracking| tracking.begin_session(now));
    }

    /// What is counted of what a counter tracks, in that table or in another.
    pub fn count(
        &self,
        counter: Counter,
        other: Option<&TableName>,
        tables: &Tables,
        count: Count,
        now: Instant,
    ) -> Option<u32> {
        let tracking = self.place(counter).get()?;
        match other {
            None => tracking.count(count, now),
            Some(name) => {
                tables.named(name).map(Arc::as_ref).and_then(|table: &Table| table.count(tracking.source(), count, now))
            }
        }
    }

    fn place(&self, counter: Counter) -> &OnceCell<Tracking> {
        &self.0[usize::from(counter.number())]
    }
}
