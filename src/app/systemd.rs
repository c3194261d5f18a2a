//! What the service manager is told (`sd_notify(3)`). Without one, nothing is told to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use sd_notify::NotifyState;

use super::process::Facts;

/// Whether this is the service's main process. The manager hears no other, and writes a line for each word of one.
static IS_MAIN: AtomicBool = AtomicBool::new(true);

/// Another process is the main one still: nothing is told until [`take_over`].
pub fn wait_to_take_over() {
    IS_MAIN.store(false, SeqCst);
}

/// The process before has named this one as the main one.
pub fn take_over() {
    IS_MAIN.store(true, SeqCst);
    ready();
}

/// Everything is bound and served.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// The configuration is read again; [`ready`] ends it.
pub fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    tell(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]);
}

/// Another process serves from now on: the unit follows it, and this one has no say any more.
pub fn hand_over_to(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
    IS_MAIN.store(false, SeqCst);
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
    if !IS_MAIN.load(SeqCst) {
        return;
    }
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
