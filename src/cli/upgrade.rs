//! `evenkeel upgrade`: the binary that is installed now takes over from the process that runs.

use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::Exit;
use super::client::Client;
use super::screen::put;
use super::socket::SocketOption;

/// The new process starts, is handed everything, and says that it serves.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  install -m 755 evenkeel.new /usr/lib/evenkeel/evenkeel && evenkeel upgrade

No connection is refused or cut: the new process takes over the listening sockets, and the
old one ends with its last session. If the new one doesn't start, the old one goes on, and
the exit code is 1.")]
pub(super) struct Options {
    #[command(flatten)]
    socket: SocketOption,
}

#[derive(Deserialize)]
struct Upgraded {
    text: String,
    pid: u32,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket).patient(PATIENCE);
    let Upgraded { text, pid } = client.act(Method::POST, "/api/v1/upgrade", &json!({})).await?;
    put(&format!("{text} (pid {pid})\n"))?;
    Ok(Exit::Done)
}
