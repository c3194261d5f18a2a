//! What the service manager is told (`sd_notify(3)`). Without one, nothing is told to nobody.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::process::Facts;

/// Everything is bound and served.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// The configuration is read again; [`ready`] ends it.
pub fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    tell(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: closing sessions")]);
}

/// Keeps the watchdog quiet while the workers turn, if the unit sets one.
pub fn keep_alive(facts: &Arc<Facts>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let facts = Arc::clone(facts);
    tokio::task::spawn_local(async move {
        // Three times within the time that the manager waits, so that one late turn is forgiven.
        let mut turn = tokio::time::interval((patience / 3).max(Duration::from_millis(100)));
        loop {
            turn.tick().await;
            if facts.workers_turn() {
                tell(&[NotifyState::Watchdog]);
            }
        }
    });
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
