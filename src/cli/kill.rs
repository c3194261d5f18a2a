//! `evenkeel kill`: ends sessions by their ids.

use clap::Args;
use clap_complete::ArgValueCandidates;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::screen::put;
use super::socket::SocketOption;
use super::{Exit, complete, several, tell_line};

/// Sessions in one request, whose body has 64 KiB.
const AT_ONCE: usize = 1000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel kill 0-3-7 1-12-40
  evenkeel sessions --source 10.20.0.9 --json | jq -r '.sessions[].id' |
    xargs evenkeel kill")]
pub(super) struct Options {
    /// Ids, as `evenkeel sessions` shows them
    #[arg(required = true, value_name = "SESSION", add = ArgValueCandidates::new(complete::sessions))]
    sessions: Vec<String>,
    #[command(flatten)]
    socket: SocketOption,
}

#[derive(Deserialize)]
struct Killed {
    text: String,
    unknown: Vec<String>,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    let mut unknown = Vec::new();
    for ids in options.sessions.chunks(AT_ONCE) {
        let killed: Killed = client.act(Method::POST, "/api/v1/sessions/kill", &json!({ "ids": ids })).await?;
        put(&format!("{}\n", killed.text))?;
        unknown.extend(killed.unknown);
    }
    if unknown.is_empty() {
        return Ok(Exit::Done);
    }
    tell_line(&format!("error: {} had ended already: {}", several(unknown.len(), "session"), unknown.join(" ")));
    Ok(Exit::Failed)
}
