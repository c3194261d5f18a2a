//! Side by side with HAProxy and nginx: what a connection, a request, a gibibyte and an idle session cost.
//!
//! `benches/compare/run` is the command; it makes the namespace in which this program runs in four roles, each a process
//! of its own: [`bench`] starts proxies and measures them, [`server`] stands behind them, [`load`] in front, and
//! [`readers`] look at their pages. The cost of a proxy is the time that its threads were on a core, so load and servers may
//! take what they need on another.
//!
//! Reading order: [`wire`] (what load and servers say to each other), [`server`], [`load`], [`readers`], [`proxies`], [`proof`]
//! (content and half-close, before anything is timed), [`axes`] (what is measured), [`bench`] (in which order),
//! [`figures`] (what the samples say), [`report`] (table, JSON, README) and [`plot`].

#![deny(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for people at a terminal")]

mod axes;
mod bench;
mod companion;
mod figures;
mod load;
mod machine;
mod options;
mod plot;
mod poller;
mod proof;
mod proxies;
mod readers;
mod report;
mod server;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use options::{Options, Role};

/// The first words that are meant for this program.
const ROLES: [&str; 5] = ["bench", "server", "load", "readers", "--help"];

fn main() -> ExitCode {
    // `cargo bench` starts every bench, in words meant for others; this one needs the namespace that its script makes.
    if !std::env::args().nth(1).is_some_and(|word| ROLES.contains(&word.as_str())) {
        println!("compare: started by benches/compare/run");
        return ExitCode::SUCCESS;
    }
    let outcome = match Options::parse().role {
        Role::Bench(options) => bench::run(&options),
        Role::Server { places } => server::run(places),
        Role::Load => load::run(),
        Role::Readers => readers::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}
