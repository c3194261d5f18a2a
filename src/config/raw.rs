//! The file as it is written: flat sections of optional fields, each with its place.

use std::borrow::Cow;

use toml::de::{DeTable, DeValue};

use super::account::Root;
use super::door::{AcceptFrom, Door, DoorEntry, Interface};
use super::leaf::{CheckType, Switch, VerifyMode, Wait, Whole, Workers};
use super::list::{Controllers, List, OneOrMore, Statuses};
use super::mistake::{Mistake, Mistakes};
use super::people::{GroupName, OwnerName, UserName};
use super::preset::Preset;
use super::question::{Answer, Header, Method, StepText};
use super::read::{Found, Origin, Reader, Span, Value, section};
use super::runtime::RuntimeListen;
use super::service::{Agent, Ip, Observe, ProbeLimit, Retry, Said, SourceAddress};
use super::show::Writer;
use super::site::{Login, PeerUrl, Realm, Uri};
use super::source::Source;
use super::syntax;
use super::table::{StoredText, VerdictWord};
use super::target::{LineText, Target, TargetEntry};
use super::text::{Address, Authority, FilePath, Mode, Protocol, RequestPath, Sni, SocketPath, TlsName};
use crate::model::{
    self, Account, BackendName, Balance, Condition, Connect, Counter, FrontendName, HttpVersion, InitState, JudgedBy,
    ListenAddress, LogFormat, LogLevel, Network, OnDown, OnDraining, OnFull, OnLimit, OnNoServer, OnPrimaryBack,
    OnRefused, OnRemoved, OnSilence, OnTableFull, PasswordHash, ProxyVersion, Redispatch, RequestLine, RuleStage,
    RuntimeLevel, ServerName, TableKey, TableName, Tracked,
};

/// Reads the text. `None` if it is no TOML or says nothing; other mistakes leave fields empty.
pub fn read(source: &Source, mistakes: &mut Mistakes) -> Option<File> {
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        syntax::note(&errors, source, mistakes);
        return None;
    }
    if tree.get_ref().is_empty() {
        mistakes.push(None, Mistake::Empty);
        return None;
    }
    Some(File::read_table(tree.get_ref(), Span::default(), &mut Reader::new(mistakes)))
}

/// Every table that a file may have, named by its path, with its keys.
pub const SECTIONS: &[(&str, &[&str])] = &[
    ("", File::KEYS),
    ("defaults", Defaults::KEYS),
    ("timeouts", Timeouts::KEYS),
    ("limits", Limits::KEYS),
    ("frontend", Frontend::KEYS),
    ("frontend.client_keepalive", Keepalive::KEYS),
    ("frontend.timeouts", FrontendTimeouts::KEYS),
    ("frontend.log", FrontendLog::KEYS),
    ("frontend.listen", Door::KEYS),
    ("frontend.rule", Rule::KEYS),
    ("frontend.route", Route::KEYS),
    ("backend", Backend::KEYS),
    ("backend.server_keepalive", Keepalive::KEYS),
    ("backend.timeouts", BackendTimeouts::KEYS),
    ("backend.check", Check::KEYS),
    ("backend.servers", Server::KEYS),
    ("backend.servers.observe", Observe::KEYS),
    ("backend.servers.agent", Agent::KEYS),
    ("stats", Stats::KEYS),
    ("stats.tls", StatsTls::KEYS),
    ("stats.log", StatsLog::KEYS),
    ("admin", Admin::KEYS),
    ("log", Log::KEYS),
    ("log.target", Target::KEYS),
    ("process", Process::KEYS),
    ("security", Security::KEYS),
    ("runtime", Runtime::KEYS),
    ("table", Table::KEYS),
];

/// Sessions at a time.
pub type Sessions = Whole<1, 10_000_000>;
/// New sessions in a second.
pub type Rate = Whole<1, 1_000_000>;

