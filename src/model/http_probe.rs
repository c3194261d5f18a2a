//! An HTTP request that a probe sends, and what its answer must be: HAProxy's `option httpchk` with `http-check`.

use std::ops::RangeInclusive;

use super::{Pattern, TlsProbe};

/// A probe that sends one request, over TLS or not.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpProbe {
    /// `None` for plain HTTP.
    pub tls: Option<TlsProbe>,
    pub method: String,
    /// As it is sent.
    pub target: String,
    pub version: HttpVersion,
    /// In the order sent; names as they are sent.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// All of them; without any, a status from 200 to 399 passes.
    pub expect: Vec<Expectation>,
    /// Whether 404 means a server that lives and takes no new work (HAProxy's `http-check disable-on-404`).
    pub drains_on_404: bool,
}

impl Default for HttpProbe {
    /// HAProxy's `option httpchk` without a word behind it.
    fn default() -> Self {
        Self {
            tls: None,
            method: "OPTIONS".to_owned(),
            target: "/".to_owned(),
            version: HttpVersion::Http10,
            headers: Vec::new(),
            body: String::new(),
            expect: Vec::new(),
            drains_on_404: false,
        }
    }
}

impl HttpProbe {
    /// What passes where nothing is expected.
    pub const PASSES: RangeInclusive<u16> = 200..=399;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    Http10,
    Http11,
}

impl HttpVersion {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// What an answer must be, or must not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub negated: bool,
    pub of: Expected,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// One of these statuses.
    Status(Vec<RangeInclusive<u16>>),
    /// A status that, in digits, matches.
    StatusPattern(Pattern),
    /// A body in which this is found.
    Body(Pattern),
}

impl Expectation {
    /// Whether an answer is as expected.
    pub fn holds(&self, status: u16, body: &[u8]) -> bool {
        let is_so = match &self.of {
            Expected::Status(ranges) => ranges.iter().any(|range| range.contains(&status)),
            Expected::StatusPattern(pattern) => pattern.is_in(status.to_string().as_bytes()),
            Expected::Body(pattern) => pattern.is_in(body),
        };
        is_so != self.negated
    }

    /// Whether the body bears on it.
    pub fn reads_body(&self) -> bool {
        matches!(self.of, Expected::Body(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_expected_or_as_it_must_not_be() {
        let expect = |negated, of| Expectation { negated, of };
        let statuses = || Expected::Status(vec![200..=204, 301..=301]);
        assert!(expect(false, statuses()).holds(204, b"") && !expect(false, statuses()).holds(302, b""));
        assert!(!expect(true, statuses()).holds(204, b"") && expect(true, statuses()).holds(302, b""));
        let fours = || Expected::StatusPattern(Pattern::Regex(super::super::Regex::new("^4").unwrap()));
        assert!(expect(false, fours()).holds(404, b"") && !expect(false, fours()).holds(204, b""));
        let foo = || Expected::Body(Pattern::Text(b"foo".to_vec()));
        assert!(expect(false, foo()).holds(500, b"a foo") && expect(true, foo()).holds(200, b"bar"));
    }
}
