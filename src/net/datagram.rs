//! Datagrams to a receiver of log lines.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::model::DatagramAddress;

/// How long a receiver may leave a datagram untaken.
const LONGEST: Duration = Duration::from_secs(1);

/// Sends one datagram, or says why not.
pub type Deliver = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;

/// What sends one datagram at a time to a receiver, waiting for its place at most a second.
///
/// It fails if nobody is there: at once on a unix socket, and on UDP as soon as a refusal has come back, which is at
/// once on this host, with a later datagram from another one, and never through a firewall.
pub fn connect(address: &DatagramAddress) -> io::Result<Deliver> {
    match address {
        DatagramAddress::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(LONGEST))?;
            Ok(Box::new(move |datagram| socket.send(datagram).map(drop)))
        }
        DatagramAddress::Udp(address) => {
            let any: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            socket.set_write_timeout(Some(LONGEST))?;
            Ok(Box::new(move |datagram| {
                socket.send(datagram)?;
                socket.take_error()?.map_or(Ok(()), Err)
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_is_an_error_at_once() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = DatagramAddress::Udp(free.local_addr().unwrap());
        drop(free);
        // Tried: without the look at the socket's error the datagram seems to have been taken.
        let refused = connect(&udp).unwrap()(b"x").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let missing = connect(&DatagramAddress::Unix(path.clone())).err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        // A socket whose receiver has ended leaves its file behind.
        drop(UnixDatagram::bind(&path).unwrap());
        let dead = connect(&DatagramAddress::Unix(path)).err().unwrap();
        assert_eq!(dead.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_receiver_that_does_not_read_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let _receiver = UnixDatagram::bind(&path).unwrap();
        let mut send = connect(&DatagramAddress::Unix(path)).unwrap();
        let refused = (0..100_000).find_map(|_| send(b"line").err()).expect("the receiver's queue is bounded");
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }
}
