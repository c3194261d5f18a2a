//! HAProxy 3.2's columns, in their order: programs find them by position as well as by name.

use std::time::Duration;

use super::status;
use super::{Cell, Kind, Of, Row};
use crate::event::{AgentSnapshot, CheckSnapshot, CheckStatus, Evidence, HttpCounts, ServerSnapshot};

use self::Cell::{Empty, S32, U32, U64};

/// A column: its name, what its values are in the typed form, and where they are from.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    /// Letters for origin, nature and scope (management guide, section 9.2) in the lines of a frontend, a backend and a
    /// server.
    tags: [&'static str; 3],
    /// Lines that have it.
    on: &'static [Kind],
    value: fn(&Row<'_>) -> Cell,
}

impl Column {
    /// Its value in a line.
    pub fn cell(&self, row: &Row<'_>) -> Cell {
        if self.on.contains(&row.kind) { (self.value)(row) } else { Empty }
    }

    /// Origin, nature and scope of its value in a line of this kind.
    pub fn tags(&self, kind: Kind) -> &'static str {
        self.tags[kind.number()]
    }
}

const ALL: &[Kind] = &[Kind::Frontend, Kind::Backend, Kind::Server];
const PROXY: &[Kind] = &[Kind::Frontend, Kind::Backend];
const POOL: &[Kind] = &[Kind::Backend, Kind::Server];
const FRONT: &[Kind] = &[Kind::Frontend];
const BACK: &[Kind] = &[Kind::Backend];
const SERVER: &[Kind] = &[Kind::Server];
/// Of no line: evenkeel doesn't have what it tells of.
const NONE: &[Kind] = &[];

