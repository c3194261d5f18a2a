//! The process: what is bound, started, asked and stopped, and in which order.
//!
//! [`Bound::new`] binds everything and starts nothing, so that a port that is taken leaves nothing behind and rights can
//! be given up before the first thread, which [`Bound::confine`] does. [`Bound::run`] then starts workers and the control
//! thread, which is the one that called it: checks, pages and signals live there, so that none of them shows up as
//! latency of a session. What it serves (`serving`) a reload exchanges (`reload`).

mod actions;
pub mod background;
mod closing;
pub mod confine;
mod doors;
mod drain;
mod frontends;
mod gate;
mod hosts;
pub mod listeners;
mod members;
mod orders;
mod pages;
mod peers;
mod process;
mod reload;
mod retired;
mod runtime_sockets;
mod series;
mod serving;
mod sessions;
pub mod shape;
mod shutdown;
mod stall;
mod states;
mod systemd;
mod tables;
mod tuning;
mod unix_socket;
pub mod upgrade;
mod watch_file;
mod workers;

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

pub use self::process::affordable_sessions;
pub use self::workers::count as worker_count;

use self::actions::Actions;
use self::background::Background;
use self::confine::{Applied, Identity, IdentityError, PrivilegeError};
use self::doors::OpenDoor;
use self::drain::Drains;
use self::hosts::Hosts;
use self::listeners::ListenerSource;
use self::orders::{Desk, End};
use self::pages::{Opened, Pages};
use self::peers::Asking;
use self::process::Facts;
pub use self::reload::File;
use self::retired::Retired;
use self::serving::{Current, Listener, Serving, Show};
use self::shape::{Shape, Stop};
use self::unix_socket::{UnixSocket, UnixSocketError};
use self::upgrade::Origin;
use self::upgrade::predecessor::{Heir, Predecessor};
use self::workers::{Listeners, Workers};
use crate::admin::{Door, Readers, Site, Views};
use crate::check::{CheckError, Monitors, Probers, Watch};
use crate::clock;
use crate::event::{Change, ConfigSnapshot, ProcessChange, ProcessPhase};
use crate::model::{Config, OnLimit};
use crate::net::tls::ServerError;
use crate::net::{self, BindError};
use crate::observe::history::History;
use crate::observe::logging::{self, Logging};
use crate::pool::{Observe, Pool};
use crate::proxy::frontend::Process;

/// Everything that is bound before anything is served.
pub struct Bound {
    config: Config,
    file: Option<File>,
    origin: Option<Origin>,
    predecessor: Option<Predecessor>,
    shape: Shape,
    shares_ports: bool,
    /// Whoever waits for this process to serve.
    background: Option<Background>,
    /// Whether a change of the file is a reload.
    watches: bool,
    probers: Probers,
    sites: Vec<Arc<Site>>,
    /// In the order of the configuration's frontends.
    frontends: Vec<Vec<OpenDoor>>,
    pages: Opened,
    unused: Vec<String>,
    identity: Identity,
    /// What was given up; `None` in a process that does more than serve.
    applied: Option<Applied>,
    #[cfg(debug_assertions)]
    attempts: confine::attempts::Outcomes,
}

