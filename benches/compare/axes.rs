//! What is measured: each axis with its load, its figures and the bars that they are held against.

mod bursts;
mod idle;
mod syscalls;
mod watched;

use anyhow::Result;
use clap::ValueEnum;

use crate::bench::Bench;
use crate::figures::{Against, Figure, Sample, Unit};
use crate::proxies::{Kind, Proxy, Setting};

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Axis {
    /// Connect, 200 B up, 500 B down, the client closes; 16 at a time
    Connections,
    /// The same, and the server closes
    ServerCloses,
    /// 200 B up, 500 B down, on 64 open connections
    Requests,
    /// The same on one
    RequestsOne,
    /// Four streams from the servers
    Down,
    /// Four streams to the servers
    Up,
    /// 300 sessions with 1,500 small exchanges a second, 25 lists of 1 to 5 MB, 100 new connections
    Mix,
    /// 50 sessions in ping-pong beside a stream
    BesideBulk,
    /// One session in ping-pong, and the same without a proxy
    Latency,
    /// Sessions that do nothing, up to 9,000
    Idle,
    /// Short connections, 1 to 1,024 at a time
    Concurrency,
    /// System calls of short connections and of requests
    Syscalls,
    /// Short connections and requests, with two threads on two cores
    TwoThreads,
    /// Small exchanges at the frontend's limit of sessions, with 100 pages open and a scraper; evenkeel alone
    Watched,
}

impl Axis {
    pub const ALL: [Self; 14] = [
        Self::Connections,
        Self::ServerCloses,
        Self::Requests,
        Self::RequestsOne,
        Self::Down,
        Self::Up,
        Self::Mix,
        Self::BesideBulk,
        Self::Latency,
        Self::Idle,
        Self::Concurrency,
        Self::Syscalls,
        Self::TwoThreads,
        Self::Watched,
    ];

    /// As on the command line and in results.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What its samples hold, in their order.
    pub fn figures(self) -> &'static [Figure] {
        match self {
            Self::Connections => &CONNECTIONS,
            Self::ServerCloses => &SERVER_CLOSES,
            Self::Requests => &REQUESTS,
            Self::RequestsOne => &REQUESTS_ONE,
            Self::Down => &DOWN,
            Self::Up => &UP,
            Self::Mix => &MIX,
            Self::BesideBulk => &BESIDE_BULK,
            Self::Latency => &LATENCY,
            Self::Idle => &idle::FIGURES,
            Self::Concurrency => &CONCURRENCY,
            Self::Syscalls => &SYSCALLS,
            Self::TwoThreads => &TWO_THREADS,
            Self::Watched => &watched::FIGURES,
        }
    }

    /// Whether a proxy has what is measured.
    pub fn is_of(self, kind: Kind) -> bool {
        self != Self::Watched || kind.is_evenkeel()
    }

    pub fn setting(self) -> Setting {
        match self {
            Self::Idle => Setting::CROWDED,
            Self::TwoThreads => Setting::TWO,
            _ => Setting::ONE,
        }
    }

    /// Whether each sample wants a proxy that has done nothing before.
    pub fn is_fresh(self) -> bool {
        self == Self::Idle
    }

    /// How often each proxy has its turn when the user asked for so many pairs: counts and sizes hardly vary.
    pub fn rounds(self, pairs: usize) -> usize {
        match self {
            Self::Idle | Self::Syscalls => pairs.min(3),
            Self::Concurrency => pairs.min(10),
            _ => pairs,
        }
    }

    /// One burst.
    pub fn measure(self, bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
        match self {
            Self::Connections | Self::ServerCloses => bursts::connections(bench, proxy, self == Self::ServerCloses),
            Self::Requests => bursts::requests(bench, proxy, 64),
            Self::RequestsOne => bursts::requests(bench, proxy, 1),
            Self::Down => bursts::bulk(bench, proxy, bursts::Way::Down),
            Self::Up => bursts::bulk(bench, proxy, bursts::Way::Up),
            Self::Mix => bursts::mix(bench, proxy),
            Self::BesideBulk => bursts::beside_bulk(bench, proxy),
            Self::Latency => bursts::latency(bench, proxy),
            Self::Idle => idle::grow(bench, proxy),
            Self::Concurrency => bursts::concurrency(bench, proxy),
            Self::Syscalls => syscalls::count(bench, proxy),
            Self::TwoThreads => bursts::two_threads(bench, proxy),
            Self::Watched => watched::compare(bench, proxy),
        }
    }
}