#[rustfmt::skip]
pub const COLUMNS: &[Column] = &[
    column("pxname", "KNS", ALL, |row| text(row.proxy)),
    column("svname", "KNS", ALL, |row| text(row.name)),
    column("qcur", "MGP", POOL, |row| U32(row.counts.queued)),
    column("qmax", "MMP", POOL, |row| U32(row.counts.queued_max)),
    column("scur", "MGP", ALL, |row| U32(row.counts.sessions)),
    column("smax", "MMP", ALL, |row| U32(row.counts.sessions_max)),
    column("slim", "CLP", ALL, |row| row.limit.map_or(Empty, U32)),
    column("stot", "MCP", ALL, |row| U64(row.counts.sessions_total.saturating_sub(row.counts.embryonic))),
    column("bin", "MCP", ALL, |row| U64(row.counts.bytes_in)),
    column("bout", "MCP", ALL, |row| U64(row.counts.bytes_out)),
    column("dreq", "MCP", PROXY, |row| U64(row.counts.denied_contents)),
    column("dresp", "MCP", ALL, zero),
    column("ereq", "MCP", FRONT, |row| U64(row.counts.request_errors.saturating_sub(row.counts.handshake_errors))),
    column("econ", "MCP", POOL, |row| U64(row.counts.connect_errors)),
    column("eresp", "MCP", POOL, |row| U64(row.counts.server_aborts)),
    column("wretr", "MCP", POOL, |row| U64(row.counts.retries)),
    column("wredis", "MCP", POOL, |row| U64(row.counts.moves)),
    column("status", "SGP", ALL, |row| Cell::Text(status::word(row))),
    column("weight", "MaP", POOL, |row| U32(status::effective_weight(row))),
    Column { tags: ["", "MGP", "SGP"], ..column("act", "", POOL, |row| U32(status::servers(row, false))) },
    Column { tags: ["", "MGP", "SGP"], ..column("bck", "", POOL, |row| U32(status::servers(row, true))) },
    column("chkfail", "MCP", SERVER, |row| if_checked(row, U64(row.counts.check_failures))),
    column("chkdown", "MCP", POOL, |row| if_checked(row, U64(row.counts.downs))),
    column("lastchg", "MAP", POOL, last_change),
    column("downtime", "MCP", POOL, downtime),
    column("qlimit", "CLS", SERVER, |row| of_server(row, |server| server.max_queue.map(U32))),
    column("pid", "KGP", ALL, |_| U32(1)),
    column("iid", "KGS", ALL, |row| U32(row.iid)),
    column("sid", "KGS", ALL, |row| U32(row.sid)),
    column("throttle", "MaP", SERVER, |row| of_server(row, |server| server.throttle.map(|share| U32(share.into())))),
    column("lbtot", "MCP", POOL, |row| U64(row.counts.chosen)),
    column("tracked", "CNS", SERVER, |row| of_server(row, |server| server.tracked.as_ref().map(|of| Cell::Text(status::path(of))))),
    column("type", "CGS", ALL, |row| U32(row.kind.number() as u32)),
    column("rate", "MRP", ALL, |row| U32(row.counts.rate)),
    column("rate_lim", "CLP", FRONT, zero_32),
    Column { tags: ["MMP", "MGP", "MMP"], ..column("rate_max", "", ALL, |row| U32(row.counts.rate_max)) },
    column("check_status", "MOP", SERVER, |row| under_check(row, |check| Cell::Text(starred(check.running, check.last.as_ref())))),
    column("check_code", "MOP", SERVER, |row| probed(row, check_code)),
    column("check_duration", "MDP", SERVER, |row| probed(row, |last| U64(last.duration.as_millis() as u64))),
    column("hrsp_1xx", "MCP", PROXY, |row| answers(row, 1)),
    column("hrsp_2xx", "MCP", PROXY, |row| answers(row, 2)),
    column("hrsp_3xx", "MCP", PROXY, |row| answers(row, 3)),
    column("hrsp_4xx", "MCP", PROXY, |row| answers(row, 4)),
    column("hrsp_5xx", "MCP", PROXY, |row| answers(row, 5)),
    column("hrsp_other", "MCP", PROXY, |row| answers(row, 0)),
    column("hanafail", "MCP", SERVER, |row| of_server(row, |server| server.failed_rows.map(U64))),
    column("req_rate", "MRP", FRONT, |row| U32(row.http.map_or(0, |http| http.rate))),
    column("req_rate_max", "MMP", FRONT, |row| U32(row.http.map_or(0, |http| http.rate_max))),
    column("req_tot", "MCP", PROXY, requests),
    column("cli_abrt", "MCP", POOL, |row| U64(row.counts.client_aborts)),
    column("srv_abrt", "MCP", POOL, |row| U64(row.counts.server_aborts)),
    column("comp_in", "MCP", PROXY, zero),
    column("comp_out", "MCP", PROXY, zero),
    column("comp_byp", "MCP", PROXY, zero),
    column("comp_rsp", "MCP", PROXY, zero),
    column("lastsess", "MAP", POOL, last_session),
    column("last_chk", "MOP", SERVER, |row| probed(row, |last| Cell::Text(status::last_check(last)))),
    column("last_agt", "MOP", SERVER, |row| answered(row, |last| Cell::Text(status::last_check(last)))),
    column("qtime", "MaP", POOL, |row| millis(row.counts.queue_time)),
    column("ctime", "MaP", POOL, |row| millis(row.counts.connect_time)),
    column("rtime", "MaP", POOL, zero_32),
    column("ttime", "MaP", POOL, |row| millis(row.counts.total_time)),
    column("agent_status", "MOP", SERVER, |row| asked(row, |agent| Cell::Text(starred(agent.running, agent.last.as_ref())))),
    column("agent_code", "MOP", SERVER, |row| answered(row, check_code)),
    column("agent_duration", "MDP", SERVER, |row| answered(row, |last| U64(last.duration.as_millis() as u64))),
    column("check_desc", "MOP", SERVER, |row| under_check(row, |check| text(found(check.last.as_ref()).words()))),
    column("agent_desc", "MOP", SERVER, |row| asked(row, |agent| text(found(agent.last.as_ref()).words()))),
    column("check_rise", "CGS", SERVER, |row| under_check(row, |check| U32(check.rise.into()))),
    column("check_fall", "CGS", SERVER, |row| under_check(row, |check| U32(check.fall.into()))),
    column("check_health", "CGS", SERVER, |row| under_check(row, |check| U32(check.health.into()))),
    column("agent_rise", "CGS", SERVER, |row| asked(row, |agent| U32(agent.rise.into()))),
    column("agent_fall", "CGS", SERVER, |row| asked(row, |agent| U32(agent.fall.into()))),
    column("agent_health", "CGS", SERVER, |row| asked(row, |agent| U32(agent.health.into()))),
    column("addr", "CNS", SERVER, address),
    column("cookie", "CNS", NONE, zero),
    column("mode", "CGS", ALL, |row| text(if row.http.is_some() { "http" } else { "tcp" })),
    column("algo", "CGS", BACK, algorithm),
    column("conn_rate", "MRP", FRONT, |row| U32(row.counts.rate)),
    column("conn_rate_max", "MMP", FRONT, |row| U32(row.counts.rate_max)),
    column("conn_tot", "MCP", FRONT, |row| U64(row.counts.sessions_total)),
    column("intercepted", "MCP", FRONT, |row| http(row, |http| U64(http.requests))),
    column("dcon", "MCP", FRONT, |row| U64(denied_early(row))),
    column("dses", "MCP", FRONT, |row| U64(row.counts.denied_sessions)),
    column("wrew", "MCP", ALL, zero),
    column("connect", "MCP", POOL, |row| U64(row.counts.connects)),
    column("reuse", "MCP", POOL, zero),
    column("cache_lookups", "MCP", PROXY, |row| http(row, |_| U64(0))),
    column("cache_hits", "MCP", PROXY, |row| http(row, |_| U64(0))),
    column("srv_icur", "MGP", SERVER, zero_32),
    column("src_ilim", "CLP", NONE, zero),
    column("qtime_max", "MMP", POOL, |row| millis(row.counts.queue_time_max)),
    column("ctime_max", "MMP", POOL, |row| millis(row.counts.connect_time_max)),
    column("rtime_max", "MMP", POOL, zero_32),
    column("ttime_max", "MMP", POOL, |row| millis(row.counts.total_time_max)),
    column("eint", "MCP", ALL, zero),
    column("idle_conn_cur", "MGP", SERVER, zero_32),
    column("safe_conn_cur", "MGP", SERVER, zero_32),
    column("used_conn_cur", "MGP", SERVER, zero_32),
    column("need_conn_est", "MGP", SERVER, zero_32),
    column("uweight", "MaP", POOL, |row| U32(status::weight(row))),
    column("agg_server_status", "MGP", BACK, zero_32),
    column("agg_server_check_status", "MGP", BACK, zero_32),
    column("agg_check_status", "MGP", BACK, zero_32),
    column("srid", "MCP", SERVER, zero_32),
    column("sess_other", "MCP", FRONT, |row| U64(if row.http.is_some() { 0 } else { begun(row) })),
    column("h1sess", "MCP", FRONT, |row| U64(if row.http.is_some() { row.counts.sessions_total } else { 0 })),
    column("h2sess", "MCP", FRONT, zero),
    column("h3sess", "MCP", FRONT, zero),
    column("req_other", "MCP", FRONT, zero),
    column("h1req", "MCP", FRONT, |row| U64(row.http.map_or(0, |http| http.requests))),
    column("h2req", "MCP", FRONT, zero),
    column("h3req", "MCP", FRONT, zero),
    column("proto", "CNS", NONE, zero),
];

