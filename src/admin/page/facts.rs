//! Figures of the whole process, and how much of its limits is in use.

use std::time::SystemTime;

use super::super::figures::{bytes, count, moment, span};
use crate::event::ProcessSnapshot;

/// A figure of the process.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// What it is out of, or goes with.
    pub(super) aside: String,
    /// How much of a limit is used.
    pub(super) share: Option<Share>,
    pub(super) alarming: bool,
}

/// A part of a limit; the meter turns at `high`.
pub(super) struct Share {
    pub(super) part: u64,
    pub(super) whole: u64,
    pub(super) high: u64,
}

impl Fact {
    fn new(name: &'static str, value: String, aside: String) -> Self {
        Self { name, value, aside, share: None, alarming: false }
    }

    fn of_limit(name: &'static str, part: u64, whole: u64) -> Self {
        let share = Share { part: part.min(whole), whole, high: whole - whole / 10 };
        Self { share: Some(share), ..Self::new(name, count(part), format!("of {}", count(whole))) }
    }

    fn alarm(name: &'static str, value: u64, aside: &str) -> Option<Self> {
        (value > 0).then(|| Self { alarming: true, ..Self::new(name, count(value), aside.to_owned()) })
    }
}

pub(super) fn facts(process: &ProcessSnapshot, now: SystemTime) -> Vec<Fact> {
    let counts = &process.counts;
    let mut facts = vec![
        Fact::of_limit("Sessions", process.sessions.into(), process.max_sessions.into()),
        Fact::new(
            "Most at a time",
            count(counts.sessions_max.into()),
            format!("{} in all", count(counts.sessions_total)),
        ),
        Fact::new(
            "New sessions",
            format!("{}/s", count(counts.rate.into())),
            format!("most {}/s", count(counts.rate_max.into())),
        ),
        Fact::new("Bytes in", bytes(counts.bytes_in), "clients to servers".into()),
        Fact::new("Bytes out", bytes(counts.bytes_out), "servers to clients".into()),
        Fact::of_limit("Descriptors", process.open_descriptors, process.max_descriptors),
        Fact::new("Memory", bytes(process.resident_memory), format!("processor {}", span(process.cpu))),
        Fact::new("Uptime", span(process.uptime), format!("since {}", moment(process.started, now))),
        Fact::new(
            "Process",
            process.phase.word().to_owned(),
            format!("pid {}, {}", process.pid, workers(process.workers)),
        ),
    ];
    facts.extend(Fact::alarm("Limit reached", process.limit_reached, "times, process-wide"));
    facts.extend(Fact::alarm("Accepting paused", process.accept_pauses, "times, for want of descriptors or memory"));
    facts.extend(Fact::alarm("Log lines lost", process.dropped_logs, "too slow a target"));
    let gone = process.log_targets.iter().filter(|target| !target.reached).count() as u64;
    facts.extend(Fact::alarm("Log targets gone", gone, "they take no lines"));
    facts
}

fn workers(n: u32) -> String {
    if n == 1 { "1 worker".to_owned() } else { format!("{n} workers") }
}
