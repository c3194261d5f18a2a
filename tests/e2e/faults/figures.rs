//! What a run comes to in figures, the same for every row.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::proxies::Kind;
use crate::records::Way;
use crate::run::{Bar, Run, describe, milliseconds, seconds};

/// One fault that met one load balancer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub row: String,
    pub kind: Kind,
    pub round: usize,
    pub bars: Vec<Bar>,
    pub figures: Figures,
}

/// What the client and the load balancer's kernel say.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    pub new: usize,
    pub failed: BTreeMap<String, usize>,
    /// Of new connections, and of those made directly: the median, 99 %, 99.5 %, and the longest.
    pub balanced: [Duration; 4],
    pub direct: [Duration; 4],
    /// Sessions at hurt servers, and how they ended.
    pub victims: usize,
    pub ended: BTreeMap<String, usize>,
    pub last_end: Option<Duration>,
    /// Sessions elsewhere, and how many of them ended.
    pub others: usize,
    pub others_ended: usize,
    /// The longest wait for an answer of a busy session, from the fault on.
    pub slowest: Duration,
    pub written: u64,
    pub lost: BTreeMap<String, usize>,
    /// Sockets of the load balancer towards hurt servers, before the fault and at the end.
    pub sockets: [BTreeMap<String, usize>; 2],
}

impl Figures {
    pub fn of(run: &Run) -> Self {
        let zero = Duration::ZERO;
        let failed = run.dials(Way::Balanced, zero).filter_map(|dial| dial.failed.clone());
        let after = |moment| moment >= run.course.fault;
        let lost = run.records.lost.iter().filter(|lost| after(lost.ended)).map(|lost| lost.end.to_string());
        let quantiles = |way| [0.5, 0.99, 0.995, 1.0].map(|quantile| run.latency(way, zero, quantile));
        Self {
            new: run.dials(Way::Balanced, zero).count(),
            failed: counted(failed),
            balanced: quantiles(Way::Balanced),
            direct: quantiles(Way::Direct),
            victims: run.victims().count(),
            ended: counted(run.victims().map(|session| match session.ended {
                Some((_, end)) => end.to_string(),
                None => "open".to_owned(),
            })),
            last_end: run.last_end(),
            others: run.others().count(),
            others_ended: run.others().filter(|session| session.ended.is_some()).count(),
            slowest: run.slowest(),
            written: run.records.written,
            lost: counted(lost),
            sockets: [run.states(0), run.states(1)],
        }
    }
}

fn counted(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        writeln!(formatter, "{} against {} (round {})", self.kind.name(), self.row, self.round)?;
        for bar in &self.bars {
            let word = if bar.held { "held" } else { "NOT HELD" };
            writeln!(formatter, "  {word:8} {}: {}", bar.asks, bar.seen)?;
        }
        let failed: usize = figures.failed.values().sum();
        let times = |times: &[Duration; 4]| times.map(milliseconds).join(" / ");
        writeln!(formatter, "  new connections: {failed} of {} failed ({})", figures.new, describe(&figures.failed))?;
        writeln!(formatter, "    50 % / 99 % / 99.5 % / all: {}", times(&figures.balanced))?;
        writeln!(formatter, "    direct:                     {}", times(&figures.direct))?;
        let last = figures.last_end.map_or("not all ended".to_owned(), |last| format!("last after {}", seconds(last)));
        writeln!(formatter, "  sessions there: {} ({}), {last}", figures.victims, describe(&figures.ended))?;
        writeln!(formatter, "  sessions elsewhere: {} of {} ended", figures.others_ended, figures.others)?;
        writeln!(formatter, "  longest wait for an answer: {}", seconds(figures.slowest))?;
        writeln!(formatter, "  writes: {} answered, unknown {}", figures.written, describe(&figures.lost))?;
        let [before, after] = figures.sockets.each_ref().map(describe);
        writeln!(formatter, "  sockets there: {before}; at the end {after}")
    }
}
