//! `evenkeel add-server` and `remove-server`: a backend's servers, until the next reload makes them what the file says.

use clap::Args;
use clap_complete::ArgValueCandidates;
use hyper::Method;
use serde_json::json;

use super::client::Client;
use super::document::Done;
use super::screen::put;
use super::server::Target;
use super::socket::SocketOption;
use super::{Exit, complete, tell_line};
use crate::model::{BackendName, ServerName, Weight};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel add-server kubeAPI_backend k0s-ch-sion-2 10.10.0.3:6443
  evenkeel add-server kubeAPI_backend k0s-ch-sion-2 10.10.0.3:6443 --backup --weight 10

It stays until the next reload, which makes the servers those of the file.")]
pub(super) struct Add {
    /// The backend that gets it
    #[arg(value_parser = backend, add = ArgValueCandidates::new(complete::backends))]
    backend: BackendName,
    /// What it is called
    #[arg(value_parser = server)]
    name: ServerName,
    /// Where it is: address:port
    address: String,
    /// Its share of new sessions, 0 to 256
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=i64::from(Weight::MAX)))]
    weight: u16,
    /// It serves only when no other is usable
    #[arg(long)]
    backup: bool,
    /// Refused, with the line to add: the file is yours, and nothing else writes to it
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    socket: SocketOption,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel remove-server kubeAPI_backend/k0s-ch-sion-2

It is back after the next reload, unless the configuration file has been changed.
Drain it first: evenkeel drain SERVER --over 60s --wait")]
pub(super) struct Remove {
    /// backend/server, or a server's name in all backends
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    server: Target,
    /// Refused, with the line to remove: the file is yours, and nothing else writes to it
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    socket: SocketOption,
}

fn backend(text: &str) -> Result<BackendName, String> {
    BackendName::new(text).map_err(|error| error.to_string())
}

fn server(text: &str) -> Result<ServerName, String> {
    ServerName::new(text).map_err(|error| error.to_string())
}

pub(super) async fn add(options: &Add) -> anyhow::Result<Exit> {
    let keep =
        format!("to keep it, add this to `servers` of the [[backend]] {}:\n  {}", options.backend, options.line());
    if options.save {
        tell_line(&format!("error: nothing was done: evenkeel doesn't write to its configuration\nhint: {keep}"));
        return Ok(Exit::Refused);
    }
    let client = Client::new(&options.socket);
    let path = format!("/api/v1/backends/{}/servers", options.backend);
    let done: Done = client.act(Method::POST, &path, &options.body()).await?;
    put(&format!("{}\nuntil the next reload; {keep}\n", done.text))?;
    Ok(Exit::Done)
}

pub(super) async fn remove(options: &Remove) -> anyhow::Result<Exit> {
    let of = options
        .server
        .backend
        .as_ref()
        .map_or_else(|| "each [[backend]]".into(), |name| format!("the [[backend]] {name}"));
    let keep = format!("to keep it so, remove the line of {} from `servers` of {of}", options.server.server);
    if options.save {
        tell_line(&format!("error: nothing was done: evenkeel doesn't write to its configuration\nhint: {keep}"));
        return Ok(Exit::Refused);
    }
    let client = Client::new(&options.socket);
    let done: Done = client.act(Method::DELETE, &options.server.path(), &json!({})).await?;
    put(&format!("{}\nuntil the next reload; {keep}\n", done.text))?;
    Ok(Exit::Done)
}

impl Add {
    fn body(&self) -> serde_json::Value {
        json!({
            "name": self.name.as_str(),
            "address": self.address,
            "weight": self.weight,
            "backup": self.backup,
        })
    }

    /// The same in the configuration's words; what has its default isn't said.
    fn line(&self) -> String {
        let weight = if self.weight == 1 { String::new() } else { format!(", weight = {}", self.weight) };
        let backup = if self.backup { ", backup = true" } else { "" };
        format!("{{ name = \"{}\", address = \"{}\"{weight}{backup} }},", self.name, self.address)
    }
}
