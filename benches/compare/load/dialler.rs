//! Where clients come from: many addresses of 127/8, because the ports of one are gone in two seconds.

use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Ports of each address that clients come from. None of them may be in `net.ipv4.ip_local_port_range`: a port that was
/// bound by its number, on whatever address, is passed over when the kernel looks for one for a proxy's connection, and
/// with tens of thousands of them that search costs more than the connection.
const PORTS: std::ops::Range<u64> = 10_000..32_000;

/// Addresses before the first is taken again.
const ADDRESSES: u64 = 250;

/// Gives each connection an address and port that none had before for five million connections.
#[derive(Default)]
pub struct Dialler {
    dialled: u64,
}

impl Dialler {
    /// Connects. On loopback that is over within the call, unless the accept queue is full.
    pub fn connect(&mut self, target: SocketAddrV4) -> Result<OwnedFd> {
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        while let Err(error) = rustix::net::bind(&socket, &self.source()) {
            if error != Errno::ADDRINUSE {
                return Err(error);
            }
        }
        rustix::net::connect(&socket, &target)?;
        Ok(socket)
    }

    /// As [`Dialler::connect`], for a connection of many exchanges: none waits for the acknowledgement of another.
    pub fn connect_for_long(&mut self, target: SocketAddrV4) -> Result<OwnedFd> {
        let socket = self.connect(target)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        Ok(socket)
    }

    fn source(&mut self) -> SocketAddrV4 {
        let ports = PORTS.end - PORTS.start;
        let host = u8::try_from(self.dialled / ports % ADDRESSES + 1).expect("250 at most");
        let port = u16::try_from(PORTS.start + self.dialled % ports).expect("32,000 at most");
        self.dialled += 1;
        SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, host), port)
    }
}
