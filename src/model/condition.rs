//! Conditions: what rules and routes ask of a session.
//!
//! A condition may depend on bytes that are still to come. So there are three answers, and not knowing yet is one of them
//! ([`Condition::judge`]): it goes through "and", "or" and "not" as the unknown does in Kleene's logic.

use std::ops::RangeInclusive;

use super::{BackendName, Count, Counted, Network, SessionAddress};

/// Any of these lists, all terms of it: `a b or c` in HAProxy's words. Without a list it never holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    pub any: Vec<Vec<Term>>,
}

/// A test, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub negated: bool,
    pub test: Test,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Always,
    Never,
    /// The client's address is in one of these networks.
    Source(Vec<Network>),
    /// The address that the client connected to is.
    Destination(Vec<Network>),
    /// The port that the client connected to is one of these.
    DestinationPort(Vec<RangeInclusive<u16>>),
    /// The server name that a TLS ClientHello asks for is one of these; without one it is none.
    Sni(Vec<NamePattern>),
    /// The client has begun TLS with a handshake message of this type; 1 is a ClientHello (RFC 8446, section 4).
    HelloType(u8),
    /// So many servers of a backend take new sessions.
    UsableServers {
        backend: BackendName,
        compare: Compare,
        number: u32,
    },
    /// A count of the client is one of these numbers; one that there is not is none.
    Count {
        of: Counted,
        count: Count,
        numbers: Vec<RangeInclusive<u32>>,
    },
}

/// How a number stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// Server names that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    pub text: String,
    pub part: NamePart,
    pub ignore_case: bool,
}

/// Which part of a name a pattern's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamePart {
    /// The whole name.
    Whole,
    Beginning,
    End,
    Anywhere,
}

/// What is known of a session, or of whoever else is judged.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The client.
    pub source: SessionAddress,
    /// What he connected to.
    pub destination: SessionAddress,
    pub hello: Hello<'a>,
    /// How many servers of a backend take new sessions.
    pub usable: &'a dyn Fn(&BackendName) -> u32,
    /// What has been counted; `None` if there is no such count.
    pub counted: &'a dyn Fn(&Counted, Count) -> Option<u32>,
}

/// What a client's first bytes say of the TLS that it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello<'a> {
    /// Nothing yet.
    Awaited,
    /// They begin no TLS, or did not come in time.
    No,
    /// A handshake message of this type, with the server name that it asks for.
    Of { kind: u8, name: Option<&'a [u8]> },
}

impl Condition {
    /// One that always holds.
    pub fn always() -> Self {
        Self::all([Test::Always])
    }

    /// One that holds when all of these do.
    pub fn all(tests: impl IntoIterator<Item = Test>) -> Self {
        Self { any: vec![tests.into_iter().map(Term::from).collect()] }
    }

    /// Whether it holds, as far as is known.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.judge(facts) == Some(true)
    }

    /// Whether it holds; `None` as long as that depends on what is still awaited.
    pub fn judge(&self, facts: &Facts<'_>) -> Option<bool> {
        // The worst of a list, and the best of all lists, with the unknown in the middle.
        let answers = self.any.iter().map(|all| all.iter().map(|term| Known::from(term.judge(facts))).min());
        answers.map(|worst| worst.unwrap_or(Known::Yes)).max().unwrap_or(Known::No).into()
    }

    /// All tests in it.
    pub fn tests(&self) -> impl Iterator<Item = &Test> {
        self.any.iter().flatten().map(|term| &term.test)
    }

    /// Whether it asks for what a client sends.
    pub fn reads(&self) -> bool {
        self.tests().any(|test| matches!(test, Test::Sni(_) | Test::HelloType(_)))
    }
}

impl From<Test> for Term {
    fn from(test: Test) -> Self {
        Self { negated: false, test }
    }
}

impl Term {
    fn judge(&self, facts: &Facts<'_>) -> Option<bool> {
        Some(self.test.judge(facts)? != self.negated)
    }
}