/// A number by which HAProxy's outputs name a frontend or a backend.
pub type Number = Whole<1, { i32::MAX as u32 }>;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const YEAR: u64 = 366 * 24 * HOUR;

/// A wait that has an end: dials, queues.
pub type Short = Wait<1, HOUR>;
/// A wait that may be as long as a session lives.
pub type Long = Wait<1, YEAR>;
/// From one probe to the next.
pub type Interval = Wait<100, HOUR>;
/// From one line of a session that lives on to the next.
pub type Progress = Wait<SECOND, YEAR>;
/// From one loading of a page to the next.
pub type Refresh = Wait<SECOND, YEAR, SECOND>;
/// For one probe.
pub type ProbeTime = Wait<10, HOUR>;
/// What the kernel takes as TCP_KEEPIDLE and TCP_KEEPINTVL (tcp(7)).
pub type KeepaliveTime = Wait<SECOND, { 32_767 * SECOND }, SECOND>;

section! {
    /// The whole file.
    File, "the file";
    "preset" => preset: Preset,
    "controllers" => controllers: Controllers,
    "defaults" => defaults: Defaults,
    "timeouts" => timeouts: Timeouts,
    "limits" => limits: Limits,
    "frontend" => frontend: List<Frontend, 0>,
    "backend" => backend: List<Backend, 0>,
    "stats" => stats: OneOrMore<Stats>,
    "admin" => admin: Admin,
    "log" => log: Log,
    "process" => process: Process,
    "security" => security: Security,
    "runtime" => runtime: List<Runtime, 0>,
    "table" => table: List<Table, 0>,
}

section! {
    /// What frontends, backends and servers share unless they state it themselves.
    Defaults, "`[defaults]`";
    "max_sessions" => max_sessions: Switch<Sessions>,
    "max_sessions_per_source" => max_sessions_per_source: Switch<Sessions>,
    "rate_per_source" => rate_per_source: Switch<Rate>,
    "allow" => allow: Switch<OneOrMore<Network>>,
    "deny" => deny: Switch<OneOrMore<Network>>,
    "freebind" => freebind: bool,
    "backlog" => backlog: Whole<1, 65_535>,
    "client_keepalive" => client_keepalive: Switch<Keepalive>,
    "reset_clients" => reset_clients: bool,
    "balance" => balance: Balance,
    "on_no_server" => on_no_server: OnNoServer,
    "on_down" => on_down: OnDown,
    "on_refused" => on_refused: OnRefused,
    "on_draining" => on_draining: OnDraining,
    "on_primary_back" => on_primary_back: OnPrimaryBack,
    "on_removed" => on_removed: OnRemoved,
    "dead_after" => dead_after: Short,
    "drain_idle" => drain_idle: Short,
    "drain_max" => drain_max: Short,
    "kill_spread" => kill_spread: Wait<0, HOUR>,
    "dial_hedge" => dial_hedge: Switch<Short>,
    "max_dials" => max_dials: Whole<1, 1_000_000>,
    "judged_by" => judged_by: JudgedBy,
    "slow_start" => slow_start: Switch<Short>,
    "server_keepalive" => server_keepalive: Switch<Keepalive>,
    "check" => check: Switch<Check>,
    "weight" => weight: Whole<0, 256>,
    "retries" => retries: Retry,
    "redispatch" => redispatch: Redispatch,
    "log_health_checks" => log_health_checks: bool,
    "all_backups" => all_backups: bool,
    "random_draws" => random_draws: Whole<1, 100>,
    "on_full" => on_full: OnFull,
}

section! {
    /// Waits of all frontends and backends.
    Timeouts, "`[timeouts]`";
    "connect" => connect: Short,
    "dial" => dial: Short,
    "queue" => queue: Short,
    "client" => client: Switch<Long>,
    "server" => server: Switch<Long>,
    "tunnel" => tunnel: Switch<Long>,
    "half_close" => half_close: Switch<Long>,
    "inspect" => inspect: Switch<Short>,
    "handshake" => handshake: Short,
}

