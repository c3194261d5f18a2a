//! HAProxy's statistics (management guide, section 9.1): which lines there are, and the three forms that they have.
//!
//! What stands in a column is in one table, `stat/columns.rs`. A column that means nothing for a line is empty, and one
//! that means nothing to evenkeel has the 0 that HAProxy shows where it isn't used.

mod columns;
mod forms;
mod status;

use std::time::{Duration, SystemTime};

pub use self::columns::{COLUMNS, Column};
pub use self::forms::{csv, json, typed};
use crate::event::{
    self, BackendSnapshot, CheckStatus, Counts, FrontendSnapshot, FrontendState, HttpCounts, ServerSnapshot, Snapshot,
    StatsSnapshot,
};

/// One line: what is seen of a proxy from the side of its clients or of its servers, or one of these.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    pub kind: Kind,
    /// The proxy's name and number.
    pub proxy: &'a str,
    pub iid: u32,
    /// The server's name, or what stands in its place.
    pub name: &'a str,
    /// The server's number; 0 for the others.
    pub sid: u32,
    /// Whether what identifies and configures it is told beside its figures (`stats show-legends`).
    pub legends: bool,
    /// When it was looked at.
    at: SystemTime,
    counts: Counts,
    limit: Option<u32>,
    /// Of a proxy of `mode http`.
    http: Option<HttpCounts>,
    of: Of<'a>,
}

/// What a line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Frontend,
    Backend,
    Server,
}

/// Where a line's figures are from.
#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    /// Whether it lets clients in.
    Frontend(FrontendState),
    Backend(&'a BackendSnapshot),
    Server(&'a ServerSnapshot),
    Stats {
        uptime: Duration,
    },
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// It means nothing in this line.
    Empty,
    U32(u32),
    U64(u64),
    S32(i32),
    Text(String),
}

/// Which lines are wanted. The default is all, without legends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// One proxy, by its number.
    pub iid: Option<u32>,
    /// Those proxies alone whose name has this in it, letters of either case.
    pub containing: Option<String>,
    /// Those proxies alone; all, if none is named.
    pub proxies: Vec<String>,
    pub frontends: bool,
    pub backends: bool,
    pub servers: bool,
    /// One server, by its number.
    pub sid: Option<u32>,
    /// Leaves out servers that are down or in maintenance.
    pub up: bool,
    /// Leaves out servers in maintenance.
    pub no_maint: bool,
    pub legends: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            iid: None,
            containing: None,
            proxies: Vec::new(),
            frontends: true,
            backends: true,
            servers: true,
            sid: None,
            up: false,
            no_maint: false,
            legends: false,
        }
    }
}

/// The lines that are wanted of a snapshot: proxies by their numbers, of each its clients' side, its servers, and its
/// servers' side.
pub fn rows<'a>(snapshot: &'a Snapshot, filter: &Filter) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'_>> = snapshot.frontends.iter().map(|of| Row::of_frontend(of, snapshot)).collect();
    for backend in &snapshot.backends {
        rows.extend(backend.servers.iter().map(|server| Row::of_server(server, backend, snapshot)));
        rows.push(Row::of_backend(backend, snapshot));
    }
    for stats in &snapshot.stats {
        rows.push(Row::of_stats(stats, Kind::Frontend, snapshot));
        if stats.is_listen {
            rows.push(Row::of_stats(stats, Kind::Backend, snapshot));
        }
    }
    rows.retain(|row| filter.lets_through(row));
    // Stable: a `listen` section has both of its sides under one number, the clients' first.
    rows.sort_by_key(|row| row.iid);
    rows.iter_mut().for_each(|row| row.legends = filter.legends);
    rows
}

impl Filter {
    fn lets_through(&self, row: &Row<'_>) -> bool {
        let contains = |part: &String| row.proxy.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
        self.iid.is_none_or(|iid| iid == row.iid)
            && self.containing.as_ref().is_none_or(contains)
            && (self.proxies.is_empty() || self.proxies.iter().any(|name| name == row.proxy))
            && self.wants(row.kind)
            && (row.kind != Kind::Server || self.lets_server_through(row))
    }

    fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Frontend => self.frontends,
            Kind::Backend => self.backends,
            Kind::Server => self.servers,
        }
    }

    fn lets_server_through(&self, row: &Row<'_>) -> bool {
        let Of::Server(server) = row.of else { return true };
        self.sid.is_none_or(|sid| sid == row.sid)
            && !(self.up && status::is_stopped(server))
            && !((self.up || self.no_maint) && status::is_in_maintenance(server))
    }
}

