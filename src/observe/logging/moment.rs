//! Times as lines have them.

use std::time::SystemTime;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::clock;

/// RFC 3339 in UTC, always to the millisecond, so that lines sort and align.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// As RFC 3164 has it (section 4.1.2), in local time.
const RFC3164: &[BorrowedFormatItem<'_>] =
    format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second]");

/// As HAProxy's `%t` has it, in local time.
const TCPLOG: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second].[subsecond digits:3]");

/// As HAProxy's `%T` and `%Tl` have it.
const WITH_ZONE: &[BorrowedFormatItem<'_>] = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);

/// Whose time a date is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Utc,
    /// The host's.
    Local,
}

/// Wall time as it stands at the beginning of a line.
pub(in crate::observe) fn timestamp(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(TIMESTAMP).unwrap_or_default()
}

pub(super) fn rfc3164(at: SystemTime) -> String {
    local(at).format(RFC3164).unwrap_or_default()
}

pub(super) fn tcplog(at: SystemTime) -> String {
    local(at).format(TCPLOG).unwrap_or_default()
}

pub(super) fn with_zone(at: SystemTime, zone: Zone) -> String {
    let at = if zone == Zone::Utc { OffsetDateTime::from(at) } else { local(at) };
    at.format(WITH_ZONE).unwrap_or_default()
}

/// Has the host's time zone read, of which the library then knows.
pub(super) fn know_zone() {
    local(clock::wall());
}

/// The host's time; UTC where it doesn't say what that is.
fn local(at: SystemTime) -> OffsetDateTime {
    let at = OffsetDateTime::from(at);
    at.to_offset(UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3164, section 5.4, examples 1 and 2, and HAProxy's configuration manual, section 8.2.2.
    #[test]
    fn times_are_written_as_in_the_manuals() {
        let at = |seconds: i64, milliseconds| {
            OffsetDateTime::from_unix_timestamp(seconds).unwrap() + std::time::Duration::from_millis(milliseconds)
        };
        assert_eq!(at(1_065_910_455, 3).format(RFC3164).unwrap(), "Oct 11 22:14:15");
        assert_eq!(at(1_044_466_338, 0).format(RFC3164).unwrap(), "Feb  5 17:32:18");
        assert_eq!(at(1_233_922_371, 443).format(TCPLOG).unwrap(), "06/Feb/2009:12:12:51.443");
        assert_eq!(at(1_233_922_371, 443).format(WITH_ZONE).unwrap(), "06/Feb/2009:12:12:51 +0000");
    }
}
