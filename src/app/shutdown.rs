//! The end of the process: first red while still accepting, then no more accepts, then the sessions closed evenly,
//! those that have been idle for longest first; over as soon as nobody is left.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::drain;
use super::orders::Signals;
use super::serving::Serving;
use super::systemd;
use super::workers::wait_until_empty;
use crate::event::ProcessPhase;
use crate::pool::sessions::Command;

/// What a closed session takes to finish at most: the relay's own wait, and room to be scheduled in.
const LAST_SESSION: Duration = Duration::from_secs(1);

/// Returns when the process is to end: after an orderly stop, or at a second signal.
pub async fn stop_or_end(serving: &mut Serving, signals: &mut Signals, phase: &watch::Sender<ProcessPhase>) {
    let workers = serving.workers.clone();
    tokio::select! {
        () = stop(serving, phase) => {}
        () = signals.end() => {
            let sessions: usize = workers.iter().map(|worker| worker.sessions.len()).sum();
            tracing::warn!(sessions, "second signal: ending at once");
            phase.send_replace(ProcessPhase::Stopping);
        }
    }
}

async fn stop(serving: &mut Serving, phase: &watch::Sender<ProcessPhase>) {
    systemd::stopping();
    let config = std::sync::Arc::clone(&serving.current.config);
    let spec = &config.process;
    if !spec.preempt.is_zero() {
        tracing::info!(preempt = ?spec.preempt, "stopping: not live any more, still accepting");
        phase.send_replace(ProcessPhase::Preempt);
        sleep(spec.preempt).await;
    }
    phase.send_replace(ProcessPhase::Stopping);
    serving.close_listeners().await;
    let workers = &serving.workers;
    let left = drain::all_sessions(workers);
    tracing::info!(sessions = left.len(), over = ?spec.shutdown_grace, "stopping: no longer accepting");
    let closing = drain::close_evenly(left, spec.shutdown_grace, Command::Shutdown);
    if finished_before(closing, wait_until_empty(workers, Duration::MAX)).await {
        return;
    }
    // Those that came in while the first were closed, and those that are still finishing.
    for (sessions, id) in drain::all_sessions(workers) {
        sessions.command(id, Command::Shutdown);
    }
    if !wait_until_empty(workers, LAST_SESSION).await {
        let sessions: usize = workers.iter().map(|worker| worker.sessions.len()).sum();
        tracing::warn!(sessions, "stopping with sessions that did not end");
    }
}

/// Runs both; `true` if the second was first to end.
async fn finished_before(first: impl Future<Output = ()>, second: impl Future<Output = bool>) -> bool {
    tokio::select! {
        biased;
        _ = second => true,
        () = first => false,
    }
}
