//! Who is at the other end of a connection, and what that lets them do.

use std::net::SocketAddr;

use hyper::HeaderMap;

use super::door::Door;
use super::haproxy::answer::Ends;
use super::refusal::Refusal;
use crate::event::Actor;
use crate::net::accounts;

/// Who is connected.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Over the stats listener: from where, and to which address of ours, if the kernel says it.
    Remote { address: SocketAddr, local: Option<SocketAddr> },
    /// Over the admin socket, whose file's permissions have let them in: `SO_PEERCRED`'s word.
    Local { pid: Option<u32>, uid: u32 },
}

impl Caller {
    /// The connection's ends; a process of this host has none that a condition could ask for.
    pub fn ends(&self) -> Ends {
        match *self {
            Self::Remote { address, local } => Ends { source: address, destination: local },
            Self::Local { .. } => Ends { source: SocketAddr::from(([127, 0, 0, 1], 0)), destination: None },
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
}
