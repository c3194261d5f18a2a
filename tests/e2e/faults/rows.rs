//! The faults, each with what must hold: a row is a function that makes the fault and one that asks.

mod clients;
mod crashes;
mod refusals;
mod silence;
mod slowness;

use std::time::Duration;

use crate::proxies::Kind;
use crate::run::{Bar, Course, Run};
use crate::site::Site;

/// What a row needs beyond what all have.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Controllers that are hurt.
    pub victims: &'static [usize],
    /// Whether all of them is, or only the API.
    pub whole_host: bool,
    /// The API is checked by its /readyz.
    pub readyz: bool,
    /// The load balancer's cable can delay and lose.
    pub wire: bool,
    /// The load balancer's wall clock can jump.
    pub clock: bool,
    /// One of evenkeel's sessions panics.
    pub panic: bool,
    /// Clients that don't read.
    pub stalled: usize,
}

impl Setup {
    /// The first controller, all of it, and nothing special.
    const FIRST: Self =
        Self { victims: &[0], whole_host: true, readyz: false, wire: false, clock: false, panic: false, stalled: 0 };

    /// Only the first controller's API.
    const FIRST_API: Self = Self { whole_host: false, ..Self::FIRST };

    /// Nobody is hurt.
    const NOBODY: Self = Self { victims: &[], ..Self::FIRST };

    const ALL: Self = Self { victims: &[0, 1, 2], ..Self::FIRST };
}

/// A fault and what must hold.
pub struct Row {
    pub name: &'static str,
    /// As in the table of the report.
    pub title: &'static str,
    /// Short and telling: `tests/run` has it for evenkeel alone.
    pub quick: bool,
    /// Takes minutes: all load balancers meet it at the same time, each on a site of its own.
    pub long: bool,
    pub setup: Setup,
    /// From the fault to the end; a fault that takes longer makes it longer.
    pub lasts: Duration,
    pub fault: fn(&mut Site) -> Course,
    pub holds: fn(&Run) -> Vec<Bar>,
}

impl Row {
    const fn new(
        name: &'static str,
        title: &'static str,
        setup: Setup,
        seconds: u64,
        fault: fn(&mut Site) -> Course,
        holds: fn(&Run) -> Vec<Bar>,
    ) -> Self {
        Self { name, title, quick: false, long: false, setup, lasts: Duration::from_secs(seconds), fault, holds }
    }

    /// The load balancers that can meet it. HAProxy can't be told to panic, and 3.2 doesn't start with libfaketime.
    pub fn kinds(&self) -> &'static [Kind] {
        let ours = self.setup.panic || self.setup.clock;
        if ours { &[Kind::Evenkeel] } else { &Kind::ALL }
    }

    const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }

    const fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

/// All rows, in the order of the report.
pub const ROWS: [Row; 20] = [
    crashes::KILLED.quick(),
    silence::STOPPED,
    silence::BLACK_HOLE.quick(),
    silence::TWO_BLACK_HOLES,
    silence::LINK_DOWN,
    silence::ONE_WAY,
    crashes::BACK.quick(),
    refusals::TERMINATED.quick(),
    refusals::REJECTED.long(),
    slowness::ALL_SLOW,
    clients::NOT_READING.long(),
    slowness::LOSS_AND_DELAY,
    refusals::NOT_READY,
    silence::FLAPPING,
    refusals::ALL_REFUSE.quick(),
    clients::OWN_LINK_DOWN,
    clients::CLOCK_JUMPS,
    clients::PANIC,
    clients::RECONNECTS,
    clients::QUIET,
];

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
