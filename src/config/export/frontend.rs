//! `frontend` sections: who comes in, by which door, under which rules, to which backend.

use std::time::Duration;

use super::process::owner;
use super::writer::{Writer, time, word};
use super::{backend, is_one, log, tables};
use crate::model::condition::{Compare, Condition, NamePart, NamePattern, Term, Test};
use crate::model::{
    AcceptProxy, Config, Descriptor, Dialect, Frontend, Keepalive, Listen, ListenAddress, Network, Rule, RuleStage,
    RuleVerdict, Track,
};

pub fn write(frontend: &Frontend, config: &Config, out: &mut Writer) {
    let own = config.backends.iter().find(|backend| is_one(frontend, backend));
    out.section(&format!("{} {}", if own.is_some() { "listen" } else { "frontend" }, frontend.name));
    out.line(format!("id {}", frontend.id));
    for listen in &frontend.listen {
        match address(listen.address) {
            Some(address) => out.line(bind(&address, listen, frontend.freebind)),
            None => out.cannot(format!("bind {listen}: {}", unnamed(listen.address))),
        }
    }
    if let Some(sessions) = frontend.max_sessions {
        out.line(format!("maxconn {sessions}"));
    }
    out.line(format!("backlog {}", frontend.backlog));
    if let Some(timeout) = frontend.client_timeout.or_else(|| unlimited(config)) {
        out.line(format!("timeout client {}", time(timeout)));
    }
    if let Some(half_close) = config.backend(&frontend.backend).and_then(|backend| backend.timeouts.half_close) {
        out.line(format!("timeout client-fin {}", time(half_close)));
    }
    log::sessions(frontend, config, out);
    keepalive(frontend.keepalive, "clitcpka", out);
    sources(frontend, config, out);
    rules(frontend, config, out);
    if !frontend.closes_unrouted && own.is_none_or(|own| own.name != frontend.backend) {
        out.line(format!("default_backend {}", frontend.backend));
    }
    if let Some(own) = own {
        backend::body(own, config, out);
    }
}

/// What stands for no limit in a file of HAProxy's, which warns of one that states none: its longest time. A haproxy.cfg
/// has what it had.
pub fn unlimited(config: &Config) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(24 * 86_400);
    (config.dialect == Dialect::Toml).then_some(LONGEST)
}

/// Where a socket is bound; `None` for one that HAProxy can't name.
pub fn address(listen: ListenAddress) -> Option<String> {
    Some(match listen {
        ListenAddress::DualStack { port } => format!(":::{port} v4v6"),
        ListenAddress::Tcp(address) if address.is_ipv6() => format!("{address} v6only"),
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Descriptor(Descriptor::Number(number)) => format!("fd@{number}"),
        ListenAddress::Descriptor(Descriptor::Name(_)) => return None,
        // A comma would begin another address.
        ListenAddress::Unix(path) => path.as_path().to_str().filter(|path| !path.contains(',')).map(unix)?,
    })
}

fn unix(path: &str) -> String {
    word(&format!("unix@{path}"))
}

/// Why HAProxy can't name a socket.
fn unnamed(listen: ListenAddress) -> &'static str {
    match listen {
        ListenAddress::Unix(_) => "HAProxy takes what follows a comma for another address",
        _ => "HAProxy knows sockets by their numbers alone",
    }
}

fn bind(address: &str, listen: &Listen, freebind: bool) -> String {
    let mut words = format!("bind {address}");
    let mut add = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            words.push_str(&format!(" {word}{value}"));
        }
    };
    add("name ", listen.name.as_deref().map(word));
    add("maxconn ", listen.max_sessions.map(|sessions| sessions.to_string()));
    add("backlog ", listen.backlog.map(|backlog| backlog.to_string()));
    add("interface ", listen.interface.as_deref().map(word));
    add("tcp-ut ", listen.user_timeout.map(time));
    add("accept-proxy", (listen.accept_proxy == AcceptProxy::Everybody).then(String::new));
    let is_unix = listen.file.is_some();
    add("transparent", (!is_unix && (listen.transparent || freebind)).then(String::new));
    if let Some(file) = &listen.file {
        words.push_str(&owner(file.mode, &file.user, &file.group));
    }
    words
}

/// Keepalive of one side, with its times.
pub fn keepalive(keepalive: Option<Keepalive>, side: &str, out: &mut Writer) {
    let Some(Keepalive { idle, interval, count }) = keepalive else { return };
    out.line(format!("option {side}"));
    out.line(format!("{side}-idle {}", time(idle)));
    out.line(format!("{side}-intvl {}", time(interval)));
    out.line(format!("{side}-cnt {count}"));
}

// ---- who may come in ----

/// Sources that a table keeps count of.
const TABLE: &str = "stick-table type ipv6 size 100k expire 1h store conn_cur,conn_rate(1s)";

