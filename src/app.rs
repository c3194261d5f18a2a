//! The process: what is bound, started, asked and stopped, and in which order.
//!
//! [`Bound::new`] binds everything and starts nothing, so that a port that is taken leaves nothing behind and rights can
//! be given up before the first thread. [`Bound::run`] then starts workers and the control thread, which is the one
//! that called it: checks, pages and signals live there, so that none of them shows up as latency of a session. What
//! it serves ([`serving`]) a reload exchanges ([`reload`]).

mod drain;
mod gate;
mod hosts;
pub mod listeners;
mod orders;
mod pages;
mod process;
mod reload;
mod retired;
mod serving;
mod shutdown;
mod stall;
mod systemd;
mod watch_file;
mod workers;

use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use self::hosts::Hosts;
use self::listeners::{AdminSocketError, ListenerSource};
use self::pages::{Opened, Pages};
use self::process::Facts;
pub use self::reload::File;
use self::retired::Retired;
use self::serving::{Current, Listener, Serving, Show};
use self::workers::{Listeners, Workers};
use crate::admin::Views;
use crate::check::{CheckError, Monitors, Probers, Watch};
use crate::clock;
use crate::event::{Change, ProcessPhase};
use crate::model::{Config, OnLimit};
use crate::net::{self, BindError, BindOptions};
use crate::observe::logging::{self, Logging};
use crate::pool::{Observe, Pool};
use crate::proxy::frontend::Process;

/// Everything that is bound before anything is served.
pub struct Bound {
    config: Config,
    file: Option<File>,
    /// Whether a change of the file is a reload.
    watches: bool,
    probers: Probers,
    /// In the order of the configuration's frontends.
    frontends: Vec<Vec<net::Bound>>,
    pages: Opened,
    unused: Vec<String>,
}

/// Why the process could not start, or go over to another configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Admin(#[from] AdminSocketError),
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Why the process could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    #[error("can't start the event loop: {0}")]
    Runtime(io::Error),
}

impl Bound {
    /// Binds all listeners and the admin socket, or none: the first that fails closes the others again.
    pub fn new(config: Config, mut source: ListenerSource) -> Result<Self, StartError> {
        let probers = Probers::of(&config.backends)?;
        let frontends = config.frontends.iter().map(|frontend| {
            let options = BindOptions::of(frontend);
            frontend.listen.iter().map(|address| source.listen(*address, options)).collect()
        });
        let frontends = frontends.collect::<Result<_, _>>()?;
        let pages = Opened::all(&config, &mut source)?;
        Ok(Self { config, file: None, watches: false, probers, frontends, pages, unused: source.left_over() })
    }

    /// Has a reload read this file again.
    pub fn reloading(self, file: File) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Has other content of that file be a reload, too.
    pub fn watching(self, watches: bool) -> Self {
        Self { watches, ..self }
    }

