//! Conditions as a file says them: `sni api.example.com and not source 10.0.0.0/8`.
//!
//! Terms are joined by `and`, lists of them by `or`, which binds less; `not` stands before a term. A term is the word of
//! a test, and what it asks for.

mod count;

use std::fmt::Display;
use std::ops::RangeInclusive;

use thiserror::Error;

use super::mistake::Mistake;
use super::text::Text;
use super::value::{self, NetworkError};
use crate::model::condition::{Compare, NamePart, NamePattern, Term, Test};
use crate::model::{BackendName, Condition, Network};

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WhenError {
    #[error("there is nothing before or behind `{0}`")]
    Nothing(String),
    #[error("`{0}` is no test")]
    Unknown(String),
    #[error("`{0}` asks for nothing")]
    Bare(&'static str),
    #[error("`{0}` can't ask for `{1}`")]
    Value(&'static str, String),
    #[error("`{0}` can't ask for `{1}`: {2}")]
    Network(&'static str, String, NetworkError),
    #[error("it has more than {} terms", MAX_TERMS)]
    TooLong,
}

/// Terms of one condition at most.
const MAX_TERMS: usize = 1_000;

/// What all tests are, for whoever has to write one.
pub const TESTS: &str = "the tests are always, never, source NETWORK, destination NETWORK, port N or N-N, sni NAME, \
                         sni_exactly NAME, hello_type N, usable_servers BACKEND < N, source_count TABLE conn_cur < N, \
                         tracked_count 0 conn_cur < N; join them by and, or, not";

impl Text for Condition {
    const WANTED: &'static str = "a condition such as \"sni api.example.com and not source 10.0.0.0/8\"";

    fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
        read(text).map_err(|error| Mistake::BadCondition { text: text.to_owned(), error })
    }

    fn text(&self) -> String {
        write(self)
    }
}

/// Reads a condition.
pub fn read(text: &str) -> Result<Condition, WhenError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() > MAX_TERMS {
        return Err(WhenError::TooLong);
    }
    let all = |words: &[&str]| parts(words, "and").iter().map(|words| term(words)).collect();
    let any: Result<Vec<Vec<Term>>, WhenError> = parts(&words, "or").iter().map(|words| all(words)).collect();
    Ok(Condition { any: any? })
}

/// What stands between joining words.
fn parts<'a, 'b>(words: &'b [&'a str], joint: &str) -> Vec<&'b [&'a str]> {
    words.split(|word| *word == joint).collect()
}

fn term(words: &[&str]) -> Result<Term, WhenError> {
    match words.split_first() {
        None => Err(WhenError::Nothing("and` or `or".to_owned())),
        Some((&"not", [])) => Err(WhenError::Nothing("not".to_owned())),
        Some((&"not", rest)) => term(rest).map(|term| Term { negated: !term.negated, ..term }),
        Some((word, values)) => test(word, values).map(Term::from),
    }
}

fn test(word: &str, values: &[&str]) -> Result<Test, WhenError> {
    match word {
        "always" => nothing("always", values).map(|()| Test::Always),
        "never" => nothing("never", values).map(|()| Test::Never),
        "source" => networks("source", values).map(Test::Source),
        "destination" => networks("destination", values).map(Test::Destination),
        "port" => each("port", values, ports).map(Test::DestinationPort),
        "sni" => each("sni", values, |glob| pattern(glob, true)).map(Test::Sni),
        "sni_exactly" => each("sni_exactly", values, |glob| pattern(glob, false)).map(Test::Sni),
        "hello_type" => match values {
            [number] => number.parse().map(Test::HelloType).map_err(|_| wrong("hello_type", number)),
            _ => Err(WhenError::Bare("hello_type")),
        },
        "usable_servers" => usable(values),
        count::SOURCE => count::of_source(values),
        count::TRACKED => count::of_tracked(values),
        unknown => Err(WhenError::Unknown(unknown.to_owned())),
    }
}

fn nothing(word: &'static str, values: &[&str]) -> Result<(), WhenError> {
    values.first().map_or(Ok(()), |value| Err(wrong(word, value)))
}

fn wrong(word: &'static str, value: &str) -> WhenError {
    WhenError::Value(word, value.to_owned())
}

fn each<T>(word: &'static str, values: &[&str], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, WhenError> {
    if values.is_empty() {
        return Err(WhenError::Bare(word));
    }
    values.iter().map(|value| read(value).ok_or_else(|| wrong(word, value))).collect()
}

