//! The listeners of those who watch: the stats page's, the admin socket and those of the runtime API.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_local;

use super::StartError;
use super::listeners::ListenerSource;
use super::runtime_sockets::{OpenedRuntime, RuntimeSockets};
use super::unix_socket::{Place, UnixSocket};
use crate::admin::{self, Leave, Leaving, Site, Views};
use crate::model::{Admin, Config, ListenAddress, Stats};
use crate::net::{self, BindOptions};

/// Accept queue of the stats listener. Those who watch are few, but whoever finds it full waits a second for the next SYN:
/// it is long enough for a flood of those who say nothing.
const STATS_BACKLOG: u32 = 1024;

/// How long those who watch may leave unacknowledged what is sent to them (TCP_USER_TIMEOUT): the kernel would wait for a
/// quarter of an hour, and somebody who is gone would have the place of somebody who is there.
const STATS_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Sockets that are bound, and not yet served.
#[derive(Debug)]
pub struct Opened {
    stats: Vec<net::Bound>,
    admin: Option<UnixSocket>,
    runtime: OpenedRuntime,
}

/// All of them, while they are served.
pub struct Pages {
    views: Arc<Views>,
    open: watch::Receiver<bool>,
    stats: Vec<StatsListener>,
    admin: Option<(Admin, UnixSocket, Leave)>,
    pub runtime: RuntimeSockets,
}

/// A listener of a site.
struct StatsListener {
    bound: net::Bound,
    /// Which it leads to.
    site: Arc<Site>,
    leave: Leave,
}

impl Opened {
    /// Opens all that the configuration names.
    pub fn all(config: &Config, source: &mut ListenerSource) -> Result<Self, StartError> {
        let stats = stats_addresses(config).map(|(address, spec)| source.listen(address, &options(spec)));
        let stats = stats.collect::<Result<_, _>>()?;
        let admin = source.admin(config.admin.as_ref())?;
        let runtime = OpenedRuntime::all(config, source)?;
        Ok(Self { stats, admin, runtime })
    }

    pub fn unix_sockets(&self) -> impl Iterator<Item = &UnixSocket> {
        self.admin.iter().chain(self.runtime.unix_sockets())
    }

    /// All that listens on an address.
    pub fn tcp(&self) -> impl Iterator<Item = &net::Bound> {
        self.stats.iter().chain(self.runtime.tcp())
    }
}

/// Each address of a site, with what the configuration says of it.
fn stats_addresses(config: &Config) -> impl Iterator<Item = (ListenAddress, &Stats)> {
    config.stats.iter().flat_map(|spec| spec.listen.iter().map(move |address| (*address, spec)))
}

fn options(spec: &Stats) -> BindOptions {
    let user_timeout = Some(STATS_USER_TIMEOUT);
    BindOptions { freebind: spec.freebind, user_timeout, ..BindOptions::with_backlog(STATS_BACKLOG) }
}

fn site_of<'a>(spec: &Stats, sites: &'a [Arc<Site>]) -> &'a Arc<Site> {
    sites.iter().find(|site| site.is(spec)).expect("each section of a configuration has its site")
}

impl Pages {
    /// Serves on what is open, once `open` says so: until then those who come wait.
    pub fn serve(
        opened: Opened,
        config: &Config,
        sites: &[Arc<Site>],
        views: Arc<Views>,
        open: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let runtime = RuntimeSockets::new(Arc::clone(&views), open.clone());
        let mut pages = Self { views, open, stats: Vec::new(), admin: None, runtime };
        pages.add(opened, config, sites)?;
        Ok(pages)
    }

    /// Where a new configuration wants to be found beyond what is there.
    pub fn missing(&self, config: &Config) -> Vec<String> {
        let stats = self.missing_stats(config).map(|(address, _)| address.to_string());
        let admin = self.missing_admin(config).map(|admin| admin.socket.display().to_string());
        let runtime = self.runtime.missing(config).map(|socket| socket.listen.to_string());
        stats.chain(admin).chain(runtime).collect()
    }

