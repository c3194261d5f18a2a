//! The command line: what people type, what they read, and the exit code.

mod check;
mod client;
mod complete;
mod debug;
mod demo;
mod doctor;
mod document;
mod drain;
mod events;
mod export;
mod figures;
mod haproxy;
mod hash_password;
mod healthz;
mod help;
mod import;
mod kill;
mod members;
mod probe;
mod reload;
mod screen;
mod server;
mod sessions;
mod set;
mod shadow;
mod socket;
mod status;
mod table;
mod upgrade;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use self::client::Unanswered;
use crate::app::listeners::ListenerSource;
use crate::app::upgrade::Origin;
use crate::app::upgrade::predecessor::{Predecessor, start_apart};
use crate::app::{Bound, File};
use crate::config::{self, Choice, Input, Loaded, Report};
use crate::model::{Config, Dialect};

/// Where the configuration is unless told otherwise.
const DEFAULT_CONFIG: &str = "/etc/evenkeel/evenkeel.toml";

/// Every command, as [`Command`] has them.
const COMMANDS: [&str; 26] = [
    "run",
    "haproxy",
    "check",
    "show",
    "demo",
    "probe",
    "doctor",
    "import",
    "export",
    "status",
    "sessions",
    "events",
    "debug",
    "healthz",
    "drain",
    "ready",
    "maint",
    "weight",
    "kill",
    "add-server",
    "remove-server",
    "reload",
    "upgrade",
    "hash-password",
    "completions",
    "man",
];

/// A TCP load balancer for highly available Kubernetes control planes.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = help::EXIT_CODES, after_long_help = help::LONG)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, until a signal ends it
    Run(RunOptions),
    /// Serve or check by HAProxy's command line
    Haproxy(haproxy::Words),
    /// Find every mistake of a configuration, and change nothing
    Check(check::Options),
    /// Print what a file expands to, and where each value is from
    Show(ConfigFile),
    /// Try it: stand-in controllers, load and failures in one process
    Demo(demo::Options),
    /// Probe one server, and print what was seen
    Probe(probe::Options),
    /// Find what of this host would stand in a configuration's way
    Doctor(doctor::Options),
    /// Print the TOML that behaves as a haproxy.cfg does
    Import(import::Options),
    /// Print the haproxy.cfg that comes nearest to a configuration
    Export(export::Options),
    /// Show frontends, backends, servers and the process
    Status(status::Options),
    /// Show who is connected to what
    Sessions(sessions::Options),
    /// Show what has happened, with the evidence
    Events(events::Options),
    /// Have one source's sessions logged step by step for a while
    Debug(debug::Options),
    /// Tell by exit code whether the process serves
    Healthz(healthz::Options),
    /// Give a server no new sessions, and end those it has if wanted
    Drain(drain::Options),
    /// Take a server back in
    Ready(set::State),
    /// Take a server out for maintenance
    Maint(set::State),
    /// Set a server's share of new sessions
    Weight(set::ToWeight),
    /// End sessions by their ids
    Kill(kill::Options),
    /// Add a server until the next reload
    AddServer(members::Add),
    /// Remove a server until the next reload
    RemoveServer(members::Remove),
    /// Have the process read its configuration anew
    Reload(reload::Options),
    /// Have the installed binary take over from the running process
    Upgrade(upgrade::Options),
    /// Print a password's hash, for [stats] password_hash
    HashPassword,
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or that of a command
    Man {
        #[arg(value_parser = COMMANDS)]
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
struct RunOptions {
    #[command(flatten)]
    file: ConfigFile,
    /// Reload whenever the file has other content, as with SIGHUP: for a mounted ConfigMap
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    shadow: shadow::Options,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration [default: /etc/evenkeel/evenkeel.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as an option
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Its language [default: haproxy for a directory and for a name that ends in .cfg, otherwise toml]
    #[arg(long, value_name = "LANGUAGE")]
    format: Option<Format>,
    /// Whose way counts where a haproxy.cfg says nothing
    #[arg(long, value_name = "WHOSE", default_value = "haproxy")]
    policy: Policy,
}

/// The languages of configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Toml,
    Haproxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    Haproxy,
    Evenkeel,
}

impl From<Policy> for config::Policy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Haproxy => Self::Haproxy,
            Policy::Evenkeel => Self::Evenkeel,
        }
    }
}

impl ConfigFile {
    fn input(&self) -> Input {
        let path = self.file.as_deref().or(self.config.as_deref()).unwrap_or(Path::new(DEFAULT_CONFIG));
        let dialect = self.format.map(|format| match format {
            Format::Toml => Dialect::Toml,
            Format::Haproxy => Dialect::Haproxy,
        });
        Input { dialect, choice: Choice { policy: self.policy.into(), lenient: false }, ..Input::from(path) }
    }
}

/// How the program ends, as documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    Refused = 2,
}

