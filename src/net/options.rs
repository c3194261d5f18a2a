//! Socket options, each set where it costs least.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::time::{Instant, timeout_at};

use super::{BindOptions, sys};
use crate::model::Keepalive;

/// Sets on a listener what every connection accepted from it is to have: Linux copies them (tcp(7), inet(7)).
pub fn inherit_on_accept(listener: &Socket, options: &BindOptions) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    // 0 is the kernel's own way, and costs no call where nothing else was ever said.
    if options.user_timeout != listener.tcp_user_timeout()? {
        listener.set_tcp_user_timeout(options.user_timeout)?;
    }
    set_keepalive(&SockRef::from(listener), options.keepalive)
}

/// Has a listener take those alone who come by its interface. One that whoever opened it has put on an interface stays
/// there unless another is wanted. The kernel is told only of what changes: it takes a right (CAP_NET_RAW) to move a
/// socket that is on an interface already.
pub fn bind_to_interface(listener: &Socket, options: &BindOptions) -> io::Result<()> {
    match options.interface.as_deref().map(str::as_bytes) {
        Some(wanted) if listener.device()?.as_deref() != Some(wanted) => listener.bind_device(Some(wanted)),
        _ => Ok(()),
    }
}

/// Lets a socket be bound to whatever address, and have the connections that are routed here for it.
pub fn take_any_address(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    match at {
        SocketAddr::V4(_) => socket.set_ip_transparent_v4(true),
        SocketAddr::V6(_) => socket.set_ip_transparent_v6(true),
    }
}

/// Has the kernel ask the peer of a connection whether it lives, from now on.
pub fn keep_alive(stream: &impl AsFd, keepalive: Option<Keepalive>) {
    // A connection that is already gone can't be told, and need not be.
    let _ = set_keepalive(&SockRef::from(stream), keepalive);
}

fn set_keepalive(socket: &SockRef<'_>, keepalive: Option<Keepalive>) -> io::Result<()> {
    let Some(Keepalive { idle, interval, count }) = keepalive else { return Ok(()) };
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(count))
}

/// Asks the peer of a quiet connection whether it lives, now: on an established connection that has been idle for a
/// second, Linux answers this option with a keepalive probe at once. Its answer shows in [`signs`]. Until
/// [`stop_asking`] the kernel won't give up the connection for want of an answer.
pub fn ask(stream: &impl AsFd) {
    /// As many unanswered probes as the kernel can be told to bear (tcp(7)).
    const MANY: u32 = 127;
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(1)).with_retries(MANY);
    // A connection that is already gone says so by itself.
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Goes back to asking as configured.
pub fn stop_asking(stream: &impl AsFd, keepalive: Option<Keepalive>) {
    match keepalive {
        Some(_) => keep_alive(stream, keepalive),
        None => drop(SockRef::from(stream).set_keepalive(false)),
    }
}

/// What is known of a connection's peer (tcp(7), TCP_INFO).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signs {
    /// Since the peer last acknowledged anything, or sent any.
    pub heard: Duration,
    /// Since data was last sent, or sent again.
    pub sent: Duration,
    /// Segments under way that the peer has not acknowledged.
    pub unacknowledged: u32,
    /// How often in a row these have been sent again in vain.
    pub retransmits: u8,
    /// Keepalive and window probes in a row that nobody has answered.
    pub probes: u8,
}

/// What is known of a connection's peer; `None` if the connection is gone.
pub fn signs(stream: &impl AsFd) -> Option<Signs> {
    let info = sys::tcp_info(stream).ok()?;
    let heard = info.tcpi_last_ack_recv.min(info.tcpi_last_data_recv);
    Some(Signs {
        heard: Duration::from_millis(heard.into()),
        sent: Duration::from_millis(info.tcpi_last_data_sent.into()),
        unacknowledged: info.tcpi_unacked,
        retransmits: info.tcpi_retransmits,
        probes: info.tcpi_probes,
    })
}

/// Makes the closing of this connection a reset (RST) instead of a FIN; what the peer has not been sent is dropped.
pub fn reset_on_close(stream: &impl AsFd) {
    // A socket that is already gone can't be told, and need not be.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Waits for a peer until a deadline. If that passes the connection, which `waiting` owns, ends with a reset: a FIN would
/// leave it in the kernel until a peer that hangs has said its own. `None` is that case.
pub async fn until_reset<T>(
    stream: io::Result<OwnedFd>,
    deadline: Instant,
    waiting: impl Future<Output = T>,
) -> Option<T> {
    // Gone with the end of the wait, but for this other descriptor of it.
    let outcome = timeout_at(deadline, waiting).await;
    if let (Err(_), Ok(stream)) = (&outcome, &stream) {
        reset_on_close(stream);
    }
    outcome.ok()
}

/// Sends FIN after what has been written; the other direction goes on. A session costs one such call at most: its other
/// FIN is the close.
pub fn finish(stream: &impl AsFd) {
    // A side that is already gone can't be told; what it sends shows what became of it.
    let _ = SockRef::from(stream).shutdown(Shutdown::Write);
}

/// The error that arrived on a connection that nobody reads at the moment, such as the peer's reset.
pub fn pending_error(stream: &impl AsFd) -> Option<io::Error> {
    SockRef::from(stream).take_error().ok().flatten()
}
