//! How servers are checked, and how they are chosen where their clients need all of them.

use std::collections::{HashMap, HashSet};

use super::super::super::finding::Finding;
use super::super::super::preset::KONNECTIVITY;
use super::super::check::KINDS;
use super::view::{Server, View, listed, once_each, standing};

/// A server that nobody looks at.
pub fn unchecked(view: &View<'_>) -> Option<Finding> {
    let unchecked = |server: &&Server<'_>| {
        ["check", "track", "agent-check", "disabled"].iter().all(|word| server.options.has(word).is_none())
    };
    standing(
        view.servers().filter(unchecked).map(|server| server.line.at),
        "this server is never checked: it gets its share of the clients while it is dead",
        "add `check`",
    )
}

/// A check that any TLS server passes.
pub fn unverified(view: &View<'_>) -> Option<Finding> {
    let over_tls =
        view.servers().filter(|server| server.checked().is_some() && server.options.has("check-ssl").is_some());
    standing(
        over_tls.filter(|server| server.says("verify", "none")).filter_map(|server| server.options.has("verify")),
        "`verify none` concerns the check alone, which any TLS server passes, that of another cluster too; \
         sessions are verified by the clients",
        "write `verify required ca-file /etc/haproxy/ca.crt`, the cluster's CA",
    )
}

/// A handshake that a konnectivity server logs as an error.
pub fn without_alpn(view: &View<'_>) -> Option<Finding> {
    let over_tls = |server: &&Server<'_>| {
        let offers_none = server.options.has("check-alpn").is_none();
        server.port == Some(KONNECTIVITY) && server.checked().is_some() && offers_none
    };
    standing(
        view.servers().filter(over_tls).filter_map(|server| server.options.has("check-ssl")),
        "konnectivity's servers refuse TLS without ALPN: each check is an error in their log",
        "add `check-alpn h2`",
    )
}

/// One host is asked on each of its ports.
pub fn per_port(view: &View<'_>) -> Option<Finding> {
    let checked = || view.servers().filter(|server| server.checked().is_some());
    let mut asked: HashMap<&str, usize> = HashMap::new();
    checked().for_each(|server| *asked.entry(server.host).or_default() += 1);
    let several = || checked().filter(|server| asked.get(server.host).is_some_and(|checks| *checks > 1));
    let first = several().next()?;
    let hosts = once_each(several().map(|server| server.host));
    let what = format!(
        "{} checks ask {} host{}, {}: each has several opinions of itself, and they differ while it matters",
        several().count(),
        hosts.len(),
        if hosts.len() == 1 { "" } else { "s" },
        listed(&hosts),
    );
    let mut seen = HashSet::new();
    let repeated = several().filter(|server| !seen.insert(server.host));
    let fix = format!("let the others follow one: `track {}/{}` in the place of `check`", first.backend, first.name);
    standing(repeated.map(|server| server.line.at), &what, &fix)
}

/// A greeting that no Go server answers.
pub fn ssl_hello(view: &View<'_>) -> Option<Finding> {
    let asked = view.backends.iter().filter_map(|backend| {
        let statement = backend.proxy.last_of(&KINDS)?;
        let plain = backend.servers.iter().any(|server| server.options.has("check-ssl").is_none());
        (statement.keyword.words == "option ssl-hello-chk" && plain).then_some(statement.at)
    });
    standing(
        asked,
        "`option ssl-hello-chk` greets in SSL 3.0: Kubernetes refuses it, logs each try, and counts as down",
        "remove it, and write `check check-ssl verify none` on the servers",
    )
}

/// A check that another one has taken the place of.
pub fn overridden(view: &View<'_>) -> Option<Finding> {
    let overridden = view.backends.iter().flat_map(|backend| {
        let last = backend.proxy.last_of(&KINDS).map(|statement| statement.keyword.words);
        let kinds = backend.proxy.all().filter(|statement| KINDS.contains(&statement.keyword.words));
        kinds.filter(move |statement| statement.prefix.is_none() && Some(statement.keyword.words) != last)
    });
    standing(
        overridden.map(|statement| statement.at),
        "this check is never made: of several `option …chk` the last one counts",
        "remove it, or the other one",
    )
}

/// Agents that need every server, and are given the emptiest.
pub fn konnectivity_leastconn(view: &View<'_>) -> Option<Finding> {
    let agents =
        view.backends.iter().filter(|backend| backend.servers.iter().any(|server| server.port == Some(KONNECTIVITY)));
    let by_count = agents
        .filter_map(|backend| backend.proxy.last("balance"))
        .filter(|statement| statement.arguments.first().is_some_and(|method| method.text == "leastconn"));
    standing(
        by_count.map(|statement| statement.at),
        "konnectivity's agents need a session at every server: by `leastconn` they never reach one that dead sessions \
         make look busy",
        "write `balance roundrobin`; evenkeel has `balance = \"spread\"` for it",
    )
}
