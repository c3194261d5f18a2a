//! The order of things: every proxy is proved, then each axis is measured with all proxies in turn.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::axes::Axis;
use crate::companion::{Load, Servers};
use crate::figures::{Measured, Run, Sample};
use crate::load::{Group, Seen, Until};
use crate::machine;
use crate::options::BenchOptions;
use crate::proof;
use crate::proxies::{Kind, Programs, Proxy, Setting};
use crate::report;

/// What all measurements use.
pub struct Bench {
    pub load: Load,
    pub servers: Servers,
    pub programs: Programs,
    pub realtime: bool,
    notes: BTreeMap<String, String>,
    /// Exchanges of the axis at hand.
    exchanged: BTreeMap<Kind, u64>,
}

/// What one burst has cost and seen.
pub struct Burst {
    /// Seconds that the proxy was on a core.
    pub ran: f64,
    /// As in [`Sample`].
    pub busy: f64,
    pub waited: f64,
    /// What each group saw.
    pub seen: Vec<Seen>,
}

impl Burst {
    pub fn sample(&self, values: Vec<f64>) -> Sample {
        Sample { values, busy: self.busy, waited: self.waited }
    }
}

/// Measures what the options ask for, and says what came out.
pub fn run(options: &BenchOptions) -> Result<()> {
    let programs = Programs {
        evenkeel: options.evenkeel.clone(),
        before: options.before.clone(),
        forky: options.forky.clone(),
        scratch: options.scratch.clone(),
    };
    let servers = Servers::start(u8::try_from(Kind::ALL.len())?)?;
    let mut bench = Bench {
        load: Load::start()?,
        servers,
        programs,
        realtime: options.realtime,
        notes: BTreeMap::new(),
        exchanged: BTreeMap::new(),
    };
    let kinds = options.proxies();
    let mut run = Run::begin(options, &bench.programs)?;
    report::begin(&run);
    bench.prove(&kinds, &mut run)?;
    let mut failed = Vec::new();
    for axis in options.axes() {
        match bench.measure(axis, &kinds, axis.rounds(options.pairs())) {
            Ok(measured) => {
                report::axis(&measured);
                run.axes.push(measured);
            }
            Err(error) => {
                report::failure(axis, &error);
                failed.push(axis);
                bench.load.close()?;
            }
        }
    }
    run.notes = std::mem::take(&mut bench.notes);
    run.end();
    report::finish(&run, options, &failed)
}

impl Bench {
    /// Contents and half-close, on every frontend of every proxy.
    fn prove(&mut self, kinds: &[Kind], run: &mut Run) -> Result<()> {
        for &kind in kinds {
            let proxy = Proxy::start(kind, Setting::ONE, &self.programs)?;
            proof::hold(kind, &mut self.load, &mut self.servers).with_context(|| kind.name())?;
            run.configurations.insert(kind.name(), proxy.configuration.clone());
        }
        report::proved(kinds);
        Ok(())
    }

    /// One axis: in each round every proxy has one burst, and each round begins with another.
    fn measure(&mut self, axis: Axis, kinds: &[Kind], rounds: usize) -> Result<Measured> {
        let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| axis.is_of(*kind)).collect();
        let mut proxies = BTreeMap::new();
        self.exchanged.clear();
        if !axis.is_fresh() {
            for &kind in &kinds {
                let proxy = Proxy::start(kind, axis.setting(), &self.programs)?;
                // What only the first sessions pay for is not what is measured.
                axis.measure(self, &proxy).with_context(|| kind.name())?;
                proxies.insert(kind, proxy);
            }
        }
        let mut measured = Measured::new(axis);
        for round in 0..rounds {
            for turn in 0..kinds.len() {
                let kind = kinds[(round + turn) % kinds.len()];
                let sample = match proxies.get(&kind) {
                    Some(proxy) => axis.measure(self, proxy),
                    None => axis.measure(self, &Proxy::start(kind, axis.setting(), &self.programs)?),
                };
                measured.add(kind, sample.with_context(|| kind.name())?);
            }
            report::round(axis, round + 1, rounds);
        }
        if axis == Axis::Connections {
            self.count_records(&proxies);
        }
        Ok(measured)
    }

    /// Whether each session had its record is a question of one axis only: there a session is an exchange.
    fn count_records(&mut self, proxies: &BTreeMap<Kind, Proxy>) {
        // The last ones are on their way.
        machine::pause(Duration::from_millis(500));
        for (kind, proxy) in proxies {
            let sessions = self.exchanged.get(kind).copied().unwrap_or_default();
            let records = proxy.records();
            // A cost without its records is not one to compare.
            let lost = if records < sessions { "**records are missing**: " } else { "" };
            self.note(format!("records, {}", kind.name()), format!("{lost}{records} lines for {sessions} sessions"));
        }
    }

    /// Opens the groups, runs them, and reads what that cost the proxy.
    pub fn burst(&mut self, proxy: &Proxy, groups: Vec<Group>, until: Until) -> Result<Burst> {
        for group in groups {
            self.load.open(group)?;
        }
        self.prefer(proxy, true)?;
        let before = proxy.core_time()?;
        let seen = self.load.run(until);
        let spent = proxy.core_time()?.since(before);
        self.prefer(proxy, false)?;
        self.load.close()?;
        machine::forget_connections()?;
        let seen = seen?;
        *self.exchanged.entry(proxy.kind).or_default() += seen.iter().map(|seen| seen.exchanges).sum::<u64>();
        let ran = spent.ran.as_secs_f64();
        let seconds = seen.first().map_or(f64::NAN, |seen| seen.seconds);
        Ok(Burst { ran, busy: ran / seconds, waited: spent.share_waited(), seen })
    }

    /// Something to say about the run beside its figures; what was last said of it counts.
    pub fn note(&mut self, of: String, note: String) {
        self.notes.insert(of, note);
    }

    fn prefer(&self, proxy: &Proxy, preferred: bool) -> Result<()> {
        if self.realtime {
            // Whoever reads the records is one of us.
            machine::prefer(&machine::threads(&[&[std::process::id()], proxy.pids()].concat()), preferred)?;
            // Of load and servers the first thread carries everything; the others come and go with checks.
            machine::prefer(&[self.load.pid(), self.servers.pid()], preferred)?;
        }
        Ok(())
    }
}
