//! Whether what is to be listened on can be, and who has it if not.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::{Case, Finding};
use crate::model::ListenAddress;
use crate::net;

const WHAT: &str = "listen address";

/// A finding for each address of the frontends and the stats page.
pub(super) fn all(case: &Case) -> Vec<Finding> {
    let frontends = case.config.frontends.iter().flat_map(|frontend| {
        frontend.listen.iter().map(|listen| (listen.address, frontend.freebind || listen.transparent))
    });
    let stats = case.config.stats.iter().flat_map(|stats| stats.listen.iter().map(|at| (*at, stats.freebind)));
    let addresses = frontends.chain(stats);
    // What the service manager opens, it can't find taken for us.
    let addresses = addresses.filter(|(address, _)| !matches!(address, ListenAddress::Descriptor(_)));
    addresses.map(|(address, freebind)| judge(case, address, freebind)).collect()
}

fn judge(case: &Case, address: ListenAddress, freebind: bool) -> Finding {
    if let Some(path) = address.path() {
        return unix(address, path, serves(case, address));
    }
    let tried = match try_to_bind(address) {
        // Evenkeel does without IPv6 here, and so does this.
        Err(error) if is(&error, Errno::AFNOSUPPORT) => without_ipv6(address),
        tried => tried,
    };
    match tried {
        Ok(()) => Finding::ok(WHAT, format!("{address} is free")),
        Err(error) if is(&error, Errno::ADDRINUSE) => taken(case, address),
        Err(error) if is(&error, Errno::ADDRNOTAVAIL) && freebind => {
            Finding::ok(WHAT, format!("{address} is not this host's now, which `freebind` allows"))
        }
        Err(error) if is(&error, Errno::ADDRNOTAVAIL) => Finding::fail(
            WHAT,
            format!("{address} is no address of this host"),
            "give the host the address, or set `freebind = true` if it comes later, as a VIP does",
        ),
        Err(error) if is(&error, Errno::ACCESS) => privileged(case, address),
        Err(error) => Finding::fail(WHAT, format!("{address} can't be listened on: {error}"), "choose another"),
    }
}

/// A unix socket, whether or not the running evenkeel has it: what a dead process left behind is in nobody's way.
fn unix(address: ListenAddress, path: &Path, is_ours: bool) -> Finding {
    const ELSEWHERE: &str = "remove it, or listen elsewhere";
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            Finding::fail(WHAT, format!("{address}: something that is not a socket has this name"), ELSEWHERE)
        }
        Ok(_) if is_ours => Finding::ok(WHAT, format!("{address} is the running evenkeel's")),
        Ok(_) if net::is_listening(path) => Finding::fail(
            WHAT,
            format!("another process listens at {address} (`ss -xlp src {}` tells which)", path.display()),
            "stop that, or listen elsewhere; a HAProxy that is to be replaced is stopped first",
        ),
        _ => Finding::ok(WHAT, format!("{address} is free")),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Binds and doesn't listen: with SO_REUSEADDR that disturbs nobody who starts at this moment.
fn try_to_bind(address: ListenAddress) -> io::Result<()> {
    let (at, dual_stack) = match address {
        ListenAddress::DualStack { port } => (SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), true),
        ListenAddress::Tcp(at) => (at, false),
        ListenAddress::Descriptor(_) | ListenAddress::Unix(_) => return Ok(()),
    };
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if at.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    socket.bind(&at.into())
}

fn without_ipv6(address: ListenAddress) -> io::Result<()> {
    match address {
        ListenAddress::DualStack { port } => try_to_bind(ListenAddress::Tcp((Ipv4Addr::UNSPECIFIED, port).into())),
        _ => Err(io::Error::from(Errno::ADDRNOTAVAIL)),
    }
}

/// Nothing to do for the systemd unit, which has the capability.
fn privileged(case: &Case, address: ListenAddress) -> Finding {
    let from = case.host.unprivileged_ports.unwrap_or(1024);
    let says = format!("{address}: ports below {from} need CAP_NET_BIND_SERVICE, which this shell hasn't");
    Finding::warn(WHAT, says, "the systemd unit has it; in a container, add NET_BIND_SERVICE")
}

/// Fine if it is evenkeel itself that runs.
fn taken(case: &Case, address: ListenAddress) -> Finding {
    let owners = owners(address);
    let running = case.running.as_ref().ok().map(|status| status.process.pid);
    if running.is_some_and(|pid| owners.iter().any(|owner| owner.pid == Some(pid))) || serves(case, address) {
        return Finding::ok(WHAT, format!("{address} is the running evenkeel's"));
    }
    let named: Vec<String> = owners.iter().map(Owner::words).collect();
    let by = if named.is_empty() { "a socket that doesn't listen".to_owned() } else { named.join(", ") };
    match running {
        // Whose it is can't be seen, and there is somebody whose it may well be.
        Some(pid) if owners.iter().any(|owner| owner.pid.is_none()) => {
            Finding::ok(WHAT, format!("{address} is taken, by the look of it by the running evenkeel (pid {pid})"))
        }
        _ => Finding::fail(
            WHAT,
            format!("{address} is taken by {by}"),
            "stop that, or listen elsewhere; a HAProxy that is to be replaced is stopped first",
        ),
    }
}

