//! The page of one server: how it is and why, how it went, what its last probes saw.

use std::time::SystemTime;

use askama::Template;

use super::super::figures::{bytes, count, date_time, days_until, lapse, span};
use super::super::headline::{Tone, evidence};
use super::super::past::Past;
use super::Guest;
use super::actions::Actions;
use super::certificate::tone;
use super::charts::Charts;
use super::figure::Figure;
use super::state::{State, mark, server_state};
use super::time::{Time, time};
use super::{View, backend_path, server_path};
use crate::event::host::reading;
use crate::event::{BackendSnapshot, Certificate, Evidence, Remark, ServerSnapshot, ServerState, Snapshot};
use crate::observe::series::Subject;

/// The page. `probes` are the last ones, the oldest first.
pub(in crate::admin) fn server_page(
    snapshot: &Snapshot,
    backend: &BackendSnapshot,
    server: &ServerSnapshot,
    past: &Past,
    probes: &[Evidence],
    guest: &Guest,
) -> View {
    let subject = Subject::Server(backend.name.clone(), server.name.clone());
    let (now, state) = (snapshot.at, server_state(server));
    let page = ServerPage {
        backend: backend.name.as_str(),
        backend_link: backend_path(&backend.name),
        name: server.name.as_str(),
        mark: mark(state.tone),
        is: words(server.state),
        since: time(server.since, now),
        lasts: span(now.duration_since(server.since).unwrap_or_default()),
        why: evidence(server),
        notes: notes(server, snapshot),
        figures: figures(server),
        charts: Charts::of(&subject, past, Some(server.state), now),
        check: server.check.as_ref().map(|check| {
            let failed = match check.probes.failed {
                0 => "none failed".to_owned(),
                failed => format!("{} failed", count(failed)),
            };
            let ended = count(check.probes.ended);
            format!("{} check, fall {}, rise {}; {ended} so far, {failed}", check.kind, check.fall, check.rise)
        }),
        probes: probes.iter().rev().map(|probe| Probe::of(probe, now)).collect(),
        certificate: certificate(server, now),
        actions: guest.acts().then(|| Actions::of(backend, server, now)),
        may_log_in: guest.may_log_in(),
        path: server_path(&backend.name, &server.name),
        host: server.host.to_string(),
        neighbours: neighbours(snapshot, server, backend),
        state,
    };
    let title = format!("{} is {}", server.name, page.is);
    let main = page.render().expect("the template writes into a String and fails at nothing else");
    View { title, tone: Tone::of(server.state), main, place: "" }
}

/// A state as a sentence has it.
fn words(state: ServerState) -> &'static str {
    match state {
        ServerState::Drain => "drained",
        ServerState::Maint => "in maintenance",
        other => other.word(),
    }
}

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage<'a> {
    backend: &'a str,
    backend_link: String,
    name: &'a str,
    /// What may be done to it, for who may.
    actions: Option<Actions>,
    may_log_in: bool,
    path: String,
    state: State,
    mark: &'static str,
    /// How it is, behind "is".
    is: &'static str,
    since: Time,
    lasts: String,
    why: Option<String>,
    notes: Vec<String>,
    figures: Vec<Figure>,
    charts: Charts,
    /// How it is checked; `None` if it isn't.
    check: Option<String>,
    /// The newest first.
    probes: Vec<Probe>,
    certificate: Option<CertificateLine>,
    host: String,
    neighbours: Vec<ServerLink>,
}

/// One probe.
struct Probe {
    at: Time,
    tone: &'static str,
    mark: &'static str,
    word: &'static str,
    status: String,
    duration: String,
    detail: String,
    advice: &'static str,
}

impl Probe {
    fn of(seen: &Evidence, now: SystemTime) -> Self {
        let (tone, word) = match seen.status.is_passed() {
            true => ("good", "passed"),
            false => ("bad", "failed"),
        };
        let code = seen.code.map_or_else(String::new, |code| format!(", HTTP {code}"));
        Self {
            at: time(seen.at, now),
            tone,
            mark: mark(tone),
            word,
            status: format!("{}{code}", seen.status.name()),
            duration: lapse(seen.duration),
            detail: if seen.detail.is_empty() { seen.status.words().to_owned() } else { seen.detail.clone() },
            advice: seen.remark.map_or("", Remark::advice),
        }
    }
}

/// The last certificate that it showed.
struct CertificateLine {
    tone: &'static str,
    left: String,
    until: Time,
    subject: String,
    issuer: String,
    key: Option<String>,
}

