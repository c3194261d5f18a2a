//! What the control thread has in hand while the process serves, and all that a reload may exchange.
//!
//! Whatever the configuration says is exchanged here as a whole: frontends and pools are made anew for new sessions, with
//! the sockets, counters and health of those that stay, while sessions go on by the ones that they came in by.

use std::sync::Arc;

use tokio::sync::watch;

use super::File;
use super::confine::Applied;
use super::doors::{self, OpenDoor};
use super::drain::Drains;
use super::hosts::Hosts;
use super::pages::Pages;
use super::peers::Asking;
use super::process::{self, Facts};
use super::unix_socket::UnixSocket;
use super::upgrade::Origin;
use super::workers::{Listeners, STUCK, within};
use crate::admin::Site;
use crate::check::{Monitors, Probers};
use crate::event::{BackendSnapshot, FrontendSnapshot, FrontendState};
use crate::model::{self, BackendName, Config, Listen, ListenAddress};
use crate::net;
use crate::net::tls::ServerError;
use crate::pool::network::Network;
use crate::pool::{Observe, Pool, Renewed};
use crate::proxy::frontend::{Backends, Frontend, Process};
use crate::proxy::listener::{Closing, OpenListener};

/// What new sessions meet: one configuration, and what was made of it.
#[derive(Debug)]
pub struct Current {
    pub config: Arc<Config>,
    /// In the configuration's order, like the pools.
    pub frontends: Vec<Arc<Frontend>>,
    pub pools: Vec<Arc<Pool>>,
    /// Where it is watched over HTTP.
    pub sites: Vec<Arc<Site>>,
}

/// Everything that runs, but for the workers.
pub struct Serving {
    /// Where the configuration is from; without a file there is no reload.
    pub file: Option<File>,
    /// How the process was started; without it there is no upgrade.
    pub origin: Option<Origin>,
    /// What was given up at the start; `None` in a process that does more than serve.
    pub applied: Option<Applied>,
    pub listeners: Vec<Listener>,
    pub pages: Pages,
    pub facts: Arc<Facts>,
    pub drains: Arc<Drains>,
    pub monitors: Monitors,
    pub network: Arc<Network>,
    pub observe: Observe,
    pub hosts: Hosts,
    pub show: Show,
    /// Whether other processes may listen on the addresses that it binds.
    pub shares_ports: bool,
    pub asking: Asking,
}

/// Those who are told of an exchange.
pub struct Show {
    pub current: watch::Sender<Arc<Current>>,
    pub pools: watch::Sender<Vec<Arc<Pool>>>,
    pub listeners: watch::Sender<Listeners>,
}

/// One listener, known by its address.
#[derive(Debug)]
pub struct Listener {
    pub open: Arc<OpenListener>,
    closing: Closing,
    /// Gone with it, at once: who still waits in its queue needs no name.
    file: Option<UnixSocket>,
}

impl Current {
    /// What a configuration comes to when nothing was there before.
    pub fn new(config: Arc<Config>, pools: Vec<Arc<Pool>>, sites: Vec<Arc<Site>>, process: &Arc<Process>) -> Self {
        let frontends = config
            .frontends
            .iter()
            .map(|frontend| Frontend::new(frontend.clone(), Backends::of(frontend, &pools), Arc::clone(process)));
        let frontends = frontends.collect();
        Self { config, frontends, pools, sites }
    }

    /// What another configuration makes of it.
    fn renewed(
        &self,
        config: Arc<Config>,
        pools: Vec<Arc<Pool>>,
        sites: Vec<Arc<Site>>,
        process: &Arc<Process>,
    ) -> Self {
        let frontends = config.frontends.iter().map(|spec| {
            let (spec, backends, process) = (spec.clone(), Backends::of(spec, &pools), Arc::clone(process));
            match self.frontends.iter().find(|known| known.spec.name == spec.name) {
                Some(known) => known.renewed(spec, backends, process),
                None => Frontend::new(spec, backends, process),
            }
        });
        let frontends = frontends.collect();
        Self { config, frontends, pools, sites }
    }

    pub fn frontend_snapshots(&self) -> Vec<FrontendSnapshot> {
        self.frontends.iter().map(|frontend| frontend.snapshot()).collect()
    }

    pub fn backend_snapshots(&self) -> Vec<BackendSnapshot> {
        self.pools.iter().map(|pool| pool.snapshot()).collect()
    }

    /// The pool of a backend; `None` if there is none of this name.
    pub fn pool(&self, backend: &BackendName) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.spec.name == *backend)
    }

    /// Each listen address with the frontend that it leads to.
    fn doors(&self) -> impl Iterator<Item = (ListenAddress, &Arc<Frontend>)> {
        self.frontends.iter().flat_map(|frontend| frontend.spec.addresses().map(move |address| (address, frontend)))
    }
}

