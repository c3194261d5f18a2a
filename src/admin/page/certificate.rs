//! What is left of a server's certificate, in the few letters that a table has for it.

use std::time::SystemTime;

use super::super::figures::{count, date, days_until};
use super::super::headline::{CERTIFICATE_DAYS, certificate};
use crate::event::ServerSnapshot;

/// What is left of a certificate.
pub(super) struct Days {
    pub(super) text: String,
    /// A class of the stylesheet.
    pub(super) tone: &'static str,
    pub(super) title: String,
}

impl Days {
    /// Of the last certificate seen.
    pub(super) fn of(server: &ServerSnapshot, now: SystemTime) -> Option<Self> {
        let seen = certificate(server)?;
        let days = days_until(seen.not_after, now);
        Some(Self {
            text: if days < 0 { "expired".to_owned() } else { format!("{} d", count(days.unsigned_abs())) },
            tone: tone(days),
            title: format!("{}, issued by {}, until {}", seen.subject, seen.issuer, date(seen.not_after)),
        })
    }
}

/// How a certificate is coloured that has so many days left.
pub(super) fn tone(days: i64) -> &'static str {
    match days {
        ..1 => "bad",
        1..=CERTIFICATE_DAYS => "warning",
        _ => "",
    }
}
