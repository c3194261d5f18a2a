//! What frontends and backends have counted that a reload has taken away: the sums of the process must not go back.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Counts;
use crate::pool::counters::Counters;

/// Their counters: those that may still count, because sessions of theirs are open, and the sums of the others.
#[derive(Debug, Default)]
pub struct Retired(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    done: Counts,
    open: Vec<Arc<Counters>>,
}

impl Retired {
    pub fn add(&self, counters: Arc<Counters>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // However often it is reloaded, no more are kept than have sessions.
        let (open, done): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.open).into_iter().partition(|known| known.sessions() > 0);
        for counters in done {
            add_shared(&mut inner.done, &counters.counts());
        }
        inner.open = open;
        inner.open.push(counters);
    }

    /// All that they have counted, as [`add_shared`] adds it.
    pub fn sum(&self) -> Counts {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = inner.done;
        inner.open.iter().for_each(|counters| add_shared(&mut sum, &counters.counts()));
        sum
    }
}

/// Adds what only backends and frontends count; sessions and bytes the process counts itself.
pub fn add_shared(sum: &mut Counts, counts: &Counts) {
    sum.connects += counts.connects;
    sum.chosen += counts.chosen;
    sum.retries += counts.retries;
    sum.moves += counts.moves;
    sum.hedges += counts.hedges;
    sum.connect_errors += counts.connect_errors;
    sum.response_errors += counts.response_errors;
    sum.client_aborts += counts.client_aborts;
    sum.server_aborts += counts.server_aborts;
    sum.denied += counts.denied;
    sum.denied_contents += counts.denied_contents;
    sum.denied_sessions += counts.denied_sessions;
    sum.handshake_errors += counts.handshake_errors;
    sum.embryonic += counts.embryonic;
    sum.request_errors += counts.request_errors;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    // Seen to fail when those without a session are dropped unsummed.
    #[test]
    fn nothing_that_was_counted_is_lost_and_none_without_a_session_is_kept() {
        let retired = Retired::default();
        let busy = Arc::new(Counters::default());
        let session = busy.begin();
        retired.add(Arc::clone(&busy));
        for _ in 0..100 {
            let counters = Arc::new(Counters::default());
            counters.retries.store(2, Relaxed);
            retired.add(counters);
        }
        busy.retries.store(5, Relaxed);
        assert_eq!(retired.sum().retries, 205);
        assert_eq!(retired.0.lock().unwrap().open.len(), 2, "the busy one and the last");
        drop(session);
        retired.add(Arc::default());
        assert_eq!(retired.sum().retries, 205);
        assert_eq!(retired.0.lock().unwrap().open.len(), 1);
    }
}
