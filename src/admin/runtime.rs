//! HAProxy's runtime API, for everything that speaks it: agents that collect figures, hatop, playbooks, people with socat.
//!
//! A line holds commands, with `;` between them, and each is answered by its text and an empty line (`connection`, `line`).
//! One table says which commands there are and who may give them (`command`); what they show and do is made of the views
//! and actions that the pages have. Answers are worded as HAProxy 3.2 words them, because scripts look for the words;
//! docs/runtime-api.md tells where they differ.

mod command;
mod connection;
mod help;
mod info;
mod limits;
mod line;
mod members;
pub(super) mod on_server;
mod process;
mod servers;
mod sessions;
mod set_server;
mod stat;
mod switches;
mod tables;
pub(super) mod target;
mod time;
mod waiting;
mod weight;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::connection::Connection;
use super::{ACCEPT_PAUSE, Caller, Leaving, Views, is_of_one_connection, local};
use crate::event::{Actor, RuntimeClient};
use crate::model::RuntimeSocket;
use crate::net::accounts;

/// Clients that a socket serves at a time; more wait to be accepted, as with HAProxy's `stats maxconn`.
const MAX_CLIENTS: usize = 10;

/// Where clients come in.
#[derive(Debug)]
pub enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Serves a socket until it is told to leave; ends with its last client. Each client is served by what `spec` is when it
/// comes.
pub async fn serve(listener: Listener, spec: watch::Receiver<RuntimeSocket>, views: Arc<Views>, mut leaving: Leaving) {
    let mut open = JoinSet::new();
    let mut pausing = false;
    loop {
        let (full, of_client) = (open.len() >= MAX_CLIENTS, leaving.clone());
        let accepted = tokio::select! {
            accepted = listener.accept(&spec, &views, of_client), if !full => accepted,
            () = leaving.told() => break,
            Some(_ended) = open.join_next() => continue,
        };
        match accepted {
            Ok(client) => {
                pausing = false;
                open.spawn(client);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !pausing {
                    tracing::warn!(listener = %spec.borrow().listen, %error, "accepting pauses");
                }
                pausing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// What is done for one client.
type Client = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Listener {
    async fn accept(
        &self,
        spec: &watch::Receiver<RuntimeSocket>,
        views: &Arc<Views>,
        leaving: Leaving,
    ) -> io::Result<Client> {
        let connection = |client| Connection::new(&spec.borrow(), Actor::Runtime(client), Arc::clone(views));
        Ok(match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let connection = connection(local_client(local(&stream)?));
                Box::pin(connection.serve(stream, leaving))
            }
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let connection = connection(RuntimeClient::Remote(peer));
                Box::pin(connection.serve(stream, leaving))
            }
        })
    }
}

fn local_client(caller: Caller) -> RuntimeClient {
    match caller {
        Caller::Local { pid, uid } => RuntimeClient::Local { pid, uid, user: accounts::user_name(uid) },
        Caller::Remote { address, .. } => RuntimeClient::Remote(address),
    }
}

#[cfg(test)]
mod tests;
