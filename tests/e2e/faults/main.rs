//! The fault bench: controllers die in every way they can, behind evenkeel and behind HAProxy, under the same load.
//!
//! Every row of [`rows`] builds a [`site`] of hosts in network namespaces, lets the [`client`] work, makes its fault, and
//! holds what was seen ([`run`]) against what must hold. `tests/run faults` tries a few rows on evenkeel;
//! `tests/run --full faults` tries all of them, with HAProxy beside it, and writes docs/failover.md. One row alone:
//! `cargo test --test faults -- row killed --proxy expert`.
//!
//! Reading order: [`rows`], [`site`], [`server`], [`client`], [`proxies`], [`bench`], [`figures`], [`report`].

#![expect(clippy::unwrap_used, reason = "where a bench can't go on, the line says why")]

#[path = "../../harness/harness.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod harness;

#[path = "../certificates.rs"]
#[allow(dead_code, reason = "as above")]
mod certificates;

mod bench;
mod client;
mod figures;
mod moment;
mod proxies;
mod records;
mod report;
mod rows;
mod run;
mod server;
mod site;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use libtest_mimic::{Arguments, Trial};

use proxies::Kind;
use rows::ROWS;

/// What this program is, if it isn't a test binary.
#[derive(Parser)]
enum Role {
    /// A controller's API.
    Server { order: String },
    /// The clients.
    Client { load: String },
    /// One row, once, with all that was seen.
    Row {
        name: String,
        #[arg(long, value_enum, default_value = "evenkeel")]
        proxy: Kind,
    },
    /// docs/failover.md from what the last full run has left.
    Report,
}

/// The first words that are meant for another role than that of a test binary.
const ROLES: [&str; 4] = ["server", "client", "row", "report"];

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| ROLES.contains(&word.as_str())) {
        return play(Role::parse());
    }
    let mut arguments = Arguments::from_args();
    // Each row has the machine for itself, or it would measure another one.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// Rows are left out, and said to be, unless asked for: they need root, Debian packages and their time.
fn trials() -> Vec<Trial> {
    let quick = ROWS.iter().filter(|row| row.quick).map(|row| Trial::test(row.name, || bench::quick(row)));
    let full = ROWS.iter().map(|row| Trial::test(format!("full::{}", row.name), || bench::full(row)));
    let bench = Trial::test("full::the_bench_sees_what_the_guides_file_does", || bench::can_fail(&ROWS[0]));
    quick.chain(full).chain([bench]).map(|trial| trial.with_ignored_flag(true)).collect()
}

fn play(role: Role) -> ExitCode {
    match role {
        Role::Server { order } => server::run(&serde_json::from_str(&order).unwrap()),
        Role::Client { load } => client::run(serde_json::from_str(&load).unwrap()),
        Role::Row { name, proxy } => return row(&name, proxy),
        Role::Report => report::write(),
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "somebody at a terminal has asked for it")]
fn row(name: &str, proxy: Kind) -> ExitCode {
    let row = ROWS.iter().find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("no such row: {name}; there are {:?}", ROWS.map(|row| row.name)));
    assert!(row.kinds().contains(&proxy), "{name} can only happen to {:?}", row.kinds());
    let outcome = bench::once(row, proxy, 0);
    println!("{outcome}");
    if outcome.bars.iter().all(|bar| bar.held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
