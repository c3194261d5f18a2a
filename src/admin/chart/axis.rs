//! Round numbers beside the lines, and round times beneath.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Unit, clock_time, rfc3339, rounded};
use crate::observe::series::Span;

/// Lines above the foot are no more than this.
const MOST_TICKS: f64 = 3.0;

/// What of a number is left that has been through a few roundings.
const NEARLY: f64 = 1.0 - 1e-6;

/// Times nearer to an edge than this, in percent, would not fit.
const EDGE: f64 = 4.0;

/// How far up a chart goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    step: f64,
    pub top: f64,
}

/// A value's line, in pixels from the top.
#[derive(Debug, PartialEq)]
pub(super) struct ValueTick {
    pub y: f64,
    pub text: String,
}

/// A time's place, in percent of the width.
#[derive(Debug, PartialEq)]
pub(super) struct TimeTick {
    pub x: String,
    /// For the script, which writes it in the reader's zone.
    pub at: String,
    pub text: String,
}

impl Scale {
    /// One, two or three steps of 1, 2 or 5 of some power of ten, so that the largest value fits.
    pub fn to(most: f32, unit: Unit) -> Self {
        let least = match unit {
            Unit::Count | Unit::BytesPerSecond => 1.0,
            Unit::PerSecond => 0.1,
            Unit::Seconds => 1e-4,
        };
        let most = f64::from(most);
        let power = 10_f64.powf((most / MOST_TICKS).max(least).log10().floor());
        let powers = std::iter::successors(Some(power), |power| Some(power * 10.0).filter(|power| power.is_finite()));
        let fits = |step: &f64| *step > least * NEARLY && most * NEARLY <= step * MOST_TICKS;
        let step = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power)).find(fits).unwrap_or(most);
        Self { step, top: step * (most * NEARLY / step).ceil().clamp(1.0, MOST_TICKS) }
    }

    /// From the foot upwards.
    pub fn ticks(self, unit: Unit, top: f64, height: f64) -> Vec<ValueTick> {
        let steps = (self.top / self.step).round() as u8;
        let tick = |number: u8| ValueTick {
            y: rounded(top + height - height * f64::from(number) / f64::from(steps)),
            text: unit.text((self.step * f64::from(number)) as f32),
        };
        (0..=steps).map(tick).collect()
    }
}

/// The round times among the ends of steps: ten minutes apart, or four hours.
pub(super) fn times(ends: &[SystemTime], span: Span) -> Vec<TimeTick> {
    let apart = match span {
        Span::Hour => 10 * 60,
        Span::Day => 4 * 3_600,
    };
    let period = |end: &SystemTime| end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / apart;
    let pairs = ends.windows(2).enumerate();
    let ticks = pairs.filter(|(_, pair)| period(&pair[1]) > period(&pair[0]));
    let tick = |(place, pair): (usize, &[SystemTime])| {
        let at = UNIX_EPOCH + Duration::from_secs(period(&pair[1]) * apart);
        let x = 100.0 * (place + 2) as f64 / ends.len() as f64;
        let fits = (EDGE..=100.0 - EDGE).contains(&x);
        fits.then(|| TimeTick { x: format!("{x:.1}%"), at: rfc3339(at), text: clock_time(at) })
    };
    ticks.filter_map(tick).collect()
}
