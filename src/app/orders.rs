//! What the process is told while it serves, by signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::{ReloadError, Reloaded, lines};
use super::serving::Serving;
use super::systemd;

/// The signals that are answered.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Stop,
    Reload,
}

impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. However many of a kind came meanwhile, they are one.
    async fn next(&mut self) -> Order {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hang_up.recv() => Order::Reload,
        }
    }

    /// Waits for one that ends the process; who stops reloads no more.
    pub async fn end(&mut self) {
        while self.next().await != Order::Stop {
            tracing::warn!("SIGHUP: the process is stopping and does not reload");
        }
    }
}

impl Serving {
    /// Does what it is told until it is told to stop.
    pub async fn obey(&mut self, signals: &mut Signals) {
        loop {
            match signals.next().await {
                Order::Stop => return,
                Order::Reload => {
                    systemd::reloading();
                    let outcome = self.reload().await;
                    self.tell_reload(&outcome, "SIGHUP");
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
