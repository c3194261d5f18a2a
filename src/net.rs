//! Sockets: the only place that names them.
//!
//! [`bind`] makes a listening socket without a runtime, so that everything can be bound before a thread starts.
//! [`Listener`] accepts on it within a runtime; [`dial`] makes the connection to a server.

pub mod accounts;
pub mod datagram;
pub mod options;
pub mod pipe;
pub mod proxy_header;
pub mod reactor;
pub mod resolve;
pub mod sys;
pub mod tls;
pub mod transfer;
mod way;

pub use self::way::Way;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

use crate::model::{Frontend, Keepalive, Listen, ListenAddress, UnixPath};

/// What a listening socket is made with.
#[derive(Debug, Clone)]
pub struct BindOptions {
    /// Bind an address that the host does not hold (IP_FREEBIND).
    pub freebind: bool,
    /// Length of the accept queue; `net.core.somaxconn` caps it.
    pub backlog: u32,
    /// Inherited by every accepted connection, which therefore costs no call of its own.
    pub keepalive: Option<Keepalive>,
    /// Take clients that come by this interface alone (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// Inherited like keepalive: how long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT).
    pub user_timeout: Option<Duration>,
    /// Take what is routed here for any address (IP_TRANSPARENT); without the right to, as `freebind`.
    pub transparent: bool,
    /// Let other processes of the same user listen on the same address (SO_REUSEPORT).
    pub shared: bool,
}

impl BindOptions {
    /// With an accept queue of this length, and nothing else said.
    pub const fn with_backlog(backlog: u32) -> Self {
        Self {
            freebind: false,
            backlog,
            keepalive: None,
            interface: None,
            user_timeout: None,
            transparent: false,
            shared: false,
        }
    }

    /// What a listener of a frontend is made with.
    pub fn of(frontend: &Frontend, listen: &Listen) -> Self {
        Self {
            freebind: frontend.freebind,
            backlog: listen.backlog.unwrap_or(frontend.backlog),
            keepalive: frontend.keepalive,
            interface: listen.interface.clone(),
            user_timeout: listen.user_timeout,
            transparent: listen.transparent,
            shared: false,
        }
    }
}

/// A listening socket, not yet in any runtime.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: ListenAddress,
    /// The host has no IPv6: a dual-stack address became an IPv4 one.
    pub ipv4_only: bool,
    /// It was opened for us, and whoever did so may hold it, too.
    pub adopted: bool,
}

/// Binds and listens. Unless the socket is to be shared, an address that is taken is an error.
pub fn bind(address: ListenAddress, options: &BindOptions) -> Result<Bound, BindError> {
    let failed = |source| BindError { address, source };
    let (socket, at, ipv4_only) = match address {
        ListenAddress::DualStack { port } => match stream_socket(Domain::IPV6) {
            Ok(socket) => {
                socket.set_only_v6(false).map_err(failed)?;
                (socket, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), false)
            }
            Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {
                (stream_socket(Domain::IPV4).map_err(failed)?, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), true)
            }
            Err(error) => return Err(failed(error)),
        },
        ListenAddress::Descriptor(_) | ListenAddress::Unix(_) => return Err(BindError::new(address, NOT_BINDABLE)),
        ListenAddress::Tcp(at) => {
            let socket = stream_socket(Domain::for_address(at)).map_err(failed)?;
            if at.is_ipv6() {
                socket.set_only_v6(true).map_err(failed)?;
            }
            (socket, at, false)
        }
    };
    prepare(&socket, at, options).map_err(failed)?;
    Ok(Bound { socket, address, ipv4_only, adopted: false })
}

/// What is not bound but given.
const NOT_BINDABLE: &str = "it has to be opened by somebody else";

/// Takes over a socket that was opened for us, with the options that it can still be given.
pub fn adopt(socket: Socket, address: ListenAddress, options: &BindOptions) -> Result<Bound, BindError> {
    let prepared = || {
        socket.set_nonblocking(true)?;
        options::inherit_on_accept(&socket, options)?;
        options::bind_to_interface(&socket, options)?;
        // Where it listens already, this sets the length of its queue.
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
    };
    prepared().map_err(|source| BindError { address, source })?;
    Ok(Bound { socket, address, ipv4_only: false, adopted: true })
}

/// The address of a TCP socket that listens or can do so; `None` for whatever else was opened for us.
pub fn listening_address(socket: &Socket) -> Option<SocketAddr> {
    let is_stream = socket.r#type().is_ok_and(|kind| kind == Type::STREAM);
    let address = socket.local_addr().ok()?.as_socket()?;
    let is_connected = socket.peer_addr().is_ok();
    (is_stream && address.port() != 0 && !is_connected).then_some(address)
}

