//! Two load balancers side by side: what each thinks of every server, and where they differ.

use std::time::SystemTime;

use super::super::super::peers::{Compared, Comparison, Opinion, PeerView, compare};
use super::super::state::mark;
use super::super::time::{Time, time};
use crate::event::Snapshot;

/// So many servers stand in the table even if all agree on them; beyond, only those on which they differ.
const ALL_SHOWN: usize = 30;

/// The table, and what it means.
pub(super) struct SideBySide {
    pub(super) us: String,
    pub(super) peers: Vec<Peer>,
    pub(super) differences: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Servers on which all agree, and which are not shown.
    pub(super) left_out: usize,
}

/// Another load balancer.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) heard: Option<Time>,
    pub(super) silence: Option<String>,
}

/// A server, and what each thinks of it: we first.
pub(super) struct Row {
    pub(super) server: String,
    pub(super) address: String,
    pub(super) differs: bool,
    pub(super) cells: Vec<Option<Cell>>,
}

pub(super) struct Cell {
    pub(super) tone: &'static str,
    pub(super) mark: &'static str,
    pub(super) word: String,
}

impl SideBySide {
    /// `None` if the configuration names no peer.
    pub(super) fn of(snapshot: &Snapshot) -> Option<Self> {
        let Comparison { us, peers, servers, differences } = compare(snapshot)?;
        let all = servers.len();
        let mut rows: Vec<Row> = servers.into_iter().map(Row::of).collect();
        rows.sort_by_key(|row| !row.differs);
        rows.retain(|row| row.differs || all <= ALL_SHOWN);
        let left_out = all - rows.len();
        let peers = peers.into_iter().map(|peer| Peer::of(peer, snapshot.at)).collect();
        Some(Self { us, peers, differences, rows, left_out })
    }
}

impl Peer {
    fn of(PeerView { url, name, heard, silence, .. }: PeerView, now: SystemTime) -> Self {
        Self { name, url, heard: heard.map(|at| time(at, now)), silence }
    }
}

impl Row {
    fn of(compared: Compared) -> Self {
        let differs = compared.differs();
        let Compared { backend, server, address, ours, theirs } = compared;
        let cells = std::iter::once(Some(ours)).chain(theirs).map(|opinion| opinion.map(Cell::of)).collect();
        Self { server: format!("{backend}/{server}"), address, differs, cells }
    }
}

impl Cell {
    fn of(opinion: Opinion) -> Self {
        let tone = opinion.tone.class();
        Self { tone, mark: mark(tone), word: opinion.word }
    }
}
