//! The end of the process: first red while still accepting, then no more accepts, then the sessions closed evenly,
//! those that have been idle for longest first; over as soon as nobody is left.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::closing::{Session, close_evenly, most_idle_first};
use super::orders::Signals;
use super::serving::Serving;
use super::shape::Stop;
use super::states;
use super::systemd;
use super::workers::{Watched, wait_until_empty};
use crate::event::ProcessPhase;
use crate::pool::sessions::Command;

/// What a closed session takes to finish at most: the relay's own wait, and room to be scheduled in.
const LAST_SESSION: Duration = Duration::from_secs(1);

/// Returns when the process is to end, as it was told to; the last word counts.
pub async fn stop_or_end(
    serving: &mut Serving,
    signals: &mut Signals,
    phase: &watch::Sender<ProcessPhase>,
    stop: Stop,
) -> Stop {
    match stop {
        Stop::Orderly => orderly_or_at_once(serving, signals, phase).await,
        Stop::WithTheLast => with_the_last_or_at_once(serving, signals, phase).await,
        Stop::AtOnce(_) => {
            tracing::warn!(sessions = count(&serving.facts.workers), "ending at once");
            phase.send_replace(ProcessPhase::Stopping);
            stop
        }
    }
}

/// At a second signal, at once.
async fn orderly_or_at_once(serving: &mut Serving, signals: &mut Signals, phase: &watch::Sender<ProcessPhase>) -> Stop {
    let facts = Arc::clone(&serving.facts);
    tokio::select! {
        () = orderly(serving, phase) => Stop::Orderly,
        stop = signals.end("is stopping", &facts) => {
            tracing::warn!(sessions = count(&facts.workers), "second signal: ending at once");
            phase.send_replace(ProcessPhase::Stopping);
            stop
        }
    }
}

/// HAProxy's soft stop: nobody new comes in, and whoever is in stays as long as he likes; a signal that ends at once does.
async fn with_the_last_or_at_once(
    serving: &mut Serving,
    signals: &mut Signals,
    phase: &watch::Sender<ProcessPhase>,
) -> Stop {
    let facts = Arc::clone(&serving.facts);
    let last = with_the_last(serving, phase);
    tokio::pin!(last);
    loop {
        tokio::select! {
            () = &mut last => return Stop::WithTheLast,
            stop = signals.end("is stopping", &facts) => if let Stop::AtOnce(_) = stop {
                tracing::warn!(sessions = count(&facts.workers), "ending at once");
                return stop;
            },
        }
    }
}

async fn with_the_last(serving: &mut Serving, phase: &watch::Sender<ProcessPhase>) {
    systemd::stopping();
    phase.send_replace(ProcessPhase::Stopping);
    states::tell_stopped(&serving.facts);
    // Whoever takes this one's place is asked from now on.
    spawn_local(serving.pages.close());
    serving.close_listeners().await;
    let (workers, current) = (&serving.facts.workers, serving.facts.current());
    let (longest, over) = (current.config.process.upgrade_grace, current.config.process.shutdown_grace);
    tracing::info!(sessions = count(workers), ?longest, "soft stop: no longer accepting");
    if !wait_until_empty(workers, longest).await {
        states::tell_hard_stop(&serving.facts);
        tracing::warn!(sessions = count(workers), ?over, "soft stop: closing the sessions that are left");
        end_sessions(workers, over, Command::HardStop).await;
    }
}

async fn orderly(serving: &mut Serving, phase: &watch::Sender<ProcessPhase>) {
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
    end_sessions(workers, spec.shutdown_grace, Command::Shutdown).await;
}

/// Closes all sessions evenly by this command, the idlest first; returns as soon as nobody is left.
pub async fn end_sessions(workers: &[Watched], over: Duration, command: Command) {
    let close = |(sessions, id): &Session| {
        sessions.command(*id, command);
    };
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

/// Runs both; `true` if the second was first to end.
async fn finished_before(first: impl Future<Output = ()>, second: impl Future<Output = bool>) -> bool {
    tokio::select! {
        biased;
        _ = second => true,
        () = first => false,
    }
}
