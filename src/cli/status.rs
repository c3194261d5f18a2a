//! `evenkeel status`: frontends, backends, servers and the process in one table for people, or one document for programs.

use std::time::Duration;

use clap::Args;
use tokio::time::{MissedTickBehavior, interval};

use super::Exit;
use super::client::Client;
use super::document::{Backend, Check, Frontend, Process, Server, Status};
use super::figures::{between, bytes, span};
use super::screen::{Screen, Tone, put};
use super::socket::SocketOption;
use super::table::{Cell, Column, Table};
use crate::admin::figures::count;

const PATH: &str = "/api/v1/status";

/// From one picture of `--watch` to the next.
const EVERY: Duration = Duration::from_secs(1);

/// Moves to the top left corner; what was there is written over, and the rest cleared at the end.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_ALL: &str = "\x1b[2J";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel status
  evenkeel status --watch
  evenkeel status --json | jq '.backends[].servers[] | select(.state != \"ready\").name'")]
pub(super) struct Options {
    /// The document of /api/v1/status as it is
    #[arg(long)]
    json: bool,
    /// Again every second, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    socket: SocketOption,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    let screen = Screen::of_stdout();
    if options.watch {
        return watch(&client, options, screen).await;
    }
    put(&picture(&client, options, screen).await?)?;
    Ok(Exit::Done)
}

async fn picture(client: &Client, options: &Options, screen: Screen) -> anyhow::Result<String> {
    if options.json {
        return Ok(String::from_utf8_lossy(&client.document(PATH).await?).into_owned());
    }
    Ok(render(&client.look(PATH).await?, screen))
}

/// A process that is gone may come back: that is what one watches for.
async fn watch(client: &Client, options: &Options, screen: Screen) -> anyhow::Result<Exit> {
    let mut turn = interval(EVERY);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let paints = screen.is_terminal() && !options.json;
    if paints {
        put(CLEAR_ALL)?;
    }
    loop {
        turn.tick().await;
        let text = picture(client, options, screen).await;
        match text {
            Ok(text) if paints => put(&repainted(&text))?,
            Ok(text) if options.json => put(&text)?,
            Ok(text) => put(&format!("{text}\n"))?,
            Err(error) if paints => put(&repainted(&format!("{error}\n")))?,
            Err(error) => super::tell_line(&format!("error: {error}")),
        }
    }
}

/// The text over what the terminal shows, without a moment in which it shows nothing.
fn repainted(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE}\r\n")).collect();
    format!("{HOME}{lines}{CLEAR_BELOW}")
}