    /// Serves until a signal ends it.
    pub fn run(self) -> Result<(), RunError> {
        let logging = Logging::start(&self.config.log).map_err(RunError::Thread)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Runtime)?;
        LocalSet::new().block_on(&runtime, self.control(&logging))
    }

    /// The control thread's part: everything but the sessions.
    async fn control(self, logging: &Logging) -> Result<(), RunError> {
        // Before anyone is told that we are ready: a stop may follow at once.
        let mut signals = orders::Signals::listen().map_err(RunError::Runtime)?;
        if let Some(file) = self.file.as_ref().filter(|_| self.watches) {
            signals.watch(&file.path);
        }
        self.tell_start();
        let (phase, phases) = watch::channel(ProcessPhase::Serving);
        let (mut serving, workers) = self.start(logging, phases)?;
        serving.tell_serving();
        systemd::ready();

        serving.obey(&mut signals).await;
        shutdown::stop_or_end(&mut serving, &mut signals, &phase).await;
        drop(serving);
        workers.join().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Starts everything. No session can come in before.
    fn start(self, logging: &Logging, phases: watch::Receiver<ProcessPhase>) -> Result<(Serving, Workers), RunError> {
        let config = Arc::new(self.config);
        let hosts = Hosts::default();
        let readings = hosts.clone();
        let observe: Observe = Arc::new(move |change: &Change| logging::change(change, readings.of(change).as_deref()));
        let (pools, network) = Pool::all(&config, &observe);
        hosts.know(&config.hosts, &pools);

        let descriptors = process::raise_descriptor_limit();
        let count = workers::count(&config.process);
        let process =
            Process::new(&config, process::affordable_sessions(config.limits.max_sessions, descriptors, count));
        let current = Arc::new(Current::new(Arc::clone(&config), pools.clone(), &process));
        let listeners =
            current.frontends.iter().zip(self.frontends).flat_map(|(frontend, bound)| {
                bound.into_iter().map(|bound| Listener::new(bound, Arc::clone(frontend)))
            });
        let listeners: Vec<_> = listeners.collect();
        let show = Show {
            current: watch::Sender::new(Arc::clone(&current)),
            pools: watch::Sender::new(pools.clone()),
            listeners: watch::Sender::new(Listeners::default()),
        };
        let workers = Workers::start(count, &show.listeners.subscribe(), logging)?;
        let facts = Arc::new(Facts {
            descriptors,
            process,
            current: show.current.subscribe(),
            retired: Retired::default(),
            network: Arc::clone(&network),
            workers: workers.watch(),
            dropped_logs: logging.dropped(),
            phase: phases,
            started: (clock::wall(), Instant::now()),
        });

        let mut monitors = Monitors::new(fastrand::Rng::new());
        monitors.renew(&config.hosts, &pools, self.probers);
        spawn_local(Watch::new(Arc::clone(&network), show.pools.subscribe(), Arc::clone(&observe)).run());
        spawn_local(gate::keep(show.listeners.subscribe()));
        let pages = Pages::serve(self.pages, &config, views(&facts)).map_err(RunError::Runtime)?;
        spawn_local(stall::watch(Arc::clone(&facts)));
        systemd::keep_alive(&facts);
        let watched = workers.watch();
        let file = self.file;
        let serving = Serving {
            current,
            file,
            listeners,
            pages,
            facts,
            workers: watched,
            monitors,
            network,
            observe,
            hosts,
            show,
        };
        serving.show_listeners();
        Ok((serving, workers))
    }

    /// What an operator should know of the way it started.
    fn tell_start(&self) {
        for name in &self.unused {
            tracing::warn!(
                name,
                "an inherited socket fits no listen address and is not used: its clients wait in vain"
            );
        }
        for bound in self.frontends.iter().flatten().chain(self.pages.stats()) {
            if let (true, Ok(local)) = (bound.adopted, bound.local_address()) {
                tracing::info!(listen = %bound.address(), %local, "listening on a socket that was opened for us");
            }
            if bound.ipv4_only {
                tracing::warn!(listen = %bound.address(), "this host has no IPv6: listening on IPv4 only");
            }
        }
    }
}

fn views(facts: &Arc<Facts>) -> Arc<Views> {
    let (snapshot, live, ready) = (Arc::clone(facts), Arc::clone(facts), Arc::clone(facts));
    Arc::new(Views {
        snapshot: Box::new(move || snapshot.snapshot()),
        live: Box::new(move || {
            let live = live.live();
            Box::pin(async { live })
        }),
        ready: Box::new(move || {
            let ready = ready.ready();
            Box::pin(async { ready })
        }),
    })
}

impl Serving {
    fn tell_serving(&self) {
        let (config, facts) = (&self.current.config, &self.facts);
        for frontend in &config.frontends {
            let listen: Vec<_> = frontend.listen.iter().map(ToString::to_string).collect();
            tracing::info!(frontend = %frontend.name, listen = listen.join(" "), backend = %frontend.backend, "listening");
        }
        if let Some(stats) = &config.stats {
            let listen: Vec<_> = stats.listen.iter().map(ToString::to_string).collect();
            tracing::info!(listen = listen.join(" "), "stats page");
        }
        self.tell_affordable();
        let on_limit = match config.limits.on_limit {
            OnLimit::Queue => "queue",
            OnLimit::Reset => "reset",
        };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pid = std::process::id(),
            workers = facts.workers.len(),
            max_sessions = facts.process.limit.max(),
            on_limit,
            "serving"
        );
    }

    fn tell_affordable(&self) {
        let (configured, max) = (self.current.config.limits.max_sessions, self.facts.process.limit.max());
        if max < configured {
            tracing::warn!(
                max_sessions = max,
                configured,
                descriptors = self.facts.descriptors,
                "the limit of open files (LimitNOFILE, ulimit -n) holds fewer sessions than configured"
            );
        }
    }
}
