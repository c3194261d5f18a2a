//! Ports that nobody else will take, so that a configuration can name them before anything is bound.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::Mutex;

/// Below the range from which the kernel takes ports by itself (32768 on), above the ports of well-known programs.
const FIRST: u16 = 13_000;
const LAST: u16 = 31_000;

/// Claims of this process. Each is a name that only one process at a time can hold, and that ends with it.
static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A TCP port that is free on every address, and that no other test will be given while this one runs.
pub fn free() -> u16 {
    for _ in 0..10_000 {
        let port = fastrand::u16(FIRST..LAST);
        if claim(port) {
            return port;
        }
    }
    panic!("no free port from {FIRST} to {LAST}");
}

/// An offset that makes all of `ports` free when added to them.
pub fn free_offset(ports: &[u16]) -> u16 {
    for _ in 0..1_000 {
        let offset = fastrand::u16(5_000..20_000);
        if ports.iter().all(|port| claim(port + offset)) {
            return offset;
        }
    }
    panic!("no offset frees all of {ports:?}");
}

fn claim(port: u16) -> bool {
    let name = UnixAddr::from_abstract_name(format!("evenkeel-test-port-{port}")).expect("the name is short");
    let Ok(claim) = UnixListener::bind_addr(&name) else { return false };
    // A dual-stack socket collides with whatever is bound to the port, in either family.
    let everywhere = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0));
    if TcpListener::bind(everywhere).is_err() {
        return false;
    }
    CLAIMS.lock().unwrap().push(claim);
    true
}
