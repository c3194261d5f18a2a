//! Figures as people read them: counts, bytes, spans and points of time. All times are UTC.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// With a comma between thousands: `48,211`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Three digits and a decimal unit: `18.2 GB`; below a thousand, exact.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1e3;
    let mut unit = 0;
    // From 999.5 on, three digits would round up to four.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// How long something lasts, in its two largest units: `8 min`, `3 h 5 min`, `2 d 4 h`; below a minute, seconds.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds} s"),
        () if hours == 0 => format!("{minutes} min"),
        () if days == 0 => two(hours, "h", minutes % 60, "min"),
        () if days < 100 => two(days, "d", hours % 24, "h"),
        () => format!("{} d", count(days)),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// How long something short took: `0.31 ms`, `4.18 ms`, `1.5 s`.
pub(super) fn lapse(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        0.0 => "0 ms".to_owned(),
        _ if millis < 999.5 => format!("{} ms", three_digits(millis)),
        _ if millis < 60_000.0 => format!("{} s", three_digits(millis / 1e3)),
        _ => span(duration),
    }
}

/// As many decimals as make three digits, and no zero at the end: `0.31`, `12.3`, `310`.
pub(super) fn three_digits(value: f64) -> String {
    let decimals = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A time of day, with its date unless it is that of `now`: `03:12:07`, `19 Nov 23:16:11`; the year where it differs.
pub(super) fn moment(at: SystemTime, now: SystemTime) -> String {
    let (at, now) = (utc(at), utc(now));
    let format: &[BorrowedFormatItem<'_>] = match () {
        () if at.date() == now.date() => format_description!("[hour]:[minute]:[second]"),
        () if at.year() == now.year() => {
            format_description!("[day padding:none] [month repr:short] [hour]:[minute]:[second]")
        }
        () => format_description!("[day padding:none] [month repr:short] [year] [hour]:[minute]"),
    };
    written(at, format)
}

/// `03:12`.
pub(super) fn clock_time(at: SystemTime) -> String {
    written(utc(at), format_description!("[hour]:[minute]"))
}

/// The points of time in a text that stand there as [`moment`] writes them, with ` UTC` behind.
pub(super) struct Moments;

impl Moments {
    /// Where each stands, without ` UTC`, and which it is. What only looks like one is left alone.
    pub(super) fn in_text(text: &str, now: SystemTime) -> Vec<(Range<usize>, SystemTime)> {
        text.match_indices(" UTC").filter_map(|(end, _)| Self::before(text, end, now)).collect()
    }

    fn before(text: &str, end: usize, now: SystemTime) -> Option<(Range<usize>, SystemTime)> {
        let head = text.get(..end)?;
        // The longest first: a time of day alone would be found in one with its date.
        let starts = head.rmatch_indices(' ').map(|(space, _)| space + 1).chain([0]).take(4).collect::<Vec<_>>();
        starts.into_iter().rev().find_map(|start| Some((start..end, read_moment(&head[start..], now)?)))
    }
}

/// What [`moment`] has written.
fn read_moment(text: &str, now: SystemTime) -> Option<SystemTime> {
    let now = utc(now);
    let words: Vec<&str> = text.split(' ').collect();
    let year = now.year().to_string();
    let (date, clock) = match words[..] {
        [clock] => (now.date(), clock.to_owned()),
        [day, month, clock] => (read_date(day, month, &year)?, clock.to_owned()),
        [day, month, year, clock] => (read_date(day, month, year)?, format!("{clock}:00")),
        _ => return None,
    };
    let clock = time::Time::parse(&clock, format_description!("[hour]:[minute]:[second]")).ok()?;
    Some(date.with_time(clock).assume_utc().into())
}

fn read_date(day: &str, month: &str, year: &str) -> Option<time::Date> {
    let format = format_description!("[day padding:none] [month repr:short] [year]");
    time::Date::parse(&format!("{day} {month} {year}"), format).ok()
}

/// `2026-11-22 03:12:07`.
pub(super) fn date_time(at: SystemTime) -> String {
    written(utc(at), format_description!("[year]-[month]-[day] [hour]:[minute]:[second]"))
}

/// `2026-11-22`.
pub(super) fn date(at: SystemTime) -> String {
    written(utc(at), format_description!("[year]-[month]-[day]"))
}

/// RFC 3339 in UTC with milliseconds: `2026-11-22T03:12:07.000Z`.
pub(super) fn rfc3339(at: SystemTime) -> String {
    written(utc(at), format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))
}

