//! Every keyword that is known, and what becomes of it: honoured, noted, refused.
//!
//! One row says all of a keyword: where it may stand (configuration manual, section 4.1) and its fate. docs/haproxy.md
//! has the same table for people, and a test holds the two together.

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::super::spelling;

/// The sections that a keyword may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(u8);

impl Scope {
    pub const GLOBAL: Self = Self(1);
    pub const DEFAULTS: Self = Self(2);
    pub const FRONTEND: Self = Self(4);
    pub const BACKEND: Self = Self(8);
    pub const LISTEN: Self = Self(4 | 8);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Its sections in words.
    pub fn words(self) -> String {
        let names = [
            (Self::GLOBAL, "global"),
            (Self::DEFAULTS, "defaults"),
            (Self::FRONTEND, "frontend"),
            (Self::BACKEND, "backend"),
        ];
        let names: Vec<_> = names.iter().filter(|(scope, _)| self.meets(*scope)).map(|(_, name)| *name).collect();
        names.join(", ")
    }
}

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Honoured,
    /// It changes nothing here, for this reason.
    Noted(&'static str),
    /// It would change what happens, and can't be done: why, and what to do instead.
    Refused(&'static str, &'static str),
}

impl Fate {
    /// Notes what becomes of a word that is not simply honoured. A `lenient` reader leaves out what is refused.
    pub fn note(self, word: &str, at: Span, lenient: bool, mistakes: &mut Mistakes) {
        let word = word.to_owned();
        match self {
            Self::Honoured => {}
            Self::Noted(why) => mistakes.push(Some(at), Mistake::DirectiveNoted { word, why }),
            Self::Refused(why, instead) => {
                mistakes.refuse(at, Mistake::DirectiveRefused { word, why, instead }, lenient);
            }
        }
    }
}

/// One keyword, of one or two words.
#[derive(Debug, PartialEq, Eq)]
pub struct Keyword {
    pub words: &'static str,
    pub scope: Scope,
    pub fate: Fate,
}

