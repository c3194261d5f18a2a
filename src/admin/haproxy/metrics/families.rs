//! Which families frontends, backends and servers have, each by the column that it is made from.

use super::super::stat::{Kind, Row};
use super::states;

/// A family of one, two or all three kinds of lines.
pub(super) struct Family {
    pub(super) column: &'static str,
    /// What follows the prefix, for frontends, backends and servers.
    names: [Option<&'static str>; 3],
    pub(super) help: &'static str,
    pub(super) counts: bool,
    pub(super) shape: Shape,
    of: Of,
}

/// How a value, or several, are made from a line.
pub(super) enum Shape {
    Plain,
    /// The same, with 0 for what is not known.
    OrZero,
    /// The column has milliseconds, the family seconds.
    Milliseconds,
    /// One series for each class of answers, from a column of its own.
    Codes(&'static [(&'static str, &'static str)]),
    /// One series for each state that there may be.
    States(fn(&Row<'_>) -> Vec<(&'static str, u32)>),
}

/// Which lines have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    /// Those of `mode http`.
    Http,
    /// Those whose server is probed.
    Probed,
}

impl Family {
    pub(super) fn name(&self, kind: Kind) -> Option<&'static str> {
        self.names[kind.number()]
    }

    pub(super) fn is_of(&self, row: &Row<'_>) -> bool {
        match self.of {
            Of::All => true,
            Of::Http => row.is_http(),
            Of::Probed => row.last_check().is_some(),
        }
    }
}

const CODES: &[(&str, &str)] = &[
    ("1xx", "hrsp_1xx"),
    ("2xx", "hrsp_2xx"),
    ("3xx", "hrsp_3xx"),
    ("4xx", "hrsp_4xx"),
    ("5xx", "hrsp_5xx"),
    ("other", "hrsp_other"),
];

