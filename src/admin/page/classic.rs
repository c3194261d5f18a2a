//! The table that people know from HAProxy, beneath one sentence that says how things are. No script.

mod row;

use std::time::Duration;

use askama::Template;

use self::row::{COLUMNS, Column, Row};
use super::super::figures::date_time;
use super::super::headline::{Headline, Tone, headline};
use super::assets;
use super::facts::{Fact, facts};
use super::state::{backend_tone, usable_of_all};
use crate::event::{BackendSnapshot, Snapshot};
use crate::model::ProxyId;

/// What a haproxy.cfg may want of the page, and what its reader may do there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look<'a> {
    /// How often it loads itself anew; `None` leaves it to the reader.
    pub refresh: Option<Duration>,
    /// Whether it keeps the program's version to itself.
    pub hide_version: bool,
    /// Where it is, without what was said.
    pub uri: &'a str,
    /// What the reader may have done to servers; nothing, if there is none.
    pub choices: Vec<Choice>,
    /// What became of what the reader wanted last.
    pub said: Option<Said>,
}

/// Something that the reader may have done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// What the form says of it.
    pub word: &'static str,
    pub words: &'static str,
}

/// A sentence, and how grave it is: a class of the stylesheet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub tone: &'static str,
    pub text: &'static str,
}

/// The page as HTML.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    render_as(snapshot, Look::default())
}

/// The same with another look.
pub(crate) fn render_as(snapshot: &Snapshot, look: Look<'_>) -> String {
    Page::of(snapshot, look).render().expect("the template writes into a String and fails at nothing else")
}

#[derive(Template)]
#[template(path = "classic.html")]
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
    uri: &'a str,
    choices: Vec<Choice>,
    said: Option<Said>,
}

impl<'a> Page<'a> {
    fn of(snapshot: &'a Snapshot, look: Look<'a>) -> Self {
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
            uri: look.uri,
            choices: look.choices,
            said: look.said,
        }
    }
}

/// A backend with the frontends that lead to it.
struct Group {
    id: ProxyId,
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
        let (tone, summary) = (backend_tone(backend), usable_of_all(backend));
        Self { id: backend.id, name: backend.name.to_string(), tone, summary, rows }
    }
}

#[cfg(test)]
mod tests;
