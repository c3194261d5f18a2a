//! Closing sessions evenly: those that have been idle for longest first, so that whoever is at work has most time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::workers::Watched;
use crate::event::SessionId;
use crate::pool::server::Server;
use crate::pool::sessions::{Cell, Command, Sessions};

/// A session that may be told something.
pub type Session = (Arc<Sessions>, SessionId);

/// All sessions, the most idle first.
pub fn all_sessions(workers: &[Watched]) -> Vec<Session> {
    most_idle_first(workers, Sessions::list)
}

/// The sessions of a server, the most idle first.
pub fn sessions_of(workers: &[Watched], server: &Arc<Server>) -> Vec<Session> {
    most_idle_first(workers, |sessions| sessions.list_of(server))
}

fn most_idle_first(workers: &[Watched], list: impl Fn(&Sessions) -> Vec<Arc<Cell>>) -> Vec<Session> {
    let mut sessions: Vec<_> = workers
        .iter()
        .flat_map(|worker| {
            let sessions = &worker.sessions;
            list(sessions).into_iter().map(move |cell| (sessions.idle(&cell), (Arc::clone(sessions), cell.id)))
        })
        .collect();
    sessions.sort_by_key(|(idle, _)| std::cmp::Reverse(*idle));
    sessions.into_iter().map(|(_, session)| session).collect()
}

/// Closes one after another, evenly: the first after half a step, so that a single one has half of the time.
pub async fn close_evenly(sessions: Vec<Session>, over: Duration, command: Command) {
    let begun = Instant::now();
    let step = over / u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
    for (place, (sessions, id)) in (0..).zip(sessions) {
        sleep_until(begun + step * place + step / 2).await;
        sessions.command(id, command);
    }
    sleep_until(begun + over).await;
}
