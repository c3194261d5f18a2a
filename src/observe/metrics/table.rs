//! Every metric: its name, its help, and where its value comes from.
//!
//! Base units (seconds, bytes); counters end in `_total`; label values are configured names and words of enums.

use crate::event::{
    BackendSnapshot, Counts, FrontendSnapshot, LogTargetSnapshot, ProcessSnapshot, ServerSnapshot, ServerState,
};

use self::Kind::{Counter, Gauge};
use self::Level::{Backend, Frontend, Process, Server};
use super::unix_seconds;

/// A metric of one level. `None` leaves the series out.
pub(super) struct Family<T: 'static> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) value: fn(&T) -> Option<f64>,
}

/// A metric with one series for each word that may hold.
pub(super) struct States<T: 'static> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) label: &'static str,
    pub(super) words: &'static [&'static str],
    /// `None` if no word holds.
    pub(super) now: fn(&T) -> Option<&'static str>,
}

/// A figure of [`Counts`], at the levels where it means something; its name follows the level's prefix.
pub(super) struct Count {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) levels: &'static [Level],
    pub(super) value: fn(&Counts) -> f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Process,
    Frontend,
    Backend,
    Server,
}

impl Level {
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Process => "evenkeel_",
            Self::Frontend => "evenkeel_frontend_",
            Self::Backend => "evenkeel_backend_",
            Self::Server => "evenkeel_server_",
        }
    }
}

const ALL: &[Level] = &[Process, Frontend, Backend, Server];
const POOL: &[Level] = &[Backend, Server];

pub(super) const BUILD_INFO: &str = "evenkeel_build_info";
pub(super) const BUILD_INFO_HELP: &str = "Always 1; the version is a label.";

#[rustfmt::skip]
pub(super) const PROCESS: &[Family<ProcessSnapshot>] = &[
    gauge("evenkeel_start_time_seconds", "When the process started, in seconds since 1970.", |p| Some(unix_seconds(p.started))),
    gauge("evenkeel_isolated", "1 while the hosts behind it can't be reached, by the look of it because of this host's own network.", |p| Some(flag(p.isolated))),
    gauge("evenkeel_workers", "Threads that carry sessions.", |p| Some(f64::from(p.workers))),
    gauge("evenkeel_sessions_limit", "Sessions that the process takes at a time.", |p| Some(f64::from(p.max_sessions))),
    counter("evenkeel_sessions_limit_reached_total", "Times that the process-wide session limit was reached.", |p| Some(p.limit_reached as f64)),
    counter("evenkeel_accept_pauses_total", "Times that accepting paused for want of descriptors or memory.", |p| Some(p.accept_pauses as f64)),
    counter("evenkeel_events_total", "Events so far: changes of servers, limits reached, actions and the like.", |p| Some(p.events as f64)),
    counter("evenkeel_actions_total", "Actions of operators that were carried out.", |p| Some(p.actions as f64)),
    counter("evenkeel_actions_refused_total", "Actions that were refused on the stats listener for want of a right credential.", |p| Some(p.actions_refused as f64)),
    gauge("evenkeel_config_last_reload_successful", "1 if the last reload was done, or none was wanted; 0 if it was refused.", |p| Some(flag(p.config.refused.is_none()))),
    gauge("evenkeel_config_last_reload_success_timestamp_seconds", "When the configuration that is in force was taken on, in seconds since 1970.", |p| Some(unix_seconds(p.config.loaded))),
    gauge("evenkeel_open_descriptors", "Open file descriptors.", |p| Some(p.open_descriptors as f64)),
    gauge("evenkeel_max_descriptors", "Soft limit of open file descriptors.", |p| Some(p.max_descriptors as f64)),
    gauge("evenkeel_resident_memory_bytes", "Memory in use.", |p| Some(p.resident_memory as f64)),
    counter("evenkeel_cpu_seconds_total", "Processor time used, user and kernel, in all threads.", |p| Some(p.cpu.as_secs_f64())),
    gauge("evenkeel_replaced_processes", "Processes that an upgrade has replaced and that still have sessions.", |p| Some(p.predecessors.len() as f64)),
    gauge("evenkeel_replaced_sessions", "Sessions of processes that an upgrade has replaced.", |p| Some(p.predecessors.iter().map(|old| f64::from(old.sessions)).sum())),
    gauge("evenkeel_replaced_timestamp_seconds", "When the oldest process was replaced that still has sessions, in seconds since 1970.", |p| p.predecessors.iter().map(|old| unix_seconds(old.replaced)).reduce(f64::min)),
    counter("evenkeel_log_lines_dropped_total", "Log lines dropped because their target was too slow or gone, over all targets.", |p| Some(p.dropped_logs as f64)),
];