/// Whether the running process says that it listens there.
fn serves(case: &Case, address: ListenAddress) -> bool {
    let Ok(status) = &case.running else { return false };
    let address = address.to_string();
    status.frontends.iter().any(|frontend| frontend.listen.contains(&address))
}

/// Who listens.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    uid: u32,
    /// `None` if it is another user's, which root alone sees.
    pid: Option<u32>,
    name: String,
}

impl Owner {
    fn words(&self) -> String {
        match self.pid {
            Some(pid) => format!("{} (pid {pid})", self.name),
            None => format!("a process of uid {} (root can see which)", self.uid),
        }
    }
}

/// A listening socket, as /proc/net/tcp has it.
#[derive(Debug, PartialEq, Eq)]
struct Listening {
    address: ListenAddress,
    uid: u32,
    inode: u64,
}

fn owners(address: ListenAddress) -> Vec<Owner> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let listening: Vec<Listening> = tables.iter().flat_map(|table| table.lines().filter_map(listening)).collect();
    let there = listening.into_iter().filter(|socket| socket.address.overlaps(address));
    there
        .map(|Listening { uid, inode, .. }| match holder(inode) {
            Some((pid, name)) => Owner { uid, pid: Some(pid), name },
            None => Owner { uid, pid: None, name: String::new() },
        })
        .collect()
}

/// Reads a line of /proc/net/tcp or tcp6: `sl local_address rem_address st … uid timeout inode …` (proc(5)).
fn listening(line: &str) -> Option<Listening> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, state, _, _, _, uid, _, inode, ..] = fields[..] else { return None };
    let (ip, port) = local.split_once(':')?;
    let address = match (ip_of(ip)?, u16::from_str_radix(port, 16).ok()?) {
        // Whether it takes IPv4, too, isn't told; most do.
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port) => ListenAddress::DualStack { port },
        (ip, port) => ListenAddress::Tcp((ip, port).into()),
    };
    let listening = Listening { address, uid: uid.parse().ok()?, inode: inode.parse().ok()? };
    (state == LISTEN).then_some(listening)
}

/// Words of 32 bits in the machine's own order, hexadecimal.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |place: usize| u32::from_str_radix(hex.get(8 * place..8 * place + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).to_canonical())
        }
        _ => None,
    }
}

/// The process that has a socket open, and its name, as far as we may look.
fn holder(inode: u64) -> Option<(u32, String)> {
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|to| to.as_os_str() == socket.as_str())
    };
    let pid = numbered.into_iter().find(holds)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use socket2::SockRef;

    use super::super::Grade;
    use super::*;
    use crate::model::UnixPath;

    #[test]
    fn a_line_of_the_kernel_s_table_is_a_listening_socket() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 41235 1 0 100 0";
        if cfg!(target_endian = "little") {
            let address = ListenAddress::Tcp("127.0.0.1:8080".parse().unwrap());
            assert_eq!(listening(line), Some(Listening { address, uid: 998, inode: 41_235 }));
        }
        assert_eq!(listening(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(
            listening("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"),
            None
        );
        let any =
            "   1: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7 1";
        assert_eq!(listening(any).map(|socket| socket.address), Some(ListenAddress::DualStack { port: 6443 }));
    }

    // Seen to fail with a file whose listener is not asked for.
    #[test]
    fn a_unix_sockets_name_is_free_unless_somebody_listens_there_or_it_is_something_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let grade = |is_ours| {
            let address = ListenAddress::Unix(UnixPath::new(&path).unwrap());
            unix(address, &path, is_ours).grade
        };
        assert_eq!(grade(false), Grade::Ok);
        let living = UnixListener::bind(&path).unwrap();
        assert_eq!((grade(false), grade(true)), (Grade::Fail, Grade::Ok));
        // As one that takes nobody: whoever asked is in its queue, and no more have room there.
        SockRef::from(&living).listen(0).unwrap();
        assert_eq!(grade(false), Grade::Fail);
        drop(living);
        assert_eq!(grade(false), Grade::Ok);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert_eq!(grade(false), Grade::Fail);
    }

    #[test]
    fn who_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(is(&try_to_bind(ListenAddress::Tcp(address)).unwrap_err(), Errno::ADDRINUSE));
        let owners = owners(ListenAddress::Tcp(address));
        assert_eq!(owners.iter().map(|owner| owner.pid).collect::<Vec<_>>(), [Some(std::process::id())], "{owners:?}");
        drop(listener);
        try_to_bind(ListenAddress::Tcp(address)).unwrap();
    }
}
