//! The same haproxy.cfg under HAProxy 3.2 and under evenkeel, with the same clients, servers and accidents around it.
//!
//! Each file of `files/` has a script beside it ([`script`] has the language). It is played to each of the two on hosts of
//! their own with the same addresses, and what was seen is held against each other: who is chosen, how sessions end, what
//! the clients and servers read, answers of the stats page and of the runtime API, and the log line by line. What can't
//! be the same twice, such as times, ephemeral ports and process ids, is made the same first ([`alike`]).
//!
//! Any other file is compared by
//! `cargo test --test side -- compare FILE.cfg FILE.script`, which prints the first difference of the steps and of the log;
//! `show FILE.cfg FILE.script` prints all that one of them did. Both need root, and HAProxy 3.2 as tests/run unpacks it.
//!
//! [`words`] plays a small file for each word that evenkeel honours, with the word and without it.
//! `cargo test --test side -- word FILE TITLE` prints what one of them did there.
//!
//! Reading order: [`script`], [`watch`], [`play`], [`site`], [`root`], [`balancer`], [`client`], [`server`], [`syslog`],
//! [`transcript`], [`alike`], [`words`].

#![expect(clippy::unwrap_used, reason = "where a comparison can't go on, the line says why")]

#[path = "../../harness/harness.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod harness;

mod alike;
mod balancer;
mod certificates;
mod client;
mod play;
mod root;
mod script;
mod server;
mod site;
mod syslog;
mod transcript;
mod watch;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};

use balancer::Kind;
use script::Script;
use transcript::{Transcript, difference};

/// Where the files of other people's guides are, in our words.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/side/files");

/// Those in which both do the same throughout. The others are compared by `tests/run --full`, and docs/haproxy.md says where
/// they differ.
const SAME: [&str; 11] = [
    "conditionals",
    "draining",
    "k0s",
    "kubeadm",
    "kubespray",
    "openshift",
    "passive",
    "proxy-protocol",
    "rke2",
    "sni",
    "sources",
];

/// What this program is, if it isn't a test binary.
#[derive(Parser)]
enum Role {
    /// Plays a script to both, and prints where they first differ.
    Compare {
        configuration: PathBuf,
        script: PathBuf,
        /// Another HAProxy of this host in evenkeel's place.
        #[arg(long)]
        beside: Option<PathBuf>,
    },
    /// Plays a script to one, and prints all that was seen.
    Show {
        configuration: PathBuf,
        script: PathBuf,
        #[arg(long)]
        evenkeel: bool,
    },
    /// Plays the case of a word to one, and prints all that was seen.
    Word {
        /// Of the directory `words`, without its ending.
        file: String,
        /// A part of the case's title.
        title: String,
        /// Without what is marked.
        #[arg(long)]
        without: bool,
        #[arg(long)]
        evenkeel: bool,
    },
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| ["compare", "show", "word"].contains(&word.as_str())) {
        return ask(Role::parse());
    }
    let mut arguments = Arguments::from_args();
    // Their order of events is compared, and a busy machine mixes it.
    arguments.test_threads = Some(1);
    let trials = trials().into_iter().chain(words::trials()).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Every file of [`FILES`]. They are left out, and said to be, unless asked for: they need root and HAProxy 3.2.
fn trials() -> Vec<Trial> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(FILES).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cfg"));
    files.sort();
    assert!(!files.is_empty(), "no files in {FILES}");
    let trial = |file: PathBuf| {
        let name = file.file_stem().expect("it has an extension").to_string_lossy().into_owned();
        let name = if SAME.contains(&name.as_str()) { name } else { format!("full::{name}") };
        Trial::test(name, move || is_the_same(&file)).with_ignored_flag(true)
    };
    files.into_iter().map(trial).collect()
}

fn is_the_same(file: &Path) -> Result<(), Failed> {
    match compare(file, &file.with_extension("script"), Kind::Evenkeel) {
        None => Ok(()),
        Some(report) => Err(report.into()),
    }
}

/// The first differences between HAProxy 3.2 and another; `None` if there is none.
fn compare(configuration: &Path, script: &Path, other: Kind) -> Option<String> {
    let haproxy = watch(configuration, script, Kind::Haproxy);
    let other = watch(configuration, script, other);
    difference(&haproxy, &other)
}

fn watch(configuration: &Path, script: &Path, kind: Kind) -> Transcript {
    let text =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let script = Script::read(&text(script)).unwrap_or_else(|mistake| panic!("{}: {mistake}", script.display()));
    play::play(&text(configuration), &script, kind)
}

fn one(evenkeel: bool) -> Kind {
    if evenkeel { Kind::Evenkeel } else { Kind::Haproxy }
}

#[expect(clippy::print_stdout, reason = "somebody at a terminal has asked for it")]
fn ask(role: Role) -> ExitCode {
    match role {
        Role::Compare { configuration, script, beside } => {
            let other = beside.map_or(Kind::Evenkeel, Kind::Other);
            match compare(&configuration, &script, other) {
                None => println!("no difference"),
                Some(report) => {
                    println!("{report}");
                    return ExitCode::FAILURE;
                }
            }
        }
        Role::Show { configuration, script, evenkeel } => {
            println!("{}", watch(&configuration, &script, one(evenkeel)));
        }
        Role::Word { file, title, without, evenkeel } => {
            let case = words::case(&file, &title).unwrap_or_else(|| panic!("{file} has no case {title}"));
            println!("{}", case.play(one(evenkeel), !without));
        }
    }
    ExitCode::SUCCESS
}
