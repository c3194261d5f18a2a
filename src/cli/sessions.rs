//! `evenkeel sessions`: who is connected to what, since when, and how much has passed.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;

use super::client::{Client, escaped};
use super::document::{Session, Sessions};
use super::figures::{bytes, span};
use super::screen::{Screen, Tone, put};
use super::server::Target;
use super::socket::SocketOption;
use super::table::{Cell, Column, Table};
use super::{Exit, complete};
use crate::admin::figures::count;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel sessions --server k0s-ch-sion-1 --sort idle
  evenkeel sessions --source 10.20.0.0/16 --frontend kubeAPI
  evenkeel sessions --json --limit 100000 | jq -r '.sessions[].client'

The source is our own address towards the server, which the apiserver's audit log has.")]
pub(super) struct Options {
    /// Of clients with this address, or in this network
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    source: Option<String>,
    /// Of this server: backend/server, or its name in all backends
    #[arg(long, value_name = "SERVER", add = ArgValueCandidates::new(complete::servers))]
    server: Option<Target>,
    /// Of this frontend
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::frontends))]
    frontend: Option<String>,
    /// Of this backend
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::backends))]
    backend: Option<String>,
    /// Which come first; figures from the largest down
    #[arg(long, value_enum, default_value_t = Sort::Age)]
    sort: Sort,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// The document of /api/v1/sessions as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketOption,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Sort {
    Age,
    Idle,
    Bytes,
    BytesIn,
    BytesOut,
    Client,
    Server,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    if options.json {
        let document = client.document(&options.path()).await?;
        put(&String::from_utf8_lossy(&document))?;
        return Ok(Exit::Done);
    }
    let sessions: Sessions = client.look(&options.path()).await?;
    put(&render(&sessions, Screen::of_stdout()))?;
    Ok(Exit::Done)
}

impl Options {
    fn path(&self) -> String {
        let sort = self.sort.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let server = self.server.as_ref().map(ToString::to_string);
        let filters =
            [("source", &self.source), ("server", &server), ("frontend", &self.frontend), ("backend", &self.backend)];
        let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        filters.fold(format!("/api/v1/sessions?sort={sort}&limit={}", self.limit), |path, (name, value)| {
            path + &format!("&{name}={}", escaped(value))
        })
    }
}

fn render(Sessions { total, sessions }: &Sessions, screen: Screen) -> String {
    let mut table = Table::new([
        Column::text("SESSION"),
        Column::text("CLIENT"),
        Column::long("FRONTEND"),
        Column::long("SERVER"),
        Column::long("SOURCE"),
        Column::number("AGE"),
        Column::number("IDLE"),
        Column::number("IN"),
        Column::number("OUT"),
        Column::text("STATE"),
    ]);
    for session in sessions {
        table.row(row(session));
    }
    let shown = sessions.len() as u64;
    let counted = match total {
        0 => "no session".to_owned(),
        1 => "1 session".to_owned(),
        _ if *total == shown => format!("{} sessions", count(*total)),
        _ => format!("{} of {} sessions; --limit shows more", count(shown), count(*total)),
    };
    match sessions.is_empty() {
        true => format!("{counted}\n"),
        false => format!("{}{}\n", table.render(screen), screen.paint(Tone::Quiet, &counted)),
    }
}

fn row(session: &Session) -> [Cell; 10] {
    let server = match (&session.backend, &session.server) {
        (Some(backend), Some(server)) => format!("{backend}/{server}"),
        (Some(backend), None) => format!("{backend}/-"),
        _ => "-".to_owned(),
    };
    let tone = if session.state == "open" { Tone::Good } else { Tone::Warning };
    [
        session.id.as_str().into(),
        session.client.as_str().into(),
        session.frontend.as_str().into(),
        server.into(),
        session.source.as_deref().unwrap_or("-").into(),
        span(session.age_seconds).into(),
        span(session.idle_seconds).into(),
        bytes(session.bytes_in).into(),
        bytes(session.bytes_out).into(),
        Cell::toned(tone, session.state.as_str()),
    ]
}
