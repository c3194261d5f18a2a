//! `evenkeel reload`: the running process reads its configuration anew, or says what would change if it did.

use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Unanswered};
use super::screen::put;
use super::socket::SocketOption;
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
        Err(error) => return Err(error.into()),
    };
    for warning in warnings {
        tell_line(warning.trim_end());
    }
    let plan: String = plan.iter().map(|line| format!("  {line}\n")).collect();
    put(&format!("{text}\n{plan}"))?;
    Ok(Exit::Done)
}
