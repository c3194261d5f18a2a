//! The grammars of single values: durations, addresses, permission bits. Text in, value or reason out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::model::{Descriptor, DescriptorName, Endpoint, HostAddress, ListenAddress, Network};

// ---- durations ----

/// Units from the longest to the shortest, each in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    #[error("there is no unit")]
    NoUnit,
    #[error("`{0}` is not a unit")]
    UnknownUnit(String),
    #[error("longer units come first, and each once")]
    Order,
    #[error("it is finer than a millisecond")]
    TooFine,
    #[error("it is longer than can be counted")]
    TooLong,
    #[error("it is not a number with a unit")]
    Malformed,
}

/// Reads `1.5s`, `500ms`, `2m`, `1h30m`, `1d`: numbers with units, the longest first, each whole in milliseconds.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut previous = u64::MAX;
    loop {
        let (number, unit, after) = leading_part(rest);
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        if unit.is_empty() {
            return Err(if after.is_empty() { DurationError::NoUnit } else { DurationError::Malformed });
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, unit) = known.ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?;
        if *unit >= previous {
            return Err(DurationError::Order);
        }
        total = total.checked_add(milliseconds(number, *unit)?).ok_or(DurationError::TooLong)?;
        if after.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        previous = *unit;
        rest = after;
    }
}

/// `1h30m` of `1h30`: what follows a unit without one of its own is meant in the next one.
pub fn with_unit(text: &str) -> Option<String> {
    let digit = |c: char| c.is_ascii_digit() || c == '.';
    let unit = text.trim_end_matches(digit).rsplit(digit).next()?;
    let place = UNITS.iter().position(|(name, _)| *name == unit)?;
    let (next, _) = UNITS.get(place + 1)?;
    Some(format!("{text}{next}")).filter(|text| duration(text).is_ok())
}

/// Splits `1h30m` into `1`, `h` and `30m`.
fn leading_part(text: &str) -> (&str, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    (number, unit, rest)
}

/// A decimal number of units, exactly.
fn milliseconds(number: &str, unit: u64) -> Result<u64, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::Malformed);
    }
    let whole: u64 = whole.parse().map_err(|_| DurationError::TooLong)?;
    let whole = whole.checked_mul(unit).ok_or(DurationError::TooLong)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Ok(whole);
    }
    // No unit has a millisecond further behind the point than this.
    let scale = 10_u64.checked_pow(fraction.len() as u32).filter(|scale| *scale <= 1_000_000_000);
    let scale = scale.ok_or(DurationError::TooFine)?;
    let parts = unit * fraction.parse::<u64>().map_err(|_| DurationError::TooFine)?;
    if !parts.is_multiple_of(scale) {
        return Err(DurationError::TooFine);
    }
    whole.checked_add(parts / scale).ok_or(DurationError::TooLong)
}

/// The shortest text that [`duration`] reads as this, to the millisecond.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    if milliseconds > 1_000 && milliseconds < 60_000 && milliseconds % 100 == 0 && milliseconds % 1_000 != 0 {
        return format!("{}.{}s", milliseconds / 1_000, milliseconds / 100 % 10);
    }
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| milliseconds % unit == 0).unwrap_or(("ms", 1));
    format!("{}{name}", milliseconds / unit)
}

// ---- addresses ----

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("there is no port")]
    NoPort,
    #[error("port 0 is no port to name")]
    PortZero,
    #[error("`{0}` is not a port from 1 to 65535")]
    Port(String),
    #[error("an IPv6 address with a port needs brackets")]
    Unbracketed,
    #[error("what is in brackets is not an IPv6 address")]
    Bracketed,
    #[error("it is a URL")]
    Url,
    #[error("there is no host")]
    NoHost,
    #[error("`{0}` is neither an IP address nor a host name")]
    Host(String),
    #[error("a listener needs an IP address, or none for all")]
    ListenHost,
    #[error("`{0}` is neither a descriptor's name nor its number")]
    Descriptor(String),
    #[error("it is a unix socket")]
    UnixSocket,
    #[error("it is a socket that has neither an address nor a file")]
    NamelessSocket,
    #[error("it stands for every address and is no machine's own")]
    Unspecified,
    #[error("the preset adds the ports")]
    WithPort,
}

/// Reads where to listen: `:6443` and `*:6443` for all addresses of both families, `10.0.0.1:6443`, `[::1]:6443`.
/// `0.0.0.0` is every IPv4 address, `[::]` every IPv6 one; `fd@api` and `fd@3` are sockets that were opened for us.
pub fn listen(text: &str) -> Result<ListenAddress, AddressError> {
    // As HAProxy's `bind` takes them.
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    if let Some(which) = text.strip_prefix("fd@") {
        return descriptor(which).map(ListenAddress::Descriptor);
    }
    if begins(&["/", "unix@", "unix:"]) {
        return Err(AddressError::UnixSocket);
    }
    if begins(&["abns@", "abnsz@", "sockpair@"]) {
        return Err(AddressError::NamelessSocket);
    }
    let (host, port) = split(text)?;
    let port = self::port(port)?;
    if host.is_empty() || host == "*" {
        return Ok(ListenAddress::DualStack { port });
    }
    let ip: IpAddr = host.parse().map_err(|_| AddressError::ListenHost)?;
    Ok(ListenAddress::Tcp(SocketAddr::new(ip.to_canonical(), port)))
}

