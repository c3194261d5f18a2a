//! What a figure is in, and how it is written then.

use std::time::Duration;

use super::super::figures::{bytes, count, lapse, three_digits};

/// What a chart's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum Unit {
    /// Whole things.
    Count,
    PerSecond,
    BytesPerSecond,
    Seconds,
}

impl Unit {
    pub fn text(self, value: f32) -> String {
        let whole = value.round() as u64;
        match self {
            Self::Count => count(whole),
            Self::PerSecond if value >= 999.5 => format!("{}/s", count(whole)),
            Self::PerSecond => format!("{}/s", three_digits(value.into())),
            Self::BytesPerSecond => format!("{}/s", bytes(whole)),
            Self::Seconds => lapse(Duration::try_from_secs_f32(value).unwrap_or(Duration::ZERO)),
        }
    }
}
