//! What reloads, upgrades and a drain do to those who are connected: the table in docs/operations.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::course::{Aftermath, Outcome};
use crate::harness::program::{command, run};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");

/// Between these lines of the page stands what was measured.
const BEGIN: &str = "<!-- measured: tests/run --full e2e -->";
const END: &str = "<!-- until here -->";

/// One line of the table.
type Line = (&'static str, fn(&Outcome) -> String);

const LINES: [Line; 17] = [
    ("short sessions served, and failed", |it| format!("{}, {}", it.served, told(&it.failed))),
    ("long sessions cut before the drain", |it| format!("{} of {}", told(&it.cut), it.held)),
    ("reloads of good files; bad files refused, and taken for good", |it| {
        format!("{}; {}, {}", it.reloads[0], it.reloads[1], it.reloads[2])
    }),
    ("all reloads, with the sessions between them", |it| seconds(it.reload_took)),
    ("sessions that have another name after the reloads", |it| {
        it.renamed.map_or_else(|| "they have none".to_owned(), |count| count.to_string())
    }),
    ("processes after the reloads", |it| it.processes[0].to_string()),
    ("processes after the upgrades", |it| it.processes[1].to_string()),
    ("their memory (PSS)", |it| format!("{} MB", it.memory / 1_000_000)),
    ("processes after the last session", |it| it.processes[2].to_string()),
    ("counters read, and not answered", |it| format!("{}, {}", it.counters.read, it.counters.missed)),
    ("times that a counter went back", |it| it.counters.fell.to_string()),
    ("sessions that no counter knows any more", |it| it.counters.sessions_lost.to_string()),
    ("the drain said that nobody is left after", |it| seconds(it.drain_took)),
    ("sessions of the server when it said so, and before", |it| format!("{}, {}", it.left_there, it.were_there)),
    ("new sessions came there after the drain", |it| if it.came_there { "yes" } else { "no" }.to_owned()),
    ("in the end, a reload of an empty file", |it| aftermath(it.last[0])),
    ("a reload while the file is gone", |it| aftermath(it.last[1])),
];

/// Puts the table into the page.
pub fn write(outcomes: &[Outcome]) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the place");
    let (_, after) = rest.split_once(END).expect("and its end");
    std::fs::write(PAGE, format!("{before}{BEGIN}\n\n{}\n{END}{after}", table(outcomes))).unwrap();
}

fn table(outcomes: &[Outcome]) -> String {
    let mut table = "|".to_owned();
    outcomes.iter().for_each(|outcome| table += &format!(" | {}", outcome.version));
    table += " |\n|---|";
    outcomes.iter().for_each(|_| table += "---|");
    table += "\n";
    for (name, cell) in LINES {
        let cells: Vec<_> = outcomes.iter().map(cell).collect();
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    }
    let today = run(&mut command("date --utc +%F"));
    let kernel = run(&mut command("uname --kernel-release"));
    let _ = writeln!(table, "\nMeasured on {}, Linux {}.", today.trim(), kernel.trim());
    table
}

/// How many, and of what kinds.
fn told(errors: &BTreeMap<String, usize>) -> String {
    let sum: usize = errors.values().sum();
    let kinds: Vec<_> = errors.iter().map(|(error, count)| format!("{count} {error}")).collect();
    if kinds.is_empty() { sum.to_string() } else { format!("{sum} ({})", kinds.join("; ")) }
}

fn aftermath(Aftermath { refused, serves }: Aftermath) -> String {
    let word = if refused { "refused" } else { "taken for good" };
    format!("{word}; {}", if serves { "it goes on" } else { "new sessions fail" })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