impl Test {
    fn judge(&self, facts: &Facts<'_>) -> Option<bool> {
        Some(match self {
            Self::Always => true,
            Self::Never => false,
            Self::Source(networks) => is_among(networks, facts.source),
            Self::Destination(networks) => is_among(networks, facts.destination),
            Self::DestinationPort(ports) => {
                let port = facts.destination.socket().map(|address| address.port());
                port.is_some_and(|port| ports.iter().any(|ports| ports.contains(&port)))
            }
            Self::Sni(patterns) => match facts.hello {
                Hello::Awaited => return None,
                Hello::No | Hello::Of { name: None, .. } => false,
                Hello::Of { name: Some(name), .. } => patterns.iter().any(|pattern| pattern.matches(name)),
            },
            Self::HelloType(wanted) => match facts.hello {
                Hello::Awaited => return None,
                Hello::No => false,
                Hello::Of { kind, .. } => kind == *wanted,
            },
            Self::UsableServers { backend, compare, number } => compare.holds((facts.usable)(backend), *number),
            Self::Count { of, count, numbers } => {
                (facts.counted)(of, *count).is_some_and(|found| numbers.iter().any(|numbers| numbers.contains(&found)))
            }
        })
    }
}

/// Who has no address is in no network.
fn is_among(networks: &[Network], address: SessionAddress) -> bool {
    address.ip().is_some_and(|ip| networks.iter().any(|network| network.contains(ip)))
}

impl Compare {
    fn holds(self, found: u32, number: u32) -> bool {
        match self {
            Self::Less => found < number,
            Self::AtMost => found <= number,
            Self::Equal => found == number,
            Self::AtLeast => found >= number,
            Self::More => found > number,
        }
    }
}

impl NamePattern {
    /// The name itself, or with `*.` before it each that ends so and has a label more, or several. Names have no case
    /// (RFC 4343).
    pub fn name(text: &str) -> Self {
        let (text, part) = match text.strip_prefix('*') {
            Some(end) => (end, NamePart::End),
            None => (text, NamePart::Whole),
        };
        Self { text: text.to_owned(), part, ignore_case: true }
    }

    fn matches(&self, name: &[u8]) -> bool {
        let text = self.text.as_bytes();
        let alike = |part: &[u8]| if self.ignore_case { part.eq_ignore_ascii_case(text) } else { part == text };
        // Of a name that is shorter there is no such part.
        let Some(rest) = name.len().checked_sub(text.len()) else { return false };
        match self.part {
            NamePart::Whole => alike(name),
            NamePart::Beginning => alike(&name[..text.len()]),
            NamePart::End => alike(&name[rest..]),
            NamePart::Anywhere => (0..=rest).any(|start| alike(&name[start..start + text.len()])),
        }
    }
}

/// An answer, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    No,
    NotYet,
    Yes,
}

impl From<Option<bool>> for Known {
    fn from(answer: Option<bool>) -> Self {
        answer.map_or(Self::NotYet, |yes| if yes { Self::Yes } else { Self::No })
    }
}

