//! docs/failover.md: the table of faults, with figures and evidence, from what the last full run has left.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::bench::directory;
use crate::figures::{Figures, Outcome};
use crate::harness::program::{command, run};
use crate::proxies::Kind;
use crate::rows::{ROWS, Row};
use crate::run::{describe, milliseconds, seconds};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/failover.md");

const HEAD: &str = "# What a controller's death does to clients

Five hosts in network namespaces: a load balancer, three controllers, each with a TLS server and a member of an etcd cluster, and a client. The
client opens 100 new TLS connections a second and holds 300 idle sessions and 60 busy ones, with numbered writes. Then one fault happens.
evenkeel runs with nothing tuned, HAProxy with the file of the k0s cluster guide and with one that an expert would write
(`tests/e2e/faults/proxies/`). Each fault met each of them several times; figures are the worst of all rounds, sums where things are counted.

- *new connections*: their dial began after the fault. *direct*: connections of the same client in the same time, made to a healthy controller.
- *sessions there*: those at the controllers that were hurt; *elsewhere*: all others, which nobody has a reason to close.
- *unknown writes*: sent and never answered, so that nobody knows whether they were done.
- *sockets there*: what the load balancer's kernel has towards these controllers (`ss -ti`), before the fault and at the end.

`tests/run --full faults` measures again and rewrites this page; `cargo test --test faults -- row NAME --proxy evenkeel` tries one row.

";

/// Writes the page. A row that was not measured is said to be missing.
pub fn write() {
    let mut page = HEAD.to_owned();
    let today = run(&mut command("date --utc +%F"));
    let kernel = run(&mut command("uname --kernel-release"));
    let _ = writeln!(page, "Measured on {}, Linux {}; {}", today.trim(), kernel.trim(), Kind::Evenkeel.version());
    let _ = writeln!(page, "and {}.\n", Kind::Reference.version());
    for row in &ROWS {
        let _ = writeln!(page, "## {}\n", capitalised(row.title));
        match fs::read_to_string(directory(row.name).join("outcomes.json")) {
            Ok(text) => section(&mut page, row, &serde_json::from_str::<Vec<Outcome>>(&text).unwrap()),
            Err(_) => page += "Not measured.\n\n",
        }
    }
    fs::write(PAGE, page.trim_end().to_owned() + "\n").unwrap();
}

fn section(page: &mut String, row: &Row, outcomes: &[Outcome]) {
    let columns = Kind::ALL.map(|kind| outcomes.iter().filter(|outcome| outcome.kind == kind).collect::<Vec<_>>());
    *page += "| | evenkeel | HAProxy, the guide's file | HAProxy, an expert's file |\n|---|---|---|---|\n";
    for (name, cell) in LINES {
        let cells = columns.each_ref().map(|column| {
            let figures: Vec<_> = column.iter().map(|outcome| &outcome.figures).collect();
            if figures.is_empty() { "–".to_owned() } else { cell(&figures) }
        });
        // What a row is not about says nothing.
        if cells.iter().any(|cell| cell != NOTHING) {
            let _ = writeln!(page, "| {name} | {} |", cells.join(" | "));
        }
    }
    *page += "\nAsked of evenkeel:\n\n";
    asked(page, &columns);
    evidence(page, row);
}

/// What a cell says where there is nothing to say.
const NOTHING: &str = "–";

type Cell = fn(&[&Figures]) -> String;

