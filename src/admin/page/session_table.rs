//! The sessions that are open: filtered, sorted and cut into pages here, so that a browser never has more than a
//! hundred rows, however many there are.

use std::collections::HashMap;

use askama::Template;

use super::super::figures::{bytes, count, span};
use super::super::headline::Tone;
use super::super::rates::Rates;
use super::super::refusal::Refusal;
use super::super::sessions::{Filter, Sort};
use super::View;
use super::{query_of, server_path};
use crate::event::{Names, SessionSnapshot};
use crate::model::SessionHost;

/// What clients are counted under that have come in by a unix socket.
const LOCAL: &str = "unix socket";

/// Rows on a page.
const ROWS: usize = 100;

/// Keys beside the filter's own.
const KEYS: [&str; 2] = ["group", "page"];

/// What is to be shown.
#[derive(Debug)]
pub(in crate::admin) struct Table {
    filter: Filter,
    group: Option<Group>,
    /// From 1.
    page: usize,
}

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Source,
    Frontend,
    Server,
}

impl Group {
    const WORDS: [(&'static str, Self); 3] =
        [("source", Self::Source), ("frontend", Self::Frontend), ("server", Self::Server)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, group)| *group == self).map_or("", |(word, _)| word)
    }
}

impl Table {
    pub(in crate::admin) fn of(query: Option<&str>, names: &Names) -> Result<Self, Refusal> {
        let query = Filter::query(query, &KEYS)?;
        let group = match query.value("group") {
            None => None,
            Some(word) => {
                Some(Group::WORDS.iter().find(|(known, _)| *known == word).map(|(_, group)| *group).ok_or_else(
                    || Refusal::bad(format!("`group` is {word:?}: it must be one of source, frontend, server")),
                )?)
            }
        };
        let page = query.number("page", 1, usize::MAX)?.unwrap_or(1);
        Ok(Self { filter: Filter::of(&query, names)?, group, page })
    }

    /// The page, of all sessions that are open.
    pub(in crate::admin) fn view(&self, sessions: Vec<SessionSnapshot>, rates: &Rates, names: &Names) -> View {
        let open = sessions.len();
        let sessions = self.filter.select(sessions, rates);
        let total = sessions.len();
        let (rows, groups) = match self.group {
            None => (self.rows(&sessions, rates), Vec::new()),
            Some(group) => (Vec::new(), self.groups(group, &sessions, rates)),
        };
        let lines = if self.group.is_some() { groups.len() } else { total };
        let pages = lines.div_ceil(ROWS).max(1);
        let page = Sessions {
            table: self,
            names,
            summary: summary(total, open),
            columns: self.columns(),
            rows,
            groups: groups.into_iter().skip((self.page - 1).min(pages - 1) * ROWS).take(ROWS).collect(),
            page: self.page.min(pages),
            pages,
            earlier: (self.page > 1).then(|| self.link(self.filter.sort, self.page.min(pages) - 1)),
            later: (self.page < pages).then(|| self.link(self.filter.sort, self.page + 1)),
        };
        let main = page.render().expect("the template writes into a String and fails at nothing else");
        View { title: "Sessions".to_owned(), tone: Tone::Good, main, place: "/sessions" }
    }

    fn rows(&self, sessions: &[SessionSnapshot], rates: &Rates) -> Vec<Row> {
        let first = (self.page - 1).saturating_mul(ROWS).min(sessions.len().saturating_sub(1) / ROWS * ROWS);
        sessions.iter().skip(first).take(ROWS).map(|session| Row::of(session, rates)).collect()
    }

