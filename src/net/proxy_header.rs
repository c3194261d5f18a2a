//! The PROXY protocol's header, both its versions: who a connection stands for, said by whoever passes it on before
//! anything else (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
//!
//! Pure: bytes in, meaning out, and back. A header may come in any number of pieces ([`decode`] says when more is wanted),
//! which HAProxy's own reader does not bear with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::model::ProxyVersion;

/// Longest header that is taken. Version 1 has at most 107 bytes, version 2 its extensions, which nobody reads here.
pub const MAX: usize = 16 * 1024;

/// What the first version begins with,
const V1: &[u8] = b"PROXY ";
/// the longest line that it may have, with its end,
const V1_MAX: usize = 107;
/// and what the second one does.
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of the second version, all before the addresses.
const V2_FIXED: usize = 16;

/// A header that has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of it; what follows is the client's.
    pub length: usize,
    /// `None` if the connection stands for nobody else: a probe of whoever passes on, or a client that it can't name.
    pub parties: Option<Parties>,
}

/// The two ends of the connection that is passed on, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// They begin like none.
    Unlike,
    /// They begin like one, and go on otherwise.
    Broken,
}

/// Reads the header that bytes begin with; `None` as long as more must come to tell.
pub fn decode(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins(bytes, V1) {
        return if bytes.len() < V1.len() { Ok(None) } else { decode_v1(bytes) };
    }
    if begins(bytes, V2) {
        return if bytes.len() < V2_FIXED { Ok(None) } else { decode_v2(bytes) };
    }
    Err(Malformed::Unlike)
}

/// Whether one is how the other begins.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes[..common] == with[..common]
}

// ---- version 1, a line ----

fn decode_v1(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let line = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if line.len() < V1_MAX { Ok(None) } else { Err(Malformed::Broken) };
    };
    let text = std::str::from_utf8(&line[V1.len()..end]).map_err(|_| Malformed::Broken)?;
    let parties = parties_v1(text).ok_or(Malformed::Broken)?;
    Ok(Some(Header { length: end + 2, parties }))
}

/// Of what follows `PROXY `; `None` if it is not as it has to be.
fn parties_v1(text: &str) -> Option<Option<Parties>> {
    // Whatever follows is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let fields: Vec<&str> = text.split(' ').collect();
    let [family, source, destination, from, to] = fields.as_slice() else { return None };
    let parties = match *family {
        "TCP4" => (address::<Ipv4Addr>(source, from)?, address::<Ipv4Addr>(destination, to)?),
        "TCP6" => (address::<Ipv6Addr>(source, from)?, address::<Ipv6Addr>(destination, to)?),
        _ => return None,
    };
    Some(Some(Parties::new(parties.0, parties.1)))
}

fn address<T: FromStr + Into<IpAddr>>(ip: &str, port: &str) -> Option<SocketAddr> {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits)?;
    Some(SocketAddr::new(ip.parse::<T>().ok()?.into(), port))
}

// ---- version 2, binary ----

/// Version and command: the sender itself is the client,
const LOCAL: u8 = 0x20;
/// or it passes one on.
const PROXY: u8 = 0x21;
/// Family and protocol.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

fn decode_v2(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let (command, family) = (bytes[12], bytes[13]);
    let length = V2_FIXED + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if command >> 4 != 2 {
        return Err(Malformed::Unlike);
    }
    let addresses = match (command, family) {
        (LOCAL, _) => 0,
        (PROXY, TCP4) => 12,
        (PROXY, TCP6) => 36,
        _ => return Err(Malformed::Broken),
    };
    if length > MAX || length < V2_FIXED + addresses {
        return Err(Malformed::Broken);
    }
    let Some(rest) = bytes.get(V2_FIXED..length) else { return Ok(None) };
    if addresses > 0 {
        check_extensions(&bytes[..length], V2_FIXED + addresses)?;
    }
    Ok(Some(Header { length, parties: parties_v2(&rest[..addresses]) }))
}

