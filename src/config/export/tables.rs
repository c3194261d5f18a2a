//! `stick-table` lines: what is counted of sources, and what is asked of it.

use std::ops::RangeInclusive;

use super::writer::{Writer, time};
use crate::model::{Config, Count, Counted, Counter, Frontend, OnTableFull, RuleVerdict, Stored, Table};

/// The table of a section's name, which stands in it.
pub fn own(section: &str, config: &Config, out: &mut Writer) {
    if let Some(table) = config.tables.iter().find(|table| table.name.as_str() == section) {
        out.line(line(table));
    }
}

/// The tables whose names no section has, each in one of its own.
pub fn others(config: &Config, out: &mut Writer) {
    for table in config.tables.iter().filter(|table| !has_section(table, config)) {
        out.section(&format!("backend {}", table.name));
        out.line(line(table));
    }
}

fn has_section(table: &Table, config: &Config) -> bool {
    let name = table.name.as_str();
    config.frontends.iter().any(|frontend| frontend.name.as_str() == name)
        || config.backends.iter().any(|backend| backend.name.as_str() == name)
}

fn line(table: &Table) -> String {
    let mut line = format!("stick-table type {} size {}", table.key.name(), table.size);
    if let Some(expire) = table.expire {
        line += &format!(" expire {}", time(expire));
    }
    if table.on_full == OnTableFull::Keep {
        line += " nopurge";
    }
    let store: Vec<String> = table.store.iter().map(stored).collect();
    if !store.is_empty() {
        line += &format!(" store {}", store.join(","));
    }
    line
}

fn stored(stored: &Stored) -> String {
    let name = stored.count().name();
    stored.period().map_or_else(|| name.to_owned(), |period| format!("{name}({})", time(period)))
}

/// A condition on a count.
pub fn test(of: &Counted, count: Count, numbers: &[RangeInclusive<u32>]) -> String {
    let count = count.name();
    let of = match of {
        Counted::Source(table) => format!("src_{count}({table})"),
        Counted::Tracked { counter, table: None } => format!("sc{counter}_{count}"),
        Counted::Tracked { counter, table: Some(table) } => format!("sc{counter}_{count}({table})"),
    };
    format!("{{ {of} {} }}", ranges(numbers))
}

fn ranges(numbers: &[RangeInclusive<u32>]) -> String {
    match numbers {
        [one] if *one.end() == u32::MAX => format!("ge {}", one.start()),
        several => {
            let range = |one: &RangeInclusive<u32>| format!("{}:{}", one.start(), one.end());
            several.iter().map(range).collect::<Vec<_>>().join(" ")
        }
    }
}

/// A counter that no rule of a frontend has track anything, if there is one.
pub fn free_counter(frontend: &Frontend) -> Option<Counter> {
    let is_free = |counter: &Counter| {
        let tracks = |verdict: &RuleVerdict| matches!(verdict, RuleVerdict::Track(track) if track.counter == *counter);
        !frontend.rules.iter().any(|rule| tracks(&rule.verdict))
    };
    (0..Counter::COUNT).filter_map(Counter::new).find(is_free)
}
