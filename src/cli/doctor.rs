//! `evenkeel doctor`: what of this host would stand in the way of a configuration, before it does.
//!
//! It reads, and asks the running process if there is one; it changes nothing and needs no root. What is read is in
//! `host`, what that means in `judge`, whether the ports are free in `ports`.

mod host;
mod judge;
mod ports;

use clap::Args;

use self::host::Host;
use super::client::Client;
use super::document::Status;
use super::screen::{Screen, Tone, put};
use super::socket::SocketOption;
use super::{ConfigFile, Exit, refuse};
use crate::config;
use crate::model::Config;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel doctor
  evenkeel doctor evenkeel.toml

Exit code 1 if something FAILs: the configuration would not be served, or a limit would
refuse a session before there are 80 % of its max_sessions. The limit of open files is that
of the running process if there is one, and else this shell's; the systemd unit has its own.")]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    socket: SocketOption,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    grade: Grade,
    what: &'static str,
    says: String,
    /// What to do about it.
    advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warn,
    Fail,
}

impl Finding {
    fn ok(what: &'static str, says: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, what, says: says.into(), advice: None }
    }

    fn warn(what: &'static str, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, what, says: says.into(), advice: Some(advice.into()) }
    }

    fn fail(what: &'static str, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { grade: Grade::Fail, what, says: says.into(), advice: Some(advice.into()) }
    }
}

/// What is held against each other: what is wanted, what this host has, and who runs already.
struct Case {
    config: Config,
    /// Warnings of the configuration.
    warnings: usize,
    host: Host,
    /// The running process, or why there is none to ask.
    running: Result<Status, String>,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let (config, warnings) = match config::inspect(options.config.input()) {
        Ok((config, report)) => (config, report.without_notes()),
        Err(report) => return Ok(refuse(&report)),
    };
    let socket = options.socket.or(config.admin.as_ref().map(|admin| admin.socket.as_path()));
    let running = Client::new(&socket).look("/api/v1/status").await.map_err(|error| error.to_string());
    let case = Case { config, warnings: warnings.entries().len(), host: Host::read(), running };
    let mut findings = judge::all(&case);
    findings.extend(ports::all(&case));
    put(&render(&findings, Screen::of_stdout()))?;
    let failed = findings.iter().any(|finding| finding.grade == Grade::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// A line for each finding, what to do below it, and a count at the end.
fn render(findings: &[Finding], screen: Screen) -> String {
    let mut text = String::new();
    for Finding { grade, what, says, advice } in findings {
        let (tone, word) = match grade {
            Grade::Ok => (Tone::Good, "OK  "),
            Grade::Warn => (Tone::Warning, "WARN"),
            Grade::Fail => (Tone::Bad, "FAIL"),
        };
        text += &format!("{}  {what:<18}  {says}\n", screen.paint(tone, word));
        if let Some(advice) = advice {
            text += &format!("{:26}-> {advice}\n", "");
        }
    }
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    text + &format!("\n{} OK, {} WARN, {} FAIL\n", count(Grade::Ok), count(Grade::Warn), count(Grade::Fail))
}
