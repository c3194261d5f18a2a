//! What the sessions of one worker track.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use tokio::time::Instant;

use super::{Tables, Tracking};
use crate::event::SessionId;
use crate::model::{Count, Counter, TableName};

/// Those sessions that track something. Most track nothing: a place in each record would be memory for everybody.
#[derive(Debug, Default)]
pub struct Tracked(RefCell<HashMap<SessionId, Tracks>>);

/// A place for each counter, filled once: what it tracks stays until the session ends.
#[derive(Debug, Default)]
pub struct Tracks([OnceCell<Tracking>; Counter::COUNT as usize]);

impl Tracked {
    /// Has a counter of a session track what this gives, unless it tracks something.
    pub fn begin(&self, session: SessionId, counter: Counter, track: impl FnOnce() -> Option<Tracking>) {
        self.0.borrow_mut().entry(session).or_default().begin(counter, track);
    }

    /// Looks at what a session tracks, if it tracks anything.
    pub fn of<R>(&self, session: SessionId, look: impl FnOnce(&Tracks) -> R) -> Option<R> {
        self.0.borrow().get(&session).map(look)
    }

    /// The end of a session.
    pub fn end(&self, session: SessionId) {
        let mut sessions = self.0.borrow_mut();
        if !sessions.is_empty() {
            sessions.remove(&session);
        }
    }
}

impl Tracks {
    fn begin(&self, counter: Counter, track: impl FnOnce() -> Option<Tracking>) {
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
            Some(name) => tracking.count_in(tables.named(name)?, count, now),
        }
    }

    fn place(&self, counter: Counter) -> &OnceCell<Tracking> {
        &self.0[usize::from(counter.number())]
    }
}
