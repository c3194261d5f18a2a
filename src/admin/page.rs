//! The stats page: the table that people know from HAProxy, beneath one sentence that says how things are. No script, no request to another host.

mod assets;
mod row;

use std::time::{Duration, SystemTime};

use askama::Template;

pub(super) use self::assets::{Asset, asset};
use self::row::{COLUMNS, Column, Row};
use super::figures::{bytes, count, date_time, moment, span};
use super::headline::{Headline, Tone, headline};
use crate::event::{BackendSnapshot, ProcessSnapshot, Snapshot};

/// The page's media type.
pub(super) const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// What a haproxy.cfg may want of the page.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    /// How often it loads itself anew; `None` leaves it to the reader.
    pub refresh: Option<Duration>,
    /// Whether it keeps the program's version to itself.
    pub hide_version: bool,
}

/// The page as HTML.
pub(super) fn render(snapshot: &Snapshot) -> String {
    render_as(snapshot, Look::default())
}

/// The same with another look.
pub(super) fn render_as(snapshot: &Snapshot, look: Look) -> String {
    Page::of(snapshot, look).render().expect("the template writes into a String and fails at nothing else")
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    node: &'a str,
    version: &'a str,
    refresh: Option<u64>,
    at: String,
    headline: Headline,
    stylesheet: &'static str,
    icon: &'static str,
    facts: Vec<Fact>,
    columns: &'static [Column],
    groups: Vec<Group>,
}

impl<'a> Page<'a> {
    fn of(snapshot: &'a Snapshot, look: Look) -> Self {
        let headline = headline(snapshot);
        Self {
            node: &snapshot.process.node,
            version: if look.hide_version { "" } else { snapshot.process.version },
            refresh: look.refresh.map(|every| every.as_secs()),
            at: date_time(snapshot.at),
            stylesheet: assets::stylesheet(),
            icon: assets::icon(headline.tone),
            headline,
            facts: facts(&snapshot.process, snapshot.at),
            columns: &COLUMNS,
            groups: snapshot.backends.iter().map(|backend| Group::of(backend, snapshot)).collect(),
        }
    }
}

/// A figure of the process.
struct Fact {
    name: &'static str,
    value: String,
    /// What it is out of, or goes with.
    aside: String,
    /// How much of a limit is used.
    share: Option<Share>,
    alarming: bool,
}

/// A part of a limit; the meter turns at `high`.
struct Share {
    part: u64,
    whole: u64,
    high: u64,
}

impl Fact {
    fn new(name: &'static str, value: String, aside: String) -> Self {
        Self { name, value, aside, share: None, alarming: false }
    }

    fn of_limit(name: &'static str, part: u64, whole: u64) -> Self {
        let share = Share { part: part.min(whole), whole, high: whole - whole / 10 };
        Self { share: Some(share), ..Self::new(name, count(part), format!("of {}", count(whole))) }
    }

    fn alarm(name: &'static str, value: u64, aside: &str) -> Option<Self> {
        (value > 0).then(|| Self { alarming: true, ..Self::new(name, count(value), aside.to_owned()) })
    }
}

fn facts(process: &ProcessSnapshot, now: SystemTime) -> Vec<Fact> {
    let counts = &process.counts;
    let mut facts = vec![
        Fact::of_limit("Sessions", process.sessions.into(), process.max_sessions.into()),
        Fact::new(
            "Most at a time",
            count(counts.sessions_max.into()),
            format!("{} in all", count(counts.sessions_total)),
        ),
        Fact::new(
            "New sessions",
            format!("{}/s", count(counts.rate.into())),
            format!("most {}/s", count(counts.rate_max.into())),
        ),
        Fact::new("Bytes in", bytes(counts.bytes_in), "clients to servers".into()),
        Fact::new("Bytes out", bytes(counts.bytes_out), "servers to clients".into()),
        Fact::of_limit("Descriptors", process.open_descriptors, process.max_descriptors),
        Fact::new("Memory", bytes(process.resident_memory), format!("processor {}", span(process.cpu))),
        Fact::new("Uptime", span(process.uptime), format!("since {}", moment(process.started, now))),
        Fact::new(
            "Process",
            process.phase.word().to_owned(),
            format!("pid {}, {}", process.pid, workers(process.workers)),
        ),
    ];
    facts.extend(Fact::alarm("Limit reached", process.limit_reached, "times, process-wide"));
    facts.extend(Fact::alarm("Accepting paused", process.accept_pauses, "times, for want of descriptors or memory"));
    facts.extend(Fact::alarm("Log lines lost", process.dropped_logs, "too slow a target"));
    let gone = process.log_targets.iter().filter(|target| !target.reached).count() as u64;
    facts.extend(Fact::alarm("Log targets gone", gone, "they take no lines"));
    facts
}

fn workers(n: u32) -> String {
    if n == 1 { "1 worker".to_owned() } else { format!("{n} workers") }
}

/// A backend with the frontends that lead to it.
struct Group {
    name: String,
    tone: Tone,
    summary: String,
    rows: Vec<Row>,
}

impl Group {
    fn of(backend: &BackendSnapshot, snapshot: &Snapshot) -> Self {
        let frontends = snapshot.frontends.iter().filter(|frontend| frontend.backend == backend.name);
        let mut rows: Vec<_> = frontends.map(|frontend| row::frontend(frontend, snapshot)).collect();
        rows.extend(backend.servers.iter().map(|server| row::server(server, snapshot.at)));
        rows.push(row::backend(backend, snapshot.at));
        let usable = usize::try_from(backend.active + backend.backup).unwrap_or(usize::MAX);
        let tone = match () {
            () if !backend.up => Tone::Bad,
            () if usable < backend.servers.len() => Tone::Warning,
            () => Tone::Good,
        };
        let summary = format!("{usable} of {} usable", backend.servers.len());
        Self { name: backend.name.to_string(), tone, summary, rows }
    }
}

#[cfg(test)]
mod tests;