impl Exit {
    /// How a program of ours has ended.
    fn of(status: ExitStatus) -> Self {
        match status.code() {
            Some(0) => Self::Done,
            Some(2) => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    if let Some(words) = haproxy::called() {
        return haproxy::main(words);
    }
    if let Some(exit) = complete::answered() {
        return exit.into();
    }
    let matches = help::arranged(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    dispatch(cli.command)
}

fn dispatch(command: Command) -> ExitCode {
    let exit = match command {
        Command::Run(options) => run(&options),
        Command::Haproxy(words) => return haproxy::run(words),
        Command::Check(options) => check::run(&options),
        Command::Show(file) => show(&file.input()),
        Command::Demo(options) => demo::run(&options),
        Command::Probe(options) => probe::run(&options),
        Command::Doctor(options) => asking(doctor::run(&options)),
        Command::Import(options) => import::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Status(options) => asking(status::run(&options)),
        Command::Sessions(options) => asking(sessions::run(&options)),
        Command::Events(options) => asking(events::run(&options)),
        Command::Debug(options) => asking(debug::run(&options)),
        Command::Healthz(options) => asking(healthz::run(&options)),
        Command::Drain(options) => asking(drain::run(&options)),
        Command::Ready(options) => asking(set::state(&options, "ready")),
        Command::Maint(options) => asking(set::state(&options, "maint")),
        Command::Weight(options) => asking(set::weight(&options)),
        Command::Kill(options) => asking(kill::run(&options)),
        Command::AddServer(options) => asking(members::add(&options)),
        Command::RemoveServer(options) => asking(members::remove(&options)),
        Command::Reload(options) => asking(reload::run(&options)),
        Command::Upgrade(options) => asking(upgrade::run(&options)),
        Command::HashPassword => hash_password::run(),
        Command::Completions { shell } => complete::script(shell),
        Command::Man { command } => man(command.as_deref()),
    };
    exit.into()
}

/// Runs a command that asks the running process, or this host.
fn asking(command: impl Future<Output = anyhow::Result<Exit>>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(command) {
        Ok(exit) => exit,
        Err(error) if screen::is_left_by_reader(&error) => Exit::Done,
        Err(error) => {
            tell_line(&format!("error: {error:#}"));
            let usage = error.downcast_ref::<Unanswered>().is_some_and(Unanswered::is_usage);
            if usage { Exit::Refused } else { Exit::Failed }
        }
    }
}

/// A span of time on the command line, as configurations write it.
fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).map_err(|error| format!("{error}; expected a time such as 60s or 5m"))
}

fn run(options: &RunOptions) -> Exit {
    match start_apart() {
        Some(Ok(status)) => return Exit::of(status),
        Some(Err(error)) => return fail(&error),
        None => {}
    }
    let input = options.shadow.over(options.file.input());
    match config::open(&input) {
        Ok(Loaded { config, settings, warnings, findings }) => {
            tell(&warnings);
            if findings > 0 {
                let file = input.path().display();
                tell_line(&format!("note: {}: `evenkeel check {file}` tells them", several(findings, "finding")));
            }
            serve(config, File { input, settings }, options.watch)
        }
        Err(report) => refuse(&report),
    }
}

/// Binds everything, gives up what that took, then serves until a signal.
fn serve(config: Config, file: File, watch: bool) -> Exit {
    let mut source = ListenerSource::inherited();
    let (origin, predecessor) = match (Origin::of_this_process(), Predecessor::meet(&mut source)) {
        (Ok(origin), Ok(predecessor)) => (origin, predecessor),
        (Err(error), _) | (_, Err(error)) => return fail(&error),
    };
    match Bound::new(config, source).and_then(|bound| bound.replacing(predecessor).confine(file.input.path())) {
        Ok(bound) => serve_bound(bound.reloading(file).watching(watch).replaceable(origin)),
        Err(error) => fail(&error),
    }
}

fn serve_bound(bound: Bound) -> Exit {
    match bound.run() {
        Ok(_) => Exit::Done,
        Err(error) => fail(&error),
    }
}

fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn show(input: &Input) -> Exit {
    match config::show(input) {
        Ok(text) => print_all(text.as_bytes()),
        Err(report) => refuse(&report),
    }
}

fn man(of: Option<&str>) -> Exit {
    let mut program = Cli::command();
    // Makes evenkeel-run(1) of the command `run`.
    program.build();
    let command = match of {
        Some(name) => program.find_subcommand(name).expect("clap takes no other").clone(),
        None => program,
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => print_all(&page),
        Err(error) => fail(&error),
    }
}

/// To stdout, whose reader may have left: then there is nobody to tell.
fn print_all(text: &[u8]) -> Exit {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error),
        _ => Exit::Done,
    }
}

/// A line to stderr. Where that can't take it, nobody can be told, and the exit code has to do.
fn tell_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn refuse(report: &Report) -> Exit {
    tell(report);
    Exit::Refused
}

fn tell(report: &Report) {
    if !report.is_empty() {
        tell_line(&report.render(io::stderr().is_terminal()));
    }
}

fn fail(error: &dyn std::error::Error) -> Exit {
    tell_line(&format!("error: {error}"));
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        help::arranged(Cli::command()).debug_assert();
    }

    #[test]
    fn every_command_can_have_its_page_printed() {
        let commands = Cli::command();
        let commands: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(commands, COMMANDS);
    }
}
