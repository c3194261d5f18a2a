//! HAProxy's command line: `evenkeel haproxy …`, and the program when it is called `haproxy`.
//!
//! Words go through `options`, what they ask for is done here, and all that is said is said as HAProxy says it (`voice`):
//! those who start it are scripts and units that were written for HAProxy. Its files are read like any other
//! configuration, and a TOML file will do as well: what signals mean follows this command line, never the file
//! ([`Shape`]).

mod options;
mod start;
mod texts;
mod voice;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::options::{Ask, Options, Refused};
use self::voice::Voice;
use super::{print_all, tell_line};
use crate::app::upgrade::predecessor::start_apart;
use crate::config::{self, Input, Loaded, Report, Severity};
use crate::model::{Dialect, HAPROXY_VERSION};

/// How HAProxy ends when something is wrong.
const FAILED: u8 = 1;

/// And when a configuration has nothing to listen on, or a condition can't be judged.
const UNUSABLE: u8 = 2;

/// The mistake that HAProxy takes for none when it only checks.
const NOBODY_COMES_IN: &str = "nothing-to-serve";

/// What follows `evenkeel haproxy`: HAProxy's own words, which clap leaves alone.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Words {
    /// HAProxy's options: -f FILE, -c, -D, -W, -Ws, -p, -sf, -x and so on
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Does what these words ask for. Beside what HAProxy does, it has help like every command.
pub fn run(Words { words }: Words) -> ExitCode {
    match words.as_slice() {
        [word] if word == "--help" => print_all(texts::USAGE.as_bytes()).into(),
        _ => main(words),
    }
}

/// The words of a program that is called `haproxy`, as by a link of that name; `None` if it is called otherwise.
pub fn called() -> Option<Vec<OsString>> {
    let mut words = std::env::args_os();
    let name = PathBuf::from(words.next()?);
    (name.file_name()? == "haproxy").then(|| words.collect())
}

/// HAProxy's program.
pub fn main(words: Vec<OsString>) -> ExitCode {
    match start_apart() {
        Some(Ok(status)) => return start::code_of(status),
        Some(Err(error)) => {
            Voice::default().alert(&error.to_string());
            return FAILED.into();
        }
        None => {}
    }
    match options::parse(words) {
        Ok(Ask::Version { details }) => version(details),
        Ok(Ask::Condition(condition)) => condition_holds(&condition),
        Ok(Ask::Run(options)) => with_files(&options),
        Err(refused) => refuse(&refused),
    }
}

fn refuse(refused: &Refused) -> ExitCode {
    match refused {
        Refused::Usage => {
            let _ = print_all(texts::version().as_bytes());
            tell_line(texts::USAGE);
        }
        Refused::Because(why) => Voice::default().alert(why),
    }
    FAILED.into()
}

fn version(details: bool) -> ExitCode {
    let text = if details { texts::details() } else { texts::version() };
    print_all(text.as_bytes()).into()
}

/// Tells by the exit code alone.
fn condition_holds(condition: &str) -> ExitCode {
    match config::condition(condition) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => FAILED.into(),
        Err(error) => {
            Voice::default().alert(&format!("Failed to evaluate condition: {error}"));
            UNUSABLE.into()
        }
    }
}

/// Reads the files, and checks or serves what they say.
fn with_files(options: &Options) -> ExitCode {
    let voice = Voice::of(options);
    if let Some(directory) = &options.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        voice.alert(&format!("Could not change to directory {} : {}", directory.display(), reason(&error)));
        return FAILED.into();
    }
    let input = match input(options) {
        Ok(input) => input,
        Err(refused) => return refuse(&refused),
    };
    for path in &input.paths {
        if let Err(error) = std::fs::metadata(path) {
            let path = path.display();
            voice.alert(&format!("config : Cannot open configuration file/directory {path} : {}", reason(&error)));
            return FAILED.into();
        }
    }
    let opened = config::open(&input);
    let (Err(report) | Ok(Loaded { warnings: report, .. })) = &opened;
    if report.errors().next().is_some() && report.errors().all(|entry| entry.kind == NOBODY_COMES_IN) {
        return without_listener(options, &voice);
    }
    tell(report, &voice);
    match opened {
        Err(_) => FAILED.into(),
        Ok(loaded) if options.fails_on_warnings && !loaded.warnings.is_empty() => {
            voice.alert("Some warnings were found and 'zero-warning' is set. Aborting.");
            FAILED.into()
        }
        Ok(loaded) if options.checks => check(&loaded, options),
        Ok(loaded) => start::serve(loaded, input, options, &voice),
    }
}

/// What the options name, as one configuration.
fn input(options: &Options) -> Result<Input, Refused> {
    let paths = options.files.clone();
    let is_toml = paths.iter().any(|path| path.extension().is_some_and(|end| end == "toml"));
    let dialect = Some(if is_toml { Dialect::Toml } else { Dialect::Haproxy });
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let files: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut set = vec![
        ("HAPROXY_CFGFILES".to_owned(), files.join(";")),
        ("HAPROXY_LOCALPEER".to_owned(), options.local_peer.clone().unwrap_or_else(host)),
    ];
    if options.master.is_some() {
        set.push(("HAPROXY_MWORKER".to_owned(), "1".to_owned()));
    }
    Ok(Input { paths, dialect, set, overrides: options.overrides()?, ..Input::default() })
}

/// What is wrong with the files, a line each.
fn tell(report: &Report, voice: &Voice) {
    for entry in report.entries() {
        let line = format!("config : parsing [{}] : {}", report.file_and_line(entry), report.words(entry));
        match entry.severity {
            Severity::Error => voice.alert(&line),
            Severity::Warning => voice.warning(&line),
            Severity::Note => {}
        }
    }
    if report.has_errors() {
        voice.alert(&format!("config : Error(s) found in configuration file : {}", report.name()));
        voice.alert("config : Fatal errors found in configuration.");
    }
}

/// Nothing is wrong with the files but that nobody could come in.
fn without_listener(options: &Options, voice: &Voice) -> ExitCode {
    if !options.checks {
        voice.alert("[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting.");
        return FAILED.into();
    }
    if options.verbose || !options.quiet {
        let _ = print_all(b"Configuration file has no error but will not start (no listener) => exit(2).\n");
    }
    UNUSABLE.into()
}

/// Says whether the configuration could be served.
fn check(loaded: &Loaded, options: &Options) -> ExitCode {
    let is_told = options.verbose || !options.quiet;
    if !loaded.warnings.is_empty() && is_told {
        let _ = print_all(b"Warnings were found.\n");
    }
    if options.verbose {
        return print_all(b"Configuration file is valid\n").into();
    }
    ExitCode::SUCCESS
}

/// Why the system did not do it, as C programs say it.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// The program's file, as HAProxy names itself before it complains.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "?".to_owned(), |path| Path::display(&path).to_string())
}

/// What HAProxy says of itself before its first complaint.
fn introduction() -> [String; 2] {
    [format!("haproxy version is {HAPROXY_VERSION}"), format!("path to executable is {}", program())]
}
