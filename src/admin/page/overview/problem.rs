//! What is wrong with one controller: since when, why, who is affected, and whether it is getting worse.

use super::super::super::figures::{count, lapse, ordinal, span};
use super::super::super::headline::{Controller, Tone, Trouble, listed};
use super::super::state::mark;
use super::super::time::{Time, time};
use crate::event::{BackendSnapshot, ServerSnapshot, ServerState, Snapshot};
use crate::model::FrontendName;

/// One controller that doesn't take sessions in the ordinary way.
pub(super) struct Problem {
    pub(super) name: String,
    pub(super) tone: &'static str,
    pub(super) mark: &'static str,
    pub(super) words: &'static str,
    pub(super) since: Time,
    pub(super) lasts: String,
    pub(super) why: String,
    pub(super) affected: String,
    pub(super) trend: String,
}

impl Problem {
    pub(super) fn of(controller: &Controller<'_>, snapshot: &Snapshot) -> Option<Self> {
        let trouble = controller.trouble()?;
        let hit: Vec<_> = controller.servers.iter().copied().filter(|(_, s)| Trouble::of(s) == Some(trouble)).collect();
        let since = hit.iter().map(|(_, server)| server.since).min()?;
        // One that is down is the reason why people look here, even if others take its place.
        let tone = if trouble == Trouble::Down { Tone::Bad } else { trouble.tone() }.class();
        Some(Self {
            name: controller.name.clone(),
            tone,
            mark: mark(tone),
            words: trouble.short(),
            since: time(since, snapshot.at),
            lasts: span(snapshot.at.duration_since(since).unwrap_or_default()),
            why: why(&hit),
            affected: affected(&hit, snapshot),
            trend: trend(&hit, snapshot),
        })
    }
}

type Hit<'a> = [(&'a BackendSnapshot, &'a ServerSnapshot)];

/// What the probes say, each thing once, with where it was said if not everywhere.
fn why(hit: &Hit<'_>) -> String {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for (backend, server) in hit {
        let words = reason(server);
        match said.iter_mut().find(|(known, _)| *known == words) {
            Some((_, places)) => places.push(backend.name.as_str()),
            None => said.push((words, vec![backend.name.as_str()])),
        }
    }
    let one = said.len() == 1;
    let part =
        |(words, places): (String, Vec<&str>)| if one { words } else { format!("{words} ({})", listed(&places)) };
    said.into_iter().map(part).collect::<Vec<_>>().join("; ")
}

fn reason(server: &ServerSnapshot) -> String {
    let last = server.check.as_ref().and_then(|check| check.last.as_ref());
    match (server.state, last) {
        (ServerState::Maint | ServerState::Drain, _) => match server.orders.admin {
            Some(_) => "an operator wants it so".to_owned(),
            None => "the configuration says so".to_owned(),
        },
        (_, Some(last)) if !last.status.is_passed() && !last.detail.is_empty() => last.detail.clone(),
        (ServerState::Down(cause), _) => cause.words().to_owned(),
        (ServerState::Kept(kept), _) => kept.words().to_owned(),
        (ServerState::Stranger, _) => "its certificate is issued by another authority than the others'".to_owned(),
        (_, last) => last.map_or_else(|| "not known".to_owned(), |last| last.detail.clone()),
    }
}

/// Where clients come in that were served there, and by whom they are now.
fn affected(hit: &Hit<'_>, snapshot: &Snapshot) -> String {
    let mut doors: Vec<String> = Vec::new();
    for (backend, _) in hit {
        for frontend in snapshot.frontends.iter().filter(|frontend| frontend.leads_to(&backend.name)) {
            let door = door(&frontend.name, frontend.listen.first().and_then(|listen| listen.port()));
            if !doors.contains(&door) {
                doors.push(door);
            }
        }
    }
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    let open: u32 = hit.iter().map(|(_, server)| server.counts.sessions).sum();
    let open = match open {
        0 => "no session is open there".to_owned(),
        1 => "one session is still open there".to_owned(),
        n => format!("{} sessions are still open there", count(n.into())),
    };
    let mut others: Vec<&str> = Vec::new();
    let mut alone: Vec<&str> = Vec::new();
    for (backend, _) in hit {
        let usable: Vec<&str> = backend.servers.iter().filter(|s| takes_sessions(s)).map(|s| s.name.as_str()).collect();
        if usable.is_empty() {
            alone.push(backend.name.as_str());
        }
        others.extend(usable);
    }
    others.sort_unstable();
    others.dedup();
    let new = match (alone.is_empty(), others.len()) {
        (false, _) => format!("nobody takes new sessions of {}", listed(&alone)),
        (true, 1..=4) => format!("new sessions go to {}", listed(&others)),
        (true, n) => format!("new sessions go to {} others", count(n as u64)),
    };
    match doors.is_empty() {
        true => format!("{open}; {new}"),
        false => format!("clients of {}: {open}; {new}", listed(&doors)),
    }
}

fn door(name: &FrontendName, port: Option<u16>) -> String {
    port.map_or_else(|| name.to_string(), |port| format!("{name} ({port})"))
}

fn takes_sessions(server: &ServerSnapshot) -> bool {
    matches!(server.state, ServerState::Ready) && server.weight.value() > 0
}

/// How often it was down, and what the last probe took.
fn trend(hit: &Hit<'_>, snapshot: &Snapshot) -> String {
    let mut parts = Vec::new();
    let downs = hit.iter().map(|(_, server)| server.counts.downs).max().unwrap_or(0);
    let downtime = hit.iter().map(|(_, server)| server.downtime).max().unwrap_or_default();
    if downs > 1 {
        parts.push(format!("down for the {} time, {} in all", ordinal(downs), span(downtime)));
    }
    let probes = hit.iter().filter_map(|(_, server)| server.check.as_ref().map(|check| (server, check)));
    if let Some((server, check)) = probes.max_by_key(|(_, check)| check.last.as_ref().map(|last| last.at))
        && let Some(last) = &check.last
    {
        let ago = span(snapshot.at.duration_since(last.at).unwrap_or_default());
        let ended = if last.status.is_passed() { "passed" } else { "failed" };
        parts.push(format!("the last probe {ended} {ago} ago, after {}", lapse(last.duration)));
        if matches!(server.state, ServerState::Down(_)) && check.health > 0 {
            parts.push(format!("it is coming back: {} of {} have passed", check.health, check.rise));
        }
    }
    parts.join("; ")
}