    fn missing_stats<'a>(&self, config: &'a Config) -> impl Iterator<Item = (ListenAddress, &'a Stats)> {
        let is_there = |address: ListenAddress| self.stats().any(|bound| bound.address() == address);
        stats_addresses(config).filter(move |(address, _)| !is_there(*address))
    }

    fn missing_admin<'a>(&self, config: &'a Config) -> Option<&'a Admin> {
        config.admin.as_ref().filter(|wanted| self.admin_spec() != Some(wanted))
    }

    /// Opens what a new configuration names beyond what is there.
    pub fn open_missing(&self, config: &Config, source: &mut ListenerSource) -> Result<Opened, StartError> {
        let missing = self.missing_stats(config);
        let stats = missing.map(|(address, spec)| source.listen(address, &options(spec))).collect::<Result<_, _>>()?;
        let admin = match self.missing_admin(config) {
            // The same place with another mode: the file is exchanged for another one.
            Some(wanted) if self.admin_spec().is_some_and(|known| known.socket == wanted.socket) => {
                Some(UnixSocket::replace(Place::of_admin(wanted))?)
            }
            Some(wanted) => Some(UnixSocket::bind(Place::of_admin(wanted))?),
            None => None,
        };
        let runtime = self.runtime.open_missing(config, source)?;
        Ok(Opened { stats, admin, runtime })
    }

    fn admin_spec(&self) -> Option<&Admin> {
        self.admin.as_ref().map(|(spec, _, _)| spec)
    }

    /// Goes over to a new configuration: what it no longer names is closed.
    pub fn go_over(&mut self, opened: Opened, config: &Config, sites: &[Arc<Site>]) -> io::Result<()> {
        self.lead_stats(config, sites)?;
        if self.admin_spec() != config.admin.as_ref()
            && let Some((_, mut socket, _leave)) = self.admin.take()
            && config.admin.as_ref().is_some_and(|admin| admin.socket == socket.path())
        {
            socket.leave_file();
        }
        self.runtime.retain(&opened.runtime, config);
        self.add(opened, config, sites)
    }

    /// Leads every listener to its site. Who serves another one than before is exchanged; its socket stays.
    fn lead_stats(&mut self, config: &Config, sites: &[Arc<Site>]) -> io::Result<()> {
        for listener in std::mem::take(&mut self.stats) {
            let at = listener.bound.address();
            let wanted = stats_addresses(config).find(|(address, _)| *address == at).map(|(_, spec)| spec);
            match wanted {
                Some(spec) if listener.site.is(spec) => {
                    listener.site.show_certificate_of(site_of(spec, sites));
                    self.stats.push(listener);
                }
                Some(spec) => self.serve_stats(listener.bound, spec, sites)?,
                None => {}
            }
        }
        Ok(())
    }

    /// The sockets of all sites.
    pub fn stats(&self) -> impl Iterator<Item = &net::Bound> {
        self.stats.iter().map(|listener| &listener.bound)
    }

    pub fn admin_socket(&self) -> Option<BorrowedFd<'_>> {
        self.admin.as_ref().map(|(_, socket, _)| socket.as_fd())
    }

    /// The admin socket's file.
    pub fn admin_file(&self) -> Option<&Path> {
        self.admin.as_ref().map(|(_, socket, _)| socket.path())
    }

    /// Leaves them to another process that has them too. What is returned ends with the last answer under way.
    pub fn leave(&mut self) -> impl Future<Output = ()> + use<> {
        if let Some((_, socket, _)) = &mut self.admin {
            socket.leave_file();
        }
        self.runtime.leave_files();
        self.close()
    }

    /// Closes them. What is returned ends with the last answer under way.
    pub fn close(&mut self) -> impl Future<Output = ()> + use<> {
        let mut leaving: Vec<Leave> = self.stats.drain(..).map(|listener| listener.leave).collect();
        leaving.extend(self.admin.take().map(|(_, _, leave)| leave));
        leaving.extend(self.runtime.close());
        // Each is told at once, whoever is waited for.
        let left: Vec<_> = leaving.into_iter().map(|leave| spawn_local(leave.left())).collect();
        async {
            for left in left {
                let _ = left.await;
            }
        }
    }

    fn add(&mut self, opened: Opened, config: &Config, sites: &[Arc<Site>]) -> io::Result<()> {
        for bound in opened.stats {
            let at = bound.address();
            if let Some((_, spec)) = stats_addresses(config).find(|(address, _)| *address == at) {
                self.serve_stats(bound, spec, sites)?;
            }
        }
        if let (Some(socket), Some(spec)) = (opened.admin, &config.admin) {
            let listener = tokio::net::UnixListener::from_std(socket.listener()?)?;
            let (leave, leaving) = admin::leaving();
            let serve = admin::serve_unix(listener, Arc::clone(&self.views), leaving.clone());
            spawn_local(once_open(self.open.clone(), leaving, serve));
            self.admin = Some((spec.clone(), socket, leave));
        }
        self.runtime.add(opened.runtime)
    }

    /// Serves a site on one of its sockets.
    fn serve_stats(&mut self, bound: net::Bound, spec: &Stats, sites: &[Arc<Site>]) -> io::Result<()> {
        let site = site_of(spec, sites);
        let listener = tokio::net::TcpListener::from_std(bound.share()?.into_std())?;
        let (leave, leaving) = admin::leaving();
        let serve = admin::serve_tcp(listener, Arc::clone(site), Arc::clone(&self.views), leaving.clone());
        spawn_local(once_open(self.open.clone(), leaving, serve));
        self.stats.push(StatsListener { bound, site: Arc::clone(site), leave });
        Ok(())
    }
}

/// Serves when it is time, unless it is time to leave before.
pub(super) async fn once_open(mut open: watch::Receiver<bool>, mut leaving: Leaving, serve: impl Future<Output = ()>) {
    tokio::select! {
        // Whoever would say so has gone: nothing stands in the way.
        _ = open.wait_for(|open| *open) => {}
        () = leaving.told() => return,
    }
    // Held any longer, it would keep the end of the last connection from being seen.
    drop(leaving);
    serve.await;
}
