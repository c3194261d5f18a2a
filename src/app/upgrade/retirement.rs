//! The old process once the new one serves: it leaves everything but its sessions, tells of them, and does with them what
//! an operator wants, until the last has ended.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{State, Successor, Word, wire};
use crate::app::serving::{Listener, Serving};
use crate::app::workers::{wait_until_empty, within};
use crate::app::{shutdown, systemd};
use crate::event::ProcessPhase;
use crate::pool::server::Server;
use crate::pool::sessions::Command;

/// From one word to the new process to the next.
const TELL: Duration = Duration::from_secs(1);

/// How long answers are waited for that are under way, such as that of the upgrade itself.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How long the new process may take to hear one; then nothing more is said to it.
const HEAR: Duration = Duration::from_secs(10);

impl Serving {
    /// Leaves everything but its sessions to the new process, and returns when these have ended.
    pub async fn retire(&mut self, successor: Successor, phase: &watch::Sender<ProcessPhase>) {
        systemd::hand_over_to(successor.pid);
        phase.send_replace(ProcessPhase::Replaced);
        let answered = self.pages.leave();
        self.listeners.iter_mut().for_each(Listener::leave);
        self.close_listeners().await;
        // What is counted from here on the new process learns: nobody is to see a counter go back.
        within(LAST_ANSWERS, answered).await;
        let (sessions, grace) = (shutdown::count(&self.facts.workers), self.grace());
        tracing::info!(by = successor.pid, sessions, ?grace, "replaced: no longer accepting");
        match successor.listening() {
            Ok((words, states)) => tokio::select! {
                () = self.wait_for_the_last(grace, Some(states)) => {}
                () = self.heed(words) => {}
            },
            Err(error) => {
                tracing::error!(%error, "replaced: the new process can't be told what is still counted here");
                self.wait_for_the_last(grace, None).await;
            }
        }
        tracing::info!("replaced: the last session has ended");
    }

    fn grace(&self) -> Duration {
        self.facts.current().config.process.upgrade_grace
    }

    /// Tells the new process what this one still has and counts, until it has nothing.
    async fn wait_for_the_last(&self, grace: Duration, mut successor: Option<OwnedWriteHalf>) {
        let (workers, end) = (&self.facts.workers, Instant::now() + grace);
        loop {
            self.tell_state(&mut successor).await;
            sleep(TELL.min(end.saturating_duration_since(Instant::now()))).await;
            // What an older one tells goes through this one.
            if wait_until_empty(workers, Duration::ZERO).await && !self.facts.has_predecessors() {
                break;
            }
            if Instant::now() >= end {
                let over = self.facts.current().config.process.shutdown_grace;
                tracing::warn!(
                    sessions = shutdown::count(workers),
                    ?over,
                    "replaced: closing the sessions that are left"
                );
                shutdown::end_sessions(workers, over, Command::Shutdown).await;
                break;
            }
        }
        self.tell_state(&mut successor).await;
    }

    async fn tell_state(&self, successor: &mut Option<OwnedWriteHalf>) {
        let Some(mut stream) = successor.take() else { return };
        let state = State::of(&self.facts.snapshot(), &self.facts.current().config);
        // One that has ended, or been replaced itself, wants to know no more.
        if let Ok(Ok(())) = timeout(HEAR, wire::send_async(&mut stream, &state)).await {
            *successor = Some(stream);
        }
    }

    /// Does with its sessions what the new process passes on; never returns.
    async fn heed(&self, mut words: OwnedReadHalf) {
        loop {
            match wire::receive_async(&mut words).await {
                Ok(Word::Drain { backend, server, address, over }) => {
                    self.drain(&backend, &server, &address, over.map(Duration::from_millis));
                }
                Ok(Word::Begun { .. } | Word::Serves) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "replaced: the new process wants something that is not known here");
                }
                Err(_) => pending().await,
            }
        }
    }

    /// A server that is not here has no sessions here.
    fn drain(&self, backend: &str, server: &str, address: &str, over: Option<Duration>) {
        let current = self.facts.current();
        let Some(pool) = current.pools.iter().find(|pool| pool.spec.name.as_str() == backend) else { return };
        let servers = pool.servers();
        let is_meant = |of: &&Arc<Server>| of.name.as_str() == server && of.endpoint.to_string() == address;
        let Some(server) = servers.iter().find(is_meant) else { return };
        match over {
            Some(over) => self.drains.begin(&pool.spec.name, server, over),
            None => drop(self.drains.stop(&pool.spec.name, server)),
        }
    }
}

impl Successor {
    /// Its words, and the way to tell it something.
    fn listening(self) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
        self.stream.set_nonblocking(true)?;
        Ok(tokio::net::UnixStream::from_std(self.stream)?.into_split())
    }
}