    /// Those with the most sessions first.
    fn groups(&self, group: Group, sessions: &[SessionSnapshot], rates: &Rates) -> Vec<Sum> {
        let mut sums: HashMap<String, Sum> = HashMap::new();
        for session in sessions {
            let (name, link) = self.key(group, session);
            let sum = sums.entry(name.clone()).or_insert_with(|| Sum { name, link, ..Sum::default() });
            sum.sessions += 1;
            sum.bytes_in += session.bytes_in;
            sum.bytes_out += session.bytes_out;
            sum.rate += rates.of(session.id).unwrap_or(0);
        }
        let mut sums: Vec<Sum> = sums.into_values().collect();
        sums.sort_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.name.cmp(&b.name)));
        sums
    }

    /// What a session is counted under, and where those are listed.
    fn key(&self, group: Group, session: &SessionSnapshot) -> (String, String) {
        let server = || Some(format!("{}/{}", session.backend.as_ref()?, session.server.as_ref()?));
        let (key, name) = match group {
            Group::Source => match session.client.ip() {
                Some(source) => ("source", Some(source.to_string())),
                None => return (LOCAL.to_owned(), "/sessions".to_owned()),
            },
            Group::Frontend => ("frontend", Some(session.frontend.to_string())),
            Group::Server => ("server", server()),
        };
        match name {
            Some(name) => {
                let link = format!("/sessions{}", query_of(&[(key, Some(name.clone()))]));
                (name, link)
            }
            None => ("no server yet".to_owned(), "/sessions".to_owned()),
        }
    }

    fn columns(&self) -> Vec<Column> {
        const COLUMNS: [(&str, Option<Sort>); 9] = [
            ("Source", Some(Sort::Client)),
            ("Frontend", None),
            ("Server", Some(Sort::Server)),
            ("Age", Some(Sort::Age)),
            ("In", Some(Sort::BytesIn)),
            ("Out", Some(Sort::BytesOut)),
            ("Rate", Some(Sort::Rate)),
            ("Last byte", Some(Sort::Idle)),
            ("State", None),
        ];
        let column = |(name, sort): (&'static str, Option<Sort>)| Column {
            name,
            link: sort.map(|sort| self.link(sort, 1)),
            is_first: sort == Some(self.filter.sort),
            is_text: matches!(name, "Source" | "Frontend" | "Server" | "State"),
        };
        COLUMNS.map(column).into()
    }

    /// The same in another order, or another page of it.
    fn link(&self, sort: Sort, page: usize) -> String {
        let filter = &self.filter;
        let fields = [
            ("source", filter.source.map(|source| source.to_string())),
            ("frontend", filter.frontend.clone()),
            ("backend", filter.backend.clone()),
            ("server", filter.server.clone()),
            ("older", self.older()),
            ("group", self.group.map(|group| group.word().to_owned())),
            ("sort", Some(sort.word().to_owned())),
            ("page", (page > 1).then(|| page.to_string())),
        ];
        format!("/sessions{}", query_of(&fields))
    }

    fn older(&self) -> Option<String> {
        self.filter.older.map(|older| older.as_secs_f64().to_string())
    }

    fn source(&self) -> String {
        self.filter.source.map(|source| source.to_string()).unwrap_or_default()
    }

    fn is_server(&self, backend: &str, server: &str) -> bool {
        self.filter.server.as_deref() == Some(server) && self.filter.backend.as_deref() == Some(backend)
    }
}

/// `312 sessions`, `12 of 312 sessions`.
fn summary(total: usize, open: usize) -> String {
    let noun = if open == 1 { "session" } else { "sessions" };
    match total == open {
        true => format!("{} {noun}", count(open as u64)),
        false => format!("{} of {} {noun}", count(total as u64), count(open as u64)),
    }
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions<'a> {
    table: &'a Table,
    names: &'a Names,
    summary: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    groups: Vec<Sum>,
    page: usize,
    pages: usize,
    earlier: Option<String>,
    later: Option<String>,
}

struct Column {
    name: &'static str,
    /// Where it stands first; `None` if nothing can be sorted by it.
    link: Option<String>,
    is_first: bool,
    is_text: bool,
}

struct Row {
    id: String,
    address: SessionHost,
    port: u32,
    frontend: String,
    /// Name and link.
    server: Option<(String, String)>,
    age: String,
    bytes_in: String,
    bytes_out: String,
    rate: String,
    idle: String,
    state: &'static str,
}

impl Row {
    fn of(session: &SessionSnapshot, rates: &Rates) -> Self {
        let server = session.backend.as_ref().zip(session.server.as_ref());
        let (address, port) = session.client.parts();
        Self {
            id: session.id.to_string(),
            address,
            port,
            frontend: session.frontend.to_string(),
            server: server.map(|(backend, server)| (format!("{backend}/{server}"), server_path(backend, server))),
            age: span(session.age),
            bytes_in: bytes(session.bytes_in),
            bytes_out: bytes(session.bytes_out),
            rate: rates.of(session.id).map_or_else(|| "–".to_owned(), |rate| format!("{}/s", bytes(rate))),
            idle: format!("{} ago", span(session.idle)),
            state: session.state.word(),
        }
    }
}

/// What sessions of one kind come to.
#[derive(Default)]
struct Sum {
    name: String,
    link: String,
    sessions: u64,
    bytes_in: u64,
    bytes_out: u64,
    rate: u64,
}

#[cfg(test)]
mod tests;