/// Numbers up to twelve in words, as prose has them.
pub(super) fn words(n: usize) -> String {
    const WORDS: [&str; 13] =
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    WORDS.get(n).map_or_else(|| count(n as u64), |word| (*word).to_owned())
}

/// `first`, `second`, `third`, `4th`.
pub(super) fn ordinal(n: u64) -> String {
    match (n, n % 10, n % 100) {
        (1, ..) => "first".to_owned(),
        (2, ..) => "second".to_owned(),
        (3, ..) => "third".to_owned(),
        (_, 1, rest) if rest != 11 => format!("{}st", count(n)),
        (_, 2, rest) if rest != 12 => format!("{}nd", count(n)),
        (_, 3, rest) if rest != 13 => format!("{}rd", count(n)),
        _ => format!("{}th", count(n)),
    }
}

/// Days from `now` until `at`, begun ones not counted; negative once it is past.
pub(super) fn days_until(at: SystemTime, now: SystemTime) -> i64 {
    (utc(at) - utc(now)).whole_seconds().div_euclid(86_400)
}

/// Times outside of the years 0 to 9999, which only a strange certificate has, become the nearest one inside.
fn utc(at: SystemTime) -> OffsetDateTime {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let (seconds, nanos) = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(LAST), since.subsec_nanos()),
        Err(before) => (i64::try_from(before.duration().as_secs()).map_or(FIRST, |seconds| -seconds), 0),
    };
    let whole = OffsetDateTime::from_unix_timestamp(seconds.clamp(FIRST, LAST)).expect("clamped to what it can be");
    whole.replace_nanosecond(nanos).unwrap_or(whole)
}

fn written(at: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    at.format(format).expect("a date and time of day have all that these formats ask for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::now;

    #[test]
    fn counts_have_commas_between_thousands() {
        let written = [0, 999, 1_000, 48_211, 1_234_567, u64::MAX].map(count);
        assert_eq!(written, ["0", "999", "1,000", "48,211", "1,234,567", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn bytes_keep_three_digits() {
        let written = [0, 999, 1_000, 1_288, 18_253_611_008, 999_499, 999_500, u64::MAX].map(bytes);
        assert_eq!(written, ["0 B", "999 B", "1 kB", "1.29 kB", "18.3 GB", "999 kB", "1 MB", "18.4 EB"]);
    }

    #[test]
    fn spans_have_two_units() {
        let written = [0, 59, 60, 488, 3_600, 11_100, 86_400, 273_843, 86_400 * 1_200]
            .map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(written, ["0 s", "59 s", "1 min", "8 min", "1 h", "3 h 5 min", "1 d", "3 d 4 h", "1,200 d"]);
    }

    #[test]
    fn lapses_keep_three_digits() {
        let written =
            [0, 310, 4_180, 12_340, 999_600, 1_500_000, 61_000_000].map(|micros| lapse(Duration::from_micros(micros)));
        assert_eq!(written, ["0 ms", "0.31 ms", "4.18 ms", "12.3 ms", "1 s", "1.5 s", "1 min"]);
    }

    #[test]
    fn moments_carry_the_date_only_where_it_is_another() {
        let ago = |seconds| moment(now() - Duration::from_secs(seconds), now());
        assert_eq!(ago(488), "03:12:07");
        assert_eq!(ago(273_844), "18 Nov 23:16:11");
        assert_eq!(ago(400 * 86_400), "18 Oct 2025 03:20");
        assert_eq!(rfc3339(now()), "2026-11-22T03:20:15.000Z");
    }

    #[test]
    fn times_that_no_calendar_has_are_still_written() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50);
        assert_eq!(date(far), "9999-12-31");
        assert_eq!(date(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1969-12-31");
    }

    #[test]
    fn a_begun_day_is_not_a_day() {
        let day = Duration::from_secs(86_400);
        assert_eq!(days_until(now() + 3 * day - Duration::from_secs(1), now()), 2);
        assert_eq!(days_until(now() - Duration::from_secs(1), now()), -1);
    }
}
