//! Times as commands take them and answers give them.

use std::time::Duration;

/// Units that a number may have, in microseconds.
const UNITS: [(&str, u64); 6] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)];

/// The longest that is taken: what HAProxy's timers hold, in milliseconds.
const LONGEST: u64 = 0x7fff_ffff;

/// Reads a time such as `5`, `5m`, `1h30m`; a number without a unit is so many of `unit`. `None` for what is no time, or
/// longer than can be waited.
pub fn duration(text: &str, unit: &str) -> Option<Duration> {
    let microseconds = |name: &str| UNITS.iter().find(|(known, _)| *known == name).map(|(_, length)| *length);
    let (mut rest, mut total) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        let length = microseconds(if name.is_empty() { unit } else { name })?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
        rest = after;
    }
    (!text.is_empty() && total / 1_000 <= LONGEST).then(|| Duration::from_micros(total))
}

/// An age in its two longest units: `5s`, `1m10s`, `3h2m`, `2d5h`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (long, short) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3_600 => ((60, 'm'), (1, 's')),
        3_600..86_400 => ((3_600, 'h'), (60, 'm')),
        _ => ((86_400, 'd'), (3_600, 'h')),
    };
    let (whole, rest) = (seconds / long.0, seconds % long.0 / short.0);
    match rest {
        0 => format!("{whole}{}", long.1),
        _ => format!("{whole}{}{rest}{}", long.1, short.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_or_without_a_unit() {
        let milliseconds = |text, unit| duration(text, unit).map(|time| time.as_millis());
        assert_eq!(milliseconds("5", "s"), Some(5_000));
        assert_eq!(milliseconds("10", "ms"), Some(10));
        assert_eq!(milliseconds("1h30m", "s"), Some(5_400_000));
        for wrong in ["", "x", "5x", "-1", "5 s", "99999999999"] {
            assert_eq!(duration(wrong, "s"), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_age_has_its_two_longest_units() {
        let of = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(
            [0, 59, 60, 70, 3_600, 7_320, 86_400, 180_000].map(of),
            ["0s", "59s", "1m", "1m10s", "1h", "2h2m", "1d", "2d2h"]
        );
    }
}
