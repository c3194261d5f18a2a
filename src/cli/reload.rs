//! `evenkeel reload`: the running process reads its configuration anew, or says what would change if it did.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Unanswered};
use super::screen::put;
use super::socket::{NoProcess, SocketOption};
use super::{Exit, tell_line};

/// A file of 100,000 lines is read and planned well within this.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel reload --dry-run     what would change
  evenkeel reload

A configuration with mistakes changes nothing: all of them are printed, and the exit code is 2.")]
pub(super) struct Options {
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// For a service manager: without an admin socket, this process is told by SIGHUP, and its log says what came of it
    #[arg(long, value_name = "PID", conflicts_with = "dry_run", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,
    #[command(flatten)]
    socket: SocketOption,
}

#[derive(Deserialize)]
struct Reloaded {
    text: String,
    plan: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket).patient(PATIENCE);
    let asked = client.act(Method::POST, "/api/v1/reload", &json!({ "dry_run": options.dry_run })).await;
    let Reloaded { text, plan, warnings } = match asked {
        Ok(reloaded) => reloaded,
        // The mistakes of the file, each in its place.
        Err(Unanswered::Refused { error, report: Some(report), .. }) => {
            tell_line(report.trim_end());
            tell_line(&format!("error: {error}"));
            return Ok(Exit::Refused);
        }
        Err(Unanswered::NoProcess(why)) => match options.pid.and_then(Pid::from_raw) {
            Some(pid) => return signal(pid, &why),
            None => return Err(why.into()),
        },
        Err(error) => return Err(error.into()),
    };
    for warning in warnings {
        tell_line(warning.trim_end());
    }
    let plan: String = plan.iter().map(|line| format!("  {line}\n")).collect();
    put(&format!("{text}\n{plan}"))?;
    Ok(Exit::Done)
}

/// Whoever runs without an admin socket still reloads.
fn signal(pid: Pid, why: &NoProcess) -> anyhow::Result<Exit> {
    kill_process(pid, Signal::HUP).with_context(|| format!("{why}; and process {pid} can't be sent SIGHUP"))?;
    put(&format!("{why}\nsent SIGHUP to process {pid}: its log says what came of it\n"))?;
    Ok(Exit::Done)
}
