//! By which way a server is reached: our own address, the interface, and how long the connection bears silence.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::Socket;

use super::sys;
use crate::model;

/// What a connection to a server is made with. The default leaves all of it to the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way<'a> {
    source: Option<SocketAddr>,
    interface: Option<&'a str>,
    user_timeout: Option<Duration>,
}

impl<'a> Way<'a> {
    /// The way to this server.
    pub fn to(server: &'a model::Server) -> Self {
        Self { source: server.source, interface: server.interface.as_deref(), user_timeout: server.user_timeout }
    }

    /// Puts a socket on it that is not connected yet.
    pub(super) fn take(&self, socket: &Socket) -> io::Result<()> {
        if let Some(interface) = self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        let Some(source) = self.source else { return Ok(()) };
        if source.port() == 0 {
            // A port is found in connect, where one may serve several servers.
            sys::bind_without_port(socket)?;
        } else {
            // The last connection from this port may be in TIME_WAIT.
            socket.set_reuse_address(true)?;
        }
        socket.bind(&source.into())
    }
}
