//! Hosts by ports: who serves what, at a glance.

use super::super::super::figures::span;
use super::super::super::headline::{Controller, Trouble};
use super::super::state::{mark, server_state};
use crate::event::{BackendSnapshot, ServerSnapshot, Snapshot};

/// A row for each controller, a column for each backend.
pub(super) struct Matrix {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Column {
    pub(super) backend: String,
    /// Where clients come in, such as `6443`.
    pub(super) ports: String,
}

pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) address: String,
    /// In the order of the columns; `None` where it has no server.
    pub(super) cells: Vec<Option<Cell>>,
}

pub(super) struct Cell {
    pub(super) tone: &'static str,
    pub(super) mark: &'static str,
    pub(super) word: &'static str,
    pub(super) note: String,
    pub(super) link: String,
    pub(super) lasts: String,
}

impl Matrix {
    /// What is wrong stands first; all else in the order of the configuration.
    pub(super) fn of(controllers: &[Controller<'_>], snapshot: &Snapshot) -> Self {
        let mut controllers: Vec<_> = controllers.iter().collect();
        controllers.sort_by_key(|controller| std::cmp::Reverse(controller.trouble().map(Trouble::tone)));
        Self {
            columns: snapshot.backends.iter().map(|backend| Column::of(backend, snapshot)).collect(),
            rows: controllers.into_iter().map(|controller| Row::of(controller, snapshot)).collect(),
        }
    }
}

impl Column {
    fn of(backend: &BackendSnapshot, snapshot: &Snapshot) -> Self {
        let frontends = snapshot.frontends.iter().filter(|frontend| frontend.leads_to(&backend.name));
        let mut ports: Vec<u16> =
            frontends.flat_map(|frontend| frontend.listen.iter().filter_map(|listen| listen.port())).collect();
        ports.dedup();
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        Self { backend: backend.name.to_string(), ports: ports.join(", ") }
    }
}

impl Row {
    fn of(controller: &Controller<'_>, snapshot: &Snapshot) -> Self {
        let cell = |backend: &BackendSnapshot| {
            let of_backend = controller.servers.iter().filter(|(of, _)| of.name == backend.name);
            of_backend.map(|(_, server)| Cell::of(backend, server, snapshot)).next()
        };
        Self {
            id: format!("host-{}", controller.name),
            name: controller.name.clone(),
            address: controller.servers.first().map(|(_, server)| server.host.to_string()).unwrap_or_default(),
            cells: snapshot.backends.iter().map(cell).collect(),
        }
    }
}

impl Cell {
    fn of(backend: &BackendSnapshot, server: &ServerSnapshot, snapshot: &Snapshot) -> Self {
        let state = server_state(server);
        Self {
            tone: state.tone,
            mark: mark(state.tone),
            word: state.word,
            note: state.note,
            link: super::super::server_path(&backend.name, &server.name),
            lasts: span(snapshot.at.duration_since(server.since).unwrap_or_default()),
        }
    }
}
