//! Tests of what is counted: `source_count api conn_rate >= 10`, `tracked_count 0 conn_cur > 20`.

use std::ops::RangeInclusive;

use super::{SIGNS, WhenError, joined, wrong};
use crate::model::condition::{Compare, Test};
use crate::model::{Count, Counted, Counter, TableName};

pub const SOURCE: &str = "source_count";
pub const TRACKED: &str = "tracked_count";

/// `TABLE COUNT NUMBERS`.
pub fn of_source(values: &[&str]) -> Result<Test, WhenError> {
    let [table, rest @ ..] = values else { return Err(WhenError::Bare(SOURCE)) };
    test(SOURCE, Counted::Source(named(SOURCE, table)?), rest)
}

/// `COUNTER [TABLE] COUNT NUMBERS`.
pub fn of_tracked(values: &[&str]) -> Result<Test, WhenError> {
    let [counter, rest @ ..] = values else { return Err(WhenError::Bare(TRACKED)) };
    let number = counter.parse().ok().and_then(Counter::new);
    let counter = number.ok_or_else(|| wrong(TRACKED, counter))?;
    match rest {
        // A table may have the name of a count.
        [table, count, ..] if Count::named(count).is_some() => {
            let table = Some(named(TRACKED, table)?);
            test(TRACKED, Counted::Tracked { counter, table }, &rest[1..])
        }
        _ => test(TRACKED, Counted::Tracked { counter, table: None }, rest),
    }
}

fn named(word: &'static str, table: &str) -> Result<TableName, WhenError> {
    TableName::new(table).map_err(|_| wrong(word, table))
}

fn test(word: &'static str, of: Counted, values: &[&str]) -> Result<Test, WhenError> {
    let [count, rest @ ..] = values else { return Err(WhenError::Bare(word)) };
    let count = Count::named(count).ok_or_else(|| wrong(word, count))?;
    Ok(Test::Count { of, count, numbers: numbers(word, rest)? })
}

/// A sign and a number, or numbers and ranges of which one must fit.
fn numbers(word: &'static str, values: &[&str]) -> Result<Vec<RangeInclusive<u32>>, WhenError> {
    let sign = values.first().and_then(|first| SIGNS.iter().find(|(written, _)| written == first));
    match (sign, values) {
        (_, []) | (Some(_), [_]) => Err(WhenError::Bare(word)),
        (Some((_, compare)), [_, number]) => {
            let range = number.parse().ok().and_then(|number| beside(*compare, number));
            range.map(|range| vec![range]).ok_or_else(|| wrong(word, number))
        }
        (Some(_), [_, _, surplus, ..]) => Err(wrong(word, surplus)),
        (None, values) => values.iter().map(|text| range(text).ok_or_else(|| wrong(word, text))).collect(),
    }
}

/// The numbers that stand so to another; `None` if there are none.
fn beside(compare: Compare, number: u32) -> Option<RangeInclusive<u32>> {
    Some(match compare {
        Compare::Less => 0..=number.checked_sub(1)?,
        Compare::AtMost => 0..=number,
        Compare::Equal => number..=number,
        Compare::AtLeast => number..=u32::MAX,
        Compare::More => number.checked_add(1)?..=u32::MAX,
    })
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some(low..=high)
}

/// A text that reads as this test.
pub fn write(of: &Counted, count: Count, numbers: &[RangeInclusive<u32>]) -> String {
    let of = match of {
        Counted::Source(table) => format!("{SOURCE} {table}"),
        Counted::Tracked { counter, table: None } => format!("{TRACKED} {counter}"),
        Counted::Tracked { counter, table: Some(table) } => format!("{TRACKED} {counter} {table}"),
    };
    format!("{of} {} {}", count.name(), written(numbers))
}

fn written(numbers: &[RangeInclusive<u32>]) -> String {
    match numbers {
        [one] if one.start() == one.end() => format!("= {}", one.start()),
        [one] if *one.start() == 0 => format!("<= {}", one.end()),
        [one] if *one.end() == u32::MAX => format!(">= {}", one.start()),
        several => joined(several.iter().map(|range| format!("{}-{}", range.start(), range.end())), " "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{read, write};

    // Seen to fail with `>` that takes the number itself, and with a table's name taken for a count.
    #[test]
    fn a_count_is_compared_with_a_number_or_with_ranges() {
        let again = |text: &str| read(text).map(|condition| write(&condition)).map_err(|error| error.to_string());
        for (text, written) in [
            ("source_count api conn_rate >= 10", "source_count api conn_rate >= 10"),
            ("source_count api conn_cnt > 20", "source_count api conn_cnt >= 21"),
            ("source_count api conn_cnt < 20", "source_count api conn_cnt <= 19"),
            ("source_count api conn_cnt 7", "source_count api conn_cnt = 7"),
            ("not tracked_count 0 conn_cur 5-9 12", "not tracked_count 0 conn_cur 5-9 12-12"),
            ("tracked_count 2 conn_cnt conn_cur = 1", "tracked_count 2 conn_cnt conn_cur = 1"),
            ("tracked_count 1 sess_rate <= 3", "tracked_count 1 sess_rate <= 3"),
        ] {
            assert_eq!(again(text).as_deref(), Ok(written));
            assert_eq!(again(written).as_deref(), Ok(written));
        }
        for (text, why) in [
            ("source_count", "`source_count` asks for nothing"),
            ("source_count api conn_cur", "`source_count` asks for nothing"),
            ("source_count api gpc0 > 1", "`source_count` can't ask for `gpc0`"),
            ("source_count api conn_cur < 0", "`source_count` can't ask for `0`"),
            ("source_count api conn_cur > 4294967295", "`source_count` can't ask for `4294967295`"),
            ("source_count api conn_cur > 1 2", "`source_count` can't ask for `2`"),
            ("source_count api conn_cur 9-5", "`source_count` can't ask for `9-5`"),
            ("tracked_count 3 conn_cur > 1", "`tracked_count` can't ask for `3`"),
        ] {
            assert_eq!(again(text), Err(why.to_owned()));
        }
    }
}
