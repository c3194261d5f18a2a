//! What people get: lines while it runs, a table, a file with every sample, and the README's part.

mod results;
mod table;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::axes::Axis;
use crate::figures::{Measured, Run};
use crate::options::BenchOptions;
use crate::plot;
use crate::proxies::Kind;

/// What the README's part stands between.
const MARKS: [&str; 2] = ["<!-- compare: begin -->", "<!-- compare: end -->"];

/// Above this percentage of waiting for a core, somebody else was at work.
const QUIET: f64 = 2.0;

pub fn begin(run: &Run) {
    println!("{}, {} UTC", run.machine, run.date);
    for (kind, version) in &run.versions {
        println!("  {}: {version} ({})", kind.name(), kind.tuning());
    }
}

pub fn proved(kinds: &[Kind]) {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    println!("contents and half-close are right: {}", names.join(", "));
}

/// One line that is overwritten, if somebody watches.
pub fn round(axis: Axis, round: usize, rounds: usize) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    eprint!("\r{}: {round} of {rounds}   ", axis.name());
    if round == rounds {
        eprint!("\r\x1b[K");
    }
    let _ = std::io::stderr().flush();
}

/// An axis that could not be measured; the others are.
pub fn failure(axis: Axis, error: &anyhow::Error) {
    eprintln!("{}: {error:#}", axis.name());
}

pub fn axis(measured: &Measured) {
    for line in table::rows(measured) {
        println!("{}", table::text(&line));
    }
}

/// Writes everything; the README and the plots only when everything was measured.
pub fn finish(run: &Run, options: &BenchOptions, failed: &[Axis]) -> Result<()> {
    let kinds = options.proxies();
    let name = results::name(run, options);
    let file = options.into.join("results").join(format!("{name}.json"));
    fs::create_dir_all(options.into.join("results"))?;
    fs::write(&file, results::json(run)?).with_context(|| file.display().to_string())?;
    println!("\n{}", table::markdown(run, &kinds));
    for (what, text) in &run.notes {
        println!("{what}: {text}");
    }
    println!("{}", quietness(run));
    if options.is_full() && failed.is_empty() {
        plot::write(run, &options.into.join("results"))?;
        rewrite(&options.into.join("README.md"), &readme(run, &kinds, &name))?;
    }
    println!("every sample and the configurations: {}", file.display());
    let names: Vec<_> = failed.iter().map(|axis| axis.name()).collect();
    ensure!(names.is_empty(), "not measured: {}", names.join(", "));
    Ok(())
}

/// The README's part: how it was measured, and the table.
fn readme(run: &Run, kinds: &[Kind], name: &str) -> String {
    let mut text = format!(
        "{} UTC; {}; {} pairs, fewer for counts and sizes{}. {}\n\n",
        run.date,
        run.machine,
        run.pairs,
        if run.realtime { "; real-time scheduling in bursts" } else { "" },
        quietness(run),
    );
    for (kind, version) in &run.versions {
        text += &format!("- {}: {version}; {}\n", kind.name(), kind.tuning());
    }
    text += &format!("\n{}\n", table::markdown(run, kinds));
    for (what, calls) in &run.notes {
        text += &format!("- {what}: {calls}\n");
    }
    text += &format!(
        "\n![cost of a short connection against their number](results/concurrency.svg)\n\n\
         ![memory against idle sessions](results/memory.svg)\n\n\
         Every sample, and the configuration of each proxy as it ran: [results/{name}.json](results/{name}.json).\n"
    );
    text
}

/// Whether the figures can be believed.
fn quietness(run: &Run) -> String {
    let waited = run.disturbance() * 100.0;
    if waited < QUIET {
        format!("The machine was quiet: proxies with one thread waited for their core {waited:.1} % of their time.")
    } else {
        format!("**The machine was not quiet**: others took {waited:.0} % of the core, and these figures are noise.")
    }
}

/// Puts the text between the marks, and leaves the rest as somebody wrote it.
fn rewrite(file: &Path, part: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let (before, rest) = text.split_once(MARKS[0]).context("the README has no place for the table")?;
    let (_, after) = rest.split_once(MARKS[1]).context("the README's place for the table has no end")?;
    fs::write(file, format!("{before}{}\n\n{part}\n{}{after}", MARKS[0], MARKS[1]))?;
    Ok(())
}
