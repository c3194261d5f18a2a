//! What holds where neither the file nor a preset says anything.

use std::path::PathBuf;
use std::time::Duration;

use super::leaf::{CheckType, Switch, Wait, Whole, Workers};
use super::list::{List, OneOrMore, Statuses};
use super::question::Method;
use super::raw::{
    Admin, Backend, BackendTimeouts, Check, Defaults, Frontend, FrontendLog, FrontendTimeouts, Keepalive, Limits, Log,
    Process, Runtime, Security, Server, Stats, StatsLog, Table, Timeouts,
};
use super::read::Stated;
use super::service::{Agent, Observe, ProbeLimit, Retry, Said};
use super::target::{LineText, SyslogAddress, Tag, Target, TargetEntry, TargetType};
use super::text::{Mode, RequestPath, SocketPath};
use crate::model::{
    self, Balance, Connect, DatagramAddress, DialSilent, Facility, HttpProbe, InitState, ListenAddress, LogFormat,
    LogLevel, LogLines, LogPlace, OnErrors, OnLimit, OnSilence, OnTableFull, Policy, Redispatch, RequestLine, Retries,
    RuntimeLevel, RuntimeSocket, Severities, Syslog, SyslogProtocol, TableKey, Watchfulness,
};

/// A built-in value.
fn is<T>(value: T) -> Option<Stated<T>> {
    Stated::built_in(value)
}

fn seconds<const LOW: u64, const HIGH: u64, const STEP: u64>(seconds: u64) -> Wait<LOW, HIGH, STEP> {
    Wait(Duration::from_secs(seconds))
}

/// `[timeouts]`, all of it.
pub fn timeouts() -> Timeouts {
    Timeouts {
        connect: is(seconds(10)),
        dial: is(seconds(2)),
        queue: is(seconds(10)),
        client: is(Switch::Off),
        server: is(Switch::Off),
        tunnel: is(Switch::Off),
        half_close: is(Switch::from_option(Policy::evenkeel().half_close.map(Wait))),
        inspect: is(Switch::On(seconds(5))),
        handshake: is(seconds(5)),
        ..Timeouts::default()
    }
}

/// `[defaults]`, for those of its keys that a policy also has.
pub fn defaults() -> Defaults {
    let policy = Policy::evenkeel();
    Defaults {
        client_keepalive: is(keepalive(policy.client_keepalive)),
        server_keepalive: is(keepalive(policy.server_keepalive)),
        on_no_server: is(policy.on_no_server),
        ..Defaults::default()
    }
}

/// The kernel's default for `net.core.somaxconn`, which caps it anyway.
const BACKLOG: u32 = 4096;

/// A frontend, but for what it needs.
pub fn frontend() -> Frontend {
    Frontend {
        max_sessions: is(Switch::Off),
        max_sessions_per_source: is(Switch::Off),
        rate_per_source: is(Switch::Off),
        allow: is(Switch::Off),
        deny: is(Switch::Off),
        freebind: is(false),
        backlog: is(Whole(BACKLOG)),
        client_keepalive: is(keepalive(Policy::evenkeel().client_keepalive)),
        timeouts: is(FrontendTimeouts::default()),
        accept_proxy: is(Switch::Off),
        log: is(FrontendLog::default()),
        reset_clients: is(true),
        on_silence: is(OnSilence::Close),
        ..Frontend::default()
    }
}

/// What is logged of a frontend's sessions, but for what `[log]` says of all.
pub fn frontend_log() -> FrontendLog {
    let model = model::FrontendLog::default();
    FrontendLog {
        enabled: is(model.enabled),
        silent_clients: is(model.silent_clients),
        normal_sessions: is(model.normal_sessions),
        asap: is(model.asap),
        separate_errors: is(model.separate_errors),
        line: is(LineText(model.line)),
        ..FrontendLog::default()
    }
}

/// Unfinished dials of one server: a dead one must not hold all of our descriptors.
const MAX_DIALS: u32 = 256;

/// Servers that `random` draws: with two, loads stay close to each other.
const DRAWS: u32 = 2;

