//! The page of one backend: who of its servers is usable, how it went, and who holds which of them.

use askama::Template;

use super::super::figures::{bytes, count, lapse, span};
use super::super::headline::Tone;
use super::super::past::Past;
use super::super::sight::Sight;
use super::View;
use super::charts::Charts;
use super::figure::Figure;
use super::server_line::ServerLine;
use super::state::{backend_tone, mark, usable};
use super::time::{Time, time};
use crate::event::{BackendSnapshot, Snapshot, SourcesSnapshot};
use crate::observe::series::{Series, Subject};

/// The page. `sources` are those of a backend that is to bring each source to every server; their addresses are shown to
/// who sees everything alone.
pub(in crate::admin) fn backend_page(
    snapshot: &Snapshot,
    backend: &BackendSnapshot,
    past: &Past,
    series: &Series,
    sources: Option<&SourcesSnapshot>,
    sight: Sight,
) -> View {
    let (now, usable, tone) = (snapshot.at, usable(backend), backend_tone(backend));
    let page = BackendPage {
        name: backend.name.as_str(),
        tone,
        mark: mark(tone.class()),
        usable,
        word: if backend.up { "up" } else { "down" },
        since: time(backend.since, now),
        lasts: span(now.duration_since(backend.since).unwrap_or_default()),
        notes: notes(backend, snapshot),
        figures: figures(backend),
        servers: ServerLine::all(backend, series, now),
        charts: Charts::of(&Subject::Backend(backend.name.clone()), past, None, now),
        sources: sources.map(|sources| Sources::of(sources, sight)),
    };
    let title = format!("{}: {usable} of {} usable", backend.name, backend.servers.len());
    let main = page.render().expect("the template writes into a String and fails at nothing else");
    View { title, tone, main, place: "" }
}

#[derive(Template)]
#[template(path = "backend.html")]
struct BackendPage<'a> {
    name: &'a str,
    tone: Tone,
    mark: &'static str,
    usable: usize,
    word: &'static str,
    since: Time,
    lasts: String,
    notes: Vec<String>,
    figures: Vec<Figure>,
    servers: Vec<ServerLine>,
    charts: Charts,
    sources: Option<Sources>,
}

fn notes(backend: &BackendSnapshot, snapshot: &Snapshot) -> Vec<String> {
    let leads = snapshot.frontends.iter().filter(|frontend| frontend.leads_to(&backend.name));
    let names: Vec<_> = leads.map(|frontend| frontend.name.as_str()).collect();
    let mut notes = vec![match names[..] {
        [] => format!("Balanced by {}. No frontend leads here.", backend.balance.name()),
        _ => format!("Balanced by {}. Clients come in by {}.", backend.balance.name(), names.join(", ")),
    }];
    if backend.required {
        notes.push("Without a usable server here /readyz is red.".to_owned());
    }
    notes
}

fn figures(backend: &BackendSnapshot) -> Vec<Figure> {
    let counts = &backend.counts;
    vec![
        Figure::new(
            "Sessions",
            count(counts.sessions.into()),
            format!("most {}, {} in all", count(counts.sessions_max.into()), count(counts.sessions_total)),
        ),
        Figure::new(
            "New sessions",
            format!("{}/s", count(counts.rate.into())),
            format!("most {}/s", count(counts.rate_max.into())),
        ),
        Figure::new("Waiting", count(backend.queued.into()), format!("most {}", count(counts.queued_max.into()))),
        Figure::new("Bytes in", bytes(counts.bytes_in), "from clients".into()),
        Figure::new("Bytes out", bytes(counts.bytes_out), "to clients".into()),
        Figure::new("Time to connect", lapse(counts.connect_time), format!("most {}", lapse(counts.connect_time_max))),
        Figure::fault("Found no server", counts.connect_errors, "sessions".into()),
        Figure::fault("Ended before an answer", counts.response_errors, "by a server, with an error".into()),
        Figure::new("Dialled again", count(counts.retries), format!("{} moved", count(counts.moves))),
        Figure::fault("Down", counts.downs, format!("times, {} in all", span(backend.downtime))),
    ]
}

#[derive(Template)]
#[template(path = "sources.html")]
struct Sources {
    summary: String,
    servers: Vec<String>,
    /// Those with the fewest servers first; `None` for who may not see them.
    shown: Option<Vec<Source>>,
    left_out: u32,
}

struct Source {
    address: String,
    sessions: Vec<u32>,
    held: usize,
    is_complete: bool,
}

impl Sources {
    fn of(sources: &SourcesSnapshot, sight: Sight) -> Self {
        let shown = || {
            let source = |source: &crate::event::SourceHeld| Source {
                address: source.address.to_string(),
                sessions: source.sessions.clone(),
                held: source.servers(),
                is_complete: source.servers() == sources.servers.len(),
            };
            sources.least.iter().map(source).collect::<Vec<_>>()
        };
        let named = u32::try_from(sources.least.len()).unwrap_or(u32::MAX);
        Self {
            summary: summary(sources),
            servers: sources.servers.iter().map(ToString::to_string).collect(),
            shown: sight.is_everything().then(shown),
            left_out: sources.total().saturating_sub(named),
        }
    }
}

/// `15 sources: 14 hold sessions at all 3 servers, 1 at 1.`
fn summary(sources: &SourcesSnapshot) -> String {
    let servers = sources.servers.len();
    let total = match sources.total() {
        0 => return "No source has a session here.".to_owned(),
        1 => "One source".to_owned(),
        total => format!("{} sources", count(total.into())),
    };
    let fewer = sources.held.iter().enumerate().take(servers).rev();
    let told = std::iter::once(format!("{} at all {servers} servers", count(sources.complete().into())));
    let told = told.chain(
        fewer.filter(|(_, sources)| **sources > 0).map(|(at, sources)| format!("{} at {at}", count((*sources).into()))),
    );
    format!("{total} with sessions: {}.", told.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