/// Why the process could not start, or go over to another configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Socket(#[from] UnixSocketError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Tls(#[from] ServerError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
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
        let identity = Identity::of(&config.process)?;
        let probers = Probers::of(&config.backends)?;
        let sites = Site::all(&config.stats, &[])?;
        let frontends = config.frontends.iter().map(|frontend| {
            let listen = frontend.listen.iter();
            listen.map(|listen| OpenDoor::open(listen, frontend, &mut source)).collect()
        });
        let frontends = frontends.collect::<Result<_, StartError>>()?;
        let pages = Opened::all(&config, &mut source)?;
        Ok(Self {
            config,
            file: None,
            origin: None,
            predecessor: None,
            shape: Shape::default(),
            shares_ports: source.shares(),
            background: None,
            watches: false,
            probers,
            sites,
            frontends,
            pages,
            unused: source.left_over(),
            identity,
            applied: None,
            #[cfg(debug_assertions)]
            attempts: Vec::new(),
        })
    }

    /// Has a reload read this file again.
    pub fn reloading(self, file: File) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Has other content of that file be a reload, too.
    pub fn watching(self, watches: bool) -> Self {
        Self { watches, ..self }
    }

    /// Has signals mean what they mean to a process that was started like this.
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Has it let whoever started it go once it serves.
    pub fn in_background(self, background: Option<Background>) -> Self {
        Self { background, ..self }
    }

    /// Has an upgrade start the program as it was started.
    pub fn replaceable(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// Has it take over from another process, whose restrictions hold for this one, too.
    pub fn replacing(self, predecessor: Option<Predecessor>) -> Self {
        Self { predecessor, ..self }
    }

    /// Gives up every right that serving has no use for, and has the kernel refuse the rest. `file` is where the
    /// configuration is.
    ///
    /// It holds for this thread and those that it starts: so it comes before the first one, and after all that needs the
    /// rights.
    pub fn confine(mut self, file: &Path) -> Result<Self, StartError> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        #[cfg(debug_assertions)]
        let attempts = confine::attempts::begin(&file);
        for socket in self.unix_sockets() {
            socket.give_to(self.identity)?;
        }
        let before = self.predecessor.as_ref().map(Predecessor::layers).unwrap_or_default();
        self.applied = Some(confine::confine(&self.config, &file, self.identity, before)?);
        #[cfg(debug_assertions)]
        if let Some(attempts) = attempts {
            self.attempts = attempts.end();
        }
        Ok(self)
    }

    /// Serves until a signal ends it; gives how it was told to end.
    pub fn run(self) -> Result<Stop, RunError> {
        let logging = Logging::start(&self.config.log, net::datagram::connect).map_err(RunError::Thread)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Runtime)?;
        let ended = LocalSet::new().block_on(&runtime, self.control(&logging));
        // A file that is read without end, such as a pipe, is not waited for.
        runtime.shutdown_background();
        ended
    }

    /// The control thread's part: everything but the sessions.
    async fn control(mut self, logging: &Logging) -> Result<Stop, RunError> {
        // Before anyone is told that we are ready: a stop may follow at once.
        let (desk, requests) = Desk::open();
        let mut signals = orders::Signals::listen(self.shape, requests).map_err(RunError::Runtime)?;
        if let Some(file) = self.file.as_ref().filter(|_| self.watches) {
            signals.watch(file.input.path());
        }
        self.tell_start();
        let background = self.background.take();
        let (phase, phases) = watch::channel(ProcessPhase::Serving);
        let (mut serving, workers) = self.start(logging, phases, desk)?;
        serving.tell_serving();
        systemd::ready();
        if let Some(Err(error)) = background.map(Background::serves) {
            tracing::warn!(%error, "whoever started the process can't be told that it serves");
        }

        let stop = match serving.obey(&mut signals).await {
            End::Stopped(stop) => shutdown::stop_or_end(&mut serving, &mut signals, &phase, stop).await,
            End::Replaced(successor) => {
                let facts = Arc::clone(&serving.facts);
                let told_to_stop = tokio::select! {
                    () = serving.retire(successor, &phase) => None,
                    stop = signals.end("has been replaced", &facts) => Some(stop),
                };
                match told_to_stop {
                    Some(stop) => shutdown::stop_or_end(&mut serving, &mut signals, &phase, stop).await,
                    None => Stop::WithTheLast,
                }
            }
        };
        drop(serving);
        workers.join().await;
        tracing::info!("stopped");
        Ok(stop)
    }

    /// Starts everything. No session can come in before.
    fn start(
        self,
        logging: &Logging,
        phases: watch::Receiver<ProcessPhase>,
        desk: Desk,
    ) -> Result<(Serving, Workers), RunError> {
        let config = Arc::new(self.config);
        let hosts = Hosts::default();
        let history = Arc::<History>::default();
        let observe = observe(hosts.clone(), Arc::clone(&history));
        let (pools, network) = Pool::all(&config, &observe);
        hosts.know(&config.hosts, &pools);

        let descriptors = process::raise_descriptor_limit();
        let count = workers::count(&config.process);
        let process = Process::new(
            &config,
            process::affordable_sessions(config.limits.max_sessions, descriptors, count),
            Arc::clone(&observe),
        );
        let current = Arc::new(Current::new(Arc::clone(&config), pools.clone(), self.sites, &process));
        let listeners = current
            .frontends
            .iter()
            .zip(self.frontends)
            .flat_map(|(frontend, bound)| bound.into_iter().map(|door| Listener::new(door, Arc::clone(frontend))));
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
            log_targets: logging.tallies(),
            phase: phases.clone(),
            predecessors: Mutex::default(),
            history,
            series: Arc::default(),
            door: Arc::new(Door::new(config.stats_access())),
            actions: AtomicU64::new(0),
            config: Mutex::new(ConfigSnapshot { loaded: clock::wall(), refused: None }),
            peers: Arc::default(),
            started: (clock::wall(), Instant::now()),
        });

        let mut monitors = Monitors::new(fastrand::Rng::new());
        monitors.renew(&config.hosts, &pools, self.probers);
        spawn_local(Watch::new(Arc::clone(&network), show.pools.subscribe(), Arc::clone(&observe)).run());
        spawn_local(gate::keep(show.listeners.subscribe()));
        let drains = Arc::new(Drains::new(facts.workers.clone(), Arc::clone(&observe)));
        let actions = Actions::new(&facts, &drains, &observe, desk);
        let opening = watch::Sender::new(self.predecessor.is_none());
        let pages = Pages::serve(self.pages, &config, &current.sites, views(&facts, actions), opening.subscribe())
            .map_err(RunError::Runtime)?;
        spawn_local(tell_phases(Arc::clone(&observe), phases));
        spawn_local(stall::watch(Arc::clone(&facts)));
        spawn_local(series::keep(Arc::clone(&facts)));
        systemd::keep_alive(&facts);
        let mut asking = Asking::new(&facts.peers);
        asking.renew(&config.peers);
        let (file, origin, applied, shares_ports) = (self.file, self.origin, self.applied, self.shares_ports);
        let serving = Serving {
            file,
            origin,
            applied,
            listeners,
            pages,
            facts,
            drains,
            monitors,
            network,
            observe,
            hosts,
            show,
            shares_ports,
            asking,
        };
        if let Some(predecessor) = &self.predecessor {
            predecessor.take_over(&serving.facts, &current);
        }
        serving.show_listeners();
        if let Some(predecessor) = self.predecessor {
            let heir = Heir {
                facts: Arc::clone(&serving.facts),
                current: serving.show.current.subscribe(),
                observe: Arc::clone(&serving.observe),
                pages: opening,
            };
            spawn_local(predecessor.tell_and_hear(heir, serving.drains.wishes()));
        }
        Ok((serving, workers))
    }

    fn unix_sockets(&self) -> impl Iterator<Item = &UnixSocket> {
        let doors = self.frontends.iter().flatten().filter_map(|door| door.file.as_ref());
        doors.chain(self.pages.unix_sockets())
    }

    /// What an operator should know of the way it started.
    fn tell_start(&self) {
        for name in &self.unused {
            tracing::warn!(
                name,
                "an inherited socket fits no listen address and is not used: its clients wait in vain"
            );
        }
        let doors = self.frontends.iter().flatten().map(|door| &door.bound);
        for bound in doors.chain(self.pages.tcp()) {
            if let (true, Ok(local)) = (bound.adopted, bound.local_address()) {
                tracing::info!(listen = %bound.address(), %local, "listening on a socket that was opened for us");
            }
            if bound.ipv4_only {
                tracing::warn!(listen = %bound.address(), "this host has no IPv6: listening on IPv4 only");
            }
        }
        if let Some(applied) = &self.applied {
            tell_confinement(applied, self.unix_sockets());
        }
        #[cfg(debug_assertions)]
        for (attempt, before, after) in &self.attempts {
            tracing::info!(attempt, before, after, "attempted");
        }
    }
}