/// What a line begins with.
pub enum Found {
    /// The keyword, and how many words it has.
    Keyword(&'static Keyword, usize),
    /// It belongs into other sections.
    Elsewhere { word: &'static str, sections: String },
    /// It belongs into other sections, too, and does nothing here, of which HAProxy only warns.
    Idle { word: &'static str, sections: String },
    /// Nothing that is known, and what may have been meant.
    Unknown { word: String, near: Option<&'static str> },
}

/// Looks up the keyword that a line begins with.
pub fn find(words: &[&str], scope: Scope) -> Found {
    let two = words.get(1).map(|second| format!("{} {second}", words[0]));
    let one = words[0];
    let rows = |text: &str| KEYWORDS.iter().filter(|row| row.is_called(text)).collect::<Vec<_>>();
    let known = two.as_deref().map(rows).filter(|rows| !rows.is_empty()).map(|rows| (rows, 2));
    let known = known.or_else(|| Some(rows(one)).filter(|rows| !rows.is_empty()).map(|rows| (rows, 1)));
    let Some((rows, length)) = known else { return unknown(one, two) };
    match rows.iter().find(|row| row.scope.meets(scope)) {
        Some(row) => Found::Keyword(row, length),
        None if rows[0].is_idle(scope) => Found::Idle { word: rows[0].words, sections: rows[0].scope.words() },
        None => Found::Elsewhere { word: rows[0].words, sections: rows[0].scope.words() },
    }
}

fn unknown(one: &str, two: Option<String>) -> Found {
    let family = KEYWORDS.iter().any(|row| row.words.split(' ').next() == Some(one) && row.words.contains(' '));
    let word = two.filter(|_| family).unwrap_or_else(|| one.to_owned());
    let near = spelling::near(&word, KEYWORDS.iter().map(|row| row.words));
    Found::Unknown { word, near }
}

impl Keyword {
    /// `tune.*` stands for all that begins so.
    fn is_called(&self, text: &str) -> bool {
        match self.words.strip_suffix('*') {
            Some(prefix) => text.starts_with(prefix) && text.contains(' ') == prefix.contains(' '),
            None => self.words == text,
        }
    }

    /// Whether HAProxy takes it in sections that it is not for, and only warns.
    fn is_idle(&self, scope: Scope) -> bool {
        match scope {
            Scope::FRONTEND => IDLE_IN_FRONTENDS.contains(&self.words),
            Scope::BACKEND => IDLE_IN_BACKENDS.contains(&self.words),
            _ => false,
        }
    }
}

/// What HAProxy 3.2 warns of in a `frontend` section, having no backend there, and goes on without.
const IDLE_IN_FRONTENDS: &[&str] = &[
    "balance",
    "retries",
    "timeout connect",
    "timeout server",
    "timeout server-fin",
    "timeout tunnel",
    "timeout queue",
    "timeout check",
    "option httpchk",
    "option ssl-hello-chk",
    "option tcp-check",
    "option redispatch",
    "http-check send",
    "http-check expect",
    "http-check connect",
    "http-check disable-on-404",
    "tcp-check connect",
    "tcp-check send",
    "tcp-check send-binary",
    "tcp-check expect",
    "hash-type",
    "source",
    "fullconn",
    "srvtcpka-idle",
    "srvtcpka-intvl",
    "srvtcpka-cnt",
    "cookie",
    "dynamic-cookie-key",
    "dispatch",
    "stick",
    "max-keep-alive-queue",
];

/// What it warns of in a `backend` section, which has no frontend.
const IDLE_IN_BACKENDS: &[&str] = &[
    "bind",
    "maxconn",
    "backlog",
    "timeout client",
    "timeout client-fin",
    "timeout client-hs",
    "clitcpka-idle",
    "clitcpka-intvl",
    "clitcpka-cnt",
    "monitor fail",
    "rate-limit",
];

/// Whether a word begins a section.
pub fn is_section(word: &str) -> bool {
    matches!(word, "global" | "defaults" | "frontend" | "backend" | "listen") || is_other_section(word)
}

/// Whether a word begins a section that holds neither proxies nor their defaults.
pub fn is_other_section(word: &str) -> bool {
    SECTIONS.iter().any(|row| row.words == word)
}

/// The row of a section that holds neither proxies nor their defaults.
pub fn section(word: &str) -> &'static Keyword {
    SECTIONS.iter().find(|row| row.words == word).expect("only asked of a word that `is_section`")
}

const G: Scope = Scope::GLOBAL;
const F: Scope = Scope::FRONTEND;
const B: Scope = Scope::BACKEND;
const DF: Scope = Scope::DEFAULTS.and(F);
const DB: Scope = Scope::DEFAULTS.and(B);
const DFB: Scope = Scope::DEFAULTS.and(Scope::LISTEN);
const FB: Scope = Scope::LISTEN;

const fn honoured(words: &'static str, scope: Scope) -> Keyword {
    Keyword { words, scope, fate: Fate::Honoured }
}

const fn noted(words: &'static str, scope: Scope, why: &'static str) -> Keyword {
    Keyword { words, scope, fate: Fate::Noted(why) }
}

const fn refused(words: &'static str, scope: Scope, why: &'static str, instead: &'static str) -> Keyword {
    Keyword { words, scope, fate: Fate::Refused(why, instead) }
}

// ---- reasons ----

const UNIT: &str = "the systemd unit confines the process";
const NO_FORK: &str = "evenkeel is one process, and systemd's";
const TUNING: &str = "evenkeel's data path has other parts to tune";
const OWN_TLS: &str = "probes use rustls with its own modern defaults";
const NO_HTTP: &str = "it is about HTTP, and sessions are passed on as bytes";
const LUA: &str = "there is no Lua";
const ANY_THREADS: &str = "there is a worker for each core";
const PLAIN: &str = "evenkeel passes TCP on and looks into no request";
const LEAVE_OUT: &str = "remove the line, or keep HAProxy for this section";

/// Sections beside proxies and their defaults.
pub const SECTIONS: &[Keyword] = &[
    noted("resolvers", G, "names are looked up by the system's resolver, every 30 s"),
    noted("peers", G, "counters per source are not shared between hosts"),
    noted("mailers", G, "there is no mail; events are at /api/v1/events and in the log"),
    noted("cache", G, NO_HTTP),
    noted("http-errors", G, NO_HTTP),
    noted("fcgi-app", G, NO_HTTP),
    noted("crt-store", G, "sessions stay encrypted from end to end"),
    noted("traces", G, "`evenkeel debug` traces single sources instead"),
    noted("program", G, NO_FORK),
    refused("ring", G, "there are no rings", "send the log to a syslog receiver or to stdout"),
    refused("log-forward", G, "evenkeel forwards no logs", "let rsyslog or the journal do it"),
    noted("log-profile", G, "log lines have the formats of docs/logging.md"),
    refused(
        "userlist",
        G,
        "passwords are named by `stats auth`",
        "write `stats auth USER:PASSWORD` in the stats section",
    ),
    noted("acme", G, "sessions stay encrypted from end to end"),
];

/// All keywords, those of `global` first.
pub const KEYWORDS: &[Keyword] = &[
    // ---- global ----
    honoured("maxconn", G),
    honoured("log", G),
    honoured("log-tag", G),
    honoured("stats socket", G),
    honoured("stats timeout", G),
    honoured("hard-stop-after", G),
    honoured("ssl-server-verify", G),
    honoured("ca-base", G),
    honoured("crt-base", G),
    honoured("setenv", G),
    honoured("presetenv", G),
    honoured("unsetenv", G),
    honoured("resetenv", G),
    noted("chroot", G, UNIT),
    noted("user", G, UNIT),
    noted("group", G, UNIT),
    noted("uid", G, UNIT),
    noted("gid", G, UNIT),
    noted("setcap", G, UNIT),
    noted("daemon", G, NO_FORK),
    noted("pidfile", G, NO_FORK),
    noted("master-worker", G, NO_FORK),
    noted("mworker-max-reloads", G, NO_FORK),
    noted("nbproc", G, NO_FORK),
    noted("nbthread", G, ANY_THREADS),
    noted("thread-groups", G, ANY_THREADS),
    noted("thread-group", G, ANY_THREADS),
    noted("thread-hard-limit", G, ANY_THREADS),
    noted("cpu-map", G, ANY_THREADS),
    noted("cpu-policy", G, ANY_THREADS),
    noted("cpu-set", G, ANY_THREADS),
    noted("numa-cpu-mapping", G, ANY_THREADS),
    noted("ulimit-n", G, "the limit of open files is raised to what the system allows"),
    noted("fd-hard-limit", G, "the limit of open files is raised to what the system allows"),
    noted("prealloc-fd", G, TUNING),
    noted("maxsslconn", G, "sessions stay encrypted from end to end"),
    noted("maxsslrate", G, "sessions stay encrypted from end to end"),
    noted("maxpipes", G, "pipes are made and kept as they are needed"),
    noted("maxcomprate", G, NO_HTTP),
    noted("maxcompcpuusage", G, NO_HTTP),
    noted("maxzlibmem", G, NO_HTTP),
    refused(
        "maxconnrate",
        G,
        "there is no limit of new sessions for the whole process",
        "limit each source: `rate_per_source` in TOML (`evenkeel import` makes it)",
    ),
    refused(
        "maxsessrate",
        G,
        "there is no limit of new sessions for the whole process",
        "limit each source: `rate_per_source` in TOML (`evenkeel import` makes it)",
    ),
    noted("nosplice", G, "bulk data goes through splice where that is faster"),
    noted("noepoll", G, TUNING),
    noted("nopoll", G, TUNING),
    noted("noevports", G, TUNING),
    noted("nokqueue", G, TUNING),
    noted("noreuseport", G, "all workers share one socket for each address"),
    noted("nogetaddrinfo", G, TUNING),
    noted("no-memory-trimming", G, TUNING),
    noted("busy-polling", G, TUNING),
    noted("spread-checks", G, "probes of one host share a schedule, and hosts are spread over it"),
    noted("max-spread-checks", G, "probes of one host share a schedule"),
    noted("server-state-base", G, "health is kept over a reload"),
    noted("server-state-file", G, "health is kept over a reload"),
    noted("stats-file", G, "counters are kept over reloads and upgrades"),
    noted("stats bind-process", G, NO_FORK),
    noted("stats maxconn", G, "the socket takes ten at a time"),
    noted("strict-limits", G, "a limit that can't be held is said, and the process starts"),
    noted("tune.*", G, TUNING),
    noted("profiling.*", G, TUNING),
    noted("ssl-default-bind-*", G, "sessions stay encrypted from end to end"),
    noted("ssl-default-server-*", G, OWN_TLS),
    noted("ssl-dh-param-file", G, OWN_TLS),
    noted("ssl-engine", G, OWN_TLS),
    noted("ssl-load-extra-files", G, OWN_TLS),
    noted("ssl-load-extra-del-ext", G, OWN_TLS),
    noted("ssl-mode-async", G, OWN_TLS),
    noted("ssl-propquery", G, OWN_TLS),
    noted("ssl-provider", G, OWN_TLS),
    noted("ssl-provider-path", G, OWN_TLS),
    noted("ssl-security-level", G, OWN_TLS),
    noted("ssl-skip-self-issued-ca", G, OWN_TLS),
    noted("issuers-chain-path", G, OWN_TLS),
    noted("key-base", G, OWN_TLS),
    noted("ocsp-update.*", G, OWN_TLS),
    noted("httpclient.*", G, "nothing asks by HTTP but probes"),
    noted("h1-*", G, NO_HTTP),
    noted("h2-workaround-bogus-websocket-clients", G, NO_HTTP),
    noted("http-err-codes", G, NO_HTTP),
    noted("http-fail-codes", G, NO_HTTP),
    noted("51degrees-*", G, NO_HTTP),
    noted("wurfl-*", G, NO_HTTP),
    noted("deviceatlas-*", G, NO_HTTP),
    noted("description", G, "it is shown nowhere"),
    noted("node", G, "the host's own name is shown"),
    noted("cluster-secret", G, "counters per source are not shared between hosts"),
    noted("acme.*", G, "sessions stay encrypted from end to end"),
    noted("localpeer", G, "counters per source are not shared between hosts"),
    noted("log-send-hostname", G, "a receiver on this host knows it, and another one the address"),
    noted("quiet", G, "there is nothing to quieten"),
    noted("zero-warning", G, "`evenkeel check` tells all of them"),
    noted("expose-experimental-directives", G, "it only unlocks others"),
    noted("expose-deprecated-directives", G, "it only unlocks others"),
    noted("insecure-fork-wanted", G, NO_FORK),
    noted("insecure-setuid-wanted", G, NO_FORK),
    noted("external-check", G, "no program is run for a check"),
    noted("default-path", G, "paths are relative to the file"),
    noted("limited-quic", G, NO_HTTP),
    noted("no-quic", G, NO_HTTP),
    noted("harden.*", G, TUNING),
    noted("dns-accept-family", G, "names are looked up by the system's resolver"),
    noted("grace", G, "a stop accepts until its phase of preemption ends"),
    noted("close-spread-time", G, "the sessions that are left are closed evenly"),
    noted("warn-blocked-traffic-after", G, TUNING),
    noted("stress-level", G, TUNING),
    noted("force-cfg-parser-pause", G, TUNING),
    honoured("unix-bind", G),
    noted("anonkey", G, "nothing is made anonymous"),
    refused("lua-*", G, LUA, LEAVE_OUT),
    noted("set-dumpable", G, TUNING),
    noted("set-var", G, "variables of the process are used by no rule"),
    noted("set-var-fmt", G, "variables of the process are used by no rule"),
    noted("pp2-never-send-local", G, "checks say LOCAL, as the protocol has it"),
    // ---- proxies ----
    honoured("mode", DFB),
    honoured("bind", F),
    honoured("maxconn", DF),
    honoured("backlog", DF),
    honoured("default_backend", DF),
    honoured("acl", FB),
    honoured("use_backend", F),
    honoured("tcp-request connection", F),
    honoured("tcp-request session", F),
    honoured("tcp-request content", F),
    honoured("tcp-request inspect-delay", F),
    honoured("balance", DB),
    honoured("server", B),
    honoured("default-server", DB),
    honoured("retries", DB),
    honoured("timeout connect", DB),
    honoured("timeout client", DF),
    honoured("timeout server", DB),
    honoured("timeout tunnel", DB),
    honoured("timeout client-fin", DF),
    honoured("timeout client-hs", DF),
    honoured("timeout server-fin", DB),
    honoured("timeout queue", DB),
    honoured("timeout check", DB),
    honoured("log", DFB),
    honoured("log-tag", DFB),
    honoured("id", FB),
    refused(
        "disabled",
        FB,
        "a section that stands there is served",
        "remove the section, or write `#` before its lines",
    ),
    noted("enabled", DFB, "a section that stands there is served"),
    honoured("option tcplog", DFB),
    honoured("option httplog", DFB),
    honoured("option dontlognull", DF),
    honoured("option dontlog-normal", DF),
    honoured("option logasap", DF),
    honoured("option log-separate-errors", DF),
    honoured("log-format", DF),
    refused(
        "log-format-sd",
        DF,
        "structured data has the fields of docs/logging.md",
        "take it out, or write `log-format` for the line itself",
    ),
    noted("error-log-format", DF, "a session that ends by an error has its frontend's line"),
    noted("log-steps", DF, "a session has one line, or one when it is connected with `option logasap`"),
    honoured("option tcpka", DFB),
    honoured("option clitcpka", DF),
    honoured("option srvtcpka", DB),
    honoured("option tcp-check", DB),
    honoured("option httpchk", DB),
    honoured("option ssl-hello-chk", DB),
    honoured("option redispatch", DB),
    honoured("option allbackups", DB),
    honoured("option log-health-checks", DB),
    honoured("hash-type", DB),
    honoured("source", DB),
    honoured("clitcpka-idle", DF),
    honoured("clitcpka-intvl", DF),
    honoured("clitcpka-cnt", DF),
    honoured("srvtcpka-idle", DB),
    honoured("srvtcpka-intvl", DB),
    honoured("srvtcpka-cnt", DB),
    honoured("http-check expect", DB),
    honoured("http-check send", DB),
    honoured("http-check disable-on-404", DB),
    honoured("http-check connect", DB),
    noted("http-check comment", DB, "it is for whoever reads the file"),
    refused("http-check send-state", DB, "a check says nothing of the server's state", LEAVE_OUT),
    refused("http-check set-var", DB, "a check has no variables", LEAVE_OUT),
    refused("http-check set-var-fmt", DB, "a check has no variables", LEAVE_OUT),
    refused("http-check unset-var", DB, "a check has no variables", LEAVE_OUT),
    honoured("tcp-check connect", DB),
    honoured("tcp-check send", DB),
    honoured("tcp-check send-binary", DB),
    honoured("tcp-check expect", DB),
    honoured("tcp-check comment", DB),
    refused("tcp-check send-lf", DB, "a check sends what the file says", "write `tcp-check send`"),
    refused("tcp-check send-binary-lf", DB, "a check sends what the file says", "write `tcp-check send-binary`"),
    refused("tcp-check set-var", DB, "a check has no variables", LEAVE_OUT),
    refused("tcp-check set-var-fmt", DB, "a check has no variables", LEAVE_OUT),
    refused("tcp-check unset-var", DB, "a check has no variables", LEAVE_OUT),
    honoured("fullconn", DB),
    noted("hash-balance-factor", DB, "a source has the same server as long as that is usable"),
    honoured("stats enable", DFB),
    honoured("stats uri", DFB),
    honoured("stats auth", DFB),
    honoured("stats realm", DFB),
    honoured("stats refresh", DFB),
    honoured("stats hide-version", DFB),
    honoured("stats show-legends", DFB),
    honoured("stats scope", DFB),
    honoured("stats admin", FB),
    honoured("monitor-uri", DF),
    honoured("monitor fail", F),
    honoured("http-request use-service", DFB),
    noted("stats show-node", DFB, "the page shows it"),
    noted("stats show-desc", DFB, "the page has a headline of its own"),
    noted("stats show-modules", DFB, "there are no modules"),
    noted("timeout http-request", DFB, NO_HTTP),
    noted("timeout http-keep-alive", DFB, NO_HTTP),
    noted("timeout tarpit", DFB, NO_HTTP),
    noted("option splice-auto", DFB, "bulk data goes through splice where that is faster"),
    noted("option splice-request", DFB, "bulk data goes through splice where that is faster"),
    noted("option splice-response", DFB, "bulk data goes through splice where that is faster"),
    noted("option contstats", DF, "counters always go on while a session lives"),
    noted("option tcp-smart-accept", DF, "the kernel's own way is as good by now"),
    noted("option tcp-smart-connect", DB, "the kernel's own way is as good by now"),
    noted("option socket-stats", DF, "a frontend's figures are those of all its sockets"),
    noted("option http-server-close", DFB, NO_HTTP),
    noted("option http-keep-alive", DFB, NO_HTTP),
    noted("option httpclose", DFB, NO_HTTP),
    noted("option forceclose", DFB, NO_HTTP),
    noted("option http-tunnel", DFB, NO_HTTP),
    noted("option forwardfor", DFB, NO_HTTP),
    noted("option forwarded", DFB, NO_HTTP),
    noted("option originalto", DFB, NO_HTTP),
    noted("option http-no-delay", DFB, NO_HTTP),
    noted("option http-pretend-keepalive", DB, NO_HTTP),
    noted("option http-use-htx", DFB, NO_HTTP),
    noted("option http-use-proxy-header", DF, NO_HTTP),
    noted("option http-ignore-probes", DF, NO_HTTP),
    noted("option http-buffer-request", DFB, NO_HTTP),
    noted("option http-restrict-req-hdr-names", DFB, NO_HTTP),
    noted("option accept-invalid-http-request", DFB, NO_HTTP),
    noted("option accept-invalid-http-response", DFB, NO_HTTP),
    noted("option h1-case-adjust-bogus-client", DF, NO_HTTP),
    noted("option h1-case-adjust-bogus-server", DB, NO_HTTP),
    noted("option disable-h2-upgrade", DF, NO_HTTP),
    noted("option idle-close-on-response", DF, NO_HTTP),
    noted("option checkcache", DB, NO_HTTP),
    noted("option prefer-last-server", DB, NO_HTTP),
    noted("http-reuse", DFB, NO_HTTP),
    noted("compression", DFB, NO_HTTP),
    noted("errorfile", DFB, NO_HTTP),
    noted("errorfiles", DFB, NO_HTTP),
    noted("errorloc", DFB, NO_HTTP),
    noted("errorloc302", DFB, NO_HTTP),
    noted("errorloc303", DFB, NO_HTTP),
    noted("http-error", DFB, NO_HTTP),
    noted("description", FB, "it is shown nowhere"),
    noted("unique-id-format", DFB, NO_HTTP),
    noted("unique-id-header", DFB, NO_HTTP),
    noted("guid", FB, "counters are kept over reloads by name"),
    noted("load-server-state-from-file", DFB, "health is kept over a reload"),
    noted("server-state-file-name", DFB, "health is kept over a reload"),
    noted("max-keep-alive-queue", DB, NO_HTTP),
    noted("email-alert", DFB, "there is no mail; events are at /api/v1/events and in the log"),
    noted("max-session-srv-conns", DF, NO_HTTP),
    noted("http-send-name-header", DB, NO_HTTP),
    noted("bind-process", DFB, NO_FORK),
    noted("monitor-net", DFB, "HAProxy itself takes it no more"),
    noted("grace", DFB, "a stop accepts until its phase of preemption ends"),
    refused(
        "use-server",
        B,
        "a server is chosen by the balance method alone",
        "give that server a backend of its own and `use_backend`",
    ),
    refused("http-request", DFB, PLAIN, LEAVE_OUT),
    refused("stats http-request", DFB, "who may look is named by `stats auth`", "write `stats auth USER:PASSWORD`"),
    refused("http-response", DFB, PLAIN, LEAVE_OUT),
    refused("http-after-response", DFB, PLAIN, LEAVE_OUT),
    refused("redirect", FB, PLAIN, LEAVE_OUT),
    refused("cookie", DB, PLAIN, "balance by `source` where a client must come back to its server"),
    refused("dynamic-cookie-key", DB, PLAIN, LEAVE_OUT),
    refused(
        "rate-limit",
        DF,
        "there is no limit of new sessions for a whole frontend",
        "limit each source: `rate_per_source` in TOML (`evenkeel import` makes it)",
    ),
    refused("option transparent", DB, "a client's own destination is not where its session goes", "name the servers"),
    refused("option persist", DB, "there are no cookies to persist by", LEAVE_OUT),
    refused("option mysql-check", DB, "evenkeel checks control planes", "use a plain TCP check"),
    refused("option pgsql-check", DB, "evenkeel checks control planes", "use a plain TCP check"),
    refused("option redis-check", DB, "evenkeel checks control planes", "use a plain TCP check"),
    refused("option smtpchk", DB, "evenkeel checks control planes", "use a plain TCP check"),
    refused("option ldap-check", DB, "evenkeel checks control planes", "use a plain TCP check"),
    refused("option spop-check", DB, "evenkeel checks control planes", "use a plain TCP check"),
    refused("option external-check", DB, "no program is run for a check", "use a TLS or HTTP check"),
    refused("external-check", DB, "no program is run for a check", "use a TLS or HTTP check"),
    refused("dispatch", B, "sessions go to servers", "write a `server` line"),
    refused("server-template", B, "servers are named one by one", "write a `server` line for each"),
    refused("filter", FB, "there are no filters", LEAVE_OUT),
    refused("use-fcgi-app", B, PLAIN, LEAVE_OUT),
    refused("capture", DFB, PLAIN, LEAVE_OUT),
    refused("declare", DFB, PLAIN, LEAVE_OUT),
    refused("force-persist", FB, PLAIN, LEAVE_OUT),
    refused("ignore-persist", FB, PLAIN, LEAVE_OUT),
    refused("tcp-response", DB, "what a server says is passed on as it is", LEAVE_OUT),
    refused(
        "stick",
        B,
        "sessions follow the balance method",
        "write `balance source` instead: a source has the same server as long as that is usable",
    ),
    honoured("stick-table", FB),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_keyword_has_two_fates_in_one_section() {
        let mut seen = HashSet::new();
        for row in KEYWORDS {
            for scope in [G, Scope::DEFAULTS, F, B] {
                assert!(!row.scope.meets(scope) || seen.insert((row.words, scope.0)), "{} twice", row.words);
            }
        }
    }

    #[test]
    fn the_longer_keyword_counts_and_one_at_the_wrong_place_is_told() {
        let name = |words: &[&str], scope| match find(words, scope) {
            Found::Keyword(row, length) => format!("{} {length}", row.words),
            Found::Elsewhere { word, sections } => format!("{word} in {sections}"),
            Found::Idle { word, sections } => format!("{word} does nothing, but in {sections}"),
            Found::Unknown { word, near } => format!("{word}? {}", near.unwrap_or("-")),
        };
        assert_eq!(name(&["timeout", "connect"], B), "timeout connect 2");
        assert_eq!(name(&["maxconn", "3000"], G), "maxconn 1");
        assert_eq!(name(&["tune.ssl.lifetime", "3"], G), "tune.* 1");
        assert_eq!(name(&["bind", ":1"], G), "bind in frontend");
        assert_eq!(name(&["bind", ":1"], B), "bind does nothing, but in frontend");
        assert_eq!(name(&["balance", "first"], F), "balance does nothing, but in defaults, backend");
        assert_eq!(name(&["frobnicate", "x"], F), "frobnicate? -");
        assert_eq!(name(&["option", "tcp-log"], F), "option tcp-log? option tcplog");
        assert_eq!(name(&["balanc", "x"], B), "balanc? balance");
    }
}
