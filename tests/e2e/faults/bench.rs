//! One row: the site is built, the load runs, the fault happens, and what was seen is held against what must hold.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;

use crate::figures::{Figures, Outcome};
use crate::harness::wait::pause;
use crate::proxies::Kind;
use crate::rows::Row;
use crate::run::Run;
use crate::site::Site;

/// The load runs before the fault, so that all is as it is on any other day.
const WARM: Duration = Duration::from_secs(3);

/// Each row is tried so often in a full run.
const ROUNDS: usize = 3;

/// Where a row's evidence and figures go.
pub fn directory(row: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/failover").join(row)
}

/// evenkeel alone, once.
pub fn quick(row: &'static Row) -> Result<(), Failed> {
    judge(&[once(row, Kind::Evenkeel, 0)])
}

/// All load balancers, three times. Only evenkeel is asked for anything; of the others, the figures are kept.
pub fn full(row: &'static Row) -> Result<(), Failed> {
    let mut outcomes = Vec::new();
    for round in 1..=ROUNDS {
        if row.long {
            outcomes.extend(thread::scope(|scope| {
                let runs = row.kinds().iter().map(|kind| scope.spawn(move || once(row, *kind, round)));
                let runs: Vec<_> = runs.collect();
                let joined = runs.into_iter().map(std::thread::ScopedJoinHandle::join);
                joined.map(|run| run.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect::<Vec<_>>()
            }));
        } else {
            outcomes.extend(row.kinds().iter().map(|kind| once(row, *kind, round)));
        }
    }
    let text = serde_json::to_string_pretty(&outcomes).unwrap();
    fs::write(directory(row.name).join("outcomes.json"), text).unwrap();
    let ours: Vec<_> = outcomes.into_iter().filter(|outcome| outcome.kind == Kind::Evenkeel).collect();
    judge(&ours)
}

/// A row that holds for everybody would say nothing: with the guide's file, HAProxy fails new connections.
pub fn can_fail(row: &'static Row) -> Result<(), Failed> {
    let outcome = once(row, Kind::Reference, 0);
    if outcome.bars.iter().all(|bar| bar.held) { Err(outcome.to_string().into()) } else { Ok(()) }
}

/// One fault meets one load balancer.
pub fn once(row: &Row, kind: Kind, round: usize) -> Outcome {
    let mut site = Site::build(&row.setup, kind);
    pause(WARM);
    let before = site.sockets();
    let course = (row.fault)(&mut site);
    let end = course.fault.plus(row.lasts).max(crate::moment::Moment::now());
    pause(end.left());
    let after = site.sockets();
    let records = site.finish();
    let run =
        Run { setup: &row.setup, course, end, records, sockets: [before, after], log: site.proxy.program.printed() };
    let mut bars = run.course.proofs.clone();
    bars.extend((row.holds)(&run));
    let outcome = Outcome { row: row.name.to_owned(), kind, round, bars, figures: Figures::of(&run) };
    keep(&run, &outcome);
    outcome
}

/// The evidence: what the kernel of the load balancer had before and after, what the load balancer said, and all that
/// the client wrote down.
fn keep(run: &Run, outcome: &Outcome) {
    let directory = directory(&outcome.row);
    fs::create_dir_all(&directory).unwrap();
    let file = |what: &str| directory.join(format!("{}-{}-{what}", outcome.kind.name(), outcome.round));
    fs::write(file("ss-before.txt"), &run.sockets[0]).unwrap();
    fs::write(file("ss-after.txt"), &run.sockets[1]).unwrap();
    fs::write(file("log.txt"), run.log.join("\n")).unwrap();
    fs::write(file("records.json"), serde_json::to_vec(&run.records).unwrap()).unwrap();
    fs::write(file("outcome.json"), serde_json::to_vec_pretty(outcome).unwrap()).unwrap();
}

fn judge(outcomes: &[Outcome]) -> Result<(), Failed> {
    let mut text = String::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.bars.iter().any(|bar| !bar.held)) {
        let _ = write!(text, "\n{outcome}");
    }
    if text.is_empty() { Ok(()) } else { Err(text.into()) }
}