section! {
    /// Waits of one frontend.
    FrontendTimeouts, "a frontend's `timeouts`";
    "client" => client: Switch<Long>,
    "inspect" => inspect: Switch<Short>,
    "handshake" => handshake: Short,
}

section! {
    /// Waits of one backend.
    BackendTimeouts, "a backend's `timeouts`";
    "connect" => connect: Short,
    "dial" => dial: Short,
    "queue" => queue: Short,
    "server" => server: Switch<Long>,
    "tunnel" => tunnel: Switch<Long>,
    "half_close" => half_close: Switch<Long>,
}

section! {
    /// Limits of the whole process.
    Limits, "`[limits]`";
    "max_sessions" => max_sessions: Sessions,
    "on_limit" => on_limit: OnLimit,
}

section! {
    /// When the kernel asks a quiet peer.
    Keepalive, "a keepalive";
    "idle" => idle: KeepaliveTime,
    "interval" => interval: KeepaliveTime,
    "count" => count: Whole<1, 127>,
}

section! {
    /// An entry point.
    Frontend, "a `[[frontend]]`";
    "name" => name: FrontendName,
    "id" => id: Number,
    "listen" => listen: OneOrMore<DoorEntry>,
    "backend" => backend: BackendName,
    "max_sessions" => max_sessions: Switch<Sessions>,
    "max_sessions_per_source" => max_sessions_per_source: Switch<Sessions>,
    "rate_per_source" => rate_per_source: Switch<Rate>,
    "allow" => allow: Switch<OneOrMore<Network>>,
    "deny" => deny: Switch<OneOrMore<Network>>,
    "freebind" => freebind: bool,
    "backlog" => backlog: Whole<1, 65_535>,
    "client_keepalive" => client_keepalive: Switch<Keepalive>,
    "reset_clients" => reset_clients: bool,
    "timeouts" => timeouts: FrontendTimeouts,
    "log" => log: FrontendLog,
    "accept_proxy" => accept_proxy: Switch<AcceptFrom>,
    "on_silence" => on_silence: OnSilence,
    "rule" => rule: List<Rule, 1>,
    "route" => route: List<Route, 1>,
}

section! {
    /// Whom a frontend lets in, at one stage.
    Rule, "a `[[frontend.rule]]`";
    "stage" => stage: RuleStage,
    "when" => when: Condition,
    "verdict" => verdict: VerdictWord,
    "table" => table: TableName,
    "counter" => counter: Whole<0, { Counter::COUNT as u32 - 1 }>,
}

section! {
    /// Another backend for some of a frontend's sessions.
    Route, "a `[[frontend.route]]`";
    "sni" => sni: OneOrMore<Sni>,
    "source" => source: OneOrMore<Network>,
    "when" => when: Condition,
    "backend" => backend: BackendName,
}

section! {
    /// What is logged of a frontend's sessions.
    FrontendLog, "a frontend's `log`";
    "enabled" => enabled: bool,
    "null_sessions" => null_sessions: bool,
    "silent_clients" => silent_clients: bool,
    "normal_sessions" => normal_sessions: bool,
    "asap" => asap: bool,
    "separate_errors" => separate_errors: bool,
    "line" => line: LineText,
}

