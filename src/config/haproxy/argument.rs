//! What stands behind keywords: times, numbers, addresses, and lists of options.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::file::bad_line;
use super::keyword::Fate;
use super::words::Word;

/// Longest time that HAProxy takes (`2^31 - 1` ms, configuration manual, section 2.5).
const LONGEST: u64 = i32::MAX as u64;

/// A time: a number with a unit, in milliseconds without one (section 2.5). Rounded up to milliseconds. Of `5sec` HAProxy
/// reads what it knows, too.
///
/// # Errors
///
/// What is wrong with it.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let micros: u64 = match unit {
        "" => 1_000,
        unit if unit.starts_with("us") => 1,
        unit if unit.starts_with("ms") => 1_000,
        unit if unit.starts_with('s') => 1_000_000,
        unit if unit.starts_with('m') => 60_000_000,
        unit if unit.starts_with('h') => 3_600_000_000,
        unit if unit.starts_with('d') => 86_400_000_000,
        _ => return Err(format!("`{text}` is not a time")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a time"))?;
    let milliseconds = number.checked_mul(micros).map(|micros| micros.div_ceil(1_000)).filter(|all| *all <= LONGEST);
    milliseconds.map(Duration::from_millis).ok_or_else(|| format!("{text} is longer than HAProxy takes, 24 days"))
}

/// What to do about a time that is none.
pub const TIMES: &str = "write a number with us, ms, s, m, h or d behind it; without a unit it is in milliseconds";

/// A word as a time; what is wrong with it is noted.
pub fn time_of(word: &Word, mistakes: &mut Mistakes) -> Option<(Duration, Span)> {
    match time(&word.text) {
        Ok(time) => Some((time, word.span)),
        Err(error) => {
            mistakes.push(Some(word.span), bad_line(error, TIMES));
            None
        }
    }
}

/// A word as a number from `low` to `high`; what is wrong with it is noted.
pub fn number_of(word: &Word, low: u64, high: u64, mistakes: &mut Mistakes) -> Option<u64> {
    let number = word.text.parse().ok().filter(|number| (low..=high).contains(number));
    if number.is_none() {
        let hint = format!("write a number from {low} to {high}");
        mistakes.push(Some(word.span), bad_line(format!("`{}` is no such number", word.text), hint));
    }
    number
}

/// A word that may stand on a `server` or `bind` line, with a value or without.
#[derive(Debug)]
pub struct Allowed {
    pub word: &'static str,
    /// How many words belong to it.
    pub values: usize,
    /// Whether `no-` may stand before it.
    pub negatable: bool,
    pub fate: Fate,
}

impl Allowed {
    /// One that is honoured, and can't be taken back.
    pub const fn honoured(word: &'static str, values: usize) -> Self {
        Self { word, values, negatable: false, fate: Fate::Honoured }
    }

    /// One that changes nothing here.
    pub const fn noted(word: &'static str, values: usize, why: &'static str) -> Self {
        Self { word, values, negatable: false, fate: Fate::Noted(why) }
    }

    /// One that can't be honoured.
    pub const fn refused(word: &'static str, values: usize, why: &'static str, instead: &'static str) -> Self {
        Self { word, values, negatable: false, fate: Fate::Refused(why, instead) }
    }

    /// The same where `no-` may stand before it, if it has no value.
    pub const fn or_not(self) -> Self {
        Self { negatable: self.values == 0, ..self }
    }
}

