//! `peers` in `/api/v1/status`: what other load balancers think of the servers.

use serde::Serialize;

use crate::admin::figures::rfc3339;
use crate::admin::peers::{Compared, Comparison, Opinion, PeerView, compare};
use crate::event::Snapshot;

#[derive(Serialize)]
pub(super) struct Peers {
    name: String,
    others: Vec<Peer>,
    servers: Vec<Server>,
    differences: Vec<String>,
}

#[derive(Serialize)]
struct Peer {
    url: String,
    name: String,
    version: Option<String>,
    heard: Option<String>,
    silence: Option<String>,
}

#[derive(Serialize)]
struct Server {
    backend: String,
    server: String,
    address: String,
    ours: String,
    /// In the order of the peers.
    theirs: Vec<Option<String>>,
    differs: bool,
}

impl Peers {
    /// `None` if there are none.
    pub fn of(snapshot: &Snapshot) -> Option<Self> {
        let Comparison { us, peers, servers, differences } = compare(snapshot)?;
        Some(Self {
            name: us,
            others: peers.into_iter().map(Peer::of).collect(),
            servers: servers.into_iter().map(Server::of).collect(),
            differences,
        })
    }
}

impl Peer {
    fn of(view: PeerView) -> Self {
        let PeerView { url, name, version, heard, silence } = view;
        Self { url, name, version, heard: heard.map(rfc3339), silence }
    }
}

impl Server {
    fn of(compared: Compared) -> Self {
        let differs = compared.differs();
        let Compared { backend, server, address, ours, theirs } = compared;
        let word = |opinion: Opinion| opinion.word;
        Self {
            backend,
            server,
            address,
            ours: word(ours),
            theirs: theirs.into_iter().map(|theirs| theirs.map(word)).collect(),
            differs,
        }
    }
}