/// Whether it is a unix socket that listens.
pub fn is_unix_listener(socket: &Socket) -> bool {
    socket.domain().is_ok_and(|domain| domain == Domain::UNIX) && socket.is_listener().unwrap_or(false)
}

/// Whether somebody listens at a unix socket's file, without waiting for room in his queue.
pub fn is_listening(path: &Path) -> bool {
    let connected = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connected() {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

fn stream_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // Sessions in TIME_WAIT of a process that has just ended must not keep the next one from binding. A listener of
    // another process still does.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn prepare(socket: &Socket, at: SocketAddr, options: &BindOptions) -> io::Result<()> {
    let takes_any = options.transparent && options::take_any_address(socket, at).is_ok();
    if options.freebind || (options.transparent && !takes_any) {
        if at.is_ipv6() {
            socket.set_freebind_v6(true)?;
        } else {
            socket.set_freebind_v4(true)?;
        }
    }
    options::inherit_on_accept(socket, options)?;
    options::bind_to_interface(socket, options)?;
    socket.set_reuse_port(options.shared)?;
    socket.bind(&at.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
}

impl Bound {
    /// The address it was configured with.
    pub fn address(&self) -> ListenAddress {
        self.address
    }

    /// One with a file, which listens already and whose file is somebody else's to keep.
    pub fn on_file(listener: UnixListener, path: UnixPath, backlog: u32) -> Result<Self, BindError> {
        let bound =
            Self { socket: listener.into(), address: ListenAddress::Unix(path), ipv4_only: false, adopted: false };
        bound.listen_again(backlog).map_err(|source| BindError { address: bound.address, source })?;
        Ok(bound)
    }

    /// The address that the kernel says, with the port that it gave for port 0.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "not an internet address"))
    }

    /// Whether it has a file instead of an address. Such a socket knows none of the options of the others.
    pub fn is_unix(&self) -> bool {
        self.address.path().is_some()
    }

    /// Another descriptor of the same socket, for one more runtime to accept on: all share one accept queue.
    pub fn share(&self) -> io::Result<Self> {
        let Self { address, ipv4_only, adopted, .. } = *self;
        Ok(Self { socket: self.socket.try_clone()?, address, ipv4_only, adopted })
    }

    /// Ends listening on the socket, through whichever of its descriptors: the kernel refuses clients, and those that wait
    /// in its queue are reset. It stays bound.
    pub fn stop_listening(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Read)
    }

    /// Listens again after [`Bound::stop_listening`]; a [`Listener`] on the socket must be made anew.
    pub fn listen_again(&self, backlog: u32) -> io::Result<()> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
    }

    /// Has those who come in from now on do so by other options, as far as a socket that listens can be given them: all
    /// but those of its address.
    pub fn renew(&self, options: &BindOptions, before: &BindOptions) -> io::Result<()> {
        if self.is_unix() {
            return Ok(());
        }
        if options.keepalive.is_none() {
            self.socket.set_keepalive(false)?;
        }
        if before.interface.is_some() && options.interface.is_none() {
            self.socket.bind_device(None)?;
        }
        options::inherit_on_accept(&self.socket, options)?;
        options::bind_to_interface(&self.socket, options)
    }

    /// For a runtime's own accept loop, such as the stats page's.
    pub fn into_std(self) -> std::net::TcpListener {
        self.socket.into()
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct BindError {
    pub address: ListenAddress,
    source: io::Error,
}

impl BindError {
    /// An address that can't be listened on for a reason that is not the kernel's.
    pub fn new(address: ListenAddress, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { address, source: io::Error::other(reason) }
    }

    fn sentence(&self) -> String {
        let Self { address, source } = self;
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                let port = address.port().unwrap_or_default();
                format!("can't listen on {address}: the port is taken (`ss -ltnp 'sport = :{port}'` tells by whom)")
            }
            io::ErrorKind::AddrNotAvailable => format!(
                "can't listen on {address}: this host does not hold the address (`freebind = true` binds it all the same)"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("can't listen on {address}: no permission (ports below 1024 need CAP_NET_BIND_SERVICE)")
            }
            _ => format!("can't listen on {address}: {source}"),
        }
    }
}

/// Accepts on a [`Bound`] socket in the runtime that it was made in.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<Socket>,
    /// `None` for a unix socket.
    address: Option<SocketAddr>,
}

impl Listener {
    /// Registers the socket with the current runtime.
    pub fn new(bound: Bound) -> io::Result<Self> {
        let address = if bound.is_unix() { None } else { Some(bound.local_address()?) };
        Ok(Self { socket: sys::watch_readable(bound.socket)?, address })
    }

