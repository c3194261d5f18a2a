//! The listeners of the runtime API: what is opened for it, served, kept over a reload and left to another process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_local;

use super::StartError;
use super::listeners::{ListenerSource, handed_over_as};
use super::pages::once_open;
use super::unix_socket::{Place, UnixSocket};
use crate::admin::{self, Leave, Views, runtime};
use crate::model::{Config, RuntimeAddress, RuntimeSocket};
use crate::net;

/// Accept queue of each: HAProxy's `stats maxconn` lets ten in at a time.
pub const BACKLOG: u32 = 128;

/// A socket that listens, of whichever kind.
#[derive(Debug)]
pub enum RuntimeListener {
    /// Its file is ours.
    File(UnixSocket),
    /// Somebody opened it for us, and its file is theirs.
    Given(UnixListener),
    Tcp(net::Bound),
}

/// Sockets that are bound, and not yet served.
#[derive(Debug, Default)]
pub struct OpenedRuntime(Vec<(RuntimeSocket, RuntimeListener)>);

/// All of them, while they are served.
pub struct RuntimeSockets {
    views: Arc<Views>,
    open: watch::Receiver<bool>,
    served: Vec<Served>,
}

struct Served {
    /// As it is configured now: whoever connects from then on is served by it.
    spec: watch::Sender<RuntimeSocket>,
    listener: RuntimeListener,
    leave: Leave,
}

impl OpenedRuntime {
    /// Opens all that the configuration names.
    pub fn all(config: &Config, source: &mut ListenerSource) -> Result<Self, StartError> {
        let opened = config.runtime.iter().map(|spec| Ok((spec.clone(), source.runtime(spec)?)));
        let opened = opened.collect::<Result<_, StartError>>()?;
        source.drop_files();
        Ok(Self(opened))
    }

    pub fn unix_sockets(&self) -> impl Iterator<Item = &UnixSocket> {
        self.0.iter().filter_map(|(_, listener)| match listener {
            RuntimeListener::File(socket) => Some(socket),
            RuntimeListener::Given(_) | RuntimeListener::Tcp(_) => None,
        })
    }

    pub fn tcp(&self) -> impl Iterator<Item = &net::Bound> {
        self.0.iter().filter_map(|(_, listener)| match listener {
            RuntimeListener::Tcp(bound) => Some(bound),
            RuntimeListener::File(_) | RuntimeListener::Given(_) => None,
        })
    }
}

impl RuntimeSockets {
    /// None yet; they are served once `open` says so.
    pub fn new(views: Arc<Views>, open: watch::Receiver<bool>) -> Self {
        Self { views, open, served: Vec::new() }
    }

    /// What a new configuration wants that is not there, or is there in another way.
    pub fn missing<'a>(&self, config: &'a Config) -> impl Iterator<Item = &'a RuntimeSocket> {
        config.runtime.iter().filter(|wanted| self.served.iter().all(|served| !served.serves(wanted)))
    }

    /// Opens what a new configuration names beyond what is there.
    pub fn open_missing(&self, config: &Config, source: &mut ListenerSource) -> Result<OpenedRuntime, StartError> {
        let opened = self.missing(config).map(|wanted| {
            let is_there = self.served.iter().any(|served| served.spec.borrow().listen == wanted.listen);
            let listener = match &wanted.listen {
                // The same place with another mode or owner: the file is exchanged for another one.
                RuntimeAddress::Unix(path) if is_there => {
                    RuntimeListener::File(UnixSocket::replace(Place::of_runtime(wanted, path))?)
                }
                _ => source.runtime(wanted)?,
            };
            Ok((wanted.clone(), listener))
        });
        Ok(OpenedRuntime(opened.collect::<Result<_, StartError>>()?))
    }

    /// Keeps what a new configuration still names, by what it says of it, and closes the rest.
    pub fn retain(&mut self, opened: &OpenedRuntime, config: &Config) {
        let is_opened = |listen: &RuntimeAddress| opened.0.iter().any(|(spec, _)| spec.listen == *listen);
        self.served.retain_mut(|served| {
            let listen = served.spec.borrow().listen.clone();
            match config.runtime.iter().find(|wanted| wanted.listen == listen) {
                Some(_) if is_opened(&listen) => {
                    served.listener.leave_file();
                    false
                }
                Some(wanted) => {
                    served.spec.send_replace(wanted.clone());
                    true
                }
                None => false,
            }
        });
    }

    /// Serves on what has been opened.
    pub fn add(&mut self, opened: OpenedRuntime) -> io::Result<()> {
        for (spec, listener) in opened.0 {
            let (spec, current) = watch::channel(spec);
            let (leave, leaving) = admin::leaving();
            let shared = match &listener {
                RuntimeListener::File(socket) => unix(socket.listener()?)?,
                RuntimeListener::Given(socket) => unix(socket.try_clone()?)?,
                RuntimeListener::Tcp(bound) => {
                    runtime::Listener::Tcp(tokio::net::TcpListener::from_std(bound.share()?.into_std())?)
                }
            };
            let serve = runtime::serve(shared, current, Arc::clone(&self.views), leaving.clone());
            spawn_local(once_open(self.open.clone(), leaving, serve));
            self.served.push(Served { spec, listener, leave });
        }
        Ok(())
    }

    /// Each with what it is called when it is handed over.
    pub fn descriptors(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        self.served.iter().map(|served| (handed_over_as(&served.spec.borrow().listen), served.listener.as_fd()))
    }

    /// Leaves their files to another process that has them too.
    pub fn leave_files(&mut self) {
        self.served.iter_mut().for_each(|served| served.listener.leave_file());
    }

    /// Closes them.
    pub fn close(&mut self) -> Vec<Leave> {
        self.served.drain(..).map(|served| served.leave).collect()
    }
}

fn unix(listener: UnixListener) -> io::Result<runtime::Listener> {
    Ok(runtime::Listener::Unix(tokio::net::UnixListener::from_std(listener)?))
}

impl Served {
    /// Whether it is what is wanted, but for what can be said to it while it listens.
    fn serves(&self, wanted: &RuntimeSocket) -> bool {
        let spec = self.spec.borrow();
        let file = |spec: &RuntimeSocket| (spec.mode, spec.user.clone(), spec.group.clone());
        spec.listen == wanted.listen
            && (!matches!(wanted.listen, RuntimeAddress::Unix(_)) || file(&spec) == file(wanted))
    }
}

impl RuntimeListener {
    fn leave_file(&mut self) {
        if let Self::File(socket) = self {
            socket.leave_file();
        }
    }
}

impl AsFd for RuntimeListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::File(socket) => socket.as_fd(),
            Self::Given(socket) => socket.as_fd(),
            Self::Tcp(bound) => bound.as_fd(),
        }
    }
}
