//! The families of the process as a whole.

use super::Value;
use crate::event::{ProcessPhase, ProcessSnapshot, Snapshot};
use crate::model::HAPROXY_VERSION;

/// A family with one series.
pub(super) struct Family {
    /// What follows the prefix.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) counts: bool,
    pub(super) label: Option<Label>,
    pub(super) value: fn(&Snapshot) -> Value,
}

/// A label's name, and where its value is from.
type Label = (&'static str, fn(&Snapshot) -> String);

/// What stands where HAProxy has a figure of something that evenkeel doesn't have.
const UNUSED: &str = "Always 0: evenkeel has nothing of the kind.";
/// And where evenkeel doesn't count. As in `show info`; a NaN would make one of every sum that it is part of.
const UNCOUNTED: &str = "Always 0: not counted.";

/// In HAProxy's order.
#[rustfmt::skip]
pub(super) const FAMILIES: &[Family] = &[
    gauge("nbthread", "Threads that carry sessions.", |s| whole(s.process.workers)),
    gauge("nbproc", "Always 1.", |_| whole(1_u32)),
    gauge("relative_process_id", "Always 1.", |_| whole(1_u32)),
    gauge("uptime_seconds", "Time since the start.", |s| whole(s.process.uptime.as_secs())),
    unused_counter("pool_failures_total"),
    gauge("max_fds", "Files that may be open.", |s| whole(s.process.max_descriptors)),
    gauge("max_sockets", "Files that may be open.", |s| whole(s.process.max_descriptors)),
    gauge("max_connections", "Sessions that may be open at a time.", |s| whole(s.process.max_sessions)),
    gauge("hard_max_connections", "Sessions that may be open at a time.", |s| whole(s.process.max_sessions)),
    gauge("current_connections", "Sessions that are open.", |s| whole(s.process.sessions)),
    counter("connections_total", "Sessions so far.", |s| whole(s.process.counts.sessions_total)),
    counter("requests_total", "Sessions and HTTP requests so far.", |s| whole(requests(s))),
    unused("max_ssl_connections"),
    unused("current_ssl_connections"),
    unused_counter("ssl_connections_total"),
    unused("max_pipes"),
    unused_counter("pipes_used_total"),
    unused_counter("pipes_free_total"),
    gauge("current_connection_rate", "Sessions of the last second.", |s| whole(s.process.counts.rate)),
    unused("limit_connection_rate"),
    gauge("max_connection_rate", "Most sessions of one second.", |s| whole(s.process.counts.rate_max)),
    gauge("current_session_rate", "Sessions of the last second.", |s| whole(s.process.counts.rate)),
    unused("limit_session_rate"),
    gauge("max_session_rate", "Most sessions of one second.", |s| whole(s.process.counts.rate_max)),
    unused("current_ssl_rate"),
    unused("limit_ssl_rate"),
    unused("max_ssl_rate"),
    unused("current_frontend_ssl_key_rate"),
    unused("max_frontend_ssl_key_rate"),
    unused("frontend_ssl_reuse"),
    unused("current_backend_ssl_key_rate"),
    unused("max_backend_ssl_key_rate"),
    unused_counter("ssl_cache_lookups_total"),
    unused_counter("ssl_cache_misses_total"),
    unused_counter("http_comp_bytes_in_total"),
    unused_counter("http_comp_bytes_out_total"),
    unused("limit_http_comp"),
    unused("current_zlib_memory"),
    unused("max_zlib_memory"),
    gauge("current_tasks", "Sessions that are open.", |s| whole(s.process.sessions)),
    gauge("current_run_queue", UNCOUNTED, |_| whole(0_u32)),
    gauge("idle_time_percent", "Processor time left of that of all threads, since the start.", |s| whole(u32::from(s.process.idle_percent()))),
    Family { label: Some(("node", |s| s.process.node.clone())), ..gauge("node", "Always 1; the host's name is a label.", |_| whole(1_u32)) },
    gauge("stopping", "1 once the process was told to stop.", |s| whole(u32::from(s.process.phase != ProcessPhase::Serving))),
    gauge("jobs", "Sessions and listeners.", |s| whole(u64::from(s.process.sessions) + listeners(s))),
    unused("unstoppable_jobs"),
    gauge("listeners", "Listeners.", |s| whole(listeners(s))),
    unused("active_peers"),
    unused("connected_peers"),
    counter("dropped_logs_total", "Log lines that were dropped because their target was too slow.", |s| whole(s.process.dropped_logs)),
    unused("busy_polling_enabled"),
    unused_counter("failed_resolutions"),
    counter("bytes_out_total", "Bytes to clients.", |s| whole(s.process.counts.bytes_out)),
    unused_counter("spliced_bytes_out_total"),
    gauge("bytes_out_rate", UNCOUNTED, |_| whole(0_u32)),
    unused_counter("recv_logs_total"),
    Family { label: Some(("version", |_| HAPROXY_VERSION.to_owned())), ..gauge("build_info", "Always 1; a label has the HAProxy that is spoken, and what runs.", |_| whole(1_u32)) },
    gauge("max_memory_bytes", "Always 0: there is no limit.", |_| whole(0_u32)),
    gauge("pool_allocated_bytes", "Memory in use.", |s| whole(s.process.resident_memory)),
    gauge("pool_used_bytes", "Memory in use.", |s| whole(s.process.resident_memory)),
    gauge("start_time_seconds", "When the process started, in seconds since 1970.", |s| whole(started(&s.process))),
    unused_counter("total_warnings"),
];

const fn gauge(name: &'static str, help: &'static str, value: fn(&Snapshot) -> Value) -> Family {
    Family { name, help, counts: false, label: None, value }
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Snapshot) -> Value) -> Family {
    Family { counts: true, ..gauge(name, help, value) }
}

const fn unused(name: &'static str) -> Family {
    gauge(name, UNUSED, |_| Value::Whole(0))
}

const fn unused_counter(name: &'static str) -> Family {
    counter(name, UNUSED, |_| Value::Whole(0))
}

fn whole(value: impl Into<i128>) -> Value {
    Value::Whole(value.into())
}

fn requests(snapshot: &Snapshot) -> u64 {
    snapshot.process.counts.sessions_total + snapshot.stats.iter().map(|stats| stats.http.requests).sum::<u64>()
}

/// Those of frontends, and each place where the process is watched as one.
fn listeners(snapshot: &Snapshot) -> u64 {
    let frontends: usize = snapshot.frontends.iter().map(|frontend| frontend.listen.len()).sum();
    (frontends + snapshot.stats.len()) as u64
}

fn started(process: &ProcessSnapshot) -> u64 {
    process.started.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
