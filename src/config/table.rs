//! Tables, as a file writes them: what each stores, and the words around it.

use std::borrow::Cow;
use std::time::Duration;

use toml::de::DeValue;

use super::leaf::words;
use super::mistake::Mistake;
use super::read::{Found, Reader, Value};
use super::show::quoted;
use super::text::{Text, bad_text};
use super::value::{duration, duration_text};
use crate::model::{Count, OnTableFull, Stored, TableKey};

words!(TableKey { "ip" => TableKey::Ip, "ipv6" => TableKey::Ipv6, });
words!(OnTableFull { "forget" => OnTableFull::Forget, "keep" => OnTableFull::Keep, });

/// What a rule says, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictWord {
    Accept,
    Reject,
    ExpectProxy,
    Track,
}

words!(VerdictWord {
    "accept" => VerdictWord::Accept,
    "reject" => VerdictWord::Reject,
    "expect_proxy" => VerdictWord::ExpectProxy,
    "track" => VerdictWord::Track,
});

/// A count, with a rate's period: "conn_cur", "conn_rate(3s)".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredText(pub Stored);

/// The longest period of a rate, HAProxy's longest time.
pub const LONGEST_PERIOD: Duration = Duration::from_millis(i32::MAX as u64);

impl Text for StoredText {
    const WANTED: &'static str = "a count such as \"conn_cur\" or \"conn_rate(3s)\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let (name, period) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').unwrap_or(""))),
            None => (text, None),
        };
        let Some(count) = Count::named(name) else {
            return Err(bad_text(
                key,
                text,
                "what can be counted is conn_cnt, conn_rate, conn_cur, sess_cnt, sess_rate",
            ));
        };
        let period = match period {
            Some(period) => Some(self::period(period).ok_or_else(|| bad_text(key, text, PERIODS))?),
            None => None,
        };
        let wrong = if period.is_some() { "it has no period" } else { "a rate has a period, as in conn_rate(3s)" };
        stored(count, period).map(Self).ok_or_else(|| bad_text(key, text, wrong))
    }

    fn text(&self) -> String {
        let name = self.0.count().name();
        match self.0.period() {
            Some(period) => format!("{name}({})", duration_text(period)),
            None => name.to_owned(),
        }
    }
}

const PERIODS: &str = "a period is a duration from 1ms to 24d, as in conn_rate(3s)";

fn period(text: &str) -> Option<Duration> {
    duration(text).ok().filter(|period| (Duration::from_millis(1)..=LONGEST_PERIOD).contains(period))
}

/// A count with the period that it needs, or without one; `None` for what does not go together.
pub fn stored(count: Count, period: Option<Duration>) -> Option<Stored> {
    Some(match (count, period) {
        (Count::ConnCnt, None) => Stored::ConnCnt,
        (Count::ConnRate, Some(period)) => Stored::ConnRate(period),
        (Count::ConnCur, None) => Stored::ConnCur,
        (Count::SessCnt, None) => Stored::SessCnt,
        (Count::SessRate, Some(period)) => Stored::SessRate(period),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_as_it_is_written() {
        for text in ["conn_cnt", "conn_rate(3s)", "conn_cur", "sess_cnt", "sess_rate(90s)"] {
            assert_eq!(StoredText::parse(text, "store").map(|stored| stored.text()).as_deref(), Ok(text));
        }
        for wrong in
            ["", "gpc0", "conn_rate", "conn_rate()", "conn_rate(0s)", "conn_rate(30d)", "conn_cur(3s)", "conn_rate(3s"]
        {
            assert!(StoredText::parse(wrong, "store").is_err(), "{wrong}");
        }
    }
}