section! {
    /// A group of servers.
    Backend, "a `[[backend]]`";
    "name" => name: BackendName,
    "id" => id: Number,
    "balance" => balance: Balance,
    "on_no_server" => on_no_server: OnNoServer,
    "on_down" => on_down: OnDown,
    "on_refused" => on_refused: OnRefused,
    "on_draining" => on_draining: OnDraining,
    "on_primary_back" => on_primary_back: OnPrimaryBack,
    "on_removed" => on_removed: OnRemoved,
    "dead_after" => dead_after: Short,
    "drain_idle" => drain_idle: Short,
    "drain_max" => drain_max: Short,
    "kill_spread" => kill_spread: Wait<0, HOUR>,
    "dial_hedge" => dial_hedge: Switch<Short>,
    "max_dials" => max_dials: Whole<1, 1_000_000>,
    "judged_by" => judged_by: JudgedBy,
    "slow_start" => slow_start: Switch<Short>,
    "issuer" => issuer: Authority,
    "required" => required: bool,
    "server_keepalive" => server_keepalive: Switch<Keepalive>,
    "timeouts" => timeouts: BackendTimeouts,
    "check" => check: Switch<Check>,
    "retries" => retries: Retry,
    "redispatch" => redispatch: Redispatch,
    "log_health_checks" => log_health_checks: bool,
    "all_backups" => all_backups: bool,
    "random_draws" => random_draws: Whole<1, 100>,
    "on_full" => on_full: OnFull,
    "full_sessions" => full_sessions: Sessions,
    "servers" => servers: List<Member, 0>,
}

section! {
    /// A member of a backend.
    Server, "a server";
    "name" => name: ServerName,
    "address" => address: Address,
    "weight" => weight: Whole<0, 256>,
    "backup" => backup: bool,
    "max_sessions" => max_sessions: Switch<Sessions>,
    "disabled" => disabled: bool,
    "check" => check: Switch<Check>,
    "slow_start" => slow_start: Switch<Short>,
    "on_down" => on_down: OnDown,
    "on_primary_back" => on_primary_back: OnPrimaryBack,
    "observe" => observe: Switch<Observe>,
    "track" => track: Tracked,
    "source" => source: SourceAddress,
    "interface" => interface: Interface,
    "user_timeout" => user_timeout: Switch<Short>,
    "send_proxy" => send_proxy: Switch<ProxyVersion>,
    "init_state" => init_state: InitState,
    "agent" => agent: Switch<Agent>,
    "initial_address" => initial_address: Ip,
    "id" => id: Number,
    "max_queue" => max_queue: Switch<Sessions>,
    "min_sessions" => min_sessions: Switch<Sessions>,
}

section! {
    /// How servers are probed.
    Check, "a check", via super::expand::adapt_check;
    "type" => kind: CheckType,
    "verify" => verify: VerifyMode,
    "ca_file" => ca_file: FilePath,
    "server_name" => server_name: TlsName,
    "alpn" => alpn: List<Protocol, 0>,
    "path" => path: RequestPath,
    "accept" => accept: List<Statuses, 1>,
    "draining" => draining: List<Statuses, 0>,
    "token_file" => token_file: FilePath,
    "client_certificate" => client_certificate: FilePath,
    "client_key" => client_key: FilePath,
    "port" => port: Whole<1, 65_535>,
    "interval" => interval: Interval,
    "fast_interval" => fast_interval: Interval,
    "down_interval" => down_interval: Interval,
    "timeout" => timeout: ProbeLimit,
    "rise" => rise: Whole<1, 1_000>,
    "fall" => fall: Whole<1, 1_000>,
    "dial_timeout" => dial_timeout: Short,
    "address" => address: Ip,
    "send_proxy" => send_proxy: Switch<ProxyVersion>,
    "method" => method: Method,
    "http_version" => http_version: HttpVersion,
    "headers" => headers: List<Header, 0>,
    "body" => body: Said,
    "expect" => expect: List<Answer, 0>,
    "not_found_drains" => not_found_drains: bool,
    "steps" => steps: List<StepText, 0>,
}

