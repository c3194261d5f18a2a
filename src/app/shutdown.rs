//! The end of the process: first red while still accepting, then no more accepts, then the sessions closed evenly,
//! those that have been idle for longest first; over as soon as nobody is left.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::closing::{Session, close_evenly, most_idle_first};
use super::systemd;
use super::workers::{Workers, wait_until_empty};
use crate::event::ProcessPhase;
use crate::model;
use crate::net;
use crate::pool::sessions::Command;

/// The signals that are answered.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a closed session takes to finish at most: the relay's own wait, and room to be scheduled in.
const LAST_SESSION: Duration = Duration::from_secs(1);

impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal that ends the process. SIGHUP, which is a reload to many programs, and what a terminal that is
    /// closed sends, must not cut anyone's sessions.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP: this version does not reload its configuration; restart it to apply changes");
                }
            }
        }
    }
}

/// Returns when the process is to end: after an orderly stop, or at a second signal.
pub async fn serve_until_told(
    mut signals: Signals,
    spec: &model::Process,
    phase: &watch::Sender<ProcessPhase>,
    listeners: Vec<Vec<net::Bound>>,
    workers: &mut Workers,
) {
    signals.end().await;
    let watched = workers.watch();
    let orderly = stop(spec, phase, listeners, workers);
    tokio::select! {
        () = orderly => {}
        () = signals.end() => {
            let sessions: usize = watched.iter().map(|worker| worker.sessions.len()).sum();
            tracing::warn!(sessions, "second signal: ending at once");
            // Workers that are about to end stop accepting as well.
            phase.send_replace(ProcessPhase::Stopping);
        }
    }
}

async fn stop(
    spec: &model::Process,
    phase: &watch::Sender<ProcessPhase>,
    listeners: Vec<Vec<net::Bound>>,
    workers: &mut Workers,
) {
    systemd::stopping();
    if !spec.preempt.is_zero() {
        tracing::info!(preempt = ?spec.preempt, "stopping: not live any more, still accepting");
        phase.send_replace(ProcessPhase::Preempt);
        sleep(spec.preempt).await;
    }
    phase.send_replace(ProcessPhase::Stopping);
    // The workers close their descriptors of these; with the last one the kernel refuses new clients.
    drop(listeners);
    workers.closed_listeners().await;
    let workers = &workers.watch();
    let left = most_idle_first(workers, |_| true);
    tracing::info!(sessions = left.len(), over = ?spec.shutdown_grace, "stopping: no longer accepting");
    let closing = close_evenly(left, spec.shutdown_grace, close);
    if finished_before(closing, wait_until_empty(workers, Duration::MAX)).await {
        return;
    }
    // Those that came in while the first were closed, and those that are still finishing.
    most_idle_first(workers, |_| true).iter().for_each(close);
    if !wait_until_empty(workers, LAST_SESSION).await {
        let sessions: usize = workers.iter().map(|worker| worker.sessions.len()).sum();
        tracing::warn!(sessions, "stopping with sessions that did not end");
    }
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