/// Tells of every change: in the log, and to those who ask later.
fn observe(hosts: Hosts, history: Arc<History>) -> Observe {
    Arc::new(move |change: &Change| {
        logging::change(change, hosts.of(change).as_deref());
        history.note(change.clone());
    })
}

/// Tells that the process begins, and of each step of its end.
async fn tell_phases(observe: Observe, mut phases: watch::Receiver<ProcessPhase>) {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    loop {
        let phase = *phases.borrow_and_update();
        observe(&Change::Process(ProcessChange { version, pid, phase, at: clock::wall() }));
        if phases.changed().await.is_err() {
            return;
        }
    }
}

/// What the process may not do any more, in one line, and what will be missed.
fn tell_confinement<'a>(applied: &Applied, sockets: impl Iterator<Item = &'a UnixSocket>) {
    let (user, group) = (applied.privileges.user.as_raw(), applied.privileges.group.as_raw());
    let (capabilities, sandbox) = (applied.capabilities(), applied.sandbox());
    match applied.missing() {
        None => tracing::info!(user, group, capabilities, sandbox, "confined"),
        Some(missing) => tracing::warn!(user, group, capabilities, sandbox, missing, "confined"),
    }
    for file in &applied.lost {
        tracing::warn!(file, "can't be read any more: probes and reloads that need it will fail");
    }
    for (whose, path) in sockets.filter_map(|socket| Some((socket.place().whose, socket.stays_behind()?))) {
        tracing::warn!(
            socket = %path.display(),
            "the {whose} can't be removed at the end: its directory belongs to someone else, or to everybody; the \
             next start replaces it"
        );
    }
}

