//! A reload: the file is read anew, held against what is running, and applied as a whole or not at all.
//!
//! All that can fail comes first: reading, what the process may still do, sockets for listen addresses that are new,
//! checks that can't be run. What follows cannot ([`Serving::go_over`]).

mod plan;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use self::plan::Plan;
use super::StartError;
use super::closing::{Session, close_evenly, most_idle_first};
use super::doors::OpenDoor;
use super::listeners::ListenerSource;
use super::orders::Answer;
use super::pages::Opened;
use super::serving::Serving;
use super::systemd;
use crate::admin::{Denied, Done, Outcome};
use crate::check::Probers;
use crate::clock;
use crate::config::{self, Difference, Input, Loaded, Report, Settings};
use crate::event::{Actor, Change, ConfigReload, Refused, ReloadOutcome, done};
use crate::model::{self, Config, OnRemoved};
use crate::pool::Pool;
use crate::pool::server::Server;
use crate::pool::sessions::{Command, Live};

/// A file that the process runs by, and what it came to when it was last read.
#[derive(Debug, Clone)]
pub struct File {
    pub input: Input,
    pub settings: Settings,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("there is no file to read again: the process was started without one")]
    NoFile,
    #[error("the configuration was refused; the process goes on by the one that it has")]
    Refused {
        report: Box<Report>,
        /// Files that only the sandbox keeps from being read.
        out_of_reach: Vec<String>,
    },
    #[error(
        "the configuration needs what the process gave up at its start; the process goes on by the one that it has"
    )]
    NotPermitted(Vec<String>),
    #[error("{0}; the process goes on by the configuration that it has")]
    Failed(#[from] StartError),
    #[error("the pages can't be served: {0}")]
    Pages(#[from] io::Error),
}

/// A file that was read again and may be applied.
struct Reread {
    input: Input,
    loaded: Loaded,
    differences: Vec<Difference>,
}

/// All that a configuration needs beyond what is there.
struct Prepared {
    sockets: Vec<OpenDoor>,
    probers: Probers,
    pages: Opened,
}

/// The sessions of a server that is gone, and over which time they are closed.
type Doomed = (Vec<Session>, Duration);

impl Serving {
    /// Reloads, and tells of it: the log, the events, and whoever wanted it.
    pub async fn reload_for(&mut self, by: Actor) -> Answer {
        systemd::reloading();
        let outcome = self.reload().await;
        systemd::ready();
        self.tell_reload(&outcome, by);
        let plan = outcome.map_err(ReloadError::denied)?;
        self.tell_affordable();
        let text = done(plan.differences.len(), plan.closing);
        Ok(plan.done(text, true))
    }

    /// What a reload would change; nothing is done.
    pub async fn plan(&self) -> Answer {
        let plan = self.look_ahead().await.map_err(ReloadError::denied)?;
        let text = plan.text();
        Ok(plan.done(text, false))
    }

    /// Reads the file again and goes over to it.
    async fn reload(&mut self) -> Result<Plan, ReloadError> {
        let Reread { input, loaded, differences } = self.read_again().await?;
        let Loaded { config, settings, warnings, findings: _ } = loaded;
        let sites = self.sites(&config).map_err(StartError::from)?;
        let prepared = self.prepare(&config)?;
        let later = plan::later(&self.facts.current().config, &config);
        self.pages.go_over(prepared.pages, &config, &sites)?;
        let renewed = self.go_over(config, sites, prepared.sockets, prepared.probers);
        let closing = self.close_removed(renewed.removed);
        self.file = Some(File { input, settings });
        Ok(Plan { differences, later, closing, new_addresses: Vec::new(), warnings: lines(&warnings) })
    }

    async fn look_ahead(&self) -> Result<Plan, ReloadError> {
        let Reread { loaded, differences, .. } = self.read_again().await?;
        let Loaded { config, warnings, .. } = loaded;
        Probers::of(&config.backends).map_err(StartError::from)?;
        self.sites(&config).map_err(StartError::from)?;
        let current = self.facts.current();
        let doomed = self.doomed(Pool::leaving(&current.pools, &config));
        let frontends = self.missing(&config).map(|(listen, _)| listen.to_string());
        Ok(Plan {
            differences,
            later: plan::later(&current.config, &config),
            closing: doomed.iter().map(|(sessions, _)| sessions.len()).sum(),
            new_addresses: frontends.chain(self.pages.missing(&config)).collect(),
            warnings: lines(&warnings),
        })
    }

    /// Neither reading nor comparing is this thread's: a long file would keep checks and pages waiting.
    async fn read_again(&self) -> Result<Reread, ReloadError> {
        let File { input, settings } = self.file.clone().ok_or(ReloadError::NoFile)?;
        self.may(|applied| input.paths.iter().try_for_each(|path| applied.reads(path).map_err(|reason| vec![reason])))?;
        let read = tokio::task::spawn_blocking(move || {
            let loaded = config::open(&input)?;
            let differences = settings.differences(&loaded.settings);
            Ok(Reread { input, loaded, differences })
        });
        let reread = read.await.map_err(io::Error::other)?.map_err(|report| self.refused(report))?;
        self.may(|applied| applied.permits(&reread.loaded.config))?;
        Ok(reread)
    }

    fn refused(&self, report: Report) -> ReloadError {
        let may = |file| self.applied.as_ref().and_then(|applied| applied.reads(file).err());
        let out_of_reach = report.other_files().filter_map(may).collect();
        ReloadError::Refused { report: Box::new(report), out_of_reach }
    }

    /// Asks what was given up at the start, if anything was.
    fn may(&self, ask: impl FnOnce(&super::Applied) -> Result<(), Vec<String>>) -> Result<(), ReloadError> {
        self.applied.as_ref().map_or(Ok(()), ask).map_err(ReloadError::NotPermitted)
    }

    fn prepare(&self, config: &Config) -> Result<Prepared, StartError> {
        let probers = Probers::of(&config.backends)?;
        let mut source = ListenerSource::bind().sharing(self.shares_ports);
        let missing: Vec<_> = self.missing(config).collect();
        let sockets = missing.into_iter().map(|(listen, frontend)| OpenDoor::open(listen, frontend, &mut source));
        let sockets = sockets.collect::<Result<_, _>>()?;
        // Last, because a socket may take the place of the old one's file.
        let pages = self.pages.open_missing(config, &mut source)?;
        Ok(Prepared { sockets, probers, pages })
    }

    /// Does with the sessions of servers that are gone what their backends wanted; how many are closed.
    pub fn close_removed(&self, removed: Vec<(Arc<model::Backend>, Arc<Server>)>) -> usize {
        let mut closing = 0;
        for (sessions, over) in self.doomed(removed) {
            closing += sessions.len();
            tokio::task::spawn_local(close_evenly(sessions, over, |(sessions, id)| {
                sessions.command(*id, Command::ServerRemoved);
            }));
        }
        closing
    }

    fn doomed(&self, removed: Vec<(Arc<model::Backend>, Arc<Server>)>) -> Vec<Doomed> {
        let doomed = removed.into_iter().filter_map(|(backend, server)| {
            let over = match backend.closing.on_removed {
                OnRemoved::Keep => return None,
                OnRemoved::Drain => backend.closing.drain_max,
                OnRemoved::Close => Duration::ZERO,
            };
            Some((self.sessions_of(&server), over))
        });
        doomed.collect()
    }

    fn sessions_of(&self, server: &Arc<Server>) -> Vec<Session> {
        let is_there = |live: &Live| live.server.as_ref().is_some_and(|of| Arc::ptr_eq(of, server));
        most_idle_first(&self.facts.workers, is_there)
    }

    fn tell_reload(&self, outcome: &Result<Plan, ReloadError>, by: Actor) {
        match outcome {
            Ok(plan) => {
                plan.tell();
                if by.is_operator() {
                    self.facts.actions.fetch_add(1, Relaxed);
                }
            }
            Err(error) => error.mistakes().iter().for_each(|mistake| tracing::error!("reload: {mistake}")),
        }
        let outcome = match outcome {
            Ok(plan) => ReloadOutcome::Done { changes: plan.differences.len(), closing: plan.closing },
            Err(error) => ReloadOutcome::Refused(Refused::new(error.to_string(), error.mistakes())),
        };
        let reload = ConfigReload { by, outcome, at: clock::wall() };
        self.facts.note_reload(&reload);
        (self.observe)(&Change::Reload(reload));
    }
}

impl Plan {
    /// In the log, of one that was carried out.
    fn tell(&self) {
        for difference in &self.differences {
            tracing::info!("reload: {difference}");
        }
        for setting in &self.later {
            tracing::warn!(setting, "reload: this setting waits for the next start");
        }
        for warning in &self.warnings {
            tracing::warn!("reload: {warning}");
        }
    }

    fn done(self, text: String, carried_out: bool) -> Done {
        let (plan, changed) = (self.lines(), carried_out && !self.differences.is_empty());
        Done { text, outcome: Outcome::Planned { plan, changed, warnings: self.warnings } }
    }
}

impl ReloadError {
    /// What is wrong with the configuration, a line each.
    fn mistakes(&self) -> Vec<String> {
        match self {
            Self::Refused { report, out_of_reach } => [report.error_lines(), out_of_reach.clone()].concat(),
            Self::NotPermitted(reasons) => reasons.clone(),
            Self::NoFile | Self::Failed(_) | Self::Pages(_) => Vec::new(),
        }
    }

    fn denied(self) -> Denied {
        let error = self.to_string();
        match self {
            Self::Refused { report, out_of_reach } => {
                let reasons: String = out_of_reach.iter().map(|reason| format!("{reason}\n")).collect();
                Denied::Refused { error, report: report.render(false) + &reasons }
            }
            Self::NotPermitted(reasons) => Denied::Refused { error, report: reasons.join("\n") },
            Self::NoFile | Self::Failed(_) => Denied::Conflict(error),
            Self::Pages(_) => Denied::Failed(error),
        }
    }
}

/// What a report says, a line for each mistake.
fn lines(report: &Report) -> Vec<String> {
    report.to_string().lines().map(str::to_owned).collect()
}
