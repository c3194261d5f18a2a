//! Who can come in, who can look, and what is written down of it.

use std::net::IpAddr;

use super::super::super::finding::Finding;
use super::super::super::mistake::Mistakes;
use super::super::acl;
use super::super::argument::{self, Address};
use super::super::bind;
use super::super::cfg::{Proxy, Statement};
use super::view::{View, standing};
use crate::model::condition::{Term, Test};

/// Listeners that take no IPv6.
pub fn ipv4_only(view: &View<'_>) -> Option<Finding> {
    let binds: Vec<&Statement> = view.frontends.iter().flat_map(|proxy| proxy.own("bind")).collect();
    let only = binds.iter().copied().filter(|line| bare(line).is_some());
    let port = only.clone().find_map(|line| bare(line)?.rsplit(':').next()).unwrap_or("6443");
    let fix = format!("write `bind :::{port} v4v6`, which takes both");
    standing(only.map(|bind| bind.at), "HAProxy takes this for IPv4 alone", &fix)
}

/// A page that anybody may read.
pub fn open_stats(view: &View<'_>) -> Option<Finding> {
    let pages = view.cfg.proxies.iter().filter(|proxy| proxy.is_http() && proxy.is_page());
    let open = pages.filter(|proxy| proxy.every("stats auth").next().is_none());
    let reachable = |bind: &&Statement| addresses(bind).any(|address| !is_local(address.host));
    let open: Vec<&Proxy> = open.filter(|proxy| proxy.own("bind").any(|bind| reachable(&bind))).collect();
    let may = if open.iter().any(|proxy| lets_strangers_act(proxy)) { ", and takes it out" } else { "" };
    standing(
        open.iter().flat_map(|proxy| proxy.own("bind")).filter(reachable).map(|bind| bind.at),
        &format!("whoever reaches this port sees every server{may}, and no password is asked"),
        "write `bind 127.0.0.1:9000`, or add `stats auth USER:PASSWORD`",
    )
}

/// Whether `stats admin` is for others than those at certain addresses.
fn lets_strangers_act(proxy: &Proxy) -> bool {
    // What is wrong with them has been said.
    let read = |line: &Statement| acl::condition(proxy, &line.arguments, line.at, &mut Mistakes::default());
    let is_of_some = |term: &Term| !term.negated && matches!(term.test, Test::Source(_) | Test::Never);
    let conditions = proxy.own("stats admin").filter_map(read);
    conditions.flat_map(|condition| condition.any).any(|terms| !terms.iter().any(is_of_some))
}

/// A log format for requests, where there are none.
pub fn httplog_in_tcp(view: &View<'_>) -> Option<Finding> {
    let formats = logging(view).filter_map(format);
    standing(
        formats.filter(|statement| statement.keyword.words == "option httplog").map(|statement| statement.at),
        "in mode tcp there are no requests to log: HAProxy warns, and writes `option tcplog`'s lines",
        "write `option tcplog`",
    )
}

/// Lines that come when a watch has ended, days later.
pub fn log_at_end(view: &View<'_>) -> Option<Finding> {
    let late = logging(view).filter(|proxy| proxy.last("option logasap").is_none());
    standing(
        late.filter_map(format).map(|statement| statement.at),
        "a session is logged when it ends, a watch hours or days later: in an incident the log says nothing of it",
        "add `option logasap`: a session is logged as soon as it is connected",
    )
}

/// The frontends whose sessions are logged.
fn logging<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Proxy> {
    view.frontends.iter().copied().filter(|proxy| proxy.every("log").next().is_some())
}

fn format(proxy: &Proxy) -> Option<&Statement> {
    proxy.last_of(&["option tcplog", "option httplog"])
}

/// The IP addresses of a `bind` line.
fn addresses(bind: &Statement) -> impl Iterator<Item = Address<'_>> {
    texts(bind).filter(|text| !text.starts_with("fd@")).filter_map(|text| argument::address(text).ok())
}

/// The first that names neither an address nor a family.
fn bare(bind: &Statement) -> Option<&str> {
    texts(bind).find(|text| bind::is_bare(text))
}

fn texts(bind: &Statement) -> impl Iterator<Item = &str> {
    bind.arguments.first().into_iter().flat_map(|word| word.text.split(','))
}

/// Whether only this host reaches it.
pub fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
