//! A `frontend` section, or the front of a `listen` section.

use super::super::mistake::Mistakes;
use super::super::read::Span;
use super::bind;
use super::compose::Composer;
use super::document::Section;
use super::file::{Kind, Proxy, Statement};
use super::log;
use super::rules;
use super::service;

/// As TOML.
pub fn compose(proxy: &Proxy, number: u32, composer: &mut Composer<'_>) -> Section {
    let mut section = Section::new("[[frontend]]", Some(proxy.at));
    section.text("name", &proxy.name.text, Some(proxy.name.span));
    section.set("id", number, Some(proxy.at));
    listen(proxy, &mut section, composer);
    backend(proxy, &mut section, composer);
    if let Some((sessions, at)) = proxy.last("maxconn").and_then(|maxconn| composer.number(maxconn, 1, 10_000_000)) {
        section.set("max_sessions", sessions, Some(at));
    }
    if let Some((backlog, at)) = proxy.last("backlog").and_then(|backlog| composer.number(backlog, 1, 65_535)) {
        section.set("backlog", backlog, Some(at));
    }
    if let Some((time, at)) = composer.time(proxy, "timeout client") {
        section.wait("timeouts.client", time, Some(at));
    }
    log::sessions(proxy, &mut section, composer);
    if composer.as_haproxy() {
        let remark = "evenkeel's way, true: a client learns at once that its server has reset the session";
        section.instead("reset_clients", false, remark);
    }
    rules::waits(proxy, &mut section, composer);
    match keepalive(proxy, "option clitcpka") {
        Some(at) => service::keepalive(proxy, "clitcpka", "client_keepalive", at, &mut section, composer),
        None if composer.as_haproxy() => {
            section.instead(
                "client_keepalive",
                "\"off\"",
                "evenkeel's way: a client that is gone is found within a minute",
            );
        }
        None => {}
    }
    section
}

fn listen(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let mut listen = Vec::new();
    for statement in proxy.own("bind") {
        listen.extend(bind::read(statement, composer.choice.lenient, composer.mistakes));
    }
    let Some(first) = listen.first() else {
        if proxy.own("bind").next().is_none() {
            composer.wrong(
                proxy.at,
                format!("{} {} listens nowhere", proxy.kind.word(), proxy.name.text),
                "add a `bind` line",
            );
        }
        return;
    };
    let at = first.at;
    let is_bare = listen.iter().any(|listen| listen.is_bare);
    if !composer.as_haproxy() {
        listen.iter_mut().for_each(bind::Listen::take_both_families);
    }
    let addresses: Vec<_> = listen.iter().map(bind::Listen::literal).collect();
    let addresses = format!("[{}]", addresses.join(", "));
    match is_bare && composer.as_haproxy() {
        true => section.remarked("listen", addresses, Some(at), "evenkeel's way, \":6443\": IPv6 comes in, too"),
        false => section.set("listen", addresses, Some(at)),
    }
}

fn backend(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let own = proxy.kind == Kind::Listen && proxy.own("server").next().is_some();
    match proxy.last("default_backend").and_then(|statement| statement.arguments.first()) {
        Some(name) => section.text("backend", &name.text, Some(name.span)),
        None if own => section.text("backend", &proxy.name.text, Some(proxy.name.span)),
        // Whom none of these lines leads anywhere is closed.
        None if proxy.own("use_backend").next().is_some() => {}
        None => {
            let what = format!("{} {} leads to no backend", proxy.kind.word(), proxy.name.text);
            composer.wrong(proxy.at, what, "add a `default_backend` line");
        }
    }
}

/// The ports that it listens on, as far as they are known.
pub fn ports(proxy: &Proxy) -> Vec<u16> {
    let ports = |statement: &Statement| bind::read(statement, true, &mut Mistakes::default());
    proxy.own("bind").flat_map(ports).filter_map(|listen| listen.port).collect()
}

/// The backends that it may lead to.
pub fn backends(proxy: &Proxy) -> Vec<String> {
    let named = proxy.last("default_backend").into_iter().chain(proxy.every("use_backend"));
    let named = named.filter_map(|statement| Some(statement.arguments.first()?.text.clone()));
    named.chain(proxy.kind.has_backend().then(|| proxy.name.text.clone())).collect()
}

/// Where keepalive is wanted, by the option of one side or that of both.
pub fn keepalive(proxy: &Proxy, side: &str) -> Option<Span> {
    proxy.last(side).or_else(|| proxy.last("option tcpka")).map(|statement| statement.at)
}
