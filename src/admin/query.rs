//! The query of a request: what a reader asks for, and no key that nobody knows.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use super::refusal::Refusal;

/// The keys and values of a query, in their order.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Refuses a key that is not one of `known`, or that stands there twice.
    pub fn of(query: Option<&'a str>, known: &[&str]) -> Result<Self, Refusal> {
        let parts = query.unwrap_or("").split('&').filter(|part| !part.is_empty());
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (decoded(key), decoded(value));
            if !known.contains(&key.as_ref()) {
                return Err(Refusal::bad(format!("there is no `{key}` to ask for: there are {}", known.join(", "))));
            }
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(Refusal::bad(format!("`{key}` stands there twice")));
            }
            pairs.push((key, value));
        }
        Ok(Self { pairs })
    }

    /// The value of a key; an empty one is none.
    pub fn value(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(name, _)| name == key)?;
        Some(found.1.as_ref()).filter(|value| !value.is_empty())
    }

    /// A number within a range, ends included.
    pub fn number<T>(&self, key: &str, low: T, high: T) -> Result<Option<T>, Refusal>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.value(key) else { return Ok(None) };
        match text.parse() {
            Ok(number) if number >= low && number <= high => Ok(Some(number)),
            _ => Err(Refusal::bad(format!("`{key}` is {text:?}: it must be a number from {low} to {high}"))),
        }
    }
}

/// A part of a path or a query without its percent signs; what is no UTF-8 then is kept as it is sent.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_known_keys_once_each() {
        let query = Query::of(Some("source=10.0.0.0%2f8&&limit=3&server="), &["source", "limit", "server"]).unwrap();
        assert_eq!((query.value("source"), query.value("server")), (Some("10.0.0.0/8"), None));
        assert_eq!(query.number("limit", 1, 9).unwrap(), Some(3));
        assert!(query.number("limit", 4, 9).is_err() && query.number("source", 1, 9).is_err());
        let words = |text| Query::of(Some(text), &["source", "limit"]).unwrap_err().words().to_owned();
        assert_eq!(words("client=1"), "there is no `client` to ask for: there are source, limit");
        assert_eq!(words("limit=1&limit=2"), "`limit` stands there twice");
    }

    #[test]
    fn percent_signs_are_read_where_they_mean_something() {
        let read = ["%2A", "a%2fb", "100%", "%zz", "%ff", "a+b"].map(decoded);
        assert_eq!(read, ["*", "a/b", "100%", "%zz", "%ff", "a+b"]);
    }
}
