//! What samples say: medians, and per-pair ratios with their quartiles.

use std::collections::BTreeMap;

use anyhow::Result;
use evenkeel::clock;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::axes::Axis;
use crate::machine;
use crate::options::BenchOptions;
use crate::proxies::{Kind, Programs};

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Micros,
    Millis,
    Count,
    Bytes,
    MiB,
    Ratio,
}

impl Unit {
    /// A value with its unit.
    pub fn show(self, value: f64) -> String {
        let number = self.number(value);
        match self {
            Self::Micros => number + " µs",
            Self::Millis => number + " ms",
            Self::Count | Self::Ratio => number,
            Self::Bytes => number + " B",
            Self::MiB => number + " MiB",
        }
    }

    /// A value with as many digits as mean something.
    pub fn number(self, value: f64) -> String {
        let digits = match self {
            Self::Micros | Self::MiB if value < 100.0 => 1,
            Self::Millis if value < 10.0 => 2,
            Self::Count | Self::Ratio => 2,
            Self::Micros | Self::Millis | Self::Bytes | Self::MiB => 0,
        };
        format!("{value:.digits$}")
    }
}

/// What evenkeel's figure is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The best of HAProxy 3.2's tunings on this figure.
    Best,
    /// HAProxy 3.2 without tuning.
    Defaults,
    /// Nobody's: the bar is a value.
    Nothing,
}

/// One number of a sample.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    pub title: &'static str,
    pub unit: Unit,
    pub against: Against,
    /// At most so much: a ratio, or a value where it is held against nothing.
    pub bar: Option<f64>,
    pub stretch: Option<f64>,
    /// Whether it has a row in the table.
    pub shown: bool,
}

/// What one burst of one proxy gave, in the order of its axis's figures.
#[derive(Debug, Clone)]
pub struct Sample {
    pub values: Vec<f64>,
    /// Share of the burst that the proxy was on a core.
    pub busy: f64,
    /// Seconds that it was ready to run without one, for each that it ran: who else wanted that core, its own other
    /// threads among them.
    pub waited: f64,
}

impl Sample {
    /// What was not a matter of time.
    pub fn of(values: Vec<f64>) -> Self {
        Self { values, busy: 0.0, waited: 0.0 }
    }
}

/// Median and quartiles.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        // Between two values, in proportion.
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        (!values.is_empty()).then(|| Self { low: at(0.25), median: at(0.5), high: at(0.75) })
    }
}

/// All samples of one axis: those of one round stand at the same place of each proxy's list.
pub struct Measured {
    pub axis: Axis,
    pub samples: BTreeMap<Kind, Vec<Sample>>,
}

impl Measured {
    pub fn new(axis: Axis) -> Self {
        Self { axis, samples: BTreeMap::new() }
    }

    pub fn add(&mut self, kind: Kind, sample: Sample) {
        self.samples.entry(kind).or_default().push(sample);
    }

    pub fn rounds(&self) -> usize {
        self.samples.values().map(Vec::len).max().unwrap_or(0)
    }

    /// One figure of one proxy, over all rounds.
    pub fn spread(&self, kind: Kind, figure: usize) -> Option<Spread> {
        Spread::of(self.samples.get(&kind)?.iter().map(|sample| sample.values[figure]).collect())
    }

    /// Ratios of the two proxies' figures, one for each round.
    pub fn ratio(&self, kind: Kind, to: Kind, figure: usize) -> Option<Spread> {
        let pairs = self.samples.get(&kind)?.iter().zip(self.samples.get(&to)?);
        Spread::of(pairs.map(|(one, other)| one.values[figure] / other.values[figure]).collect())
    }

    /// Whom evenkeel is held against on this figure, if that one was measured.
    pub fn opponent(&self, figure: usize) -> Option<Kind> {
        let median = |kind: &Kind| self.spread(*kind, figure).map_or(f64::INFINITY, |spread| spread.median);
        match self.axis.figures()[figure].against {
            Against::Best | Against::Nothing => {
                let measured = Kind::REFERENCE.into_iter().filter(|kind| self.samples.contains_key(kind));
                measured.min_by(|one, other| median(one).total_cmp(&median(other)))
            }
            Against::Defaults => Some(Kind::Haproxy32).filter(|kind| self.samples.contains_key(kind)),
        }
    }

    /// What stands against the bar: a ratio, or evenkeel's own value.
    pub fn judged(&self, figure: usize) -> Option<Spread> {
        match self.axis.figures()[figure].against {
            Against::Nothing => self.spread(Kind::Evenkeel, figure),
            Against::Best | Against::Defaults => self.ratio(Kind::Evenkeel, self.opponent(figure)?, figure),
        }
    }

    /// The median, over all bursts of all proxies, of how busy they were or how long they waited.
    pub fn overall(&self, of: fn(&Sample) -> f64) -> f64 {
        let all = self.samples.values().flatten().map(of).collect();
        Spread::of(all).map_or(0.0, |spread| spread.median)
    }
}

/// Everything that is known about one run of the bench.
pub struct Run {
    /// Of its beginning, in UTC.
    pub date: String,
    pub machine: String,
    /// Versions by proxy, in the table's order.
    pub versions: Vec<(Kind, String)>,
    pub pairs: usize,
    pub realtime: bool,
    /// Load averages at its beginning and end.
    pub load: (f64, f64),
    pub configurations: BTreeMap<&'static str, String>,
    pub axes: Vec<Measured>,
    pub notes: BTreeMap<String, String>,
}

impl Run {
    pub fn begin(options: &BenchOptions, programs: &Programs) -> Result<Self> {
        let now = OffsetDateTime::from(clock::wall());
        let versions = options.proxies().into_iter().map(|kind| Ok((kind, programs.version(kind)?)));
        Ok(Self {
            date: now.format(format_description!("[year]-[month]-[day] [hour]:[minute]"))?,
            machine: machine::describe()?,
            versions: versions.collect::<Result<_>>()?,
            pairs: options.pairs(),
            realtime: options.realtime,
            load: (machine::load_average(), 0.0),
            configurations: BTreeMap::new(),
            axes: Vec::new(),
            notes: BTreeMap::new(),
        })
    }

    /// How long HAProxy and nginx, which have one thread, and an evenkeel's worker that has its core alone, waited for it for
    /// each second that they had it: the median over all bursts. It is next to nothing on a machine that does nothing else; there is none where nothing was
    /// a matter of time.
    pub fn disturbance(&self) -> Option<f64> {
        let alone = self.axes.iter().filter(|measured| measured.axis.setting().threads == 1);
        let others = alone.flat_map(|measured| {
            let is_alone = |kind: Kind| !kind.is_evenkeel() || measured.axis == Axis::Watched;
            measured.samples.iter().filter(move |(kind, _)| is_alone(**kind))
        });
        let timed = others.flat_map(|(_, samples)| samples).filter(|sample| sample.busy > 0.0);
        Spread::of(timed.map(|sample| sample.waited).collect()).map(|spread| spread.median)
    }

    pub fn end(&mut self) {
        self.load.1 = machine::load_average();
    }
}
