//! Who receives the log that a file asks for.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::harness::namespace::Host;
use crate::root::Root;

/// Bytes of the longest datagram.
const DATAGRAM: usize = 65_536;

/// The port of receivers whose port the file doesn't state.
const PORT: u16 = 514;

/// A receiver for every address that the file's `log` lines name.
pub struct Receivers {
    udp: Vec<UdpSocket>,
    unix: Vec<UnixDatagram>,
}

impl Receivers {
    pub fn of(configuration: &str, root: &Root, host: &Host) -> Self {
        let mut receivers = Self { udp: Vec::new(), unix: Vec::new() };
        for target in targets(configuration) {
            if target.starts_with('/') {
                receivers.unix.extend(paths(&target, configuration, root).iter().map(|path| unix(path)));
            } else if let Some(address) = udp_address(&target) {
                let socket = host.on(|| UdpSocket::bind(address).unwrap_or_else(|e| panic!("{address}: {e}")));
                socket.set_nonblocking(true).unwrap();
                receivers.udp.push(socket);
            }
        }
        receivers
    }

    /// The datagrams that have come since the last look.
    pub fn arrived(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut bytes = vec![0; DATAGRAM];
        for socket in &self.udp {
            while let Ok(length) = socket.recv(&mut bytes) {
                lines.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
        for socket in &self.unix {
            while let Ok(length) = socket.recv(&mut bytes) {
                lines.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
        lines
    }
}

/// Where lines go, each place once.
fn targets(configuration: &str) -> BTreeSet<String> {
    let target = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("log")).then(|| words.next().map(ToOwned::to_owned)).flatten()
    };
    configuration.lines().filter_map(target).collect()
}

/// `None` for `global` and for outputs of the program.
fn udp_address(target: &str) -> Option<SocketAddr> {
    let target = target.strip_prefix("udp@").unwrap_or(target);
    let address = target.parse().ok();
    address.or_else(|| target.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT)))
}

/// A unix socket's path for everybody else: whether the program goes into a root of its own before it logs is its affair.
fn paths(target: &str, configuration: &str, root: &Root) -> Vec<PathBuf> {
    let chroot = configuration.lines().find_map(|line| line.trim().strip_prefix("chroot "));
    let within = chroot.map(|chroot| root.path(chroot.trim()).join(target.trim_start_matches('/')));
    std::iter::once(root.path(target)).chain(within).collect()
}

fn unix(path: &Path) -> UnixDatagram {
    let parent = path.parent().expect("a file's path");
    fs::create_dir_all(parent).unwrap();
    // A socket's path is short, and that to the root may be long.
    let directory = File::open(parent).unwrap();
    let name = path.file_name().expect("a file's path").to_string_lossy();
    let socket = UnixDatagram::bind(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}