/// A backend, but for what it needs; its check is completed by [`check`].
pub fn backend() -> Backend {
    let policy = Policy::evenkeel();
    Backend {
        balance: is(Balance::LeastConn),
        on_no_server: is(policy.on_no_server),
        on_down: is(policy.closing.on_down),
        on_refused: is(policy.closing.on_refused),
        on_draining: is(policy.closing.on_draining),
        on_primary_back: is(policy.closing.on_primary_back),
        on_removed: is(policy.closing.on_removed),
        dead_after: is(Wait(policy.closing.dead_after)),
        drain_idle: is(Wait(policy.closing.drain_idle)),
        drain_max: is(Wait(policy.closing.drain_max)),
        kill_spread: is(Wait(policy.closing.kill_spread)),
        dial_hedge: is(match policy.dial_silent {
            DialSilent::Hedge { after } => Switch::On(Wait(after)),
            DialSilent::Wait => Switch::Off,
        }),
        max_dials: is(Whole(MAX_DIALS)),
        judged_by: is(policy.judged_by),
        slow_start: is(Switch::Off),
        server_keepalive: is(keepalive(policy.server_keepalive)),
        timeouts: is(BackendTimeouts::default()),
        check: is(Switch::On(Check::default())),
        retries: is(Retry::from(Retries::from(policy.dial_refused))),
        redispatch: is(Redispatch::Never),
        log_health_checks: is(false),
        all_backups: is(false),
        random_draws: is(Whole(DRAWS)),
        on_full: is(policy.on_full),
        ..Backend::default()
    }
}

/// A server, but for its address.
pub fn server() -> Server {
    Server {
        weight: is(Whole(1)),
        backup: is(false),
        max_sessions: is(Switch::Off),
        disabled: is(false),
        user_timeout: is(Switch::Off),
        send_proxy: is(Switch::Off),
        init_state: is(InitState::Up),
        observe: is(Switch::Off),
        agent: is(Switch::Off),
        max_queue: is(Switch::Off),
        min_sessions: is(Switch::Off),
        ..Server::default()
    }
}

/// A check's type where none is stated. It takes no statement about certificates, as TLS does.
pub const CHECK_TYPE: CheckType = CheckType::Tcp;

/// From one probe to the next.
const INTERVAL: Duration = Duration::from_secs(2);
/// The same between up and down, unless the interval is shorter.
const FAST_INTERVAL: Duration = Duration::from_millis(500);
/// For one probe, unless the interval is shorter.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);

/// What a check of this type leaves open; what it says of its interval bounds the rest.
pub fn check(kind: CheckType, interval: Option<Duration>) -> Check {
    let interval = interval.unwrap_or(INTERVAL);
    let schedule = Check {
        kind: is(kind),
        interval: is(Wait(interval)),
        fast_interval: is(Wait(FAST_INTERVAL.min(interval))),
        down_interval: is(Wait(interval)),
        timeout: is(ProbeLimit::Time(Wait(PROBE_TIMEOUT.min(interval)))),
        send_proxy: is(Switch::Off),
        rise: is(Whole(2)),
        fall: is(Whole(3)),
        ..Check::default()
    };
    match kind {
        CheckType::Tcp | CheckType::KubeApiserver | CheckType::Konnectivity | CheckType::K0sJoin => schedule,
        CheckType::Tls | CheckType::Script => Check { alpn: is(List(Vec::new())), ..schedule },
        CheckType::Http => request(schedule),
        CheckType::HttpOverTls => Check { alpn: is(List(Vec::new())), ..request(schedule) },
        CheckType::Https => {
            let path = is(RequestPath("/readyz".to_owned()));
            let (accept, draining) = (is(List(alive())), is(List(Vec::new())));
            Check { alpn: is(List(Vec::new())), path, accept, draining, ..schedule }
        }
    }
}

/// What a request is that nobody describes: HAProxy's `option httpchk`.
fn request(schedule: Check) -> Check {
    let HttpProbe { method, target, version, .. } = HttpProbe::default();
    Check {
        method: is(Method(method)),
        path: is(RequestPath(target)),
        http_version: is(version),
        headers: is(List(Vec::new())),
        body: is(Said(String::new())),
        expect: is(List(Vec::new())),
        not_found_drains: is(false),
        ..schedule
    }
}

/// What failed dials do, but for what is stated.
pub fn observe() -> Observe {
    Observe { errors: is(Whole(Watchfulness::ERRORS)), then: is(OnErrors::FailProbe), ..Observe::default() }
}

/// An agent, but for its port.
pub fn agent() -> Agent {
    let interval = Wait(crate::model::Agent::INTERVAL);
    Agent { interval: is(interval), send: is(Said(String::new())), ..Agent::default() }
}

