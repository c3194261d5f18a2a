//! What the `global` section says of the process, its log and its limits.

use super::super::super::finding::Finding;
use super::super::argument;
use super::super::cfg::{Proxy, Statement};
use super::frontend::is_local;
use super::view::{View, standing};

/// Ciphers by a name that one family of distributions knows.
pub fn system_ciphers(view: &View<'_>) -> Option<Finding> {
    let named = view.cfg.noted.iter().filter(|statement| {
        statement.written.starts_with("ssl-default-")
            && statement.arguments.first().is_some_and(|word| word.text.starts_with("PROFILE="))
    });
    standing(
        named.map(|statement| statement.at),
        "`PROFILE=` is known to OpenSSL of Red Hat and Fedora alone: elsewhere HAProxy refuses the file",
        "remove it: sessions are not encrypted here, and checks get on with OpenSSL's own ciphers",
    )
}

/// Going to the background where a supervisor watches the foreground.
pub fn daemon(view: &View<'_>) -> Option<Finding> {
    standing(
        view.cfg.noted.iter().filter(|statement| statement.keyword.words == "daemon").map(|statement| statement.at),
        "under systemd (`-Ws`) HAProxy ignores `daemon`; in a container it ends the container",
        "remove it",
    )
}

/// Datagrams to a port of this host.
pub fn log_to_nobody(view: &View<'_>) -> Option<Finding> {
    let of_proxies = view.cfg.proxies.iter().flat_map(Proxy::all).filter(|statement| statement.keyword.words == "log");
    standing(
        view.cfg.globals("log").chain(of_proxies).filter(is_udp_to_itself).map(|statement| statement.at),
        "log lines go to UDP of this host: where no rsyslog listens, as in a container, they are lost without a word",
        "write `log stdout format raw local0` under systemd or in a container, or `log /dev/log local0`",
    )
}

fn is_udp_to_itself(log: &&Statement) -> bool {
    let Some(target) = log.arguments.first() else { return false };
    let text = target.text.strip_prefix("udp@").unwrap_or(&target.text);
    argument::address(text).is_ok_and(|address| is_local(address.host))
}

/// Frontends that can use up what all of them share.
pub fn shared_maxconn(view: &View<'_>) -> Option<Finding> {
    let statement = view.cfg.global("maxconn")?;
    let all = number(statement)?;
    let listening = || view.cfg.proxies.iter().filter(|proxy| proxy.kind.has_frontend());
    let own = |proxy: &Proxy| proxy.last("maxconn").and_then(number);
    let together: u64 = listening().map(|proxy| own(proxy).unwrap_or(all)).sum();
    if listening().count() < 2 || together <= all {
        return None;
    }
    let fix = match listening().all(|proxy| own(proxy).is_some()) {
        true => format!("write `maxconn {together}`, or lower those of the frontends"),
        false => format!("state `maxconn` in each frontend, {all} together at most"),
    };
    let what = format!(
        "the frontends may have {together} sessions together and the process {all}: a busy one starves the others, the \
         statistics too, and clients meet silence"
    );
    standing([statement.at], &what, &fix)
}

fn number(statement: &Statement) -> Option<u64> {
    statement.arguments.first()?.text.parse().ok()
}