section! {
    /// Where people and programs watch the process.
    Stats, "`[stats]`";
    "listen" => listen: Switch<OneOrMore<ListenAddress>>,
    "freebind" => freebind: bool,
    "token_file" => token_file: FilePath,
    "user" => user: UserName,
    "password_hash" => password_hash: PasswordHash,
    "name" => name: FrontendName,
    "id" => id: Number,
    "frontend_only" => frontend_only: bool,
    "own_pages" => own_pages: bool,
    "uri" => uri: Uri,
    "refresh" => refresh: Switch<Refresh>,
    "users" => users: List<Login, 1>,
    "realm" => realm: Realm,
    "hide_version" => hide_version: bool,
    "legends" => legends: bool,
    "scope" => scope: List<FrontendName, 1>,
    "metrics" => metrics: Uri,
    "monitor" => monitor: Uri,
    "monitor_fail" => monitor_fail: List<Condition, 1>,
    "tls" => tls: StatsTls,
    "peers" => peers: List<PeerUrl, 0>,
    "peers_ca" => peers_ca: FilePath,
    "log" => log: Switch<StatsLog>,
    "max_sessions" => max_sessions: Whole<1, 10_000>,
    "admin_if" => admin_if: List<Condition, 1>,
}

section! {
    /// What HTTPS is spoken with.
    StatsTls, "`tls`";
    "certificate" => certificate: FilePath,
    "key" => key: FilePath,
}

section! {
    /// What is logged of requests for statistics.
    StatsLog, "a stats section's `log`";
    "line" => line: RequestLine,
    "silent_clients" => silent_clients: bool,
    "normal_requests" => normal_requests: bool,
    "asap" => asap: bool,
    "separate_errors" => separate_errors: bool,
}

section! {
    /// Where the operator's commands come in.
    Admin, "`[admin]`";
    "socket" => socket: Switch<SocketPath>,
    "mode" => mode: Mode,
    "group" => group: GroupName,
}

section! {
    /// What is logged.
    Log, "`[log]`";
    "format" => format: LogFormat,
    "level" => level: LogLevel,
    "null_sessions" => null_sessions: bool,
    "open" => open: bool,
    "progress" => progress: Switch<Progress>,
    "target" => target: OneOrMore<TargetEntry>,
}

section! {
    /// The process as a whole.
    Process, "`[process]`";
    "workers" => workers: Workers,
    "preempt" => preempt: Wait<0, HOUR>,
    "shutdown_grace" => shutdown_grace: Wait<0, HOUR>,
    "upgrade_grace" => upgrade_grace: Wait<0, YEAR>,
    "user" => user: Account,
    "group" => group: Account,
    "chroot" => chroot: Root,
    "keep_bind" => keep_bind: bool,
}

section! {
    /// What the process gives up before it serves.
    Security, "`[security]`";
    "sandbox" => sandbox: bool,
    "connect" => connect: Connect,
}

section! {
    /// Where HAProxy's runtime API is spoken.
    Runtime, "a `[[runtime]]`";
    "listen" => listen: RuntimeListen,
    "level" => level: RuntimeLevel,
    "mode" => mode: Mode,
    "user" => user: OwnerName,
    "group" => group: GroupName,
    "timeout" => timeout: Wait<SECOND, HOUR>,
}

section! {
    /// What is counted of sources.
    Table, "a `[[table]]`";
    "name" => name: TableName,
    "key" => key: TableKey,
    "size" => size: Whole<1, { model::Table::MOST }>,
    "expire" => expire: Switch<Long>,
    "on_full" => on_full: OnTableFull,
    "store" => store: List<StoredText, 0>,
}

/// A server in a backend's list: a table, or its address alone.
#[derive(Debug, Clone)]
pub struct Member(pub Server);

impl Value for Member {
    fn wanted() -> Cow<'static, str> {
        "a table or an address such as \"10.10.0.2:6443\"".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::Table(table) => Some(Self(Server::read_table(table, found.span, reader))),
            DeValue::String(_) => {
                // A member all the same if it can't be read: the others are not all that there are.
                let address = Address::read(found, reader).map(|address| reader.stated(address, found.span));
                Some(Self(Server { at: found.span, stated: vec!["address"], address, ..Server::default() }))
            }
            _ => reader.wrong_type::<Self>(found, None),
        }
    }

    fn literal(&self) -> Option<String> {
        None
    }

    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        self.0.write(key, origin, out);
    }
}
