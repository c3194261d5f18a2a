//! One line of a table: a frontend, a server, or the backend's sum.

use std::time::{Duration, SystemTime};

use super::super::super::figures::{bytes, count, date_time, lapse, span};
use super::super::certificate::Days;
use super::super::state::{LastCheck, State, last_check, server_state};
use crate::event::{BackendSnapshot, Counts, FrontendSnapshot, ProcessPhase, ServerSnapshot, ServerState, Snapshot};

/// A column of figures: what it is called, beneath which heading, and what that means.
pub(super) struct Column {
    /// The heading that it shares with its neighbours, in the first of them.
    pub(super) heading: Option<(&'static str, usize)>,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

const fn first(heading: &'static str, width: usize, name: &'static str, title: &'static str) -> Column {
    Column { heading: Some((heading, width)), name, title }
}

const fn next(name: &'static str, title: &'static str) -> Column {
    Column { heading: None, name, title }
}

/// The columns right of state, age and check.
pub(super) const COLUMNS: [Column; 20] = [
    first("Server", 2, "Weight", "Share of new sessions"),
    next("Cert.", "Days until the certificate last seen expires"),
    first("Sessions", 4, "Now", "Open now"),
    next("Max", "Most at a time"),
    next("Limit", "Taken at a time"),
    next("Total", "Since the start"),
    first("Per second", 2, "Now", "Begun in the last second"),
    next("Max", "Most in one second"),
    first("Queue", 1, "Now", "Waiting for a server's slot"),
    first("Bytes", 2, "In", "From clients to servers"),
    next("Out", "From servers to clients"),
    first("Errors", 3, "Req.", "Clients that left, or sent something unreadable, before a backend was known"),
    next("Conn.", "Dials that failed; in the backend's row, sessions that found no server"),
    next("Resp.", "Sessions that the server ended by an error before its first byte"),
    first("Dials", 2, "Again", "Dials after a session's first"),
    next("Moved", "Sessions that moved to another server"),
    first("Aborted by", 2, "Client", "Sessions that a client ended by an error"),
    next("Server", "Sessions that a server ended by an error"),
    first("Down", 2, "Times", "Changes from up to down"),
    next("Time", "Time spent down, the present one included"),
];

/// A line of a table.
pub(super) struct Row {
    /// `frontend`, `server` or `backend`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Address, or how the backend balances.
    pub(super) aside: String,
    pub(super) badge: Option<&'static str>,
    pub(super) state: State,
    pub(super) since: Cell,
    pub(super) check: Option<LastCheck>,
    pub(super) cells: [Cell; COLUMNS.len()],
}

/// A figure as shown, and exactly.
#[derive(Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) title: String,
    /// A class of the stylesheet.
    pub(super) class: &'static str,
}

impl Row {
    /// Whether anything can be done to it.
    pub(super) fn is_server(&self) -> bool {
        self.kind.starts_with("server")
    }
}

impl Cell {
    /// Nothing applies here.
    fn none() -> Self {
        Self::default()
    }

    fn count(n: impl Into<u64>) -> Self {
        let n = n.into();
        Self { text: count(n), title: String::new(), class: if n == 0 { "zero" } else { "" } }
    }

    /// A count that should be 0.
    fn fault(n: u64) -> Self {
        Self { class: if n == 0 { "zero" } else { "fault" }, ..Self::count(n) }
    }

    fn limit(limit: Option<u32>) -> Self {
        limit.map_or_else(Self::none, Self::count)
    }

    fn bytes(n: u64) -> Self {
        Self { text: bytes(n), title: format!("{} bytes", count(n)), class: if n == 0 { "zero" } else { "" } }
    }

    fn span(duration: Duration) -> Self {
        let class = if duration.is_zero() { "zero" } else { "" };
        let title = format!("{} seconds", count(duration.as_secs()));
        Self { text: span(duration), title, class }
    }

    fn since(at: SystemTime, now: SystemTime) -> Self {
        let ago = now.duration_since(at).unwrap_or(Duration::ZERO);
        Self { text: span(ago), title: format!("since {} UTC", date_time(at)), class: "" }
    }

