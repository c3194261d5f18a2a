//! A `frontend` section, or the front of a `listen` section.

use super::super::mistake::Mistakes;
use super::super::read::Span;
use std::collections::HashSet;

use super::bind;
use super::cfg::{Kind, Proxy, Statement};
use super::compose::Composer;
use super::document::Section;
use super::log;
use super::rules;
use super::service;
use super::unix::Files;

/// As TOML.
pub fn compose(proxy: &Proxy, number: u32, composer: &mut Composer<'_>) -> Section {
    let mut section = Section::new("[[frontend]]", Some(proxy.at));
    section.text("name", &proxy.name.text, Some(proxy.name.span));
    section.set("id", number, Some(proxy.at));
    listen(proxy, &mut section, composer);
    backend(proxy, &mut section, composer);
    let mut limit = |keyword: &str, high: u64| {
        let statement = proxy.last(keyword).filter(|statement| !statement.is_zero())?;
        composer.number(statement, 1, high)
    };
    let (sessions, backlog) = (limit("maxconn", 10_000_000), limit("backlog", 65_535));
    if let Some((sessions, at)) = sessions {
        section.set("max_sessions", sessions, Some(at));
    }
    if let Some((backlog, at)) = backlog {
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
        listen.extend(bind::read(statement, &composer.files, composer.choice.lenient, composer.mistakes));
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
    if composer.as_haproxy() {
        bind::part(&mut listen, &composer.wide, composer.mistakes);
    } else {
        listen.iter_mut().for_each(bind::Listen::take_both_families);
        bind::part(&mut listen, &HashSet::new(), composer.mistakes);
    }
    let addresses: Vec<_> = listen.iter().map(bind::Listen::literal).collect();
    let addresses = format!("[{}]", addresses.join(", "));
    match is_bare && composer.as_haproxy() {
        true => section.remarked("listen", addresses, Some(at), "evenkeel's way, \":6443\": IPv6 comes in, too"),
        false => section.set("listen", addresses, Some(at)),
    }
}

fn backend(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let Some(name) = proxy.last("default_backend").and_then(|statement| statement.arguments.first()) else {
        let own = proxy.kind == Kind::Listen && proxy.own("server").next().is_some();
        // Whom none of its `use_backend` lines leads anywhere is closed.
        if own || proxy.own("use_backend").next().is_none() {
            section.text("backend", &rest(proxy, composer), Some(proxy.name.span));
        }
        return;
    };
    if proxy.kind == Kind::Listen && name.text == proxy.name.text {
        let what = format!("listen {} leads to itself", name.text);
        composer.wrong(name.span, what, "remove the line: its own servers are what it leads to");
    }
    section.text("backend", &name.text, Some(name.span));
}

/// The backend of sessions that no `use_backend` leads elsewhere, if there is no `default_backend`: the section's own, or
/// one without servers, which closes them.
fn rest(proxy: &Proxy, composer: &Composer<'_>) -> String {
    let name = &proxy.name.text;
    if proxy.kind == Kind::Frontend && composer.backends.contains(name.as_str()) {
        format!("{name}.none")
    } else {
        name.clone()
    }
}

/// That backend of a `frontend` section, as TOML.
pub fn without_backend(proxy: &Proxy, number: u32, composer: &Composer<'_>) -> Option<Section> {
    let leads = proxy.last("default_backend").is_some() || proxy.own("use_backend").next().is_some();
    if proxy.kind != Kind::Frontend || leads {
        return None;
    }
    let mut section = Section::new("[[backend]]", Some(proxy.at));
    let name = rest(proxy, composer);
    section.text("name", &name, Some(proxy.name.span));
    if name == proxy.name.text {
        // One proxy, as it is for HAProxy.
        section.set("id", number, Some(proxy.at));
    }
    section.set("servers", "[]", Some(proxy.at));
    Some(section)
}

/// Where it listens, as far as that can be read, and `most` of it.
pub fn listeners(proxy: &Proxy, most: usize) -> Vec<bind::Listen> {
    let read = |statement: &Statement| bind::read(statement, &Files::default(), true, &mut Mistakes::default());
    proxy.own("bind").flat_map(read).take(most).collect()
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
