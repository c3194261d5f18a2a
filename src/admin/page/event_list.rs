//! Events as a time line: each in one sentence with its evidence, and a place of its own to link to.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;

use super::super::figures::{date_time, lapse};
use super::super::headline::Tone;
use super::super::query::Query;
use super::super::refusal::Refusal;
use super::View;
use super::server_path;
use super::state::mark;
use super::time::{Sentence, Time, sentence, time};
use crate::event::{Change, Gravity};
use crate::observe::history::{Event, History};

/// Events on a page.
const SHOWN: usize = 100;

const KEYS: [&str; 5] = ["level", "kind", "server", "q", "before"];

/// Which events are wanted.
#[derive(Debug, Default, PartialEq)]
pub(in crate::admin) struct Filter {
    level: Option<Gravity>,
    kind: Option<String>,
    server: Option<String>,
    text: Option<String>,
    /// Only those with a smaller number.
    before: Option<u64>,
}

impl Filter {
    pub(in crate::admin) fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let query = Query::of(query, &KEYS)?;
        let text = |key| query.value(key).map(str::to_owned);
        let level = match query.value("level") {
            None => None,
            Some(word) => Some(Gravity::ALL.into_iter().find(|level| level.word() == word).ok_or_else(|| {
                let known = Gravity::ALL.map(Gravity::word).join(", ");
                Refusal::bad(format!("`level` is {word:?}: it must be one of {known}"))
            })?),
        };
        Ok(Self {
            level,
            kind: text("kind"),
            server: text("server"),
            // As a form sends a space.
            text: query.value("q").map(|text| text.replace('+', " ").to_lowercase()),
            before: query.number("before", 1, u64::MAX)?,
        })
    }

    fn includes(&self, event: &Event) -> bool {
        let change = &event.change;
        self.level.is_none_or(|least| change.gravity() >= least)
            && self.kind.as_deref().is_none_or(|kind| change.kind() == kind)
            && self.server.as_deref().is_none_or(|wanted| is_about(change, wanted))
            && self.text.as_deref().is_none_or(|text| change.text().to_lowercase().contains(text))
            && self.before.is_none_or(|before| event.seq < before)
    }

    /// The newest of the wanted ones, the newest first, and whether there are older ones.
    pub(in crate::admin) fn newest(&self, history: &History, limit: usize) -> (Vec<Arc<Event>>, bool) {
        let all = history.after(Some(0), usize::MAX).events;
        let mut wanted = all.into_iter().rev().filter(|event| self.includes(event));
        let newest: Vec<_> = wanted.by_ref().take(limit).collect();
        (newest, wanted.next().is_some())
    }

    fn is_from(&self, level: &Gravity) -> bool {
        self.level == Some(*level)
    }

    /// The query for the same and `before`.
    fn query(&self, before: Option<u64>) -> String {
        let fields = [
            ("level", self.level.map(|level| level.word().to_owned())),
            ("kind", self.kind.clone()),
            ("server", self.server.clone()),
            ("q", self.text.clone()),
            ("before", before.map(|seq| seq.to_string())),
        ];
        super::query_of(&fields)
    }
}

/// A server's name, or `backend/server`.
fn is_about(change: &Change, wanted: &str) -> bool {
    change.servers().iter().any(|(backend, server)| {
        wanted == server.as_str() || wanted.split_once('/') == Some((backend.as_str(), server.as_str()))
    })
}

/// One event.
pub(in crate::admin) struct Line {
    pub(super) seq: u64,
    pub(super) tone: &'static str,
    pub(super) mark: &'static str,
    pub(super) level: &'static str,
    pub(super) kind: &'static str,
    pub(super) at: Time,
    now: SystemTime,
    text: String,
    pub(super) by: Option<String>,
    /// Names with the paths of their pages.
    pub(super) servers: Vec<(String, String)>,
    pub(super) evidence: Vec<Seen>,
}

/// What a probe saw.
pub(super) struct Seen {
    pub(super) at: Time,
    pub(super) status: &'static str,
    pub(super) detail: String,
    pub(super) lasted: String,
}

/// So many servers are named beside an event; of more their number is in its sentence.
const NAMED: usize = 4;

impl Line {
    pub(in crate::admin) fn of(event: &Event, now: SystemTime) -> Self {
        let change = &event.change;
        let tone = match change.gravity() {
            Gravity::Info => "good",
            Gravity::Warn => "warning",
            Gravity::Error => "bad",
        };
        let servers = change.servers();
        let named = servers.iter().take(if servers.len() <= NAMED { NAMED } else { 0 });
        Self {
            seq: event.seq,
            tone,
            mark: mark(tone),
            level: change.gravity().word(),
            kind: change.kind(),
            at: time(change.at(), now),
            now,
            text: change.text(),
            by: super::super::events::by(change),
            servers: named
                .map(|(backend, server)| (format!("{backend}/{server}"), server_path(backend, server)))
                .collect(),
            evidence: super::super::events::evidence(change)
                .map(|seen| Seen {
                    at: time(seen.at, now),
                    status: seen.status.name(),
                    detail: seen.detail.clone(),
                    lasted: lapse(seen.duration),
                })
                .collect(),
        }
    }

    pub(super) fn sentence(&self) -> Sentence<'_> {
        sentence(&self.text, self.now)
    }
}

/// The page of events.
pub(in crate::admin) fn events(filter: &Filter, history: &History, now: SystemTime) -> View {
    let (newest, more) = filter.newest(history, SHOWN);
    let oldest = newest.last().map(|event| event.seq);
    let page = Events {
        filter,
        levels: Gravity::ALL,
        kinds: Change::KINDS,
        lines: newest.iter().map(|event| Line::of(event, now)).collect(),
        older: oldest.filter(|_| more).map(|seq| format!("/events{}", filter.query(Some(seq)))),
        markdown: format!("/events.md{}", filter.query(filter.before)),
        kept: History::MOST,
    };
    let main = page.render().expect("the template writes into a String and fails at nothing else");
    View { title: "Events".to_owned(), tone: Tone::Good, main, place: "/events" }
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events<'a> {
    filter: &'a Filter,
    levels: [Gravity; 3],
    kinds: &'static [&'static str],
    lines: Vec<Line>,
    older: Option<String>,
    markdown: String,
    kept: usize,
}

/// The same events for an incident report, the oldest first; times are UTC.
pub(in crate::admin) fn markdown(filter: &Filter, history: &History, node: &str) -> String {
    let (newest, more) = filter.newest(history, History::MOST);
    let mut text = format!("## Events of {}\n\n", plain(node));
    if more {
        text.push_str("Older ones are left out.\n\n");
    }
    for event in newest.iter().rev() {
        let change = &event.change;
        let _ =
            write!(text, "- **{} UTC** {}: {}", date_time(change.at()), change.gravity().word(), plain(&change.text()));
        if let Some(by) = super::super::events::by(change) {
            let _ = write!(text, " (by {})", plain(&by));
        }
        text.push('\n');
        for seen in super::super::events::evidence(change) {
            let (at, took) = (date_time(seen.at), lapse(seen.duration));
            let _ = writeln!(text, "  - {at} UTC {} after {took}: {}", seen.status.name(), plain(&seen.detail));
        }
    }
    text
}

/// What servers say of themselves stays words in Markdown, too.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests;