    /// The address it listens on, as the kernel says; `None` for a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns when a connection may be waiting. Nothing is taken from the queue.
    pub async fn ready(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// Takes one connection from the queue, with its peer's address if it has one; `None` if there is none after all, and
    /// then [`Listener::ready`] waits again.
    pub fn accept(&self) -> Result<Option<(OwnedFd, Option<SocketAddr>)>, AcceptError> {
        // One accept4 is all that a connection costs here: the flags spare a fcntl, the listener's options are
        // inherited, and the peer's address comes with it.
        let accepted = self.socket.try_io(Interest::READABLE, |socket| {
            rustix::net::acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).map_err(io::Error::from)
        });
        let (descriptor, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(AcceptError::from(error)),
        };
        if self.address.is_none() {
            return Ok(Some((descriptor, None)));
        }
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        // A peer that reset before we asked has no address left; it is gone, and the next one may be there.
        let peer = peer.ok_or(AcceptError::Connection)?;
        Ok(Some((descriptor, Some(canonical(peer)))))
    }
}

/// Why a connection was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// That one connection failed; the next may be fine.
    #[error("the connection ended before it was accepted")]
    Connection,
    /// This process or host has run out of something, or the listener itself has failed; trying again at once would
    /// spin.
    #[error("{0}")]
    Resource(io::Error),
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        // What accept(2) says of the one connection that it would have given; all else would be said again at once.
        let of_one = [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::INTR,
            Errno::PERM,
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::OPNOTSUPP,
            Errno::TIMEDOUT,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NONET,
        ];
        match error.raw_os_error() {
            Some(code) if of_one.iter().any(|errno| errno.raw_os_error() == code) => Self::Connection,
            _ => Self::Resource(error),
        }
    }
}

/// The address as people write it: an IPv4 client of a dual-stack listener has an IPv4 address.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Connects for something other than a session: a probe, a client of the demo. The caller bounds the time.
pub async fn dial(address: SocketAddr) -> Result<TcpStream, DialError> {
    dial_by(address, Way::default()).await
}

/// As [`dial`], by a way of the configuration's own.
pub async fn dial_by(address: SocketAddr, way: Way<'_>) -> Result<TcpStream, DialError> {
    let stream = TcpStream::from_std(connecting(address, way)?.into()).map_err(DialError::Local)?;
    stream.writable().await.map_err(DialError::Local)?;
    match options::pending_error(&stream) {
        Some(error) => Err(error.into()),
        None => Ok(stream),
    }
}

/// A socket on its way to a server, in three calls: made, with flags that spare a fcntl; told that a small write must not
/// wait for the acknowledgement of the one before, as the end of a handshake and the request behind it would, for the
/// 40 ms of a delayed one; and connecting. Unless the way wants one there is no bind: the kernel finds a port with less
/// work in connect.
fn connecting(address: SocketAddr, way: Way<'_>) -> Result<Socket, DialError> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
        .map_err(DialError::Local)?;
    socket.set_tcp_nodelay(true).map_err(DialError::Local)?;
    way.take(&socket).map_err(DialError::Local)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error.into()),
        _ => Ok(socket),
    }
}

/// Why a server could not be reached.
#[derive(Debug)]
pub enum DialError {
    /// It answered with a reset.
    Refused,
    /// The network says that there is no way to it.
    Unreachable,
    /// Nobody answered in time.
    TimedOut,
    /// This host has no way to its network.
    NoNetwork,
    /// Something of our own was missing: a descriptor, a local port. It says nothing of the server.
    Local(io::Error),
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::HostUnreachable => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Self::NoNetwork,
            _ => Self::Local(error),
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("no route to host"),
            Self::TimedOut => f.write_str("no answer"),
            Self::NoNetwork => f.write_str("network is unreachable"),
            Self::Local(error) => write!(f, "local error: {error}"),
        }
    }
}

/// Whether a failed read or write means that the peer, or the way to it, is silent rather than closed.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_has_failed_is_not_mistaken_for_connections_that_have() {
        let options = BindOptions::with_backlog(16);
        let bound = bind(ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), &options).unwrap();
        let shared = bound.share().unwrap();
        let listener = Listener::new(bound).unwrap();
        // As by another process that has the same socket from the service manager.
        shared.socket.shutdown(std::net::Shutdown::Both).unwrap();
        listener.ready().await.unwrap();
        assert!(matches!(listener.accept(), Err(AcceptError::Resource(_))));
    }
}