/// Of the bytes of two addresses of one family and two ports; `None` if there are none.
fn parties_v2(bytes: &[u8]) -> Option<Parties> {
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (source, destination): (IpAddr, IpAddr) = match bytes.len() {
        12 => (ip::<4>(&bytes[..4])?.into(), ip::<4>(&bytes[4..8])?.into()),
        36 => (ip::<16>(&bytes[..16])?.into(), ip::<16>(&bytes[16..32])?.into()),
        _ => return None,
    };
    let ports = bytes.len() - 4;
    Some(Parties::new(SocketAddr::new(source, port(ports)), SocketAddr::new(destination, port(ports + 2))))
}

fn ip<const LENGTH: usize>(bytes: &[u8]) -> Option<[u8; LENGTH]> {
    bytes.try_into().ok()
}

/// The extension that holds a checksum of the whole header.
const CRC32C: u8 = 0x03;

/// Extensions follow one another, each with its type and length, and fill the header to its end. A checksum among them
/// must be right; nothing else of them is read.
fn check_extensions(header: &[u8], mut at: usize) -> Result<(), Malformed> {
    while at < header.len() {
        let [kind, high, low] = header[at..].first_chunk::<3>().copied().ok_or(Malformed::Broken)?;
        let value = at + 3;
        let end = value + usize::from(u16::from_be_bytes([high, low]));
        let content = header.get(value..end).ok_or(Malformed::Broken)?;
        if kind == CRC32C && content != checksum(header, value..value + 4).to_be_bytes() {
            return Err(Malformed::Broken);
        }
        at = end;
    }
    Ok(())
}

/// CRC-32C (RFC 3720, appendix B.4) of a header whose own checksum counts as 0.
fn checksum(header: &[u8], own: std::ops::Range<usize>) -> u32 {
    const REVERSED: u32 = 0x82F6_3B78;
    let bytes = header.iter().enumerate().map(|(at, byte)| if own.contains(&at) { 0 } else { *byte });
    let divided = bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { REVERSED } else { 0 })
    });
    !divided
}

impl Parties {
    /// An IPv4 address in an IPv6 one is IPv4.
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self { source: super::canonical(source), destination: super::canonical(destination) }
    }
}

// ---- sending ----

/// The header of this version for a client that is passed on; `None` for one that stands for nobody.
pub fn encode(version: ProxyVersion, parties: Option<Parties>) -> Vec<u8> {
    match version {
        ProxyVersion::V1 => encode_v1(parties),
        ProxyVersion::V2 => encode_v2(parties),
    }
}

/// The header of version 1 for a client that is passed on; `None` for one that can't be named.
pub fn encode_v1(parties: Option<Parties>) -> Vec<u8> {
    let line = match parties {
        Some(Parties { source, destination }) if source.is_ipv4() == destination.is_ipv4() => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.port(), destination.port());
            format!("PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip())
        }
        _ => "PROXY UNKNOWN\r\n".to_owned(),
    };
    line.into_bytes()
}

/// The header of version 2 for a client that is passed on; `None` if the sender itself is the client.
pub fn encode_v2(parties: Option<Parties>) -> Vec<u8> {
    let (command, family, addresses) = match parties {
        Some(Parties { source: SocketAddr::V4(source), destination: SocketAddr::V4(destination) }) => {
            (PROXY, TCP4, [source.ip().octets(), destination.ip().octets()].concat())
        }
        Some(Parties { source: SocketAddr::V6(source), destination: SocketAddr::V6(destination) }) => {
            (PROXY, TCP6, [source.ip().octets(), destination.ip().octets()].concat())
        }
        _ => (LOCAL, 0, Vec::new()),
    };
    let ports = parties.filter(|_| command == PROXY).map(|parties| [parties.source.port(), parties.destination.port()]);
    let ports: Vec<u8> = ports.iter().flatten().flat_map(|port| port.to_be_bytes()).collect();
    let length = (addresses.len() + ports.len()) as u16;
    [V2.as_slice(), &[command, family], &length.to_be_bytes(), &addresses, &ports].concat()
}

#[cfg(test)]
mod tests;