impl<'a> Row<'a> {
    fn of_frontend(of: &'a FrontendSnapshot, snapshot: &'a Snapshot) -> Self {
        Self {
            kind: Kind::Frontend,
            proxy: of.name.as_str(),
            iid: of.id.0,
            name: "FRONTEND",
            sid: 0,
            legends: false,
            at: snapshot.at,
            counts: of.counts,
            limit: Some(sessions_limit(of, snapshot)),
            http: None,
            of: Of::Frontend(of.state),
        }
    }

    fn of_backend(of: &'a BackendSnapshot, snapshot: &'a Snapshot) -> Self {
        Self {
            kind: Kind::Backend,
            proxy: of.name.as_str(),
            iid: of.id.0,
            name: "BACKEND",
            sid: 0,
            legends: false,
            at: snapshot.at,
            counts: of.counts,
            limit: Some(of.full_sessions),
            http: None,
            of: Of::Backend(of),
        }
    }

    fn of_server(of: &'a ServerSnapshot, backend: &'a BackendSnapshot, snapshot: &'a Snapshot) -> Self {
        Self {
            kind: Kind::Server,
            proxy: backend.name.as_str(),
            iid: backend.id.0,
            name: of.name.as_str(),
            sid: of.id.0,
            legends: false,
            at: snapshot.at,
            counts: of.counts,
            limit: of.max_sessions,
            http: None,
            of: Of::Server(of),
        }
    }

    /// The side of its servers has what the answers were made of: the same bytes, and no sessions, as it has no servers.
    fn of_stats(of: &'a StatsSnapshot, kind: Kind, snapshot: &Snapshot) -> Self {
        let (name, counts, limit, http) = match kind {
            Kind::Frontend => ("FRONTEND", of.counts, of.max_sessions, of.http),
            Kind::Backend | Kind::Server => {
                let Counts { bytes_in, bytes_out, last_session, .. } = of.counts;
                let counts = Counts { bytes_in, bytes_out, last_session, ..Counts::default() };
                ("BACKEND", counts, of.max_sessions.div_ceil(10).max(1), HttpCounts::default())
            }
        };
        Self {
            kind,
            proxy: of.name.as_str(),
            iid: of.id.0,
            name,
            sid: 0,
            legends: false,
            at: snapshot.at,
            counts,
            limit: Some(limit),
            http: Some(http),
            of: Of::Stats { uptime: snapshot.process.uptime },
        }
    }

    /// Whether it is of a proxy of `mode http`.
    pub fn is_http(&self) -> bool {
        self.http.is_some()
    }

    /// Its status, in HAProxy's words.
    pub fn status(&self) -> String {
        status::word(self)
    }

    /// What a server's last check came to.
    pub fn last_check(&self) -> Option<CheckStatus> {
        let Of::Server(server) = self.of else { return None };
        check_result(server)
    }

    /// The statuses of a backend's servers.
    pub fn server_words(&self) -> Vec<String> {
        self.servers().iter().map(status::server_word).collect()
    }

    /// What the last checks of a backend's servers came to.
    pub fn server_checks(&self) -> Vec<CheckStatus> {
        self.servers().iter().filter_map(check_result).collect()
    }

    fn servers(&self) -> &'a [ServerSnapshot] {
        match self.of {
            Of::Backend(backend) => &backend.servers,
            Of::Frontend(_) | Of::Server(_) | Of::Stats { .. } => &[],
        }
    }

    /// All that there is in this line, column by column.
    pub fn cells(&self) -> impl Iterator<Item = (&'static Column, Cell)> {
        COLUMNS.iter().map(|column| (column, column.cell(self)))
    }
}

/// How many servers of a backend take new sessions.
pub fn usable_servers(backend: &BackendSnapshot) -> u32 {
    event::usable_servers(status::taking_sessions(backend, false), status::taking_sessions(backend, true))
}

/// The column of this name, which must be one.
pub fn column(name: &str) -> &'static Column {
    COLUMNS.iter().find(|column| column.name == name).expect("whoever asks for a column knows its name")
}

/// What the last check of a server came to, if it is checked now.
fn check_result(server: &ServerSnapshot) -> Option<CheckStatus> {
    let check = server.check.as_ref().filter(|_| !status::is_in_maintenance(server))?;
    Some(check.last.as_ref().map_or(CheckStatus::Ini, |last| last.status))
}

/// The sessions that a frontend takes.
fn sessions_limit(of: &FrontendSnapshot, snapshot: &Snapshot) -> u32 {
    of.max_sessions.unwrap_or(snapshot.process.max_sessions)
}

#[cfg(test)]
mod tests;