fn sources(frontend: &Frontend, config: &Config, out: &mut Writer) {
    tables::own(frontend.name.as_str(), config, out);
    for listen in &frontend.listen {
        if let AcceptProxy::From(networks) = &listen.accept_proxy {
            out.line(format!("tcp-request connection expect-proxy layer4 if {{ src {} }}", addresses(networks)));
        }
    }
    let by_source = &frontend.by_source;
    if let Some(allow) = &by_source.allow {
        out.line(match allow.is_empty() {
            true => "tcp-request session reject".to_owned(),
            false => format!("tcp-request session reject unless {{ src {} }}", addresses(allow)),
        });
    }
    if !by_source.deny.is_empty() {
        out.line(format!("tcp-request session reject if {{ src {} }}", addresses(&by_source.deny)));
    }
    if by_source.max_sessions.is_none() && by_source.rate.is_none() {
        return;
    }
    let has_table = config.tables.iter().any(|table| table.name.as_str() == frontend.name.as_str());
    let Some(counter) = tables::free_counter(frontend).filter(|_| !has_table) else {
        return out.cannot("limits by source: the section's one table, or all counters of a session, are in use");
    };
    out.line(TABLE);
    out.line(format!("tcp-request session track-sc{counter} src"));
    for (limit, count) in [(by_source.max_sessions, "conn_cur"), (by_source.rate, "conn_rate")] {
        if let Some(limit) = limit {
            out.line(format!("tcp-request session reject if {{ sc{counter}_{count} gt {limit} }}"));
        }
    }
}

fn addresses(networks: &[Network]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

// ---- rules and routes ----

fn rules(frontend: &Frontend, config: &Config, out: &mut Writer) {
    let mut acls = Acls::of(out);
    for Rule { stage, when, verdict } in &frontend.rules {
        let stage = match stage {
            RuleStage::Connection => "connection",
            RuleStage::Session => "session",
            RuleStage::Content => "content",
        };
        let verdict = match verdict {
            RuleVerdict::Accept => "accept".to_owned(),
            RuleVerdict::Reject => "reject".to_owned(),
            RuleVerdict::ExpectProxy => "expect-proxy layer4".to_owned(),
            RuleVerdict::Track(Track { counter, table }) => format!("track-sc{counter} src table {table}"),
        };
        acls.rule(&format!("tcp-request {stage} {verdict}"), when);
    }
    waits(frontend, config, acls.out);
    for route in &frontend.routes {
        acls.rule(&format!("use_backend {}", route.backend), &route.when);
    }
}

/// How long is waited for a client's first bytes.
fn waits(frontend: &Frontend, config: &Config, out: &mut Writer) {
    let Some(delay) = frontend.inspect_delay else { return };
    let by_rules = frontend.rules.iter().any(|rule| rule.stage == RuleStage::Content);
    // HAProxy's routes don't wait for what they ask for; a file of its own says so by a rule.
    let by_routes = config.dialect == Dialect::Toml && frontend.routes.iter().any(|route| route.when.reads());
    if by_rules || by_routes {
        out.line(format!("tcp-request inspect-delay {}", time(delay)));
    }
    if by_routes {
        out.line("tcp-request content accept if { req.ssl_hello_type 1 } or WAIT_END");
    }
}

/// Lines with conditions.
pub struct Acls<'a> {
    out: &'a mut Writer,
    /// How many have been given a name.
    names: usize,
}

impl<'a> Acls<'a> {
    pub fn of(out: &'a mut Writer) -> Self {
        Self { out, names: 0 }
    }

    /// A line of which something depends on a condition.
    pub fn rule(&mut self, what: &str, when: &Condition) {
        if *when == Condition::always() && !["monitor fail", "stats admin"].contains(&what) {
            return self.out.line(what);
        }
        let lists: Vec<String> = when.any.iter().map(|terms| self.list(terms)).collect();
        self.out.line(match lists.is_empty() {
            true => format!("{what} if FALSE"),
            false => format!("{what} if {}", lists.join(" or ")),
        });
    }

    fn list(&mut self, terms: &[Term]) -> String {
        let words: Vec<String> = terms
            .iter()
            .map(|term| format!("{}{}", if term.negated { "!" } else { "" }, self.test(&term.test)))
            .collect();
        if words.is_empty() { "TRUE".to_owned() } else { words.join(" ") }
    }

    fn test(&mut self, test: &Test) -> String {
        match test {
            Test::Always => "TRUE".to_owned(),
            Test::Never => "FALSE".to_owned(),
            Test::Source(networks) => format!("{{ src {} }}", addresses(networks)),
            Test::Destination(networks) => format!("{{ dst {} }}", addresses(networks)),
            Test::DestinationPort(ports) => {
                let ports: Vec<String> =
                    ports.iter().map(|ports| format!("{}:{}", ports.start(), ports.end())).collect();
                format!("{{ dst_port {} }}", ports.join(" "))
            }
            Test::Sni(patterns) => self.names(patterns),
            Test::HelloType(kind) => format!("{{ req.ssl_hello_type {kind} }}"),
            Test::UsableServers { backend, compare, number } => {
                let compare = match compare {
                    Compare::Less => "lt",
                    Compare::AtMost => "le",
                    Compare::Equal => "eq",
                    Compare::AtLeast => "ge",
                    Compare::More => "gt",
                };
                format!("{{ nbsrv({backend}) {compare} {number} }}")
            }
            Test::Count { of, count, numbers } => tables::test(of, *count, numbers),
        }
    }

    /// Lines of one name hold if any of them does, each with a way of its own to compare.
    fn names(&mut self, patterns: &[NamePattern]) -> String {
        self.names += 1;
        let name = format!("sni_{}", self.names);
        for pattern in patterns {
            let part = match pattern.part {
                NamePart::Whole => "str",
                NamePart::Beginning => "beg",
                NamePart::End => "end",
                NamePart::Anywhere => "sub",
            };
            let case = if pattern.ignore_case { " -i" } else { "" };
            self.out.line(format!("acl {name} req.ssl_sni -m {part}{case} {}", word(&pattern.text)));
        }
        name
    }
}
