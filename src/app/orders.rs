//! What the process is told while it serves, by signals.

use std::io;
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::{ReloadError, Reloaded, lines};
use super::serving::Serving;
use super::systemd;
use super::upgrade::Successor;
use super::watch_file::FileWatch;

/// The signals that are answered, and a change of the file if it is watched.
#[derive(Debug)]
pub struct Signals {
    file: Option<FileWatch>,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    upgrade: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Stop,
    /// Because of this.
    Reload(&'static str),
    Upgrade,
}

/// Why the process serves no longer.
#[derive(Debug)]
pub enum End {
    Stopped,
    /// Another process does.
    Replaced(Successor),
}

impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            file: None,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Counts a change of this file as SIGHUP.
    pub fn watch(&mut self, file: &Path) {
        self.file = Some(FileWatch::new(file));
    }

    /// The next one. However many of a kind came meanwhile, they are one.
    async fn next(&mut self) -> Order {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hang_up.recv() => Order::Reload("SIGHUP"),
            _ = self.upgrade.recv() => Order::Upgrade,
            () = change_of(&mut self.file) => Order::Reload("a change of the file"),
        }
    }

    /// Waits for one that ends the process; who stops reloads no more.
    pub async fn end(&mut self) {
        loop {
            match self.next().await {
                Order::Stop => return,
                Order::Reload(by) => tracing::warn!("{by}: the process is stopping and does not reload"),
                Order::Upgrade => tracing::warn!("SIGUSR2: the process is stopping and is not replaced"),
            }
        }
    }
}

async fn change_of(file: &mut Option<FileWatch>) {
    match file {
        Some(file) => file.changed().await,
        None => std::future::pending().await,
    }
}

impl Serving {
    /// Does what it is told until it is told to stop, or another process serves.
    pub async fn obey(&mut self, signals: &mut Signals) -> End {
        loop {
            match signals.next().await {
                Order::Stop => return End::Stopped,
                Order::Upgrade => {
                    let started = tokio::select! {
                        started = self.start_successor() => started,
                        () = signals.end() => {
                            tracing::warn!("told to stop during an upgrade: the new process is ended");
                            return End::Stopped;
                        }
                    };
                    match started {
                        Ok(successor) => return End::Replaced(successor),
                        Err(error) => tracing::error!(by = "SIGUSR2", %error, "not upgraded"),
                    }
                }
                Order::Reload(by) => {
                    systemd::reloading();
                    let outcome = self.reload().await;
                    self.tell_reload(&outcome, by);
                    systemd::ready();
                }
            }
        }
    }

    /// Says in the log what has become of a reload.
    fn tell_reload(&self, outcome: &Result<Reloaded, ReloadError>, by: &str) {
        match outcome {
            Ok(reloaded) => {
                for difference in &reloaded.differences {
                    tracing::info!("reload: {difference}");
                }
                for setting in &reloaded.later {
                    tracing::warn!(setting, "reload: this setting waits for the next start");
                }
                for warning in &reloaded.warnings {
                    tracing::warn!("reload: {warning}");
                }
                let changes = reloaded.differences.len();
                tracing::info!(by, changes, closing = reloaded.closing, "reloaded");
                self.tell_affordable();
            }
            Err(error) => {
                if let ReloadError::Refused(report) = error {
                    for mistake in lines(report) {
                        tracing::error!("reload: {mistake}");
                    }
                }
                tracing::error!(by, %error, "not reloaded");
            }
        }
    }
}
