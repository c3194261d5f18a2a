//! The process: what is bound, started, asked and stopped, and in which order.
//!
//! [`Bound::new`] binds everything and starts nothing, so that a port that is taken leaves nothing behind and rights can
//! be given up before the first thread. [`Bound::run`] then starts workers and the control thread, which is the one
//! that called it: checks, pages and signals live there, so that none of them shows up as latency of a session.

mod gate;
mod hosts;
pub mod listeners;
mod process;
mod shutdown;
mod stall;
mod systemd;
pub mod watch_file;
mod workers;

use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::Instant;

use self::hosts::Hosts;
use self::listeners::{AdminSocket, AdminSocketError, ListenerSource};
use self::process::Facts;
use self::workers::Workers;
use crate::admin::{self, Views};
use crate::check::{self, CheckError, Monitor, Watch};
use crate::clock;
use crate::event::{Change, ProcessPhase};
use crate::model::{Config, OnLimit};
use crate::net::{self, BindError, BindOptions};
use crate::observe::logging::{self, Logging};
use crate::pool::network::Network;
use crate::pool::{Observe, Pool};
use crate::proxy::frontend::{Frontend, Process};

/// Everything that is bound before anything is served.
pub struct Bound {
    config: Config,
    pools: Vec<Arc<Pool>>,
    monitors: Vec<Monitor>,
    watch: Watch,
    network: Arc<Network>,
    /// In the order of the configuration's frontends.
    frontends: Vec<Vec<net::Bound>>,
    stats: Vec<net::Bound>,
    admin: Option<AdminSocket>,
    unused: Vec<String>,
}

/// Why the process could not start.
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
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Accept queue of the stats listener: those who watch are few.
const STATS_BACKLOG: u32 = 128;

impl Bound {
    /// Binds all listeners and the admin socket, or none: the first that fails closes the others again.
    pub fn new(config: Config, mut source: ListenerSource) -> Result<Self, StartError> {
        let hosts = Hosts::new(config.hosts.clone());
        let readings = hosts.clone();
        let observe: Observe = Arc::new(move |change: &Change| logging::change(change, readings.of(change).as_deref()));
        let (pools, network) = Pool::all(&config, &observe);
        hosts.know(&pools);
        let monitors = check::monitors(&config.hosts, &pools, &mut fastrand::Rng::new())?;
        let watch = Watch::new(Arc::clone(&network), pools.clone(), observe);
        let frontends = config
            .frontends
            .iter()
            .map(|frontend| {
                let options = BindOptions {
                    freebind: frontend.freebind,
                    backlog: frontend.backlog,
                    keepalive: frontend.keepalive,
                };
                frontend.listen.iter().map(|address| source.listen(*address, options)).collect()
            })
            .collect::<Result<_, _>>()?;
        let stats = match &config.stats {
            Some(stats) => {
                let options = BindOptions { freebind: stats.freebind, backlog: STATS_BACKLOG, keepalive: None };
                stats.listen.iter().map(|address| source.listen(*address, options)).collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        let admin = config.admin.as_ref().map(AdminSocket::bind).transpose()?;
        Ok(Self { config, pools, monitors, watch, network, frontends, stats, admin, unused: source.left_over() })
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
        let signals = shutdown::Signals::listen().map_err(RunError::Runtime)?;
        self.tell_start();
        let config = Arc::new(self.config);
        let descriptors = process::raise_descriptor_limit();
        let workers = workers::count(&config.process);
        let max_sessions = process::affordable_sessions(config.limits.max_sessions, descriptors, workers);
        let process = Process::new(&config, max_sessions);
        let frontends = frontends(&config, &self.pools, &process);
        let (phase, phases) = watch::channel(ProcessPhase::Serving);
        let mut workers = Workers::start(workers, &frontends, &self.frontends, logging, &phases)?;
        let facts = Arc::new(Facts {
            descriptors,
            process,
            frontends,
            pools: self.pools,
            network: self.network,
            workers: workers.watch(),
            dropped_logs: logging.dropped(),
            phase: phases.clone(),
            started: (clock::wall(), Instant::now()),
        });

        for monitor in self.monitors {
            tokio::task::spawn_local(monitor.run());
        }
        tokio::task::spawn_local(self.watch.run());
        tokio::task::spawn_local(gate::keep(gate::gates(&facts.frontends, &self.frontends), phases.clone()));
        serve_pages(self.stats, self.admin.as_ref(), views(&facts)).map_err(RunError::Runtime)?;
        tokio::task::spawn_local(stall::watch(Arc::clone(&facts)));
        systemd::keep_alive(&facts);
        tell_serving(&config, &facts);
        systemd::ready();

        shutdown::serve_until_told(signals, &config.process, &phase, self.frontends, &mut workers).await;
        drop(self.admin);
        workers.join().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// What an operator should know of the way it started.
    fn tell_start(&self) {
        for name in &self.unused {
            tracing::warn!(
                name,
                "an inherited socket fits no listen address and is not used: its clients wait in vain"
            );
        }
        for bound in self.frontends.iter().flatten().chain(&self.stats) {
            if let (true, Ok(local)) = (bound.adopted, bound.local_address()) {
                tracing::info!(listen = %bound.address(), %local, "listening on a socket that was opened for us");
            }
            if bound.ipv4_only {
                tracing::warn!(listen = %bound.address(), "this host has no IPv6: listening on IPv4 only");
            }
        }
    }
}

fn frontends(config: &Config, pools: &[Arc<Pool>], process: &Arc<Process>) -> Vec<Arc<Frontend>> {
    let pool = |name| pools.iter().find(|pool| pool.spec.name == name).cloned();
    config
        .frontends
        .iter()
        .map(|frontend| {
            let pool = pool(frontend.backend.clone()).expect("a resolved configuration names existing backends only");
            Frontend::new(frontend.clone(), pool, Arc::clone(process))
        })
        .collect()
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

fn serve_pages(stats: Vec<net::Bound>, admin: Option<&AdminSocket>, views: Arc<Views>) -> io::Result<()> {
    for bound in stats {
        let listener = tokio::net::TcpListener::from_std(bound.into_std())?;
        tokio::task::spawn_local(admin::serve_tcp(listener, Arc::clone(&views)));
    }
    if let Some(socket) = admin {
        let listener = tokio::net::UnixListener::from_std(socket.listener()?)?;
        tokio::task::spawn_local(admin::serve_unix(listener, views));
    }
    Ok(())
}

fn tell_serving(config: &Config, facts: &Facts) {
    for frontend in &config.frontends {
        let listen: Vec<_> = frontend.listen.iter().map(ToString::to_string).collect();
        tracing::info!(frontend = %frontend.name, listen = listen.join(" "), backend = %frontend.backend, "listening");
    }
    if let Some(stats) = &config.stats {
        let listen: Vec<_> = stats.listen.iter().map(ToString::to_string).collect();
        tracing::info!(listen = listen.join(" "), "stats page");
    }
    let max = facts.process.limit.max();
    if max < config.limits.max_sessions {
        tracing::warn!(
            max_sessions = max,
            configured = config.limits.max_sessions,
            descriptors = facts.descriptors,
            "the limit of open files (LimitNOFILE, ulimit -n) holds fewer sessions than configured"
        );
    }
    let on_limit = match config.limits.on_limit {
        OnLimit::Queue => "queue",
        OnLimit::Reset => "reset",
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        workers = facts.workers.len(),
        max_sessions = max,
        on_limit,
        "serving"
    );
}