fn views(facts: &Arc<Facts>, actions: Actions) -> Arc<Views> {
    let (snapshot, live, ready) = (Arc::clone(facts), Arc::clone(facts), Arc::clone(facts));
    let (sessions, names, config) = (Arc::clone(facts), Arc::clone(facts), Arc::clone(facts));
    let (probes, sources) = (Arc::clone(facts), Arc::clone(facts));
    let connections = Arc::clone(facts);
    let tracked = Arc::clone(facts);
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
        sessions: Box::new(move || sessions.sessions()),
        names: Box::new(move || names.names()),
        config: Box::new(move || Arc::clone(&config.current().config)),
        history: Arc::clone(&facts.history),
        door: Arc::clone(&facts.door),
        readers: Readers::default(),
        act: Box::new(move |action, by| actions.perform(action, by)),
        series: Arc::clone(&facts.series),
        probes: Box::new(move |backend, server| {
            probes.current().pool(backend).map(|pool| pool.probes(server)).unwrap_or_default()
        }),
        sources: Box::new(move |backend| sources.current().pool(backend)?.sources()),
        connections: Box::new(move || connections.connections()),
        tracked: Box::new(move |table, is_wanted| tracked.tracked(table, is_wanted)),
    })
}

impl Serving {
    fn tell_serving(&self) {
        let (current, facts) = (self.facts.current(), &self.facts);
        let config = &current.config;
        if config.takes_nobody() {
            tracing::info!("a shadow: it probes and reports, and takes no client");
        }
        for frontend in config.frontends.iter().filter(|frontend| !frontend.listen.is_empty()) {
            let listen: Vec<_> = frontend.listen.iter().map(ToString::to_string).collect();
            tracing::info!(frontend = %frontend.name, listen = listen.join(" "), backend = %frontend.backend, "listening");
        }
        for stats in &config.stats {
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
        let configured = self.facts.current().config.limits.max_sessions;
        let max = self.facts.process.limit.max();
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
