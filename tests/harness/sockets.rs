//! What the kernel says of TCP sockets, read by `ss`.

use std::net::{IpAddr, SocketAddr};

use super::program::{command, run};

/// One line of `ss`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// `ESTAB`, `CLOSE-WAIT`, `FIN-WAIT-2`, … as `ss` writes it.
    pub state: String,
    pub local: SocketAddr,
    /// Port 0 on a listening socket.
    pub peer: SocketAddr,
}

/// All TCP sockets of this process's network namespace, or of the named one.
pub fn tcp(namespace: Option<&str>) -> Vec<Socket> {
    let within = namespace.map_or(String::new(), |name| format!("ip netns exec {name} "));
    let table = run(&mut command(&format!("{within}ss --tcp --all --numeric --no-header")));
    table.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Socket> {
    let mut columns = line.split_whitespace();
    let state = columns.next()?.to_owned();
    let mut addresses = columns.skip(2);
    Some(Socket { state, local: address(addresses.next()?)?, peer: address(addresses.next()?)? })
}

/// `ss` writes `*` for any address or port, `%lo` after an address that is bound to an interface.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']).split('%').next()?;
    let host: IpAddr = if host == "*" { "::".parse().ok()? } else { host.parse().ok()? };
    let port = if port == "*" { 0 } else { port.parse().ok()? };
    Some(SocketAddr::new(host.to_canonical(), port))
}
