//! Families with a series for each state that there may be.

use super::super::stat::{Kind, Row};
use crate::event::CheckStatus;

/// The states of frontends and backends,
const PROXY: [&str; 2] = ["DOWN", "UP"];

/// of servers,
const SERVER: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// and the results of checks, in HAProxy's order.
const CHECK: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7OK", "L7OKC",
    "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

/// 1 for a line's state.
pub(super) fn of(row: &Row<'_>) -> Vec<(&'static str, u32)> {
    let word = row.status();
    match row.kind {
        Kind::Server => among(&SERVER, |state| u32::from(state == server_state(&word))),
        Kind::Frontend | Kind::Backend => {
            let up = word == "OPEN" || word == "UP";
            among(&PROXY, |state| u32::from((state == "UP") == up))
        }
    }
}

/// 1 for the result of a server's last check.
pub(super) fn of_check(row: &Row<'_>) -> Vec<(&'static str, u32)> {
    let last = row.last_check();
    among(&CHECK, |state| u32::from(last.is_some_and(|status| status.name() == state)))
}

/// How many of a backend's servers are in each state.
pub(super) fn of_servers(row: &Row<'_>) -> Vec<(&'static str, u32)> {
    let words = row.server_words();
    among(&SERVER, |state| count(words.iter().filter(|word| server_state(word) == state)))
}

/// How many of a backend's servers had each result.
pub(super) fn of_checks(row: &Row<'_>) -> Vec<(&'static str, u32)> {
    let results: Vec<CheckStatus> = row.server_checks();
    among(&CHECK, |state| count(results.iter().filter(|status| status.name() == state)))
}

/// `UP 1/3` is up, and so is a server without a check.
fn server_state(word: &str) -> &str {
    match word.split(' ').next() {
        Some("no") => "UP",
        Some(state) => state,
        None => word,
    }
}

fn among<const N: usize>(states: &[&'static str; N], value: impl Fn(&str) -> u32) -> Vec<(&'static str, u32)> {
    states.iter().map(|state| (*state, value(state))).collect()
}

fn count<T>(those: impl Iterator<Item = T>) -> u32 {
    u32::try_from(those.count()).unwrap_or(u32::MAX)
}
