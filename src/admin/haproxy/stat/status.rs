//! What HAProxy says of a proxy or a server in a word, and what follows from that for the figures beside it.

use super::{Of, Row};
use crate::event::{
    AdminState, BackendSnapshot, CheckSnapshot, DownCause, Evidence, FrontendState, ServerSnapshot, ServerState,
};
use crate::model::Tracked;

/// The status of a line.
pub(super) fn word(row: &Row<'_>) -> String {
    match row.of {
        Of::Frontend(FrontendState::Open) => "OPEN".to_owned(),
        Of::Frontend(FrontendState::Paused) => "PAUSED".to_owned(),
        Of::Frontend(FrontendState::Stopped) => "STOP".to_owned(),
        Of::Stats { .. } if row.name == "FRONTEND" => "OPEN".to_owned(),
        Of::Stats { .. } => "UP".to_owned(),
        Of::Backend(backend) => if backend.up { "UP" } else { "DOWN" }.to_owned(),
        Of::Server(server) => server_word(server),
    }
}

pub(super) fn server_word(server: &ServerSnapshot) -> String {
    let check = server.check.as_ref();
    match server.state {
        ServerState::Maint => match &server.tracked {
            Some(other) if server.admin != AdminState::Maint => format!("MAINT (via {})", path(other)),
            _ => "MAINT".to_owned(),
        },
        ServerState::Down(DownCause::Unresolved) => "MAINT (resolution)".to_owned(),
        // An agent may take it out, and says nothing of whether it works.
        ServerState::Ready if check.is_none() && server.tracked.is_none() => "no check".to_owned(),
        ServerState::Ready | ServerState::Kept(_) => on_its_way("UP", check),
        ServerState::Draining => on_its_way("NOLB", check),
        ServerState::Drain if server.agent.is_some() => "DRAIN (agent)".to_owned(),
        ServerState::Drain => on_its_way("DRAIN", check),
        // Somebody else's server is given nothing, like one that is down.
        ServerState::Stranger => "DOWN".to_owned(),
        ServerState::Down(_) if server.agent.as_ref().is_some_and(|agent| agent.health == 0) => {
            "DOWN (agent)".to_owned()
        }
        ServerState::Down(_) => match check {
            Some(CheckSnapshot { health, rise, .. }) if *health > 0 => format!("DOWN {health}/{rise}"),
            _ => "DOWN".to_owned(),
        },
    }
}

/// As HAProxy writes where a server is: `backend/server`.
pub(super) fn path(of: &Tracked) -> String {
    format!("{}/{}", of.backend, of.server)
}

/// With how many failures are left until it is down, unless that is all that it takes.
fn on_its_way(word: &str, check: Option<&CheckSnapshot>) -> String {
    let Some(CheckSnapshot { rise, fall, health, .. }) = check else { return word.to_owned() };
    // One that is kept in use though it is down has none left: the next doesn't change that.
    let left = (health + 1).saturating_sub(*rise).max(1);
    if left >= *fall { word.to_owned() } else { format!("{word} {left}/{fall}") }
}

/// Whether HAProxy would leave it out of the servers that are up.
pub(super) fn is_stopped(server: &ServerSnapshot) -> bool {
    matches!(server.state, ServerState::Down(_) | ServerState::Stranger)
}

pub(super) fn is_in_maintenance(server: &ServerSnapshot) -> bool {
    server.admin == AdminState::Maint || server.state == ServerState::Down(DownCause::Unresolved)
}

/// What a server's weight is worth now, or that of all servers in use.
pub(super) fn effective_weight(row: &Row<'_>) -> u32 {
    match row.of {
        Of::Server(server) => server.effective_weight,
        Of::Backend(backend) => backend.effective_weight,
        Of::Frontend(_) | Of::Stats { .. } => 0,
    }
}

/// A server's weight, or that of all servers in use.
pub(super) fn weight(row: &Row<'_>) -> u32 {
    match row.of {
        Of::Server(server) => server.weight.value().into(),
        Of::Backend(backend) => backend.weight,
        Of::Frontend(_) | Of::Stats { .. } => 0,
    }
}

/// Servers that take new sessions, primaries or backups; of a server, whether it is one of them.
pub(super) fn servers(row: &Row<'_>, backups: bool) -> u32 {
    match row.of {
        Of::Server(server) => u32::from(server.backup == backups),
        Of::Backend(backend) => taking_sessions(backend, backups),
        Of::Frontend(_) | Of::Stats { .. } => 0,
    }
}

/// HAProxy counts neither those that say that they take no new work nor those of weight 0.
pub(super) fn taking_sessions(backend: &BackendSnapshot, backups: bool) -> u32 {
    let of_kind = backend.servers.iter().filter(|server| server.backup == backups && server.weight.value() > 0);
    let taking = of_kind.filter(|server| matches!(server.state, ServerState::Ready | ServerState::Kept(_)));
    u32::try_from(taking.count()).unwrap_or(u32::MAX)
}

/// What was seen by the last probe, as HAProxy words it; where it has no words, in ours, with a capital. Nothing if it was
/// passed without a remark.
pub(super) fn last_check(last: &Evidence) -> String {
    if last.status.is_passed() || !last.info.is_empty() {
        return last.info.clone();
    }
    let mut letters = last.detail.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