    fn titled(self, title: String) -> Self {
        Self { title, ..self }
    }
}

pub(super) fn frontend(frontend: &FrontendSnapshot, snapshot: &Snapshot) -> Row {
    let process = &snapshot.process;
    let state = match process.phase {
        ProcessPhase::Stopping => State::new("idle", "closed", String::new()),
        _ if frontend.full => State::new("warning", "full", "clients wait".into()),
        _ => State::new("good", "open", String::new()),
    };
    let listen: Vec<_> = frontend.listen.iter().map(ToString::to_string).collect();
    let counts = &frontend.counts;
    let reached = format!("limit reached {} times", count(frontend.limit_reached));
    let errors = format!("{} denied by a rule", count(counts.denied));
    Row {
        kind: "frontend",
        name: frontend.name.to_string(),
        aside: listen.join(" "),
        badge: None,
        state,
        since: Cell::since(process.started, snapshot.at),
        check: None,
        cells: cells(
            counts,
            Cells {
                limit: Cell::count(frontend.max_sessions.unwrap_or(process.max_sessions)).titled(reached),
                request_errors: Cell::count(counts.request_errors).titled(errors),
                ..Cells::default()
            },
        ),
    }
}

pub(super) fn server(server: &ServerSnapshot, now: SystemTime) -> Row {
    Row {
        kind: if matches!(server.state, ServerState::Down(_)) { "server down" } else { "server" },
        name: server.name.to_string(),
        aside: server.address.to_string(),
        badge: server.backup.then_some("backup"),
        state: server_state(server),
        since: Cell::since(server.since, now),
        check: server.check.as_ref().and_then(last_check),
        cells: cells(
            &server.counts,
            Cells {
                weight: Cell::count(server.weight.value()),
                certificate: certificate_days(server, now),
                limit: Cell::limit(server.max_sessions),
                pool: Some(Pool { downtime: server.downtime, queued: server.counts.queued }),
                ..Cells::default()
            },
        ),
    }
}

pub(super) fn backend(backend: &BackendSnapshot, now: SystemTime) -> Row {
    let state = match backend.up {
        true => State::new("good", "up", String::new()),
        false => State::new("bad", "down", "no usable server".into()),
    };
    Row {
        kind: "backend",
        name: "All servers".into(),
        aside: backend.balance.name().into(),
        badge: None,
        state,
        since: Cell::since(backend.since, now),
        check: None,
        cells: cells(
            &backend.counts,
            Cells {
                weight: Cell::count(backend.weight),
                pool: Some(Pool { downtime: backend.downtime, queued: backend.queued }),
                ..Cells::default()
            },
        ),
    }
}

fn certificate_days(server: &ServerSnapshot, now: SystemTime) -> Cell {
    let Some(Days { text, tone, title }) = Days::of(server, now) else { return Cell::none() };
    let class = match tone {
        "bad" => "fault",
        "warning" => "soon",
        _ => "",
    };
    Cell { text, title, class }
}

/// What only some kinds of row have; the rest of a row comes from its counts.
#[derive(Default)]
struct Cells {
    weight: Cell,
    certificate: Cell,
    limit: Cell,
    request_errors: Cell,
    /// Servers and backends.
    pool: Option<Pool>,
}

struct Pool {
    downtime: Duration,
    queued: u32,
}

/// In the order of [`COLUMNS`].
fn cells(counts: &Counts, own: Cells) -> [Cell; COLUMNS.len()] {
    let pool = own.pool.as_ref();
    let of_pool = |cell: Cell| if pool.is_some() { cell } else { Cell::none() };
    [
        own.weight,
        own.certificate,
        Cell::count(counts.sessions),
        Cell::count(counts.sessions_max),
        own.limit,
        Cell::count(counts.sessions_total).titled(times(counts)),
        Cell::count(counts.rate),
        Cell::count(counts.rate_max),
        pool.map_or_else(Cell::none, |pool| {
            Cell::count(pool.queued).titled(format!("most {}", count(counts.queued_max.into())))
        }),
        Cell::bytes(counts.bytes_in),
        Cell::bytes(counts.bytes_out),
        own.request_errors,
        of_pool(Cell::fault(counts.connect_errors).titled(format!("of {} dials", count(counts.connects)))),
        of_pool(Cell::fault(counts.response_errors)),
        of_pool(Cell::count(counts.retries)),
        of_pool(Cell::count(counts.moves)),
        of_pool(Cell::count(counts.client_aborts)),
        of_pool(Cell::count(counts.server_aborts)),
        of_pool(Cell::fault(counts.downs).titled(format!("{} failed checks while up", count(counts.check_failures)))),
        pool.map_or_else(Cell::none, |pool| Cell::span(pool.downtime)),
    ]
}

/// What HAProxy's page tells about the sessions of a row when the pointer rests on it.
fn times(counts: &Counts) -> String {
    let last = counts.last_session.map_or_else(|| "none yet".to_owned(), |ago| format!("last {} ago", span(ago)));
    format!(
        "{last}; chosen {} times; of the last 1,024: connect {} (most {}), queue {}, total {}",
        count(counts.chosen),
        lapse(counts.connect_time),
        lapse(counts.connect_time_max),
        lapse(counts.queue_time),
        lapse(counts.total_time)
    )
}
