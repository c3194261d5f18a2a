//! What sessions take that do nothing.

use std::time::Duration;

use anyhow::Result;

use super::{beside, bursts, cost, point};
use crate::bench::Bench;
use crate::figures::{Against, Figure, Sample, Unit};
use crate::machine::{self, Holding};
use crate::proxies::Proxy;

/// Numbers of sessions at which memory is read, in the order of [`FIGURES`].
pub const SESSIONS: [usize; 7] = [0, 1000, 2000, 4000, 6000, 8000, 9000];

/// Between these two growth is counted: what a process takes for its first sessions is not theirs alone.
const COUNTED: std::ops::Range<usize> = 1000..8000;

const fn absolute(title: &'static str, unit: Unit, bar: f64, stretch: f64) -> Figure {
    Figure { against: Against::Nothing, ..cost(title, unit, bar, stretch) }
}

pub static FIGURES: [Figure; 11] = [
    point("no session", Unit::MiB),
    point("1,000 sessions", Unit::MiB),
    point("2,000 sessions", Unit::MiB),
    point("4,000 sessions", Unit::MiB),
    point("6,000 sessions", Unit::MiB),
    point("8,000 sessions", Unit::MiB),
    point("9,000 sessions", Unit::MiB),
    absolute("memory per idle session", Unit::Bytes, 1.3 * 1024.0, 0.6 * 1024.0),
    absolute("descriptors per idle session", Unit::Count, 2.0, 2.0),
    absolute("resident memory, no session", Unit::MiB, 10.0, 6.0),
    beside("resident memory, 8,000 sessions", Unit::MiB),
];

/// Opens more and more sessions.
pub fn grow(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let mut held = Vec::new();
    let mut open = 0;
    for sessions in SESSIONS {
        if sessions > open {
            bench.load.open(bursts::idle(proxy, sessions - open))?;
            open = sessions;
        }
        held.push(settled(proxy)?);
    }
    bench.load.close()?;
    Ok(Sample::of(values(&held)))
}

/// What it holds once that no longer changes, or after two seconds.
fn settled(proxy: &Proxy) -> Result<Holding> {
    let mut before = proxy.holding()?;
    for _ in 0..20 {
        machine::pause(Duration::from_millis(100));
        let now = proxy.holding()?;
        if now.anonymous == before.anonymous && now.descriptors == before.descriptors {
            return Ok(now);
        }
        before = now;
    }
    Ok(before)
}

fn values(held: &[Holding]) -> Vec<f64> {
    const MIB: f64 = (1 << 20) as f64;
    let at = |sessions: usize| {
        let place = SESSIONS.iter().position(|number| *number == sessions);
        held[place.expect("a number of the list")]
    };
    let (few, many) = (at(COUNTED.start), at(COUNTED.end));
    let grown = COUNTED.len() as f64;
    let mut values: Vec<f64> = held.iter().map(|holding| holding.anonymous / MIB).collect();
    values.push((many.anonymous - few.anonymous) / grown);
    values.push((many.descriptors as f64 - few.descriptors as f64) / grown);
    values.push(at(0).resident / MIB);
    values.push(many.resident / MIB);
    values
}