/// All of it, from the process down to what should be known besides.
fn render(status: &Status, screen: Screen) -> String {
    let notes = notes(status, screen);
    let parts = [
        process(&status.process, screen),
        frontends(&status.frontends).render(screen),
        backends(status).render(screen),
        notes,
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn process(process: &Process, screen: Screen) -> String {
    let phase = match process.phase.as_str() {
        "serving" => screen.paint(Tone::Good, "serving"),
        other => screen.paint(Tone::Warning, other),
    };
    let isolated = if process.isolated { format!(", {}", screen.paint(Tone::Bad, "isolated")) } else { String::new() };
    let counts = &process.counts;
    let mut text = format!(
        "evenkeel {} on {}, pid {}, up {}: {phase}{isolated}\n",
        process.version,
        process.node,
        process.pid,
        span(process.uptime_seconds)
    );
    text += &format!(
        "{} of {} sessions, {} new/s; {} in, {} out\n{} of {} descriptors, {} memory, {} workers\n",
        count(counts.sessions.into()),
        count(process.sessions_limit.into()),
        count(counts.session_rate.into()),
        bytes(counts.bytes_in),
        bytes(counts.bytes_out),
        count(process.open_descriptors),
        count(process.max_descriptors),
        bytes(process.resident_memory_bytes),
        process.workers,
    );
    text
}

fn frontends(frontends: &[Frontend]) -> Table {
    let mut table = Table::new([
        Column::long("FRONTEND"),
        Column::long("LISTEN"),
        Column::long("BACKEND"),
        Column::number("SESSIONS"),
        Column::number("LIMIT"),
        Column::number("NEW/S"),
        Column::number("IN"),
        Column::number("OUT"),
    ]);
    for frontend in frontends {
        let sessions = count(frontend.counts.sessions.into());
        table.row([
            frontend.name.as_str().into(),
            frontend.listen.join(" ").into(),
            frontend.backend.as_str().into(),
            if frontend.full { Cell::toned(Tone::Bad, format!("{sessions} full")) } else { sessions.into() },
            frontend.sessions_limit.map_or_else(|| "-".to_owned(), |limit| count(limit.into())).into(),
            count(frontend.counts.session_rate.into()).into(),
            bytes(frontend.counts.bytes_in).into(),
            bytes(frontend.counts.bytes_out).into(),
        ]);
    }
    table
}

/// Each backend in a line, with its servers below it.
fn backends(status: &Status) -> Table {
    let mut table = Table::new([
        Column::long("BACKEND/SERVER"),
        Column::long("ADDRESS"),
        Column::text("STATE"),
        Column::number("SINCE"),
        Column::number("WEIGHT"),
        Column::number("SESSIONS"),
        Column::number("OUT"),
        Column::long("LAST CHECK"),
    ]);
    for backend in &status.backends {
        table.row(backend_row(backend, &status.at));
        for server in &backend.servers {
            table.row(server_row(server, &status.at));
        }
    }
    table
}

fn backend_row(backend: &Backend, at: &str) -> [Cell; 8] {
    let (tone, state) = if backend.up { (Tone::Good, "up") } else { (Tone::Bad, "no server") };
    let queued = match backend.counts.queued {
        0 => String::new(),
        queued => format!("{} wait for a slot", count(queued.into())),
    };
    [
        Cell::toned(Tone::Heading, backend.name.as_str()),
        Cell::toned(Tone::Quiet, backend.balance.as_str()),
        Cell::toned(tone, state),
        since(&backend.since, at).into(),
        backend.weight.to_string().into(),
        count(backend.counts.sessions.into()).into(),
        bytes(backend.counts.bytes_out).into(),
        Cell::toned(Tone::Warning, queued),
    ]
}

fn server_row(server: &Server, at: &str) -> [Cell; 8] {
    let weight = server.weight.to_string();
    [
        format!("  {}", server.name).into(),
        server.address.as_str().into(),
        state(server),
        since(&server.since, at).into(),
        if server.backup { format!("{weight} backup").into() } else { weight.into() },
        count(server.counts.sessions.into()).into(),
        bytes(server.counts.bytes_out).into(),
        last_check(server.check.as_ref()),
    ]
}

fn since(since: &str, at: &str) -> String {
    between(since, at).unwrap_or_default()
}

fn state(server: &Server) -> Cell {
    let suspect = if server.suspect { ", suspect" } else { "" };
    let cause = server.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    let tone = match server.state.as_str() {
        "ready" if !server.suspect => Tone::Good,
        "down" | "wrong cluster" => Tone::Bad,
        _ => Tone::Warning,
    };
    Cell::toned(tone, format!("{}{cause}{suspect}", server.state))
}

fn last_check(check: Option<&Check>) -> Cell {
    let Some(check) = check else { return Cell::toned(Tone::Quiet, "no check") };
    match &check.last {
        None => Cell::toned(Tone::Quiet, "none yet"),
        Some(last) if last.passed => {
            let remark = last.remark.as_ref().map(|remark| format!(", {remark}")).unwrap_or_default();
            format!("{} {:.1} ms{remark}", last.status, last.duration_seconds * 1e3).into()
        }
        Some(last) => Cell::toned(Tone::Bad, format!("{} {}", last.status, last.detail)),
    }
}

/// What should be known besides the figures, a line each.
fn notes(status: &Status, screen: Screen) -> String {
    let mut notes = Vec::new();
    if status.process.isolated {
        notes.push("isolated: no host behind this one can be reached; the servers last usable are still tried".into());
    }
    if status.process.log_lines_dropped > 0 {
        notes.push(format!("{} log lines were dropped: their target is slow", count(status.process.log_lines_dropped)));
    }
    if let Some(refused) = &status.process.config.refused {
        notes.push(format!("the last reload was refused, the configuration before is in force: {}", refused.reason));
    }
    let readings = status.hosts.iter().filter_map(|host| Some(format!("{}: {}", host.host, host.reading.as_ref()?)));
    notes.extend(readings);
    notes.extend(status.backends.iter().filter_map(|backend| Some(backend.shared_source.as_ref()?.note.clone())));
    let lines = notes.into_iter().chain(advice(status));
    lines.map(|note| screen.paint(Tone::Warning, &note) + "\n").collect()
}

/// Each advice once, whatever number of servers it is for.
fn advice(status: &Status) -> Vec<String> {
    let servers = status.backends.iter().flat_map(|backend| &backend.servers);
    let mut given: Vec<String> =
        servers.filter_map(|server| server.check.as_ref()?.last.as_ref()?.advice.clone()).collect();
    given.sort();
    given.dedup();
    given
}
