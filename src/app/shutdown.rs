//! The end of the process: first red while still accepting, then no more accepts, then the sessions closed evenly,
//! those that have been idle for longest first; over as soon as nobody is left.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::closing::{Session, close_evenly, most_idle_first};
use super::orders::Signals;
use super::serving::Serving;
use super::systemd;
use super::workers::{Watched, wait_until_empty};
use crate::event::ProcessPhase;
use crate::pool::sessions::Command;

/// What a closed session takes to finish at most: the relay's own wait, and room to be scheduled in.
const LAST_SESSION: Duration = Duration::from_secs(1);

/// Returns when the process is to end: after an orderly stop, or at a second signal.
pub async fn stop_or_end(serving: &mut Serving, signals: &mut Signals, phase: &watch::Sender<ProcessPhase>) {
    let workers = serving.facts.workers.clone();
    tokio::select! {
        () = stop(serving, phase) => {}
        () = signals.end("is stopping") => {
            tracing::warn!(sessions = count(&workers), "second signal: ending at once");
            phase.send_replace(ProcessPhase::Stopping);
        }
    }
}

async fn stop(serving: &mut Serving, phase: &watch::Sender<ProcessPhase>) {
    systemd::stopping();
    let current = serving.facts.current();
    let spec = &current.config.process;
    if !spec.preempt.is_zero() {
        tracing::info!(preempt = ?spec.preempt, "stopping: not live any more, still accepting");
        phase.send_replace(ProcessPhase::Preempt);
        sleep(spec.preempt).await;
    }
    phase.send_replace(ProcessPhase::Stopping);
    serving.close_listeners().await;
    let workers = &serving.facts.workers;
    tracing::info!(sessions = count(workers), over = ?spec.shutdown_grace, "stopping: no longer accepting");
    end_sessions(workers, spec.shutdown_grace).await;
}

/// Closes all sessions evenly, the idlest first; returns as soon as nobody is left.
pub async fn end_sessions(workers: &[Watched], over: Duration) {
    let closing = close_evenly(most_idle_first(workers, |_| true), over, close);
    if finished_before(closing, wait_until_empty(workers, Duration::MAX)).await {
        return;
    }
    // Those that came in while the first were closed, and those that are still finishing.
    most_idle_first(workers, |_| true).iter().for_each(close);
    if !wait_until_empty(workers, LAST_SESSION).await {
        tracing::warn!(sessions = count(workers), "stopping with sessions that did not end");
    }
}

/// Sessions at the moment.
pub fn count(workers: &[Watched]) -> usize {
    workers.iter().map(|worker| worker.sessions.len()).sum()
}

fn close((sessions, id): &Session) {
    sessions.command(*id, Command::Shutdown);
}

/// Runs both; `true` if the second was first to end.
async fn finished_before(first: impl Future<Output = ()>, second: impl Future<Output = bool>) -> bool {
    tokio::select! {
        biased;
        _ = second => true,
        () = first => false,
    }
}