const fn column(name: &'static str, tags: &'static str, on: &'static [Kind], value: fn(&Row<'_>) -> Cell) -> Column {
    Column { name, tags: [tags; 3], on, value }
}

/// Sessions that no rule has refused before HAProxy knows what they are.
fn begun(row: &Row<'_>) -> u64 {
    row.counts.sessions_total.saturating_sub(row.counts.embryonic)
}

/// Clients that were refused before they were sessions, or for their source.
fn denied_early(row: &Row<'_>) -> u64 {
    row.counts.denied.saturating_sub(row.counts.denied_sessions).saturating_sub(row.counts.denied_contents)
}

fn zero(_: &Row<'_>) -> Cell {
    U64(0)
}

fn zero_32(_: &Row<'_>) -> Cell {
    U32(0)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

// ---- times ----

fn seconds(span: Duration) -> Cell {
    U32(u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
}

fn millis(span: Duration) -> Cell {
    U32(u32::try_from(span.as_millis()).unwrap_or(u32::MAX))
}

/// -1 if there was none.
fn last_session(row: &Row<'_>) -> Cell {
    S32(row.counts.last_session.map_or(-1, |span| i32::try_from(span.as_secs()).unwrap_or(i32::MAX)))
}

fn last_change(row: &Row<'_>) -> Cell {
    // A clock that was set back meanwhile makes it now.
    let ago = |since| seconds(row.at.duration_since(since).unwrap_or_default());
    match row.of {
        Of::Server(server) => ago(server.since),
        Of::Backend(backend) => ago(backend.since),
        Of::Stats { uptime } => seconds(uptime),
        Of::Frontend(_) => Empty,
    }
}

fn downtime(row: &Row<'_>) -> Cell {
    match row.of {
        Of::Server(server) => if_checked(row, seconds(server.downtime)),
        Of::Backend(backend) => seconds(backend.downtime),
        Of::Stats { .. } | Of::Frontend(_) => Empty,
    }
}

// ---- http ----

fn http(row: &Row<'_>, value: fn(HttpCounts) -> Cell) -> Cell {
    row.http.map_or(Empty, value)
}

fn answers(row: &Row<'_>, class: usize) -> Cell {
    row.http.map_or(Empty, |http| U64(http.answers[class]))
}

/// Of backends, only one of `mode http` has it.
fn requests(row: &Row<'_>) -> Cell {
    match (row.kind, row.http) {
        (Kind::Backend, None) => Empty,
        (_, http) => U64(http.map_or(0, |http| http.requests)),
    }
}

// ---- checks ----

/// A server that is not checked doesn't have it; other lines do.
fn if_checked(row: &Row<'_>, cell: Cell) -> Cell {
    match row.of {
        Of::Server(ServerSnapshot { check: None, .. }) => Empty,
        _ => cell,
    }
}

/// Of a server that is probed: in maintenance it isn't.
fn under_check(row: &Row<'_>, value: impl FnOnce(&CheckSnapshot) -> Cell) -> Cell {
    let Of::Server(server) = row.of else { return Empty };
    let check = server.check.as_ref().filter(|_| !status::is_in_maintenance(server));
    check.map_or(Empty, value)
}

/// Of a server whose probes have told something.
fn probed(row: &Row<'_>, value: impl FnOnce(&Evidence) -> Cell) -> Cell {
    under_check(row, |check| check.last.as_ref().map_or(Empty, value))
}

/// What was found last.
fn found(last: Option<&Evidence>) -> CheckStatus {
    last.map_or(CheckStatus::Ini, |last| last.status)
}

/// A star says that the next probe is under way.
fn starred(running: bool, last: Option<&Evidence>) -> String {
    let star = if running { "* " } else { "" };
    format!("{star}{}", found(last).name())
}

/// Of a server whose agent is asked.
fn asked(row: &Row<'_>, value: impl FnOnce(&AgentSnapshot) -> Cell) -> Cell {
    let Of::Server(server) = row.of else { return Empty };
    let agent = server.agent.as_ref().filter(|_| !status::is_in_maintenance(server));
    agent.map_or(Empty, value)
}

/// Of a server whose agent has answered.
fn answered(row: &Row<'_>, value: impl FnOnce(&Evidence) -> Cell) -> Cell {
    asked(row, |agent| agent.last.as_ref().map_or(Empty, value))
}

/// What only some servers have.
fn of_server(row: &Row<'_>, value: impl FnOnce(&ServerSnapshot) -> Option<Cell>) -> Cell {
    match row.of {
        Of::Server(server) => value(server).unwrap_or(Empty),
        _ => Empty,
    }
}

/// HAProxy shows a code only where an answer was read and judged.
fn check_code(last: &Evidence) -> Cell {
    match last.status {
        CheckStatus::L7Ok | CheckStatus::L7Okc | CheckStatus::L7Sts => last.code.map_or(Empty, |code| U32(code.into())),
        _ => Empty,
    }
}

// ---- legends ----

fn address(row: &Row<'_>) -> Cell {
    match row.of {
        Of::Server(server) if row.legends => text(&server.address.to_string()),
        _ => Empty,
    }
}

fn algorithm(row: &Row<'_>) -> Cell {
    match row.of {
        Of::Backend(backend) if row.legends => text(backend.balance.name()),
        // What HAProxy says of a section without servers.
        Of::Stats { .. } if row.legends => text("roundrobin"),
        _ => Empty,
    }
}