/// The options of a line, the last of each.
#[derive(Debug, Clone, Default)]
pub struct Options(BTreeMap<&'static str, Set>);

/// One option.
#[derive(Debug, Clone)]
pub struct Set {
    pub values: Vec<Word>,
    pub at: Span,
}

impl Options {
    /// Reads `words` over what is there already; what can't be taken is noted.
    pub fn read(
        &mut self,
        words: &[Word],
        allowed: &'static [Allowed],
        line: &'static str,
        lenient: bool,
        mistakes: &mut Mistakes,
    ) {
        let mut rest = words;
        while let Some((first, tail)) = rest.split_first() {
            let (row, negated) = find(&first.text, allowed);
            let Some(row) = row else {
                let near = super::super::spelling::near(&first.text, allowed.iter().map(|row| row.word));
                let mistake = Mistake::UnknownDirective { word: first.text.clone(), place: line, near };
                mistakes.refuse(first.span, mistake, lenient);
                rest = tail;
                continue;
            };
            let values = if negated { 0 } else { row.values };
            if tail.len() < values {
                let hint = format!("write it as `{} VALUE`", row.word);
                mistakes.push(Some(first.span), bad_line(format!("`{}` has no value", row.word), hint));
                return;
            }
            let at = first.span.to(tail[..values].last().unwrap_or(first).span);
            match row.fate {
                _ if negated => drop(self.0.remove(row.word)),
                Fate::Honoured => drop(self.0.insert(row.word, Set { values: tail[..values].to_vec(), at })),
                fate => fate.note(row.word, at, lenient, mistakes),
            }
            rest = &tail[values..];
        }
    }

    /// Whether a word stands there.
    pub fn has(&self, word: &str) -> Option<Span> {
        self.0.get(word).map(|set| set.at)
    }

    /// The value of a word.
    pub fn value(&self, word: &str) -> Option<&Word> {
        self.0.get(word)?.values.first()
    }
}

fn find(word: &str, allowed: &'static [Allowed]) -> (Option<&'static Allowed>, bool) {
    if let Some(row) = allowed.iter().find(|row| row.word == word) {
        return (Some(row), false);
    }
    let plain = word.strip_prefix("no-");
    (plain.and_then(|plain| allowed.iter().find(|row| row.word == plain && row.negatable)), true)
}

/// An address as HAProxy writes it: a family, a host and what follows the last colon.
#[derive(Debug, PartialEq, Eq)]
pub struct Address<'a> {
    pub family: Option<Family>,
    /// Without brackets; empty or `*` for all.
    pub host: &'a str,
    /// `None` without a port.
    pub port: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// Takes an address apart (section 11.1). What is no address of an IP socket gives its kind in words.
///
/// # Errors
///
/// What kind of address it is.
pub fn address(text: &str) -> Result<Address<'_>, &'static str> {
    let (family, rest) = match text.split_once('@') {
        Some(("ipv4" | "tcp4", rest)) => (Some(Family::Ipv4), rest),
        Some(("ipv6" | "tcp6", rest)) => (Some(Family::Ipv6), rest),
        Some(("tcp" | "stream+ipv4" | "stream+ipv6", rest)) => (None, rest),
        Some(("unix", _)) => return Err("a unix socket"),
        Some(("abns" | "abnsz", _)) => return Err("an abstract socket"),
        Some(("quic4" | "quic6", _)) => return Err("QUIC"),
        Some(("udp" | "udp4" | "udp6", _)) => return Err("UDP"),
        Some(("rhttp", _)) => return Err("reverse HTTP"),
        Some(("sockpair", _)) => return Err("a pair of sockets"),
        Some(_) => return Err("of an unknown kind"),
        None if text.starts_with('/') => return Err("a unix socket"),
        None => (None, text),
    };
    if let Some(inner) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let (host, tail) = inner;
        return Ok(Address { family, host, port: tail.strip_prefix(':') });
    }
    // A whole IPv6 address without a port is one; otherwise the last colon is the port's.
    if rest.matches(':').count() > 1
        && !rest.ends_with(':')
        && rest.parse::<IpAddr>().is_ok()
        && family.is_none()
        && !ends_with_port(rest)
    {
        return Ok(Address { family, host: rest, port: None });
    }
    match rest.rsplit_once(':') {
        Some((host, port)) => Ok(Address { family, host, port: Some(port) }),
        None => Ok(Address { family, host: rest, port: None }),
    }
}

/// HAProxy takes what follows the last colon as the port, `:::6443` included.
fn ends_with_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_in_milliseconds_unless_it_says_so() {
        let ms = |text| time(text).map(|time| time.as_millis());
        assert_eq!(ms("10"), Ok(10));
        assert_eq!((ms("5sec"), ms("2min"), ms("7msx")), (Ok(5_000), Ok(120_000), Ok(7)), "as HAProxy 3.2 does");
        assert_eq!((ms("10s"), ms("2m"), ms("1d"), ms("1500us")), (Ok(10_000), Ok(120_000), Ok(86_400_000), Ok(2)));
        assert!(ms("10x").is_err() && ms("s").is_err() && ms("30d").is_err() && ms("-1").is_err());
    }

    #[test]
    fn addresses_are_taken_apart_as_haproxy_does() {
        let is = |family, host, port| Ok(Address { family, host, port });
        assert_eq!(address(":6443"), is(None, "", Some("6443")));
        assert_eq!(address("*:80-82"), is(None, "*", Some("80-82")));
        assert_eq!(address(":::6443"), is(None, "::", Some("6443")));
        assert_eq!(address("[::1]:6443"), is(None, "::1", Some("6443")));
        assert_eq!(address("ipv6@:6443"), is(Some(Family::Ipv6), "", Some("6443")));
        assert_eq!(address("cp-1.example"), is(None, "cp-1.example", None));
        assert_eq!(address("10.0.0.1"), is(None, "10.0.0.1", None));
        assert_eq!(address("/run/x.sock"), Err("a unix socket"));
        assert_eq!(address("quic4@:443"), Err("QUIC"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_refused(text in "[ -~]{0,40}") {
            let _ = (address(&text), time(&text));
        }
    }
}