/// In HAProxy's order, which is that of the columns.
#[rustfmt::skip]
pub(super) const FAMILIES: &[Family] = &[
    gauge("qcur", pool("current_queue"), "Sessions that wait for a slot."),
    gauge("qmax", pool("max_queue"), "Most sessions that waited at a time."),
    gauge("scur", all("current_sessions"), "Sessions that are open."),
    gauge("smax", all("max_sessions"), "Most sessions that were open at a time."),
    gauge("slim", all("limit_sessions"), "Sessions that may be open at a time; of a backend, when it counts as full."),
    counter("stot", all("sessions_total"), "Sessions so far."),
    counter("bin", all("bytes_in_total"), "Bytes from clients."),
    counter("bout", all("bytes_out_total"), "Bytes to clients."),
    counter("dreq", proxy("requests_denied_total"), "Requests that were denied."),
    counter("dresp", all("responses_denied_total"), "Answers that were denied."),
    counter("ereq", front("request_errors_total"), "Clients that left, or sent something unreadable, before a backend was known."),
    counter("econ", pool("connection_errors_total"), "Connections to servers that failed."),
    counter("eresp", pool("response_errors_total"), "Sessions that a server ended by an error."),
    counter("wretr", pool("retry_warnings_total"), "Dials after a session's first."),
    counter("wredis", pool("redispatch_warnings_total"), "Sessions that moved to another server."),
    states("status", all("status"), "1 for the present state, 0 for the others.", states::of),
    gauge("weight", pool("weight"), "Weight in effect; of a backend, that of all servers in use."),
    gauge("act", [None, Some("active_servers"), Some("active")], "Usable primaries; of a server, whether it is a primary."),
    gauge("bck", [None, Some("backup_servers"), Some("backup")], "Usable backups; of a server, whether it is a backup."),
    counter("chkfail", server("check_failures_total"), "Checks that failed while the server was up."),
    counter("chkdown", pool("check_up_down_total"), "Changes from up to down."),
    gauge("lastchg", pool("check_last_change_seconds"), "Time since the state changed."),
    counter("downtime", pool("downtime_seconds_total"), "Time spent down."),
    gauge("qlimit", server("queue_limit"), "Sessions that may wait for the server."),
    gauge("throttle", server("current_throttle"), "Percentage of its share that a server has while it starts slowly."),
    counter("lbtot", pool("loadbalanced_total"), "Times that a server was chosen."),
    gauge("rate", all("current_session_rate"), "Sessions of the last second."),
    gauge("rate_lim", front("limit_session_rate"), "Sessions that may begin in a second."),
    gauge("rate_max", all("max_session_rate"), "Most sessions of one second."),
    Family { of: Of::Probed, ..states("check_status", server("check_status"), "1 for the result of the last check, 0 for the others.", states::of_check) },
    Family { of: Of::Probed, shape: Shape::OrZero, ..gauge("check_code", server("check_code"), "Code of the answer to the last check.") },
    Family { of: Of::Probed, ..seconds("check_duration", server("check_duration_seconds"), "How long the last check took.") },
    Family { shape: Shape::Codes(CODES), ..counter("hrsp_1xx", all("http_responses_total"), "HTTP answers by class; 0 where sessions are TCP.") },
    http(gauge("req_rate_max", front("http_requests_rate_max"), "Most HTTP requests of one second.")),
    http(counter("req_tot", proxy("http_requests_total"), "HTTP requests so far.")),
    counter("cli_abrt", pool("client_aborts_total"), "Sessions that a client ended by an error."),
    counter("srv_abrt", pool("server_aborts_total"), "Sessions that a server ended by an error."),
    http(counter("comp_in", proxy("http_comp_bytes_in_total"), "Bytes that were given to compression.")),
    http(counter("comp_out", proxy("http_comp_bytes_out_total"), "Bytes that came out of compression.")),
    http(counter("comp_byp", proxy("http_comp_bytes_bypassed_total"), "Bytes that went past compression.")),
    http(counter("comp_rsp", proxy("http_comp_responses_total"), "Answers that were compressed.")),
    gauge("lastsess", pool("last_session_seconds"), "Time since the last session was given; -1 if there was none."),
    seconds("qtime", pool("queue_time_average_seconds"), "Time in the queue, average of the last 1024 sessions."),
    seconds("ctime", pool("connect_time_average_seconds"), "Time to connect, average of the last 1024 sessions."),
    seconds("rtime", pool("response_time_average_seconds"), "Time to an HTTP answer; 0 where sessions are TCP."),
    seconds("ttime", pool("total_time_average_seconds"), "Time from accept to last byte, average of the last 1024 sessions."),
    gauge("conn_rate_max", front("connections_rate_max"), "Most connections of one second."),
    counter("conn_tot", front("connections_total"), "Connections so far."),
    http(counter("intercepted", front("intercepted_requests_total"), "Requests that were answered here.")),
    counter("dcon", front("denied_connections_total"), "Connections that were denied."),
    counter("dses", front("denied_sessions_total"), "Sessions that were denied."),
    counter("wrew", all("failed_header_rewriting_total"), "Headers that could not be rewritten."),
    counter("connect", pool("connection_attempts_total"), "Dials begun."),
    counter("reuse", pool("connection_reuses_total"), "Connections that served again."),
    http(counter("cache_lookups", proxy("http_cache_lookups_total"), "Requests that were looked for in a cache.")),
    http(counter("cache_hits", proxy("http_cache_hits_total"), "Requests that were found in a cache.")),
    gauge("srv_icur", server("idle_connections_current"), "Connections that wait to serve again."),
    gauge("src_ilim", server("idle_connections_limit"), "Connections that may wait to serve again."),
    seconds("qtime_max", pool("max_queue_time_seconds"), "Longest time in the queue."),
    seconds("ctime_max", pool("max_connect_time_seconds"), "Longest time to connect."),
    seconds("rtime_max", pool("max_response_time_seconds"), "Longest time to an HTTP answer; 0 where sessions are TCP."),
    seconds("ttime_max", pool("max_total_time_seconds"), "Longest time from accept to last byte."),
    counter("eint", all("internal_errors_total"), "Internal errors."),
    gauge("idle_conn_cur", server("unsafe_idle_connections_current"), "Waiting connections that one session has used."),
    gauge("safe_conn_cur", server("safe_idle_connections_current"), "Waiting connections that serve again for sure."),
    gauge("used_conn_cur", server("used_connections_current"), "Shared connections in use."),
    gauge("need_conn_est", server("need_connections_current"), "Shared connections that will be needed."),
    gauge("uweight", pool("uweight"), "Weight as it is set; of a backend, that of all servers in use."),
    states("agg_server_status", back("agg_server_status"), "Servers in each state.", states::of_servers),
    states("agg_server_check_status", back("agg_server_check_status"), "Servers in each state, by the name that it had first.", states::of_servers),
    states("agg_check_status", back("agg_check_status"), "Servers with each result of the last check.", states::of_checks),
];

const fn gauge(column: &'static str, names: [Option<&'static str>; 3], help: &'static str) -> Family {
    Family { column, names, help, counts: false, shape: Shape::Plain, of: Of::All }
}

const fn counter(column: &'static str, names: [Option<&'static str>; 3], help: &'static str) -> Family {
    Family { counts: true, ..gauge(column, names, help) }
}

const fn seconds(column: &'static str, names: [Option<&'static str>; 3], help: &'static str) -> Family {
    Family { shape: Shape::Milliseconds, ..gauge(column, names, help) }
}

const fn states(
    column: &'static str,
    names: [Option<&'static str>; 3],
    help: &'static str,
    states: fn(&Row<'_>) -> Vec<(&'static str, u32)>,
) -> Family {
    Family { shape: Shape::States(states), ..gauge(column, names, help) }
}

const fn http(family: Family) -> Family {
    Family { of: Of::Http, ..family }
}

const fn all(name: &'static str) -> [Option<&'static str>; 3] {
    [Some(name); 3]
}

const fn proxy(name: &'static str) -> [Option<&'static str>; 3] {
    [Some(name), Some(name), None]
}

const fn pool(name: &'static str) -> [Option<&'static str>; 3] {
    [None, Some(name), Some(name)]
}

const fn front(name: &'static str) -> [Option<&'static str>; 3] {
    [Some(name), None, None]
}

const fn back(name: &'static str) -> [Option<&'static str>; 3] {
    [None, Some(name), None]
}

const fn server(name: &'static str) -> [Option<&'static str>; 3] {
    [None, None, Some(name)]
}
