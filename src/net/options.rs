//! Socket options, each set where it costs least.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};

use crate::model::Keepalive;

/// Sets on a listener what every connection accepted from it is to have: Linux copies them (tcp(7), inet(7)).
pub fn inherit_on_accept(listener: &Socket, keepalive: Option<Keepalive>) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    set_keepalive(&SockRef::from(listener), keepalive)
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

/// Makes the closing of this connection a reset (RST) instead of a FIN; what the peer has not been sent is dropped.
pub fn reset_on_close(stream: &impl AsFd) {
    // A socket that is already gone can't be told, and need not be.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
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