fn networks(word: &'static str, values: &[&str]) -> Result<Vec<Network>, WhenError> {
    if values.is_empty() {
        return Err(WhenError::Bare(word));
    }
    let network =
        |value: &&str| value::network(value).map_err(|error| WhenError::Network(word, (*value).to_owned(), error));
    values.iter().map(network).collect()
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// A name; with `*` before, behind or around it, what names end with, begin with or have in them.
pub fn pattern(glob: &str, ignore_case: bool) -> Option<NamePattern> {
    let (before, rest) = glob.strip_prefix('*').map_or((false, glob), |rest| (true, rest));
    let (behind, text) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
    let part = match (before, behind) {
        (false, false) => NamePart::Whole,
        (true, false) if !text.is_empty() => NamePart::End,
        (false, true) => NamePart::Beginning,
        // A star alone is any name.
        _ => NamePart::Anywhere,
    };
    let is_name = text.chars().all(|c| c.is_ascii_graphic() && c != '*') && !["and", "or", "not"].contains(&text);
    (is_name && !glob.is_empty()).then(|| NamePattern { text: text.to_owned(), part, ignore_case })
}

fn glob(pattern: &NamePattern) -> String {
    let text = &pattern.text;
    match pattern.part {
        NamePart::Anywhere if text.is_empty() => "*".to_owned(),
        NamePart::Whole => text.clone(),
        NamePart::Beginning => format!("{text}*"),
        NamePart::End => format!("*{text}"),
        NamePart::Anywhere => format!("*{text}*"),
    }
}

/// Signs for comparing, each as it is written.
const SIGNS: [(&str, Compare); 5] = [
    ("<", Compare::Less),
    ("<=", Compare::AtMost),
    ("=", Compare::Equal),
    (">=", Compare::AtLeast),
    (">", Compare::More),
];

fn usable(values: &[&str]) -> Result<Test, WhenError> {
    const WORD: &str = "usable_servers";
    let [backend, sign, number] = values else { return Err(WhenError::Bare(WORD)) };
    let compare = SIGNS.iter().find(|(written, _)| written == sign).map(|(_, compare)| *compare);
    Ok(Test::UsableServers {
        backend: BackendName::new(backend).map_err(|_| wrong(WORD, backend))?,
        compare: compare.ok_or_else(|| wrong(WORD, sign))?,
        number: number.parse().map_err(|_| wrong(WORD, number))?,
    })
}

/// A text that reads as this condition.
pub fn write(condition: &Condition) -> String {
    let all = |all: &Vec<Term>| joined(all.iter().map(written), " and ");
    joined(condition.any.iter().map(all), " or ")
}

fn written(term: &Term) -> String {
    let test = match &term.test {
        Test::Always => "always".to_owned(),
        Test::Never => "never".to_owned(),
        Test::Source(networks) => format!("source {}", joined(networks, " ")),
        Test::Destination(networks) => format!("destination {}", joined(networks, " ")),
        Test::DestinationPort(ports) => format!("port {}", joined(ports.iter().map(range), " ")),
        Test::Sni(patterns) if patterns.iter().all(|pattern| pattern.ignore_case) => {
            format!("sni {}", joined(patterns.iter().map(glob), " "))
        }
        Test::Sni(patterns) => format!("sni_exactly {}", joined(patterns.iter().map(glob), " ")),
        Test::HelloType(kind) => format!("hello_type {kind}"),
        Test::UsableServers { backend, compare, number } => {
            let sign = SIGNS.iter().find(|(_, known)| known == compare).map_or("=", |(sign, _)| sign);
            format!("usable_servers {backend} {sign} {number}")
        }
        Test::Count { of, count, numbers } => count::write(of, *count, numbers),
    };
    if term.negated { format!("not {test}") } else { test }
}

fn range(ports: &RangeInclusive<u16>) -> String {
    let (first, last) = (ports.start(), ports.end());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn joined<T: Display>(parts: impl IntoIterator<Item = T>, joint: &str) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(joint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_condition_is_written_as_it_is_read() {
        for text in [
            "always",
            "never or not always",
            "source 10.0.0.0/8 fd00::/8 and not destination 192.0.2.1",
            "port 443 8000-8010 and sni a.example *.b.example c* *d* *",
            "sni_exactly Api.Example or not hello_type 1",
            "usable_servers b < 1 and usable_servers c <= 2 and usable_servers d = 3",
            "usable_servers b >= 1 or usable_servers c > 2",
        ] {
            assert_eq!(read(text).map(|condition| write(&condition)), Ok(text.to_owned()));
        }
        assert_eq!(read("not  not always").map(|condition| write(&condition)), Ok("always".to_owned()));
    }

    // Seen to fail with `and` that binds less than `or`.
    #[test]
    fn or_binds_less_than_and() {
        let lists: Vec<usize> = read("always and never or always").unwrap().any.iter().map(Vec::len).collect();
        assert_eq!(lists, [2, 1]);
    }

    #[test]
    fn what_is_no_condition_says_why() {
        let why = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(why("sni"), "`sni` asks for nothing");
        assert_eq!(why("snis a.b"), "`snis` is no test");
        assert_eq!(why("port 8000-443"), "`port` can't ask for `8000-443`");
        assert_eq!(why("sni a*b"), "`sni` can't ask for `a*b`");
        assert_eq!(why("always 1"), "`always` can't ask for `1`");
        assert_eq!(why("usable_servers b ~ 1"), "`usable_servers` can't ask for `~`");
        assert!(why("source 10.0.0.1/8").starts_with("`source` can't ask for `10.0.0.1/8`: it has bits"));
        assert!(why("always and").starts_with("there is nothing") && why("").starts_with("there is nothing"));
        assert!(
            why("not").starts_with("there is nothing") && why(&"always or ".repeat(600)).starts_with("it has more")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "((and|or|not|sni|port|source|[ -~]{0,6}) ){0,12}") {
            if let Ok(condition) = read(&text) {
                prop_assert_eq!(read(&write(&condition)), Ok(condition));
            }
        }
    }
}
