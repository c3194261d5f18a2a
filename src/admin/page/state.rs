//! How a server is, and what its last check saw, in the words that every page has for them.

use super::super::figures::{date_time, lapse};
use super::super::headline::{Tone, remark};
use crate::event::{BackendSnapshot, CheckSnapshot, ServerSnapshot, ServerState};

/// A state with its colour and its word.
pub(super) struct State {
    /// A class of the stylesheet.
    pub(super) tone: &'static str,
    pub(super) word: &'static str,
    pub(super) note: String,
}

impl State {
    pub(super) fn new(tone: &'static str, word: &'static str, note: String) -> Self {
        Self { tone, word, note }
    }
}

/// The sign before a state's word, so that its shape tells it, too.
pub(super) fn mark(tone: &str) -> &'static str {
    match tone {
        "good" => "●",
        "notice" => "◆",
        "warning" => "▲",
        "bad" => "✕",
        _ => "○",
    }
}

/// How many of a backend's servers are usable.
pub(super) fn usable(backend: &BackendSnapshot) -> usize {
    usize::try_from(backend.active + backend.backup).unwrap_or(usize::MAX)
}

/// The same in words.
pub(super) fn usable_of_all(backend: &BackendSnapshot) -> String {
    format!("{} of {} usable", usable(backend), backend.servers.len())
}

pub(super) fn backend_tone(backend: &BackendSnapshot) -> Tone {
    match () {
        () if !backend.up => Tone::Bad,
        () if usable(backend) < backend.servers.len() => Tone::Warning,
        () => Tone::Good,
    }
}

/// What the last check saw.
pub(super) struct LastCheck {
    pub(super) passed: bool,
    pub(super) status: &'static str,
    pub(super) duration: String,
    /// In words, when it failed.
    pub(super) note: String,
    pub(super) title: String,
}

pub(super) fn server_state(server: &ServerSnapshot) -> State {
    let word = server.state.word();
    match (server.state, &server.check) {
        (ServerState::Maint, _) => State::new("notice", word, String::new()),
        (ServerState::Drain, _) => State::new("notice", word, String::new()),
        (ServerState::Draining, _) => State::new("warning", word, "no new work".into()),
        (ServerState::Kept(_), _) => State::new("warning", word, "probes fail".into()),
        (ServerState::Stranger, _) => State::new("bad", word, "no new sessions".into()),
        (ServerState::Down(cause), check) => {
            let passed = check.as_ref().filter(|check| check.health > 0);
            let note = passed.map(|check| format!("{} of {} passed", check.health, check.rise));
            State::new("bad", word, note.unwrap_or_else(|| cause.words().to_owned()))
        }
        (ServerState::Ready, None) => State::new("idle", word, "not checked".into()),
        (ServerState::Ready, Some(check)) if check.last.is_none() => State::new("idle", word, "not checked yet".into()),
        (ServerState::Ready, Some(check)) => match failures(check) {
            0 if server.weight.value() == 0 => State::new("notice", word, "weight 0".into()),
            0 if remark(server).is_some() => State::new("good", "alive", "readiness unknown".into()),
            0 => State::new("good", word, String::new()),
            failed => State::new("warning", word, format!("{failed} of {} failed", check.fall)),
        },
    }
}

/// Failed checks in a row of a server that is up.
fn failures(check: &CheckSnapshot) -> u16 {
    let most = (check.rise + check.fall).saturating_sub(1);
    if check.health >= check.rise { most.saturating_sub(check.health) } else { 0 }
}

pub(super) fn last_check(check: &CheckSnapshot) -> Option<LastCheck> {
    let last = check.last.as_ref()?;
    let passed = last.status.is_passed();
    let code = last.code.map_or_else(String::new, |code| format!(", status {code}"));
    Some(LastCheck {
        passed,
        status: last.status.name(),
        duration: lapse(last.duration),
        note: if passed && last.remark.is_none() { String::new() } else { last.detail.clone() },
        title: format!(
            "{}{code}; {}{} UTC; {} check, fall {}, rise {}",
            last.detail,
            last.remark.map_or_else(String::new, |remark| format!("{} ", remark.advice())),
            date_time(last.at),
            check.kind,
            check.fall,
            check.rise
        ),
    })
}