/// Statuses of an API server that is there: 401 and 403 where anonymous access is off, as with k0s.
fn alive() -> Vec<Stated<Statuses>> {
    [200, 401, 403].into_iter().filter_map(|status| is(Statuses { first: status, last: status })).collect()
}

fn keepalive(keepalive: Option<model::Keepalive>) -> Switch<Keepalive> {
    Switch::from_option(keepalive.map(|keepalive| Keepalive {
        idle: is(Wait(keepalive.idle)),
        interval: is(Wait(keepalive.interval)),
        count: is(Whole(keepalive.count)),
        ..Keepalive::default()
    }))
}

/// `[limits]`, all of it.
pub fn limits() -> Limits {
    Limits { max_sessions: is(Whole(model::Limits::MAX_SESSIONS)), on_limit: is(OnLimit::Queue), ..Limits::default() }
}

/// `[stats]`, all of it: for this machine only.
pub fn stats() -> Stats {
    let localhost = ListenAddress::Tcp(([127, 0, 0, 1], 9000).into());
    let listen = OneOrMore(is(localhost).into_iter().collect());
    Stats { listen: is(Switch::On(listen)), ..site() }
}

/// What each of several `[[stats]]` has that it doesn't state: all but where it listens.
pub fn site() -> Stats {
    Stats {
        freebind: is(false),
        frontend_only: is(false),
        own_pages: is(true),
        log: is(Switch::Off),
        max_sessions: is(Whole(model::Stats::MAX_SESSIONS)),
        ..Stats::default()
    }
}

/// What is logged of requests for statistics, where anything is.
pub fn stats_log() -> StatsLog {
    StatsLog {
        line: is(RequestLine::Httplog),
        silent_clients: is(true),
        normal_requests: is(true),
        asap: is(false),
        separate_errors: is(false),
        ..StatsLog::default()
    }
}

/// `[admin]`, all of it.
pub fn admin() -> Admin {
    Admin { socket: is(Switch::Off), mode: is(Mode(0o660)), ..Admin::default() }
}

/// `[log]`, all of it.
pub fn log() -> Log {
    Log {
        format: is(LogFormat::Text),
        level: is(LogLevel::Info),
        null_sessions: is(false),
        open: is(false),
        progress: is(Switch::Off),
        target: is(OneOrMore(
            is(TargetEntry(Target { kind: is(TargetType::Stdout), ..Target::default() })).into_iter().collect(),
        )),
        ..Log::default()
    }
}

/// Of a log target of this type, what neither it nor `[log]` states.
pub fn log_target(kind: TargetType) -> Target {
    let (lines, Severities { least, gravest }) = (LogLines::All, Severities::ALL);
    let any = || Target { lines: is(lines), least: is(least), gravest: is(gravest), ..Target::default() };
    let tagged = || Target { tag: is(Tag("evenkeel".to_owned())), ..any() };
    match kind {
        TargetType::Stdout => any(),
        TargetType::Journald => Target { socket: is(SocketPath(PathBuf::from(LogPlace::JOURNAL))), ..tagged() },
        TargetType::Syslog => Target {
            address: is(SyslogAddress(DatagramAddress::Unix(PathBuf::from(Syslog::SOCKET)))),
            protocol: is(SyslogProtocol::Rfc3164),
            facility: is(Facility::Daemon),
            ..tagged()
        },
    }
}

/// `[process]`, but for what has no default.
pub fn process() -> Process {
    Process {
        workers: is(Workers::Auto),
        preempt: is(Wait(Duration::ZERO)),
        shutdown_grace: is(seconds(5)),
        upgrade_grace: is(seconds(24 * 3_600)),
        keep_bind: is(false),
        ..Process::default()
    }
}

/// `[security]`, all of it.
pub fn security() -> Security {
    Security { sandbox: is(true), connect: is(Connect::Any), ..Security::default() }
}

/// A `[[table]]`, but for its name and what it stores.
pub fn table() -> Table {
    Table {
        key: is(TableKey::Ipv6),
        size: is(Whole(100_000)),
        expire: is(Switch::On(seconds(3_600))),
        on_full: is(OnTableFull::Forget),
        ..Table::default()
    }
}

/// A `[[runtime]]`, but for where it is.
pub fn runtime() -> Runtime {
    Runtime {
        level: is(RuntimeLevel::Operator),
        mode: is(Mode(0o660)),
        timeout: is(Wait(RuntimeSocket::TIMEOUT)),
        ..Runtime::default()
    }
}