#[rustfmt::skip]
pub(super) const LOG_TARGET: &[Family<LogTargetSnapshot>] = &[
    counter("evenkeel_log_target_lines_dropped_total", "Log lines that this target lost.", |t| Some(t.dropped as f64)),
    gauge("evenkeel_log_target_reached", "1 if the target took what was last written to it, as far as can be told.", |t| Some(flag(t.reached))),
];

pub(super) const PROCESS_STATES: &[States<ProcessSnapshot>] = &[States {
    name: "evenkeel_state",
    help: "Where the process is in its life: 1 for the present state.",
    label: "state",
    words: &["serving", "preempt", "stopping", "replaced"],
    now: |p| Some(p.phase.word()),
}];

#[rustfmt::skip]
pub(super) const FRONTEND: &[Family<FrontendSnapshot>] = &[
    gauge("evenkeel_frontend_sessions_limit", "Sessions that the frontend takes at a time, where it has a limit of its own.", |f| f.max_sessions.map(f64::from)),
    gauge("evenkeel_frontend_full", "1 while the frontend is at its limit and clients wait.", |f| Some(flag(f.full))),
    counter("evenkeel_frontend_sessions_limit_reached_total", "Times that the frontend's own session limit was reached.", |f| Some(f.limit_reached as f64)),
];

#[rustfmt::skip]
pub(super) const BACKEND: &[Family<BackendSnapshot>] = &[
    gauge("evenkeel_backend_up", "1 if any server is usable.", |b| Some(flag(b.up))),
    gauge("evenkeel_backend_required", "1 if readiness asks for a usable server here.", |b| Some(flag(b.required))),
    gauge("evenkeel_backend_state_since_timestamp_seconds", "When the backend last went up or down, in seconds since 1970.", |b| Some(unix_seconds(b.since))),
    gauge("evenkeel_backend_active_servers", "Usable servers that are no backups.", |b| Some(f64::from(b.active))),
    gauge("evenkeel_backend_backup_servers", "Usable backup servers.", |b| Some(f64::from(b.backup))),
    gauge("evenkeel_backend_servers", "Configured servers.", |b| Some(b.servers.len() as f64)),
    gauge("evenkeel_backend_weight", "Sum of the weights of the servers in use.", |b| Some(f64::from(b.weight))),
    counter("evenkeel_backend_downtime_seconds_total", "Time without a usable server.", |b| Some(b.downtime.as_secs_f64())),
];

#[rustfmt::skip]
pub(super) const SERVER: &[Family<ServerSnapshot>] = &[
    gauge("evenkeel_server_state_since_timestamp_seconds", "When the server's state last changed, in seconds since 1970.", |s| Some(unix_seconds(s.since))),
    gauge("evenkeel_server_suspect", "1 if the server's last check failed and it isn't down yet.", |s| Some(flag(s.suspect))),
    gauge("evenkeel_server_weight", "The server's share of new sessions.", |s| Some(f64::from(s.weight.value()))),
    gauge("evenkeel_server_backup", "1 if the server is a backup.", |s| Some(flag(s.backup))),
    gauge("evenkeel_server_sessions_limit", "Sessions that the server is given at a time, where it has a limit.", |s| s.max_sessions.map(f64::from)),
    gauge("evenkeel_server_check_passed", "1 if the last check was passed, 0 if it failed.", |s| s.check.as_ref()?.last.as_ref().map(|last| flag(last.status.is_passed()))),
    gauge("evenkeel_server_check_duration_seconds", "How long the last check took.", |s| s.check.as_ref()?.last.as_ref().map(|last| last.duration.as_secs_f64())),
    gauge("evenkeel_server_check_code", "HTTP status that the last check got.", |s| s.check.as_ref()?.last.as_ref()?.code.map(f64::from)),
    gauge("evenkeel_server_certificate_not_after_timestamp_seconds", "When the certificate last seen expires, in seconds since 1970.", |s| s.check.as_ref()?.certificate.as_ref().map(|c| unix_seconds(c.not_after))),
    counter("evenkeel_server_downtime_seconds_total", "Time spent down.", |s| Some(s.downtime.as_secs_f64())),
];