fn certificate(server: &ServerSnapshot, now: SystemTime) -> Option<CertificateLine> {
    let Certificate { subject, issuer, not_after, authority_key_identifier } =
        server.check.as_ref()?.certificate.as_ref()?;
    let days = days_until(*not_after, now);
    let left = match days {
        ..0 => "it has expired".to_owned(),
        0 => "within a day".to_owned(),
        1 => "in one day".to_owned(),
        _ => format!("in {} days", count(days.unsigned_abs())),
    };
    Some(CertificateLine {
        tone: tone(days),
        left,
        until: time(*not_after, now),
        subject: subject.clone(),
        issuer: issuer.clone(),
        key: authority_key_identifier.clone(),
    })
}

/// What else bears on it, each in a sentence.
fn notes(server: &ServerSnapshot, snapshot: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    let on_host = snapshot.hosts().into_iter().find(|(host, _)| **host == server.host);
    let reading = on_host.and_then(|(_, servers)| reading(servers.into_iter().map(|(_, server)| server)));
    notes.extend(reading.map(|reading| format!("All checks of {} together: {reading}.", server.host)));
    if server.suspect {
        notes.push("Its last probe has failed: it is chosen only if no other is usable.".to_owned());
    }
    if let Some(admin) = server.orders.admin {
        notes.push(format!("An operator has set it to {}.", admin.word()));
    }
    if let Some(weight) = server.orders.weight {
        notes.push(format!("An operator has set its weight to {}.", weight.value()));
    }
    if let Some(tracked) = &server.tracked {
        notes.push(format!("It has the state of {}/{}.", tracked.backend, tracked.server));
    }
    if let Some(agent) = server.agent.as_ref().and_then(|agent| agent.last.as_ref()) {
        notes.push(format!("Its agent at {} UTC: {}.", date_time(agent.at), agent.detail));
    }
    if let Some(percent) = server.throttle {
        notes.push(format!("It has been back for a short time, and gets {percent} % of its share of new sessions."));
    }
    if server.replaced_sessions > 0 {
        notes.push(format!(
            "{} more sessions are in processes that this one has replaced.",
            count(server.replaced_sessions.into())
        ));
    }
    notes
}

fn figures(server: &ServerSnapshot) -> Vec<Figure> {
    let counts = &server.counts;
    let limit = server.max_sessions.map_or_else(String::new, |limit| format!(" of {}", count(limit.into())));
    let role = if server.backup { "a backup" } else { "" };
    vec![
        Figure::new("Address", server.address.to_string(), role.to_owned()),
        Figure::new("Weight", server.weight.value().to_string(), String::new()),
        Figure::new(
            "Sessions",
            format!("{}{limit}", count(counts.sessions.into())),
            format!("most {}, {} in all", count(counts.sessions_max.into()), count(counts.sessions_total)),
        ),
        Figure::new(
            "New sessions",
            format!("{}/s", count(counts.rate.into())),
            format!("most {}/s", count(counts.rate_max.into())),
        ),
        Figure::new("Bytes in", bytes(counts.bytes_in), "from clients".into()),
        Figure::new("Bytes out", bytes(counts.bytes_out), "to clients".into()),
        Figure::new("Time to connect", lapse(counts.connect_time), format!("most {}", lapse(counts.connect_time_max))),
        Figure::fault("Failed dials", counts.connect_errors, format!("of {}", count(counts.connects))),
        Figure::fault("Ended before an answer", counts.response_errors, "by the server, with an error".into()),
        Figure::new("Aborted", count(counts.server_aborts), format!("{} by clients", count(counts.client_aborts))),
        Figure::fault("Down", counts.downs, format!("times, {} in all", span(server.downtime))),
    ]
}

/// Another server, with how it is.
pub(super) struct ServerLink {
    pub tone: &'static str,
    pub mark: &'static str,
    pub link: String,
    pub name: String,
    pub word: &'static str,
    pub note: String,
}

impl ServerLink {
    pub fn of(backend: &BackendSnapshot, server: &ServerSnapshot, name: String, note: String) -> Self {
        let state = server_state(server);
        let link = server_path(&backend.name, &server.name);
        Self { tone: state.tone, mark: mark(state.tone), link, name, word: state.word, note }
    }
}

fn neighbours(snapshot: &Snapshot, server: &ServerSnapshot, backend: &BackendSnapshot) -> Vec<ServerLink> {
    let on_host = snapshot.hosts().into_iter().find(|(host, _)| **host == server.host);
    let others = on_host.into_iter().flat_map(|(_, servers)| servers);
    let others = others.filter(|(of, other)| (&of.name, &other.name) != (&backend.name, &server.name));
    let link = |(of, other): (&BackendSnapshot, &ServerSnapshot)| {
        let note = evidence(other).unwrap_or_else(|| server_state(other).note);
        ServerLink::of(of, other, format!("{}/{}", of.name, other.name), note)
    };
    others.map(link).collect()
}

#[cfg(test)]
pub(super) mod tests;
