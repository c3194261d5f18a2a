//! Where people and programs watch the process over HTTP, and what is at each such place.

use std::time::Duration;

use super::{Condition, FrontendName, Identity, ListenAddress, ProxyId, Secret, StatsAccess};

/// Where people and programs watch the process: the `[stats]` of a TOML file, or one `mode http` section of a
/// haproxy.cfg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    pub id: ProxyId,
    /// What HAProxy's outputs, which list it among the proxies, call it.
    pub name: FrontendName,
    pub listen: Vec<ListenAddress>,
    pub freebind: bool,
    /// Connections at a time; more are accepted and closed.
    pub max_sessions: u32,
    /// Who may act there, by evenkeel's own API.
    pub access: StatsAccess,
    pub serves: Serves,
    /// Whether it stands in a haproxy.cfg as a `listen`, which is a backend, too, in HAProxy's outputs; or as a
    /// `frontend`.
    pub is_listen: bool,
    /// The certificate and key of HTTPS; without them it is HTTP.
    pub tls: Option<Identity>,
    /// What is logged of those who look; nothing, if it isn't said.
    pub log: Option<RequestLog>,
}

/// What is logged of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// How a line is worded where the target's format is HAProxy's.
    pub line: RequestLine,
    /// Whether a connection gets one whose client has sent no byte (HAProxy's `option dontlognull`).
    pub silent_clients: bool,
    /// Whether a request gets one that was answered (HAProxy's `option dontlog-normal`).
    pub normal_requests: bool,
    /// Whether what grows is marked, as in lines that are written early (HAProxy's `option logasap`).
    pub asap: bool,
    /// Whether requests that were answered by an error are told as errors (HAProxy's `option log-separate-errors`).
    pub separate_errors: bool,
}

/// How HAProxy words a request's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLine {
    /// `option httplog`.
    Httplog,
    /// `option tcplog`.
    Tcplog,
    /// What it writes without one: who has connected, and where.
    Connect,
}

impl Stats {
    /// Connections that one takes at a time unless it says how many: a hundred pages that are open and as much again. Who
    /// comes then takes the place of one that has not asked for anything.
    pub const MAX_SESSIONS: u32 = 256;
    /// What the section of a TOML file is called in HAProxy's outputs.
    pub const NAME: &str = "stats";
}

/// What is at a listener for watching. Where two of them have the same path, the first one named here answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Serves {
    /// The answer for a load balancer further out (`monitor-uri`).
    pub monitor: Option<Monitor>,
    /// The path of HAProxy's Prometheus families (`http-request use-service prometheus-exporter`).
    pub metrics: Option<String>,
    /// evenkeel's own: the page at `/`, the JSON API, its metrics, health answers and actions.
    pub ours: bool,
    /// HAProxy's statistics (`stats enable`).
    pub page: Option<StatsPage>,
}

impl Serves {
    /// All that evenkeel has, as a TOML file wants it.
    pub fn ours() -> Self {
        Self { ours: true, ..Self::default() }
    }
}

/// HAProxy's statistics at a URI: the page for people, and with `;csv` and the like behind it for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsPage {
    /// Whatever begins with it is meant (`stats uri`).
    pub uri: String,
    /// How often the page loads itself anew (`stats refresh`); `None` leaves it to the reader.
    pub refresh: Option<Duration>,
    /// Who may see it (`stats auth`), each with their password; anybody, if nobody is named.
    pub users: Vec<(String, Secret<String>)>,
    /// What they are asked for by (`stats realm`).
    pub realm: String,
    /// Whether the page keeps the program's version to itself.
    pub hide_version: bool,
    /// Whether CSV and the like tell addresses and balance methods, too (`stats show-legends`).
    pub legends: bool,
    /// The proxies that are shown, by name (`stats scope`); all, if none is named.
    pub scope: Vec<String>,
    /// Who may act there: as soon as one of these holds (`stats admin`). Nobody, if there is none.
    pub admin: Vec<Condition>,
}

impl StatsPage {
    /// Where the page is unless the file says it.
    pub const URI: &str = "/haproxy?stats";
    /// What users are asked for by unless the file says it.
    pub const REALM: &str = "HAProxy Statistics";

    /// One for everybody, of everything.
    pub fn at(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            refresh: None,
            users: Vec::new(),
            realm: Self::REALM.to_owned(),
            hide_version: false,
            legends: false,
            scope: Vec::new(),
            admin: Vec::new(),
        }
    }

    /// Whether a proxy of this name is shown there, and may be acted on.
    pub fn shows(&self, proxy: &str) -> bool {
        self.scope.is_empty() || self.scope.iter().any(|shown| shown == proxy)
    }
}

/// A path that says whether clients should be sent here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The whole path, its query included.
    pub uri: String,
    /// It says no as soon as one of these holds (`monitor fail`).
    pub fail: Vec<Condition>,
}
