//! A reload: the file is read anew, held against what is running, and applied as a whole or not at all.
//!
//! All that can fail comes first: reading, sockets for listen addresses that are new, checks that can't be run. What
//! follows cannot ([`Serving::go_over`]).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use super::closing::{Session, close_evenly, most_idle_first};
use super::listeners::ListenerSource;
use super::pages::Opened;
use super::serving::Serving;
use crate::check::Probers;
use crate::config::{self, Difference, Loaded, Report, Settings};
use crate::model::{Config, OnRemoved};
use crate::net::{self, BindOptions};
use crate::pool::Renewed;
use crate::pool::server::Server;
use crate::pool::sessions::{Command, Live};

/// A file that the process runs by, and what it came to when it was last read.
#[derive(Debug, Clone)]
pub struct File {
    pub path: PathBuf,
    pub settings: Settings,
}

/// What a reload has done.
#[derive(Debug)]
pub struct Reloaded {
    pub differences: Vec<Difference>,
    /// Those of them that wait for the next start or upgrade.
    pub later: Vec<&'static str>,
    /// Sessions that are closed because their server is gone.
    pub closing: usize,
    /// A line each.
    pub warnings: Vec<String>,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("there is no file to read again: the process was started without one")]
    NoFile,
    #[error("the configuration was refused; the process goes on by the one that it has")]
    Refused(Report),
    #[error("{0}; the process goes on by the configuration that it has")]
    Failed(#[from] StartError),
    #[error("the pages can't be served: {0}")]
    Pages(#[from] io::Error),
}

/// All that a configuration needs beyond what is there.
struct Prepared {
    sockets: Vec<net::Bound>,
    probers: Probers,
    pages: Opened,
}

impl Serving {
    /// Reads the file again and goes over to it.
    pub async fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        let (path, loaded, differences) = self.read_again().await?;
        let Loaded { config, settings, warnings } = loaded;
        let prepared = self.prepare(&config)?;
        let later = later(&self.facts.current().config, &config);
        self.pages.go_over(prepared.pages, &config)?;
        let renewed = self.go_over(config, prepared.sockets, prepared.probers);
        let closing = self.close_removed(renewed);
        self.file = Some(File { path, settings });
        Ok(Reloaded { differences, later, closing, warnings: lines(&warnings) })
    }

    /// Neither reading nor comparing is this thread's: a long file would keep checks and pages waiting.
    async fn read_again(&self) -> Result<(PathBuf, Loaded, Vec<Difference>), ReloadError> {
        let File { path, settings } = self.file.clone().ok_or(ReloadError::NoFile)?;
        let read = tokio::task::spawn_blocking(move || {
            let loaded = config::open(&path)?;
            let differences = settings.differences(&loaded.settings);
            Ok((path, loaded, differences))
        });
        read.await.map_err(io::Error::other)?.map_err(ReloadError::Refused)
    }

    fn prepare(&self, config: &Config) -> Result<Prepared, StartError> {
        let probers = Probers::of(&config.backends)?;
        let mut source = ListenerSource::bind();
        let missing: Vec<_> = self.missing(config).collect();
        let sockets = missing.into_iter().map(|(address, frontend)| source.listen(address, BindOptions::of(frontend)));
        let sockets = sockets.collect::<Result<_, _>>()?;
        // Last, because a socket may take the place of the old one's file.
        let pages = self.pages.open_missing(config, &mut source)?;
        Ok(Prepared { sockets, probers, pages })
    }

    /// Does with the sessions of servers that are gone what their backends wanted; how many are closed.
    fn close_removed(&self, Renewed { removed, .. }: Renewed) -> usize {
        let mut closing = 0;
        for (backend, server) in removed {
            let over = match backend.closing.on_removed {
                OnRemoved::Keep => continue,
                OnRemoved::Drain => backend.closing.drain_max,
                OnRemoved::Close => Duration::ZERO,
            };
            let sessions = self.sessions_of(&server);
            closing += sessions.len();
            tokio::task::spawn_local(close_evenly(sessions, over, |(sessions, id)| {
                sessions.command(*id, Command::ServerRemoved);
            }));
        }
        closing
    }

    fn sessions_of(&self, server: &Arc<Server>) -> Vec<Session> {
        let is_there = |live: &Live| live.server.as_ref().is_some_and(|of| Arc::ptr_eq(of, server));
        most_idle_first(&self.facts.workers, is_there)
    }
}

/// What a report says, a line for each mistake.
pub fn lines(report: &Report) -> Vec<String> {
    report.to_string().lines().map(str::to_owned).collect()
}

/// What only a start or an upgrade can change.
fn later(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut later = Vec::new();
    if old.process.workers != new.process.workers {
        later.push("process.workers");
    }
    let log = |config: &Config| (config.log.targets.clone(), config.log.open, config.log.progress);
    if log(old) != log(new) {
        later.push("[log]");
    }
    later
}