impl Listener {
    pub fn new(OpenDoor { bound, file }: OpenDoor, frontend: Arc<Frontend>) -> Self {
        let (open, closing) = OpenListener::new(bound, frontend);
        Self { open, closing, file }
    }

    /// Leaves it to a process that has it, too.
    pub fn leave(&mut self) {
        self.open.leave();
        if let Some(file) = &mut self.file {
            file.leave_file();
        }
    }

    /// Has its file be as its door wants it by now.
    fn renew_file(&mut self) {
        let wanted = doors::place(&self.open.door().spec);
        let (Some(file), Some(place)) = (&mut self.file, wanted) else { return };
        if let Err(error) = file.renew(place) {
            tracing::warn!(listen = %self.open.bound.address(), %error, "the listener keeps the file that it had");
        }
    }

    fn address(&self) -> ListenAddress {
        self.open.bound.address()
    }
}

impl Serving {
    /// The listen addresses of a configuration that nobody listens on yet.
    pub fn missing<'a>(&self, config: &'a Config) -> impl Iterator<Item = (&'a Listen, &'a model::Frontend)> {
        let known: Vec<_> = self.listeners.iter().map(Listener::address).collect();
        let wanted = config.frontends.iter().flat_map(|frontend| frontend.listen.iter().map(move |at| (at, frontend)));
        wanted.filter(move |(listen, _)| !known.contains(&listen.address))
    }

    /// The sites of a configuration; those that are there go on counting.
    pub fn sites(&self, config: &Config) -> Result<Vec<Arc<Site>>, ServerError> {
        Site::all(&config.stats, &self.facts.current().sites)
    }

    /// Goes over to another configuration. Nothing in it can fail: sockets are bound, checks can be run. Gives the
    /// servers that are no longer in it.
    pub fn go_over(
        &mut self,
        config: Config,
        sites: Vec<Arc<Site>>,
        sockets: Vec<OpenDoor>,
        probers: Probers,
    ) -> Renewed {
        let config = Arc::new(config);
        let old = self.facts.current();
        let renewed = Pool::renew(&old.pools, &config, &self.network, &self.observe);
        let max =
            process::affordable_sessions(config.limits.max_sessions, self.facts.descriptors, self.facts.workers.len());
        let process = self.facts.process.renewed(&config, max);
        let current = Arc::new(old.renewed(Arc::clone(&config), renewed.pools.clone(), sites, &process));
        self.facts.retire(&old, &current);
        self.facts.door.renew(config.stats_access());
        self.asking.renew(&config.peers);
        self.hosts.know(&config.hosts, &current.pools);
        self.monitors.renew(&config.hosts, &current.pools, probers);
        self.show.pools.send_replace(current.pools.clone());
        self.show.current.send_replace(Arc::clone(&current));
        self.lead(&current, sockets);
        renewed
    }

    /// Leads every listener to its frontend, opens new ones and closes those that nobody wants any more.
    fn lead(&mut self, current: &Current, mut sockets: Vec<OpenDoor>) {
        let mut old = std::mem::take(&mut self.listeners);
        for (address, frontend) in current.doors() {
            if let Some(place) = old.iter().position(|listener| listener.address() == address) {
                let mut listener = old.swap_remove(place);
                let before = listener.open.options();
                listener.open.lead_to(Arc::clone(frontend));
                renew_options(&listener.open, &before);
                listener.renew_file();
                self.listeners.push(listener);
            } else if let Some(place) = sockets.iter().position(|door| door.bound.address() == address) {
                if frontend.state() == FrontendState::Stopped {
                    frontend.set_state(FrontendState::Open);
                }
                self.listeners.push(Listener::new(sockets.swap_remove(place), Arc::clone(frontend)));
            }
        }
        old.iter().for_each(|listener| listener.open.close());
        self.show_listeners();
    }

    pub fn show_listeners(&self) {
        self.show.listeners.send_replace(self.listeners.iter().map(|listener| Arc::clone(&listener.open)).collect());
    }

    /// Closes all listeners, and returns when the kernel refuses clients; a worker that is stuck is not waited for.
    pub async fn close_listeners(&mut self) {
        self.listeners.iter().for_each(|listener| listener.open.close());
        let closing: Vec<_> = self.listeners.drain(..).map(|listener| listener.closing).collect();
        self.show_listeners();
        let all = async {
            for closing in closing {
                closing.wait().await;
            }
        };
        let _ = within(STUCK, all).await;
    }
}

/// What can be set of a socket that listens already.
fn renew_options(listener: &OpenListener, before: &net::BindOptions) {
    let (bound, options) = (&listener.bound, listener.options());
    let queue = if listener.is_shut() { Ok(()) } else { bound.listen_again(options.backlog) };
    if let Err(error) = queue.and_then(|()| bound.renew(&options, before)) {
        tracing::warn!(listen = %bound.address(), %error, "the listener keeps an option that it had");
    }
}
