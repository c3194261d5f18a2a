//! A server in a table: how it is and why, what it carries, and what its last probe saw.

use std::cmp::Reverse;
use std::time::SystemTime;

use super::super::figures::{bytes, count, span};
use super::super::past::sessions_sparkline;
use super::certificate::Days;
use super::server_path;
use super::state::{LastCheck, State, last_check, mark, server_state};
use super::time::{Time, time};
use crate::event::{BackendSnapshot, ServerSnapshot};
use crate::observe::series::{Series, Subject};

/// One server.
pub(super) struct ServerLine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) link: String,
    pub(super) address: String,
    pub(super) badges: Vec<String>,
    pub(super) state: State,
    pub(super) mark: &'static str,
    pub(super) since: Time,
    pub(super) lasts: String,
    pub(super) sessions: String,
    /// Its sessions in hundredths of the backend's.
    pub(super) share: u64,
    pub(super) limit: String,
    /// Its sessions in the last hour, as SVG.
    pub(super) course: String,
    pub(super) rate: String,
    pub(super) bytes_in: String,
    pub(super) bytes_out: String,
    pub(super) errors: String,
    pub(super) check: Option<LastCheck>,
    pub(super) certificate: Option<Days>,
}

impl ServerLine {
    /// All servers of a backend, those first that are worst off.
    pub(super) fn all(backend: &BackendSnapshot, series: &Series, now: SystemTime) -> Vec<Self> {
        let mut lines: Vec<_> = backend.servers.iter().map(|server| Self::of(backend, server, series, now)).collect();
        // Stable: what is as bad as another stays where the configuration has it.
        lines.sort_by_key(|line| Reverse(line.gravity()));
        lines
    }

    fn of(backend: &BackendSnapshot, server: &ServerSnapshot, series: &Series, now: SystemTime) -> Self {
        let (state, counts) = (server_state(server), &server.counts);
        let of_all = u64::from(backend.counts.sessions.max(1));
        Self {
            id: format!("server-{}-{}", backend.name, server.name),
            name: server.name.to_string(),
            link: server_path(&backend.name, &server.name),
            address: server.address.to_string(),
            badges: badges(server),
            mark: mark(state.tone),
            state,
            since: time(server.since, now),
            lasts: span(now.duration_since(server.since).unwrap_or_default()),
            sessions: count(counts.sessions.into()),
            share: (u64::from(counts.sessions) * 100 / of_all).min(100),
            limit: server.max_sessions.map(|limit| format!("of {}", count(limit.into()))).unwrap_or_default(),
            course: sessions_sparkline(series, &Subject::Server(backend.name.clone(), server.name.clone())),
            rate: format!("{}/s", count(counts.rate.into())),
            bytes_in: bytes(counts.bytes_in),
            bytes_out: bytes(counts.bytes_out),
            errors: count(counts.connect_errors + counts.response_errors),
            check: server.check.as_ref().and_then(last_check),
            certificate: Days::of(server, now),
        }
    }

    /// How far up it belongs.
    fn gravity(&self) -> u8 {
        match self.state.tone {
            "bad" => 3,
            "warning" => 2,
            "notice" => 1,
            _ => 0,
        }
    }
}

/// What is unusual about it, in a word each.
fn badges(server: &ServerSnapshot) -> Vec<String> {
    let mut badges = Vec::new();
    badges.extend(server.backup.then(|| "backup".to_owned()));
    badges.extend((server.weight.value() != 1).then(|| format!("weight {}", server.weight.value())));
    badges.extend(server.throttle.map(|percent| format!("{percent} % of its share")));
    badges
}