pub use idle::SESSIONS;

/// How many short connections there are at a time, in the order of [`CONCURRENCY`].
pub const CONCURRENT: [usize; 6] = [1, 4, 16, 64, 256, 1024];

/// A figure of time on a core, held against the best of the reference's tunings.
const fn cost(title: &'static str, unit: Unit, bar: f64, stretch: f64) -> Figure {
    Figure { title, unit, against: Against::Best, bar: Some(bar), stretch: Some(stretch), shown: true }
}

/// A figure without a bar.
const fn beside(title: &'static str, unit: Unit) -> Figure {
    Figure { title, unit, against: Against::Best, bar: None, stretch: None, shown: true }
}

/// A point of a curve: plotted, not in the table.
const fn point(title: &'static str, unit: Unit) -> Figure {
    Figure { shown: false, ..beside(title, unit) }
}

static CONNECTIONS: [Figure; 1] = [cost("short connection, client closes", Unit::Micros, 0.90, 0.80)];
static SERVER_CLOSES: [Figure; 1] = [beside("short connection, server closes", Unit::Micros)];
static REQUESTS: [Figure; 1] = [cost("request, 64 connections", Unit::Micros, 0.92, 0.85)];
static REQUESTS_ONE: [Figure; 1] = [beside("request, 1 connection", Unit::Micros)];
static DOWN: [Figure; 1] = [cost("GiB down", Unit::Millis, 1.0, 0.8)];
static UP: [Figure; 1] = [cost("GiB up", Unit::Millis, 1.0, 0.8)];
static MIX: [Figure; 3] = [
    cost("mix, CPU per second", Unit::Millis, 0.9, 0.8),
    Figure { against: Against::Defaults, ..cost("mix, p99 of small exchanges", Unit::Micros, 1.0, 0.8) },
    Figure { against: Against::Defaults, ..cost("mix, p50 of lists", Unit::Millis, 0.5, 0.35) },
];
static BESIDE_BULK: [Figure; 2] =
    [beside("ping-pong beside bulk, p50", Unit::Micros), beside("ping-pong beside bulk, p99", Unit::Micros)];
static LATENCY: [Figure; 2] = [
    Figure { stretch: None, ..cost("added on one connection, p50", Unit::Micros, 1.03, 0.0) },
    Figure { stretch: None, ..cost("added on one connection, p99", Unit::Micros, 1.03, 0.0) },
];
static CONCURRENCY: [Figure; 7] = [
    point("1 at a time", Unit::Micros),
    point("4 at a time", Unit::Micros),
    point("16 at a time", Unit::Micros),
    point("64 at a time", Unit::Micros),
    point("256 at a time", Unit::Micros),
    point("1,024 at a time", Unit::Micros),
    Figure {
        against: Against::Nothing,
        ..cost("short connection, 1,024 at a time as against 16", Unit::Ratio, 1.15, 1.0)
    },
];
static SYSCALLS: [Figure; 2] = [
    Figure { against: Against::Nothing, ..cost("system calls, short connection", Unit::Count, 20.0, 15.0) },
    Figure { against: Against::Nothing, ..cost("system calls, request on 64", Unit::Count, 4.3, 4.1) },
];
static TWO_THREADS: [Figure; 2] =
    [beside("two threads, short connection", Unit::Micros), beside("two threads, request on 64", Unit::Micros)];