impl From<Known> for Option<bool> {
    fn from(known: Known) -> Self {
        match known {
            Known::No => Some(false),
            Known::NotYet => None,
            Known::Yes => Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counter, TableName};

    fn networks(text: &str) -> Vec<Network> {
        let (address, prefix) = text.split_once('/').unwrap();
        vec![Network::of(address.parse().unwrap(), prefix.parse().unwrap()).unwrap()]
    }

    fn facts(hello: Hello<'_>) -> Facts<'_> {
        Facts {
            source: "10.1.2.3:40000".parse().unwrap(),
            destination: "[fd00::1]:6443".parse().unwrap(),
            hello,
            usable: &|backend| if backend.as_str() == "two" { 2 } else { 0 },
            counted: &|of, count| match (of, count) {
                (Counted::Source(_), Count::ConnCur) => Some(7),
                _ => None,
            },
        }
    }

    fn judge(test: Test, hello: Hello<'_>) -> Option<bool> {
        Condition::all([test]).judge(&facts(hello))
    }

    const HELLO: Hello<'_> = Hello::Of { kind: 1, name: Some(b"Api.Example.com") };

    #[test]
    fn what_is_known_at_once_is_judged_without_a_hello() {
        for (test, answer) in [
            (Test::Always, true),
            (Test::Never, false),
            (Test::Source(networks("10.0.0.0/8")), true),
            (Test::Source(networks("10.2.0.0/16")), false),
            (Test::Destination(networks("fd00::/8")), true),
            (Test::DestinationPort(vec![1..=80, 6443..=6443]), true),
            (Test::DestinationPort(vec![1..=80, 6444..=7000]), false),
        ] {
            assert_eq!(judge(test.clone(), Hello::Awaited), Some(answer), "{test:?}");
        }
    }

    #[test]
    fn a_backends_servers_are_compared_with_a_number() {
        let usable = |backend: &str, compare, number| {
            let backend = BackendName::new(backend).unwrap();
            judge(Test::UsableServers { backend, compare, number }, Hello::Awaited) == Some(true)
        };
        assert!(usable("none", Compare::Less, 1) && !usable("two", Compare::Less, 2));
        assert!(usable("two", Compare::AtMost, 2) && !usable("two", Compare::AtMost, 1));
        assert!(usable("two", Compare::Equal, 2) && !usable("two", Compare::Equal, 1));
        assert!(usable("two", Compare::AtLeast, 2) && !usable("two", Compare::AtLeast, 3));
        assert!(usable("two", Compare::More, 1) && !usable("two", Compare::More, 2));
    }

    #[test]
    fn a_count_is_one_of_some_numbers_and_what_is_not_counted_is_none() {
        let table = TableName::new("t").unwrap();
        let source = || Counted::Source(table.clone());
        let tracked = || Counted::Tracked { counter: Counter::default(), table: None };
        let of = |of, negated, numbers: &[RangeInclusive<u32>]| {
            let test = Test::Count { of, count: Count::ConnCur, numbers: numbers.to_vec() };
            Condition { any: vec![vec![Term { negated, test }]] }.judge(&facts(Hello::Awaited)) == Some(true)
        };
        assert!(of(source(), false, &[7..=7]) && of(source(), false, &[0..=1, 5..=9]));
        assert!(!of(source(), false, &[0..=6, 8..=u32::MAX]) && of(source(), true, &[8..=9]));
        assert!(!of(tracked(), false, &[0..=u32::MAX]) && of(tracked(), true, &[0..=u32::MAX]));
    }

    // Seen to fail with case that counts.
    #[test]
    fn names_match_as_a_whole_or_in_part() {
        let sni = |pattern: NamePattern| judge(Test::Sni(vec![pattern]), HELLO) == Some(true);
        assert!(sni(NamePattern::name("api.example.COM")) && !sni(NamePattern::name("example.com")));
        assert!(sni(NamePattern::name("*.example.com")) && sni(NamePattern::name("*.com")));
        assert!(!sni(NamePattern::name("*.api.example.com")) && !sni(NamePattern::name("*.a.very.long.name.indeed")));
        let exactly = |text: &str, part| NamePattern { text: text.to_owned(), part, ignore_case: false };
        assert!(sni(exactly("Api.Example.com", NamePart::Whole)) && !sni(exactly("api.example.com", NamePart::Whole)));
        assert!(sni(exactly("Api", NamePart::Beginning)) && !sni(exactly("pi", NamePart::Beginning)));
        assert!(sni(exactly("Example", NamePart::Anywhere)) && !sni(exactly("example", NamePart::Anywhere)));
    }

    #[test]
    fn a_hello_without_a_name_and_no_hello_have_none_and_one_that_is_awaited_may_have_any() {
        let any = || Test::Sni(vec![NamePattern { text: String::new(), part: NamePart::Anywhere, ignore_case: false }]);
        let nameless = Hello::Of { kind: 1, name: None };
        assert_eq!(
            [HELLO, nameless, Hello::No, Hello::Awaited].map(|hello| judge(any(), hello)),
            [Some(true), Some(false), Some(false), None]
        );
        assert_eq!(
            [HELLO, nameless, Hello::No, Hello::Awaited].map(|hello| judge(Test::HelloType(1), hello)),
            [Some(true), Some(true), Some(false), None]
        );
        assert_eq!(judge(Test::HelloType(2), HELLO), Some(false));
    }

    // Seen to fail with an unknown that counts as no.
    #[test]
    fn what_is_not_known_yet_matters_only_where_it_decides() {
        let unknown = || Term::from(Test::HelloType(1));
        let [yes, no] = [Test::Always, Test::Never].map(|test| move || Term::from(test.clone()));
        let judge = |any: Vec<Vec<Term>>| Condition { any }.judge(&facts(Hello::Awaited));
        assert_eq!(judge(vec![vec![unknown(), yes()]]), None);
        assert_eq!(judge(vec![vec![unknown(), no()]]), Some(false));
        assert_eq!(judge(vec![vec![unknown()], vec![yes()]]), Some(true));
        assert_eq!(judge(vec![vec![unknown()], vec![no()]]), None);
        assert_eq!(judge(vec![vec![Term { negated: true, ..unknown() }]]), None);
        assert_eq!(judge(vec![vec![Term { negated: true, ..no() }]]), Some(true));
        assert_eq!((judge(Vec::new()), judge(vec![Vec::new()])), (Some(false), Some(true)));
    }
}
