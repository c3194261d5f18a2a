//! Closing sessions evenly over a time, those that have been idle for longest first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::workers::Watched;
use crate::event::SessionId;
use crate::pool::sessions::{Live, Sessions};

/// A session, and the worker's registry that it is in.
pub type Session = (Arc<Sessions>, SessionId);

/// Those of all workers' sessions that are wanted.
pub fn most_idle_first(workers: &[Watched], wanted: impl Fn(&Live) -> bool) -> Vec<Session> {
    let mut found: Vec<(Duration, Session)> = Vec::new();
    for worker in workers {
        let live = worker.sessions.live().into_iter().filter(&wanted);
        found.extend(live.map(|live| (live.idle, (Arc::clone(&worker.sessions), live.cell.id))));
    }
    found.sort_by_key(|(idle, _)| std::cmp::Reverse(*idle));
    found.into_iter().map(|(_, session)| session).collect()
}

/// Closes one after another, evenly: the first after half a step, so that a single one has half of the time. Returns
/// when the time is up.
pub async fn close_evenly(left: Vec<Session>, over: Duration, close: impl Fn(&Session)) {
    let begun = Instant::now();
    let step = over / u32::try_from(left.len()).unwrap_or(u32::MAX).max(1);
    for (place, session) in (0..).zip(&left) {
        sleep_until(begun + step * place + step / 2).await;
        close(session);
    }
    sleep_until(begun + over).await;
}