/// The lines of each table.
const LINES: [(&str, Cell); 9] = [
    ("new connections failed", |all| {
        let failed: usize = all.iter().flat_map(|figures| figures.failed.values()).sum();
        format!("{failed} of {}", sum(all, |figures| figures.new))
    }),
    ("99.5 % of new connections, and of direct ones", |all| {
        let worst = all.iter().max_by_key(|figures| figures.balanced[2]).expect("it isn't empty");
        format!("{}, {}", milliseconds(worst.balanced[2]), milliseconds(worst.direct[2]))
    }),
    ("the slowest new connection, and direct one", |all| {
        let [balanced, direct] = [|figures: &Figures| figures.balanced[3], |figures: &Figures| figures.direct[3]]
            .map(|of| milliseconds(all.iter().map(|figures| of(figures)).max().unwrap_or_default()));
        format!("{balanced}, {direct}")
    }),
    ("sessions there, how they ended", |all| {
        if sum(all, |figures| figures.victims) == 0 {
            return NOTHING.to_owned();
        }
        describe(&added(all, |figures| &figures.ended))
    }),
    ("the last of them ended after", |all| {
        if sum(all, |figures| figures.victims) == 0 {
            return NOTHING.to_owned();
        }
        let last: Option<Vec<Duration>> = all.iter().map(|figures| figures.last_end).collect();
        last.and_then(|last| last.into_iter().max()).map_or("not all ended".to_owned(), seconds)
    }),
    ("sessions elsewhere closed", |all| {
        format!("{} of {}", sum(all, |figures| figures.others_ended), sum(all, |figures| figures.others))
    }),
    ("longest wait for an answer", |all| seconds(all.iter().map(|figures| figures.slowest).max().unwrap_or_default())),
    ("unknown writes", |all| describe(&added(all, |figures| &figures.lost))),
    ("sockets there, before and at the end", |all| {
        if sum(all, |figures| figures.victims) == 0 {
            return NOTHING.to_owned();
        }
        let last = all.last().expect("it isn't empty");
        format!("{}; {}", describe(&last.sockets[0]), describe(&last.sockets[1]))
    }),
];

fn sum(all: &[&Figures], of: impl Fn(&Figures) -> usize) -> usize {
    all.iter().map(|figures| of(figures)).sum()
}

fn added<'a>(all: &[&'a Figures], of: impl Fn(&'a Figures) -> &'a BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let mut sums = BTreeMap::new();
    for (word, count) in all.iter().flat_map(|figures| of(figures)) {
        *sums.entry(word.clone()).or_default() += count;
    }
    sums
}

/// Each bar with what was seen in every round, and beside it in how many rounds the others would have held it.
fn asked(page: &mut String, columns: &[Vec<&Outcome>; 3]) {
    let Some(first) = columns[0].first() else { return };
    for (number, bar) in first.bars.iter().enumerate() {
        let [ours, reference, expert] = columns.each_ref().map(|column| {
            let held = column.iter().filter(|outcome| outcome.bars.get(number).is_some_and(|bar| bar.held)).count();
            format!("{held} of {}", column.len())
        });
        let seen: Vec<_> = columns[0].iter().filter_map(|outcome| outcome.bars.get(number)).collect();
        let seen: Vec<_> = seen.iter().map(|bar| bar.seen.as_str()).collect();
        let others = format!("; the guide's file {reference}, the expert's {expert}");
        let others = if columns[1].is_empty() { String::new() } else { others };
        let _ = writeln!(page, "- {}: held {ours} ({}){others}", bar.asks, seen.join("; "));
    }
    page.push('\n');
}

/// One of evenkeel's sockets towards the controller, as the kernel showed it before the fault and at the end.
fn evidence(page: &mut String, row: &Row) {
    let Some(victim) = row.setup.victims.first() else { return };
    let peer = crate::site::controller(*victim).map(|part| part.to_string()).join(".");
    *page += "```text\n";
    for when in ["before", "after"] {
        let file = directory(row.name).join(format!("{}-1-ss-{when}.txt", Kind::Evenkeel.name()));
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut lines = text.lines();
        let socket = lines.find(|line| line.starts_with("ESTAB") && line.contains(&format!("{peer}:6443")));
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let (socket, info) = (socket.map(words), lines.next().map(words));
        let shown =
            socket.zip(info).map_or("no session there".to_owned(), |(socket, info)| format!("{socket}\n  {info}"));
        let _ = writeln!(page, "{when}: {shown}");
    }
    *page += "```\n\n";
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
