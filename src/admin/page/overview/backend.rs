//! A backend's figures and its servers.

use super::super::super::figures::{bytes, count, span};
use super::super::backend_path;
use super::super::figure::Figure;
use super::super::server_line::ServerLine;
use super::super::state::{backend_tone, mark, usable_of_all};
use crate::event::{BackendSnapshot, ServerSnapshot, ServerState, Snapshot};
use crate::observe::series::Series;

/// One backend.
pub(super) struct Section {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) link: String,
    pub(super) tone: &'static str,
    pub(super) mark: &'static str,
    pub(super) summary: String,
    /// How it balances, and where its clients come in.
    pub(super) aside: String,
    pub(super) figures: Vec<Figure>,
    pub(super) servers: Vec<ServerLine>,
}

impl Section {
    pub(super) fn of(backend: &BackendSnapshot, series: &Series, snapshot: &Snapshot) -> Self {
        let tone = backend_tone(backend).class();
        let doors = snapshot.frontends.iter().filter(|frontend| frontend.leads_to(&backend.name));
        let doors: Vec<String> = doors
            .flat_map(|frontend| frontend.listen.iter().map(move |listen| format!("{} {listen}", frontend.name)))
            .collect();
        Self {
            id: format!("backend-{}", backend.name),
            name: backend.name.to_string(),
            link: backend_path(&backend.name),
            tone,
            mark: mark(tone),
            summary: usable_of_all(backend),
            aside: format!("{} · {}", backend.balance.name(), doors.join(", ")),
            figures: figures(backend),
            servers: ServerLine::all(backend, series, snapshot.at),
        }
    }
}

fn figures(backend: &BackendSnapshot) -> Vec<Figure> {
    let counts = &backend.counts;
    let errors = counts.connect_errors + counts.response_errors;
    let mut figures = vec![
        Figure::new("Sessions", count(counts.sessions.into()), format!("most {}", count(counts.sessions_max.into()))),
        Figure::new(
            "New",
            format!("{}/s", count(counts.rate.into())),
            format!("most {}/s", count(counts.rate_max.into())),
        ),
        Figure::new("In", bytes(counts.bytes_in), "from clients".into()),
        Figure::new("Out", bytes(counts.bytes_out), "to clients".into()),
        Figure::new("Errors", count(errors), format!("{} found no server", count(counts.connect_errors)))
            .alarming(errors > 0),
    ];
    figures.extend(imbalance(backend).map(|above| Figure::new("Imbalance", above, "above a server's share".into())));
    if backend.queued > 0 || counts.queued_max > 0 {
        let waited = format!("most {}", count(counts.queued_max.into()));
        figures.push(Figure::new("Waiting", count(backend.queued.into()), waited).alarming(backend.queued > 0));
    }
    if !backend.downtime.is_zero() {
        figures.push(Figure::new("Down", span(backend.downtime), "without a server, in all".into()));
    }
    figures
}

/// How far the server with the most sessions for its weight is above its share, in percent; `None` while there are too
/// few sessions for it to mean anything.
fn imbalance(backend: &BackendSnapshot) -> Option<String> {
    /// Sessions a server from which on one more or less is no news.
    const ENOUGH: u32 = 5;
    let used: Vec<&ServerSnapshot> = backend.servers.iter().filter(|server| is_used(server)).collect();
    let sessions: u32 = used.iter().map(|server| server.counts.sessions).sum();
    let weights: u32 = used.iter().map(|server| u32::from(server.weight.value())).sum();
    if used.len() < 2 || sessions < ENOUGH * u32::try_from(used.len()).unwrap_or(u32::MAX) {
        return None;
    }
    let share = |server: &&ServerSnapshot| f64::from(sessions) * f64::from(server.weight.value()) / f64::from(weights);
    let above = used.iter().map(|server| f64::from(server.counts.sessions) / share(server) - 1.0);
    Some(format!("{:.0} %", above.fold(0.0, f64::max) * 100.0))
}

fn is_used(server: &ServerSnapshot) -> bool {
    matches!(server.state, ServerState::Ready) && !server.backup && server.weight.value() > 0
}
