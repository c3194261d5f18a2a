//! `show stat`: the statistics that the HTTP pages have, by what is asked for.

use super::command::Asked;
use crate::admin::haproxy::stat::{Filter, csv, json, rows, typed};
use crate::model::RuntimeLevel;

/// `show stat [{iid|name} type sid] [typed|json] [up|no-maint]`.
pub fn show(asked: &Asked<'_>) -> String {
    let snapshot = (asked.views.snapshot)();
    let has = |word: &str| asked.words_from(2).iter().any(|given| given == word);
    let mut filter = Filter { up: has("up"), no_maint: has("no-maint"), ..Filter::default() };
    // HAProxy has what is configured told to whoever is more than a user.
    filter.legends = asked.level >= RuntimeLevel::Operator;
    if let (proxy, Ok(kinds), Ok(server)) = (asked.word(2), number(asked.word(3)), number(asked.word(4)))
        && let Err(complaint) = choose(&mut filter, proxy, kinds, server, asked)
    {
        return complaint;
    }
    let rows = rows(&snapshot, &filter);
    match (has("json"), has("typed")) {
        (true, _) => json(&rows),
        (false, true) => typed(&rows),
        (false, false) => csv(&rows),
    }
}

fn number(word: &str) -> Result<i64, std::num::ParseIntError> {
    word.parse()
}

/// Bits of the mask of kinds.
const FRONTENDS: i64 = 1;
const BACKENDS: i64 = 2;
const SERVERS: i64 = 4;

/// Narrows the choice to a proxy, by number or name, to kinds of lines, and to a server; -1 is any.
fn choose(filter: &mut Filter, proxy: &str, kinds: i64, server: i64, asked: &Asked<'_>) -> Result<(), String> {
    match number(proxy) {
        Ok(any) if any < 0 => {}
        Ok(id) => filter.iid = Some(u32::try_from(id).unwrap_or(u32::MAX)),
        Err(_) if is_proxy(proxy, asked) => filter.proxies = vec![proxy.to_owned()],
        Err(_) => return Err("No such proxy.\n".to_owned()),
    }
    let of = |bit: i64| kinds & bit != 0;
    (filter.frontends, filter.backends, filter.servers) = (of(FRONTENDS), of(BACKENDS), of(SERVERS));
    filter.sid = u32::try_from(server).ok();
    Ok(())
}

fn is_proxy(name: &str, asked: &Asked<'_>) -> bool {
    let config = (asked.views.config)();
    config.frontends.iter().any(|frontend| frontend.name.as_str() == name)
        || config.backends.iter().any(|backend| backend.name.as_str() == name)
        || config.stats.iter().any(|stats| stats.name.as_str() == name)
}
