//! The command line: what people type, what they read, and the exit code.

mod demo;
mod probe;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::app::listeners::ListenerSource;
use crate::app::{Bound, File};
use crate::config::{self, Loaded, Report};
use crate::model::Config;

/// Where the configuration is unless told otherwise.
const DEFAULT_CONFIG: &str = "/etc/evenkeel/evenkeel.toml";

const EXAMPLES: &str = "\
Examples:
  evenkeel demo                          try it: three stand-in controllers and a page to open
  evenkeel check evenkeel.toml           find every mistake of a file, change nothing
  evenkeel run --config evenkeel.toml    serve
  evenkeel probe 10.10.0.2:6443          one TLS probe, with all it sees

Exit codes:
  0  done, or ended by a signal in good order
  1  it could not be done: a port is taken, a probe failed
  2  the configuration or the command line was refused";

/// Every command, as [`Command`] has them.
const COMMANDS: [&str; 7] = ["run", "check", "show", "demo", "probe", "completions", "man"];

/// A TCP load balancer for highly available Kubernetes control planes.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, after_help = EXAMPLES, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, until a signal ends it
    Run(RunOptions),
    /// Find every mistake of a configuration, and change nothing
    Check(ConfigFile),
    /// Print what a configuration expands to, and where each value is from
    Show(ConfigFile),
    /// Try it out: stand-in controllers, load and failures, all in this process
    Demo(demo::Options),
    /// Probe one server, and print what was seen
    Probe(probe::Options),
    /// Print a completion script for a shell
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
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration [default: /etc/evenkeel/evenkeel.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as an option
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn path(&self) -> &Path {
        self.file.as_deref().or(self.config.as_deref()).unwrap_or(Path::new(DEFAULT_CONFIG))
    }
}

/// How the program ends, as documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    Refused = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(options) => run(&options),
        Command::Check(file) => check(file.path()),
        Command::Show(file) => show(file.path()),
        Command::Demo(options) => demo::run(&options),
        Command::Probe(options) => probe::run(&options),
        Command::Completions { shell } => completions(shell),
        Command::Man { command } => man(command.as_deref()),
    };
    exit.into()
}

fn run(options: &RunOptions) -> Exit {
    let path = options.file.path();
    match config::open(path) {
        Ok(Loaded { config, settings, warnings }) => {
            tell(&warnings);
            serve(config, File { path: path.to_owned(), settings }, options.watch)
        }
        Err(report) => refuse(&report),
    }
}

/// Binds everything, then serves until a signal.
fn serve(config: Config, file: File, watch: bool) -> Exit {
    match Bound::new(config, ListenerSource::inherited()) {
        Ok(bound) => serve_bound(bound.reloading(file).watching(watch)),
        Err(error) => fail(&error),
    }
}

fn serve_bound(bound: Bound) -> Exit {
    match bound.run() {
        Ok(()) => Exit::Done,
        Err(error) => fail(&error),
    }
}

fn check(path: &Path) -> Exit {
    match config::inspect(path) {
        Ok((config, warnings)) => {
            tell(&warnings);
            let servers: usize = config.backends.iter().map(|backend| backend.servers.len()).sum();
            let fine = format!(
                "{}: fine. {}, {}, {} on {}\n",
                path.display(),
                several(config.frontends.len(), "frontend"),
                several(config.backends.len(), "backend"),
                several(servers, "server"),
                several(config.hosts.len(), "host"),
            );
            print_all(fine.as_bytes())
        }
        Err(report) => refuse(&report),
    }
}

fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn show(path: &Path) -> Exit {
    match config::show(path) {
        Ok(text) => print_all(text.as_bytes()),
        Err(report) => refuse(&report),
    }
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "evenkeel", &mut script);
    print_all(&script)
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
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_can_have_its_page_printed() {
        let commands = Cli::command();
        let commands: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(commands, COMMANDS);
    }
}