pub(super) const SERVER_STATES: &[States<ServerSnapshot>] = &[
    States {
        name: "evenkeel_server_state",
        help: "What becomes of new sessions at the server: 1 for the present state.",
        label: "state",
        words: &[
            "ready",
            "ready (slow)",
            "ready (check fails)",
            "ready (isolated)",
            "draining",
            "down",
            "wrong cluster",
            "drain",
            "maint",
        ],
        now: |s| Some(s.state.word()),
    },
    States {
        name: "evenkeel_server_down_cause",
        help: "Why the server is down: 1 for the present cause, all 0 while it isn't down.",
        label: "cause",
        words: &[
            "refused",
            "unreachable",
            "timed out",
            "TLS failed",
            "unexpected answer",
            "name not resolved",
            "no network",
            "local error",
            "set by an operator",
        ],
        now: |s| if let ServerState::Down(cause) = s.state { Some(cause.words()) } else { None },
    },
    States {
        name: "evenkeel_server_check_status",
        help: "Result of the last check in HAProxy's codes: 1 for the present one, all 0 for a server without checks.",
        label: "status",
        words: &[
            "INI", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7OK", "L7OKC", "L7TOUT", "L7RSP",
            "L7STS", "HANA",
        ],
        now: |s| s.check.as_ref().map(|check| check.last.as_ref().map_or("INI", |last| last.status.name())),
    },
];

#[rustfmt::skip]
pub(super) const COUNTS: &[Count] = &[
    count("sessions", "Sessions open now.", Gauge, ALL, |c| f64::from(c.sessions)),
    count("sessions_max", "Most sessions open at a time.", Gauge, ALL, |c| f64::from(c.sessions_max)),
    count("sessions_total", "Sessions begun.", Counter, ALL, |c| c.sessions_total as f64),
    count("in_bytes_total", "Bytes from clients to servers.", Counter, ALL, |c| c.bytes_in as f64),
    count("out_bytes_total", "Bytes from servers to clients.", Counter, ALL, |c| c.bytes_out as f64),
    count("session_rate", "Sessions begun in the last second.", Gauge, ALL, |c| f64::from(c.rate)),
    count("session_rate_max", "Most sessions begun in one second.", Gauge, ALL, |c| f64::from(c.rate_max)),
    count("queued", "Sessions that wait for a server's slot.", Gauge, POOL, |c| f64::from(c.queued)),
    count("queued_max", "Most sessions that waited at a time.", Gauge, POOL, |c| f64::from(c.queued_max)),
    count("denied_total", "Clients refused by a rule.", Counter, &[Frontend], |c| c.denied as f64),
    count("request_errors_total", "Clients that left, or sent something unreadable, before a backend was known.", Counter, &[Frontend], |c| c.request_errors as f64),
    count("connect_errors_total", "Dials that failed; of a backend, sessions that found no server.", Counter, POOL, |c| c.connect_errors as f64),
    count("response_errors_total", "Sessions that a server ended by an error before its first byte.", Counter, POOL, |c| c.response_errors as f64),
    count("retries_total", "Dials after a session's first.", Counter, POOL, |c| c.retries as f64),
    count("moves_total", "Sessions that moved to another server.", Counter, POOL, |c| c.moves as f64),
    count("hedges_total", "Silent dials that were joined by one to another server.", Counter, POOL, |c| c.hedges as f64),
    count("connects_total", "Dials begun.", Counter, POOL, |c| c.connects as f64),
    count("chosen_total", "Times that the balance method chose a server, and the connection came about.", Counter, POOL, |c| c.chosen as f64),
    count("client_aborts_total", "Sessions that a client ended by an error or by its silence.", Counter, POOL, |c| c.client_aborts as f64),
    count("server_aborts_total", "Sessions that a server ended by an error or by its silence.", Counter, POOL, |c| c.server_aborts as f64),
    count("check_failures_total", "Checks that failed while the server was up.", Counter, POOL, |c| c.check_failures as f64),
    count("downs_total", "Changes from up to down.", Counter, POOL, |c| c.downs as f64),
    count("queue_time_average_seconds", "Time in the queue, average of the last 1,024 sessions.", Gauge, POOL, |c| c.queue_time.as_secs_f64()),
    count("queue_time_max_seconds", "Longest time in the queue.", Gauge, POOL, |c| c.queue_time_max.as_secs_f64()),
    count("connect_time_average_seconds", "Time to connect, average of the last 1,024 sessions.", Gauge, POOL, |c| c.connect_time.as_secs_f64()),
    count("connect_time_max_seconds", "Longest time to connect.", Gauge, POOL, |c| c.connect_time_max.as_secs_f64()),
    count("total_time_average_seconds", "Time from accept to last byte, average of the last 1,024 sessions.", Gauge, POOL, |c| c.total_time.as_secs_f64()),
    count("total_time_max_seconds", "Longest time from accept to last byte.", Gauge, POOL, |c| c.total_time_max.as_secs_f64()),
];

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> Option<f64>) -> Family<T> {
    Family { name, help, kind: Gauge, value }
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> Option<f64>) -> Family<T> {
    Family { name, help, kind: Counter, value }
}

const fn count(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    levels: &'static [Level],
    value: fn(&Counts) -> f64,
) -> Count {
    Count { name, help, kind, levels, value }
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
