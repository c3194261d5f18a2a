//! `evenkeel ready`, `maint` and `weight`: what an operator sets of a server while the process runs.

use clap::Args;
use clap_complete::ArgValueCandidates;
use hyper::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::document::Changed;
use super::screen::put;
use super::server::Target;
use super::socket::SocketOption;
use super::{Exit, complete};
use crate::model::Weight;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel ready k0s-ch-sion-1                      in all backends
  evenkeel maint kubeAPI_backend/k0s-ch-sion-1      in one")]
pub(super) struct State {
    /// backend/server, or a server's name in all backends
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    server: Target,
    #[command(flatten)]
    socket: SocketOption,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel weight k0s-ch-sion-1 10
  evenkeel weight kubeAPI_backend/k0s-ch-sion-1 0   no new sessions; those it has stay")]
pub(super) struct ToWeight {
    /// backend/server, or a server's name in all backends
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    server: Target,
    /// Its share of new sessions, 0 to 256
    #[arg(value_parser = clap::value_parser!(u16).range(0..=i64::from(Weight::MAX)))]
    weight: u16,
    #[command(flatten)]
    socket: SocketOption,
}

pub(super) async fn state(options: &State, state: &str) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    let changed = change(&client, &options.server, "state", &json!({ "state": state })).await?;
    put(&format!("{}\n", changed.text))?;
    Ok(Exit::Done)
}

pub(super) async fn weight(options: &ToWeight) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    let changed = change(&client, &options.server, "weight", &json!({ "weight": options.weight })).await?;
    put(&format!("{}\n", changed.text))?;
    Ok(Exit::Done)
}

/// Sets one thing of a server, in one backend or in all.
pub(super) async fn change(client: &Client, server: &Target, what: &str, to: &Value) -> anyhow::Result<Changed> {
    Ok(client.act(Method::POST, &format!("{}/{what}", server.path()), to).await?)
}
