//! `.if` and its like (configuration manual, section 2.4): which lines count.

use super::words::Variables;

/// The version that `version_atleast` is asked about: the one whose language this is.
pub const VERSION: [u32; 3] = [3, 2, 0];

/// Features of HAProxy's builds (`haproxy -vv`) that evenkeel has, too, or has no need of to behave alike.
pub const FEATURES: [&str; 14] = [
    "ACCEPT4",
    "CPU_AFFINITY",
    "CRYPT_H",
    "EPOLL",
    "GETADDRINFO",
    "LINUX_CAP",
    "LINUX_SPLICE",
    "LINUX_TPROXY",
    "NETFILTER",
    "OPENSSL",
    "POLL",
    "PROMEX",
    "THREAD",
    "TPROXY",
];

/// What of its run-time features `enabled` says yes to.
const ENABLED: [&str; 6] = ["POLL", "EPOLL", "SPLICE", "GETADDRINFO", "REUSEPORT", "FAST-FORWARD"];

/// Nesting of `.if` (HAProxy's `MAXNESTEDCONDS`), and of parentheses.
pub const DEEPEST: usize = 10;

/// Why a condition can't be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("`{0}` is not a condition")]
    Unknown(String),
    #[error("{0}() takes {1}")]
    Arguments(&'static str, &'static str),
    #[error("something is missing at its end")]
    Unfinished,
    #[error("`{0}` is left over at its end")]
    LeftOver(String),
    #[error("parentheses are nested deeper than {DEEPEST}")]
    TooDeep,
}

/// Whether a condition holds; an empty one does not.
///
/// # Errors
///
/// Why it can't be said.
pub fn holds(text: &str, variables: &Variables) -> Result<bool, ConditionError> {
    if text.trim().is_empty() {
        return Ok(false);
    }
    let mut judge = Judge { rest: text, variables, depth: 0 };
    let holds = judge.any()?;
    match judge.rest.trim_start() {
        "" => Ok(holds),
        rest => Err(ConditionError::LeftOver(rest.to_owned())),
    }
}

/// Reads a condition and judges it on the way: `||` binds less than `&&`, `!` binds most.
struct Judge<'a> {
    rest: &'a str,
    variables: &'a Variables,
    depth: usize,
}

impl<'a> Judge<'a> {
    fn any(&mut self) -> Result<bool, ConditionError> {
        let mut holds = self.all()?;
        while self.takes("||") {
            holds |= self.all()?;
        }
        Ok(holds)
    }

    fn all(&mut self) -> Result<bool, ConditionError> {
        let mut holds = self.term()?;
        while self.takes("&&") {
            holds &= self.term()?;
        }
        Ok(holds)
    }

    fn term(&mut self) -> Result<bool, ConditionError> {
        let mut negated = false;
        while self.takes("!") {
            negated = !negated;
        }
        Ok(negated ^ self.atom()?)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let taken = self.rest.trim_start().strip_prefix(sign);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn atom(&mut self) -> Result<bool, ConditionError> {
        if self.takes("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(ConditionError::TooDeep);
            }
            let holds = self.any()?;
            self.depth -= 1;
            return if self.takes(")") { Ok(holds) } else { Err(ConditionError::Unfinished) };
        }
        let text = self.rest.trim_start();
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(length);
        self.rest = rest;
        if let Some(arguments) = rest.strip_prefix('(') {
            let arguments = self.arguments(arguments)?;
            return self.predicate(word, &arguments);
        }
        match word.parse::<u64>() {
            Ok(number) => Ok(number != 0),
            Err(_) if text.is_empty() => Err(ConditionError::Unfinished),
            Err(_) => Err(ConditionError::Unknown(text.to_owned())),
        }
    }

    /// What stands between a predicate's parentheses, at its commas.
    fn arguments(&mut self, text: &'a str) -> Result<Vec<String>, ConditionError> {
        let (mut arguments, mut argument, mut quote) = (Vec::new(), String::new(), None);
        for (at, c) in text.char_indices() {
            match (quote, c) {
                (None, ')') => {
                    arguments.push(argument);
                    self.rest = &text[at + 1..];
                    return Ok(arguments);
                }
                (None, ',') => arguments.push(std::mem::take(&mut argument)),
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (_, c) => argument.push(c),
            }
        }
        Err(ConditionError::Unfinished)
    }

