//! Who is at the other end of a connection, and what that lets them do.

use std::net::SocketAddr;

use hyper::HeaderMap;

use super::door::Door;
use super::refusal::Refusal;
use crate::event::Actor;
use crate::net::accounts;

/// Who is connected.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Over the stats listener.
    Remote(SocketAddr),
    /// Over the admin socket, whose file's permissions have let them in: `SO_PEERCRED`'s word.
    Local { pid: Option<u32>, uid: u32 },
}

impl Caller {
    /// Who acts, if the connection or the credentials in these headers let them.
    pub async fn actor(&self, door: &Door, headers: &HeaderMap) -> Result<Actor, Refusal> {
        match *self {
            Self::Remote(address) => Ok(Actor::Remote { address, credential: door.admit(address, headers).await? }),
            Self::Local { pid, uid } => Ok(Actor::Local { pid, uid, user: accounts::user_name(uid) }),
        }
    }
}
