//! How many sessions a server may have, and what becomes of more (`maxconn`, `minconn`, `maxqueue`, `fullconn`).

use super::super::read::Span;
use super::super::show::quoted;
use super::argument::{Options, number_of};
use super::cfg::Proxy;
use super::compose::Composer;
use super::document::Section;

/// The most that is taken of any of them.
const MOST: u64 = 10_000_000;

/// `fullconn`, and where those wait whose server is full.
pub fn backend(proxy: &Proxy, servers: &[Section], section: &mut Section, composer: &mut Composer<'_>) {
    let full = proxy.last("fullconn").and_then(|statement| composer.number(statement, 0, MOST));
    if let Some((sessions, at)) = full.filter(|(sessions, _)| *sessions > 0) {
        section.set("full_sessions", sessions, Some(at));
    }
    // A queue of a server is stated for those who wait in it, whatever is left to evenkeel.
    let queue = servers.iter().find_map(|server| server.place_of("max_queue"));
    match queue {
        _ if composer.as_haproxy() => {
            let remark = "evenkeel's way, \"next\": a session whose server is full goes to the next one";
            section.instead("on_full", quoted("wait"), remark);
        }
        Some(at) => section.text("on_full", "wait", at),
        None => {}
    }
}

/// `maxconn`, `minconn` and `maxqueue` of a `server` line; 0 is as none.
pub fn server(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    let mut number = |word: &str| -> Option<(u64, Span)> {
        let value = options.value(word)?;
        let number = number_of(value, 0, MOST, composer.mistakes)?;
        (number > 0).then_some((number, value.span))
    };
    let (most, least, queue) = (number("maxconn"), number("minconn"), number("maxqueue"));
    let mut set = |key: &str, stated: Option<(u64, Span)>| {
        if let Some((number, at)) = stated {
            section.set(key, number, Some(at));
        }
    };
    // A limit that begins at its end or beyond is that limit, whatever the load is (HAProxy's own reading).
    match (most, least) {
        (Some(most), Some(least)) if least.0 < most.0 => {
            set("max_sessions", Some(most));
            set("min_sessions", Some(least));
        }
        (most, least) => set("max_sessions", least.or(most)),
    }
    set("max_queue", queue);
}