    fn predicate(&self, name: &str, arguments: &[String]) -> Result<bool, ConditionError> {
        let arguments: Vec<&str> = arguments.iter().map(|argument| argument.trim()).collect();
        match (name, arguments.as_slice()) {
            ("defined", [name]) => Ok(self.variables.value(name).is_some()),
            ("streq", [a, b]) => Ok(a == b),
            ("strneq", [a, b]) => Ok(a != b),
            ("strstr", [text, part]) => Ok(text.contains(part)),
            ("feature", [name]) => Ok(FEATURES.contains(name)),
            ("enabled", [name]) => Ok(ENABLED.contains(name)),
            ("version_atleast", [version]) => Ok(VERSION >= parsed(version)?),
            ("version_before", [version]) => Ok(VERSION < parsed(version)?),
            ("awslc_api_atleast" | "awslc_api_before" | "openssl_version_atleast", [_]) => Ok(false),
            ("openssl_version_before", [_]) => Ok(true),
            ("defined", _) => Err(ConditionError::Arguments("defined", "a variable's name")),
            ("streq", _) => Err(ConditionError::Arguments("streq", "two texts")),
            ("strneq", _) => Err(ConditionError::Arguments("strneq", "two texts")),
            ("strstr", _) => Err(ConditionError::Arguments("strstr", "two texts")),
            ("feature", _) => Err(ConditionError::Arguments("feature", "a feature's name")),
            ("enabled", _) => Err(ConditionError::Arguments("enabled", "a feature's name")),
            ("version_atleast" | "version_before", _) => {
                Err(ConditionError::Arguments("version_atleast", "a version such as 2.4"))
            }
            _ => Err(ConditionError::Unknown(format!("{name}()"))),
        }
    }
}

/// `3.2-dev5`, `2.4.1`: what is left out is 0, and what follows the numbers does not count.
fn parsed(text: &str) -> Result<[u32; 3], ConditionError> {
    let numbers = text.split('-').next().unwrap_or_default();
    let mut version = [0; 3];
    for (place, number) in numbers.split('.').take(3).enumerate() {
        version[place] =
            number.parse().map_err(|_| ConditionError::Arguments("version_atleast", "a version such as 2.4"))?;
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(text: &str) -> Result<bool, ConditionError> {
        holds(text, &Variables([("HOME".to_owned(), "/root".to_owned())].into()))
    }

    #[test]
    fn conditions_are_judged_as_haproxy_judges_them() {
        for yes in [
            "defined(HOME)",
            "!streq(\"a\",b)",
            "1 && !0",
            "0 || version_atleast(2.4-dev1)",
            "feature(OPENSSL) && enabled(EPOLL)",
            "( strstr(\"abc\",b) && 0 ) || 1",
            "version_before(4)",
            "strneq(a,b)",
        ] {
            assert_eq!(judged(yes), Ok(true), "{yes}");
        }
        for no in ["", "0", "defined(NOPE)", "feature(LUA)", "version_atleast(3.3)", "1 && 0 || 0", "!( 1 )"] {
            assert_eq!(judged(no), Ok(false), "{no}");
        }
    }

    #[test]
    fn what_is_no_condition_says_why() {
        assert_eq!(judged("perhaps"), Err(ConditionError::Unknown("perhaps".to_owned())));
        assert_eq!(judged("nope(1)"), Err(ConditionError::Unknown("nope()".to_owned())));
        assert_eq!(judged("streq(a)"), Err(ConditionError::Arguments("streq", "two texts")));
        assert_eq!(judged("( 1"), Err(ConditionError::Unfinished));
        assert_eq!(judged("1 &&"), Err(ConditionError::Unfinished));
        assert_eq!(judged("1 1"), Err(ConditionError::LeftOver("1".to_owned())));
        assert_eq!(judged(&"(".repeat(DEEPEST + 1)), Err(ConditionError::TooDeep));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_or_refused(text in "[ -~]{0,60}") {
            let _ = judged(&text);
        }
    }
}
