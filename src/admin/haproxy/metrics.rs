//! HAProxy's Prometheus families, under the names that its exporter gives them: dashboards and alarms ask for those.
//!
//! All but those of the process are made from the columns of the statistics ([`super::stat`]), as HAProxy makes them. What
//! a column leaves empty is NaN here, and what evenkeel has none of is 0.

mod families;
mod process;
mod states;

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};

use self::families::{FAMILIES, Family, Shape};
use super::super::query::decoded;
use super::stat::{self, Cell, Filter, Kind, Row};
use crate::event::{Snapshot, TableSnapshot};

/// The text's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// What of it is asked for; the default is all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    global: bool,
    kinds: BTreeSet<Kind>,
    tables: bool,
    no_maint: bool,
    /// Those alone, if any is named; otherwise all but those that are left out.
    only: BTreeSet<String>,
    without: BTreeSet<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        let kinds = [Kind::Frontend, Kind::Backend, Kind::Server].into();
        Self { global: true, kinds, tables: true, no_maint: false, only: BTreeSet::new(), without: BTreeSet::new() }
    }
}

impl Wanted {
    /// Reads a query as HAProxy's exporter does; `None` for a scope that there is not. Keys that it doesn't know it
    /// ignores.
    pub fn of(query: Option<&str>) -> Option<Self> {
        let mut wanted = Self::default();
        let mut scopes = Vec::new();
        for part in query.unwrap_or("").split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value);
            match key {
                "scope" => scopes.push(value.into_owned()),
                "no-maint" => wanted.no_maint = true,
                "metrics" => value.split(',').for_each(|name| wanted.name(name.trim())),
                _ => {}
            }
        }
        if !scopes.is_empty() {
            (wanted.global, wanted.kinds, wanted.tables) = (false, BTreeSet::new(), false);
            scopes.iter().try_for_each(|scope| wanted.add_scope(scope))?;
        }
        Some(wanted)
    }

    fn name(&mut self, name: &str) {
        match name.strip_prefix('-') {
            Some(name) => self.without.insert(name.to_owned()),
            None if name.is_empty() => false,
            None => self.only.insert(name.to_owned()),
        };
    }

    fn add_scope(&mut self, scope: &str) -> Option<()> {
        match scope {
            "*" => *self = Self { global: true, kinds: Self::default().kinds, tables: true, ..std::mem::take(self) },
            "global" => self.global = true,
            "frontend" => drop(self.kinds.insert(Kind::Frontend)),
            "backend" => drop(self.kinds.insert(Kind::Backend)),
            "server" => drop(self.kinds.insert(Kind::Server)),
            "sticktable" => self.tables = true,
            // Listeners have no families of their own unless `option socket-stats` asks for them.
            "" | "listener" => {}
            _ => return None,
        }
        Some(())
    }

    fn has(&self, name: &str) -> bool {
        if self.only.is_empty() { !self.without.contains(name) } else { self.only.contains(name) }
    }
}

/// The families in Prometheus's text format, version 0.0.4.
pub fn encode(snapshot: &Snapshot, wanted: &Wanted) -> String {
    let mut out = Text { out: String::new(), wanted };
    if wanted.global {
        process::FAMILIES.iter().for_each(|family| out.process(family, snapshot));
    }
    let rows = stat::rows(snapshot, &Filter { no_maint: wanted.no_maint, ..Filter::default() });
    for &kind in &wanted.kinds {
        let rows: Vec<&Row<'_>> = rows.iter().filter(|row| row.kind == kind).collect();
        FAMILIES.iter().for_each(|family| out.family(family, kind, &rows));
    }
    if wanted.tables {
        out.tables("size", "Sources that the table knows at a time.", snapshot, |table| table.size);
        out.tables("used", "Sources that the table knows.", snapshot, |table| table.used);
    }
    out.out
}

struct Text<'a> {
    out: String,
    wanted: &'a Wanted,
}