fn descriptor(text: &str) -> Result<Descriptor, AddressError> {
    let number = || text.parse().ok().filter(|number| *number >= Descriptor::FIRST && text.as_bytes()[0] != b'+');
    let name = || DescriptorName::new(text).map(Descriptor::Name);
    number().map(Descriptor::Number).or_else(name).ok_or_else(|| AddressError::Descriptor(text.to_owned()))
}

/// Reads a server's address: `10.10.0.2:6443`, `[fd00::2]:6443`, `controller-1.example:6443`.
pub fn endpoint(text: &str) -> Result<Endpoint, AddressError> {
    let (host, port) = split(text)?;
    // Both are looked at before either is complained about: a missing port says more than an odd host.
    let port = self::port(port)?;
    Ok(Endpoint { host: self::host(host)?, port })
}

/// The host part of an address as it is written, without brackets.
pub fn written_host(address: &str) -> &str {
    split(address).map_or(address, |(host, _)| host)
}

/// Reads a machine's address without a port; an IPv6 one may stand in brackets.
pub fn machine(text: &str) -> Result<HostAddress, AddressError> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if inner.parse::<Ipv6Addr>().is_err() && split(text).is_ok() {
        return Err(AddressError::WithPort);
    }
    host(inner)
}

/// Splits at the colon before the port; brackets are taken off an IPv6 address.
fn split(text: &str) -> Result<(&str, &str), AddressError> {
    if text.contains("://") {
        return Err(AddressError::Url);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(AddressError::Bracketed)?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(AddressError::Bracketed);
        }
        return Ok((host, rest.strip_prefix(':').ok_or(AddressError::NoPort)?));
    }
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
    if host.contains(':') {
        return Err(AddressError::Unbracketed);
    }
    Ok((host, port))
}

fn port(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoPort);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(0) => Err(AddressError::PortZero),
        Ok(port) if digits => Ok(port),
        _ => Err(AddressError::Port(text.to_owned())),
    }
}

/// Reads an IP address or a host name (RFC 1123, section 2.1, and underscores, which resolvers take).
pub fn host(text: &str) -> Result<HostAddress, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoHost);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        return if ip.is_unspecified() { Err(AddressError::Unspecified) } else { Ok(HostAddress::Ip(ip)) };
    }
    if is_host_name(text) {
        Ok(HostAddress::Name(text.to_ascii_lowercase()))
    } else {
        Err(AddressError::Host(text.to_owned()))
    }
}

fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is an IPv4 address that went wrong (WHATWG URL, section 3.5).
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

// ---- networks ----

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    #[error("it is neither an IP address nor a network")]
    NoNetwork,
    #[error("`/{0}` is not a prefix's length from /0 to /{1}")]
    Prefix(String, u8),
    #[error("it has bits behind its prefix, which {0} has not")]
    HostBits(Network),
    #[error("it has a netmask")]
    Netmask(Network),
}

/// Reads `10.0.0.0/8`, `fd00::/8`, or an address for itself alone. All bits behind the prefix must be 0.
pub fn network(text: &str) -> Result<Network, NetworkError> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().map_err(|_| NetworkError::NoNetwork)?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else { return Network::of(address, whole).ok_or(NetworkError::NoNetwork) };
    if let Some(network) = netmask(length).and_then(|length| Network::of(address, length)) {
        return Err(NetworkError::Netmask(network));
    }
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = length.parse().ok().filter(|_| digits);
    let network = prefix.and_then(|prefix| Network::of(address, prefix));
    let network = network.ok_or_else(|| NetworkError::Prefix(length.to_owned(), whole))?;
    // A mapped IPv4 address has bits of its own before the IPv4 part, which a prefix shorter than that cuts off.
    if network.address() == address.to_canonical() { Ok(network) } else { Err(NetworkError::HostBits(network)) }
}

/// The length of the prefix that an IPv4 netmask stands for.
pub fn netmask(text: &str) -> Option<u8> {
    let bits = text.parse::<Ipv4Addr>().ok()?.to_bits();
    let length = bits.leading_ones();
    (bits.count_ones() == length).then_some(length as u8)
}

// ---- permission bits and statuses ----

/// Reads permission bits as `chmod` takes them: three octal digits, or four with a leading 0.
pub fn mode(text: &str) -> Option<u32> {
    let digits = if text.len() == 4 { text.strip_prefix('0')? } else { text };
    if digits.len() != 3 || !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return None;
    }
    u32::from_str_radix(digits, 8).ok()
}

/// Reads `200-299`, ends included, as the statuses between.
pub fn statuses(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (status(first.trim())?, status(last.trim())?);
    (first <= last).then_some((first, last))
}

/// Reads a status: three digits, the first from 1 to 5 (RFC 9110, section 15).
pub fn status(text: &str) -> Option<u16> {
    let three_digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| three_digits && (100..=599).contains(status))
}

#[cfg(test)]
mod tests;
