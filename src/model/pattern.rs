//! What an answer is held against: a text that it contains, or a regular expression that it matches.

use std::fmt;

/// Longest regular expression once it is compiled, in bytes: one that a file states must not take the memory of thousands of
/// sessions.
const COMPILED: usize = 1 << 20;

/// Something to be found in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// These bytes.
    Text(Vec<u8>),
    Regex(Regex),
}

impl Pattern {
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Text(text) if text.is_empty() => true,
            Self::Text(text) => bytes.windows(text.len()).any(|window| window == text),
            Self::Regex(regex) => regex.compiled.is_match(bytes),
        }
    }
}

/// A regular expression over bytes; two are equal if they are written alike.
#[derive(Clone)]
pub struct Regex {
    compiled: regex::bytes::Regex,
}

impl Regex {
    /// The error says what is wrong with it, on one line.
    pub fn new(text: &str) -> Result<Self, String> {
        // Bytes that are no UTF-8 are matched, too, but a class or a dot means characters unless the text says `(?-u)`.
        match regex::bytes::RegexBuilder::new(text).unicode(false).size_limit(COMPILED).build() {
            Ok(compiled) => Ok(Self { compiled }),
            Err(error) => Err(error.to_string().lines().last().unwrap_or_default().trim().to_owned()),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.compiled.as_str()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Regex {}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_expressions_are_found_anywhere() {
        let text = |text: &str| Pattern::Text(text.into());
        assert!(text("live").is_in(b"it is alive") && !text("dead").is_in(b"it is alive") && text("").is_in(b""));
        let regex = |text| Pattern::Regex(Regex::new(text).unwrap());
        assert!(regex("^[0-9]+$").is_in(b"123") && !regex("^[0-9]+$").is_in(b"12x"));
        assert!(regex(r"(?-u)^.\xff").is_in(b"\xfe\xff"));
        assert_eq!(regex("a.b"), regex("a.b"));
        assert!(Regex::new("(").is_err_and(|error| !error.is_empty() && !error.contains('\n')));
        assert!(Regex::new("(a{1000}){1000}").is_err());
    }
}
