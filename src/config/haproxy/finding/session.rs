//! What becomes of sessions when a controller dies, and of those that are quiet.

use std::time::Duration;

use super::super::super::finding::Finding;
use super::super::cfg::Proxy;
use super::super::frontend::keepalive;
use super::view::{Backend, View, lacking, standing};

/// Sessions of a control plane are quiet for longer than this while all is well: a watch on what doesn't change,
/// `kubectl logs -f`, an agent of konnectivity.
const QUIET: Duration = Duration::from_secs(600);

/// A refused dial is repeated at the server that has refused it.
pub fn no_redispatch(view: &View<'_>) -> Option<Finding> {
    let several = view.backends.iter().filter(|backend| backend.servers.len() > 1);
    let stays = several.map(|backend| backend.proxy).filter(|proxy| proxy.last("option redispatch").is_none());
    lacking(
        stays,
        "a dial that is refused is repeated at the same dead server, then the client is dropped although others are well",
        "add `option redispatch 1`: each retry goes to another server",
    )
}

/// Who is connected to a server that has died stays so.
pub fn dead_sessions(view: &View<'_>) -> Option<Finding> {
    let keeps = |backend: &&Backend<'_>| {
        backend.servers.iter().any(|server| {
            let watched = server.options.has("check").is_some() || server.options.has("track").is_some();
            watched && !server.says("on-marked-down", "shutdown-sessions")
        })
    };
    lacking(
        view.backends.iter().filter(keeps).map(|backend| backend.proxy),
        "clients stay connected to a controller that is down until they notice it by themselves",
        "add `default-server on-marked-down shutdown-sessions`",
    )
}

/// A session of which one side is gone lives as long as a whole one.
pub fn half_closed(view: &View<'_>) -> Option<Finding> {
    let lives_on = |proxy: &&Proxy, fin: &str, timeouts: &[&str]| {
        let short = timeouts.iter().filter_map(|keyword| proxy.stated_time(keyword)).any(|(time, _)| time <= QUIET);
        proxy.last(fin).is_none() && !short
    };
    let frontends =
        view.frontends.iter().copied().filter(|proxy| lives_on(proxy, "timeout client-fin", &["timeout client"]));
    let backends = view.backends.iter().map(|backend| backend.proxy);
    let backends =
        backends.filter(|proxy| lives_on(proxy, "timeout server-fin", &["timeout tunnel", "timeout server"]));
    lacking(
        frontends.chain(backends),
        "a session that one side has ended is kept for as long as one that both use",
        "add `timeout client-fin 30s` and `timeout server-fin 30s`",
    )
}

/// A peer that has lost its power is never asked.
pub fn no_keepalive(view: &View<'_>) -> Option<Finding> {
    let frontends = view.frontends.iter().copied().filter(|proxy| keepalive(proxy, "option clitcpka").is_none());
    let backends = view.backends.iter().map(|backend| backend.proxy);
    let backends = backends.filter(|proxy| keepalive(proxy, "option srvtcpka").is_none());
    lacking(
        frontends.chain(backends),
        "a peer that lost its power or its route is never asked, and its sessions count for ever",
        "add `option clitcpka` and `option srvtcpka`",
    )
}

/// Sessions are cut that are only quiet.
pub fn short_timeouts(view: &View<'_>) -> Option<Finding> {
    let short = |proxy: &Proxy, keyword: &str| {
        proxy.stated_time(keyword).filter(|(time, _)| *time < QUIET).map(|(_, statement)| statement.at)
    };
    let mut places = Vec::new();
    for backend in view.backends.iter().map(|backend| backend.proxy) {
        // In mode tcp it takes the place of the two others.
        if backend.last("timeout tunnel").is_some() {
            places.extend(short(backend, "timeout tunnel"));
            continue;
        }
        places.extend(short(backend, "timeout server"));
        places.extend(
            view.leading_to(&backend.name.text).iter().filter_map(|frontend| short(frontend, "timeout client")),
        );
    }
    standing(
        places,
        "sessions that are quiet for less than ten minutes are cut: `kubectl logs -f`, `exec`, idle watches",
        "add `timeout tunnel 24h`, with keepalives and `timeout client-fin 30s`",
    )
}
