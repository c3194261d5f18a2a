//! Figures as a terminal has room for them: `3h12m`, `4.2 GiB`.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// How long something lasts, in its two largest units; below ten seconds, with a decimal.
pub(super) fn span(seconds: f64) -> String {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if duration.is_zero() => "0s".into(),
        () if duration < Duration::from_millis(9_950) => format!("{:.1}s", duration.as_secs_f64()),
        () if minutes == 0 => format!("{}s", duration.as_secs_f64().round().min(59.0)),
        () if hours == 0 => two(minutes, "m", seconds % 60, "s"),
        () if days == 0 => two(hours, "h", minutes % 60, "m"),
        () if days < 100 => two(days, "d", hours % 24, "h"),
        () => format!("{days}d"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

/// In binary units, with a decimal below a hundred.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    // From 1023.5 on it would be written 1024.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(value < 99.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A point of time that JSON tells.
pub(super) fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// How long it was from one point of time to a later one.
pub(super) fn between(earlier: &str, later: &str) -> Option<String> {
    let lapse = time(later)? - time(earlier)?;
    Some(span(lapse.as_seconds_f64().max(0.0)))
}

/// `2026-11-22 03:12:07`, in UTC; what can't be read as a time stands as it is.
pub(super) fn moment(text: &str) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let utc = time(text).and_then(|time| time.to_offset(time::UtcOffset::UTC).format(format).ok());
    utc.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_and_no_blanks() {
        let written =
            [0.0, 0.04, 1.54, 9.96, 59.9, 60.0, 488.0, 11_520.0, 86_400.0, 273_843.0, 86_400.0 * 120.0, -3.0].map(span);
        let expected = ["0s", "0.0s", "1.5s", "10s", "59s", "1m", "8m8s", "3h12m", "1d", "3d4h", "120d", "0s"];
        assert_eq!(written, expected);
    }

    #[test]
    fn bytes_have_a_decimal_below_a_hundred() {
        let written = [0, 1_023, 1_024, 102_348, 102_400, 1_048_000, 1_048_064, 4_509_715_661, u64::MAX].map(bytes);
        let expected =
            ["0 B", "1023 B", "1.0 KiB", "99.9 KiB", "100 KiB", "1023 KiB", "1.0 MiB", "4.2 GiB", "16.0 EiB"];
        assert_eq!(written, expected);
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(moment("2026-11-22T03:12:07.000Z"), "2026-11-22 03:12:07");
        assert_eq!(moment("2026-11-22T03:12:07+02:00"), "2026-11-22 01:12:07");
        assert_eq!(moment("yesterday"), "yesterday");
        let ago = between("2026-11-22T03:12:07.000Z", "2026-11-22T03:20:15.000Z");
        assert_eq!(ago.as_deref(), Some("8m8s"));
        assert_eq!(between("2026-11-22T03:20:15Z", "2026-11-22T03:12:07Z").as_deref(), Some("0s"));
    }
}
