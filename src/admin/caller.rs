//! Who is at the other end of a connection, and what that lets them see and do.

use std::net::SocketAddr;

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HOST};

use super::door::Door;
use super::haproxy::answer::Ends;
use super::origin;
use super::refusal::Refusal;
use super::sight::Sight;
use crate::event::Actor;
use crate::net::accounts;

/// Who is connected.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Over the stats listener: from where, and to which address of ours, if the kernel says it; and whether nobody on
    /// the way can read along.
    Remote { address: SocketAddr, local: Option<SocketAddr>, secure: bool },
    /// Over the admin socket, whose file's permissions have let them in: `SO_PEERCRED`'s word.
    Local { pid: Option<u32>, uid: u32 },
}

impl Caller {
    /// The connection's ends; a process of this host has none that a condition could ask for.
    pub fn ends(&self) -> Ends {
        match *self {
            Self::Remote { address, local, .. } => Ends { source: address, destination: local },
            Self::Local { .. } => Ends { source: SocketAddr::from(([127, 0, 0, 1], 0)), destination: None },
        }
    }

    /// How much they are shown of what everybody is shown a part of.
    pub async fn sees(&self, door: &Door, headers: &HeaderMap) -> Sight {
        let known = match *self {
            _ if self.is_here(headers) => true,
            Self::Remote { address, .. } => door.knows(address, headers).await,
            Self::Local { .. } => true,
        };
        if known { Sight::Everything } else { Sight::Strangers }
    }

    /// Lets them see who the clients are, or says how to get there.
    pub async fn look_closely(&self, door: &Door, headers: &HeaderMap) -> Result<(), Refusal> {
        match self.sees(door, headers).await {
            Sight::Everything => Ok(()),
            Sight::Strangers => Err(door.unseen()),
        }
    }

    /// Who acts, if the connection or the credentials in these headers let them.
    pub async fn actor(&self, door: &Door, headers: &HeaderMap) -> Result<Actor, Refusal> {
        match *self {
            Self::Remote { address, .. } => {
                Ok(Actor::Remote { address, credential: door.admit(address, headers).await? })
            }
            Self::Local { pid, uid } => Ok(Actor::Local { pid, uid, user: accounts::user_name(uid) }),
        }
    }

    /// Who acts over HAProxy's page, which judges itself who may: with the name that they have shown a password for.
    pub fn on_page(&self, user: Option<String>) -> Actor {
        match *self {
            Self::Remote { address, .. } => Actor::StatsPage { address, user },
            Self::Local { pid, uid } => Actor::Local { pid, uid, user: accounts::user_name(uid) },
        }
    }

    /// The same, after a handshake.
    pub fn over_tls(self) -> Self {
        match self {
            Self::Remote { address, local, .. } => Self::Remote { address, local, secure: true },
            local @ Self::Local { .. } => local,
        }
    }

    /// Their address, if they have one.
    pub fn address(&self) -> Option<SocketAddr> {
        match *self {
            Self::Remote { address, .. } => Some(address),
            Self::Local { .. } => None,
        }
    }

    /// Whether what they send can be read on the way.
    pub fn is_overheard(&self) -> bool {
        matches!(*self, Self::Remote { address, secure: false, .. } if !address.ip().is_loopback())
    }

    /// Whether the connection is TLS.
    pub fn is_secure(&self) -> bool {
        matches!(*self, Self::Remote { secure: true, .. })
    }

    /// Whether it may be a browser on this host that a page of another site has led here, by a name of its own that leads
    /// to this host by now: to the browser, the page and this host are one site then.
    pub fn is_led_astray(&self, headers: &HeaderMap) -> bool {
        let is_near = self.address().is_some_and(|address| address.ip().is_loopback());
        is_near && !is_passed_on(headers) && !names_this_host(headers)
    }

    /// Whether it is somebody on this host who asks for themselves. A reverse proxy here says for whom it asks, and a page
    /// of another site whose name has come to lead here asks for that name.
    fn is_here(&self, headers: &HeaderMap) -> bool {
        match *self {
            Self::Local { .. } => true,
            Self::Remote { address, .. } => {
                address.ip().is_loopback() && !is_passed_on(headers) && names_this_host(headers)
            }
        }
    }
}

/// What proxies say of whom they ask for, standard or not.
fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
        || ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

/// Programs may say anything, or nothing; a browser that has been led astray says the name that led it here.
fn names_this_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = origin::host_of(host);
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    is_address || !name.contains('.') || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StatsAccess;

    async fn sight(from: &str, headers: &[(&'static str, &str)]) -> Sight {
        let caller = Caller::Remote { address: from.parse().unwrap(), local: None, secure: false };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        caller.sees(&Door::new(&StatsAccess::default()), &map).await
    }

    // Seen to fail with the headers of proxies not looked at.
    #[tokio::test]
    async fn who_is_here_sees_everything_unless_they_ask_for_somebody_else() {
        for (from, headers, expected) in [
            ("127.0.0.1:1", &[][..], Sight::Everything),
            ("[::1]:1", &[("host", "[::1]:9000")], Sight::Everything),
            ("127.0.0.1:1", &[("host", "localhost:9000")], Sight::Everything),
            ("127.0.0.1:1", &[("host", "lb1:9000")], Sight::Everything),
            ("192.0.2.1:1", &[], Sight::Strangers),
            ("192.0.2.1:1", &[("host", "localhost")], Sight::Strangers),
            ("127.0.0.1:1", &[("x-forwarded-for", "10.0.0.1")], Sight::Strangers),
            ("127.0.0.1:1", &[("forwarded", "for=10.0.0.1")], Sight::Strangers),
            ("127.0.0.1:1", &[("x-real-ip", "127.0.0.1")], Sight::Strangers),
            ("127.0.0.1:1", &[("host", "evil.example:9000")], Sight::Strangers),
        ] {
            assert_eq!(sight(from, headers).await, expected, "{from} {headers:?}");
        }
    }
}