impl Text<'_> {
    fn process(&mut self, family: &process::Family, snapshot: &Snapshot) {
        let name = format!("haproxy_process_{}", family.name);
        if self.head(&name, family.help, family.counts) {
            let label = family.label.map(|(label, value)| format!("{{{label}={}}}", Quoted(&value(snapshot))));
            self.line(&format!("{name}{}", label.unwrap_or_default()), (family.value)(snapshot));
        }
    }

    /// A family of tables, the last of the file first.
    fn tables(&mut self, name: &str, help: &str, snapshot: &Snapshot, value: fn(&TableSnapshot) -> u32) {
        let name = format!("haproxy_sticktable_{name}");
        if snapshot.tables.is_empty() || !self.head(&name, help, false) {
            return;
        }
        for table in snapshot.tables.iter().rev() {
            let (label, kind) = (Quoted(table.name.as_str()), Quoted(table.key.name()));
            self.line(&format!("{name}{{name={label},type={kind}}}"), Value::Whole(value(table).into()));
        }
    }

    fn family(&mut self, family: &Family, kind: Kind, rows: &[&Row<'_>]) {
        let Some(suffix) = family.name(kind) else { return };
        let name = format!("haproxy_{}_{suffix}", kind.scope());
        let rows: Vec<&&Row<'_>> = rows.iter().filter(|row| family.is_of(row)).collect();
        // Without any line, the format has no word for a family.
        if rows.is_empty() || !self.head(&name, family.help, family.counts) {
            return;
        }
        let column = stat::column(family.column);
        for row in rows {
            self.series(&name, family, row, Value::of(&column.cell(row)));
        }
    }

    /// What a line tells in a family: its value in the family's column, or what stands for that.
    fn series(&mut self, name: &str, family: &Family, row: &Row<'_>, value: Value) {
        let labels = labels(row);
        match family.shape {
            Shape::Plain => self.line(&format!("{name}{{{labels}}}"), value),
            Shape::OrZero => self.line(&format!("{name}{{{labels}}}"), value.or_zero()),
            Shape::Milliseconds => self.line(&format!("{name}{{{labels}}}"), value.thousandth()),
            Shape::Codes(codes) => {
                for (code, column) in codes {
                    let count = Value::of(&stat::column(column).cell(row)).or_zero();
                    self.line(&format!("{name}{{{labels},code=\"{code}\"}}"), count);
                }
            }
            Shape::States(states) => {
                for (state, count) in states(row) {
                    self.line(&format!("{name}{{{labels},state=\"{state}\"}}"), Value::Whole(count.into()));
                }
            }
        }
    }

    /// Begins a family, if it is wanted.
    fn head(&mut self, name: &str, help: &str, counts: bool) -> bool {
        let wanted = self.wanted.has(name);
        if wanted {
            let kind = if counts { "counter" } else { "gauge" };
            let _infallible = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
        wanted
    }

    fn line(&mut self, series: &str, value: Value) {
        let _infallible = writeln!(self.out, "{series} {value}");
    }
}

fn labels(row: &Row<'_>) -> String {
    match row.kind {
        Kind::Server => format!("proxy={},server={}", Quoted(row.proxy), Quoted(row.name)),
        Kind::Frontend | Kind::Backend => format!("proxy={}", Quoted(row.proxy)),
    }
}

impl Kind {
    fn scope(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
        }
    }
}

/// A series' value, written as HAProxy writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Whole(i128),
    Seconds(f64),
    /// It means nothing here.
    None,
}

impl Value {
    fn of(cell: &Cell) -> Self {
        match *cell {
            Cell::U32(value) => Self::Whole(value.into()),
            Cell::U64(value) => Self::Whole(value.into()),
            Cell::S32(value) => Self::Whole(value.into()),
            Cell::Empty | Cell::Text(_) => Self::None,
        }
    }

    fn or_zero(self) -> Self {
        if self == Self::None { Self::Whole(0) } else { self }
    }

    /// Of milliseconds, the seconds.
    fn thousandth(self) -> Self {
        match self {
            Self::Whole(millis) => Self::Seconds(millis as f64 / 1e3),
            other => other,
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Seconds(value) => write!(f, "{value:.6}"),
            Self::None => f.write_str("NaN"),
        }
    }
}

/// A label's value as the format has it.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }
}

#[cfg(test)]
mod tests;
