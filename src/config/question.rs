//! What a check asks, and what it expects, each as one text: the requests of `http`, the steps of `script`.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::leaf::words;
use super::mistake::Mistake;
use super::read::{Found, Reader, Value};
use super::show::quoted;
use super::text::{Text, bad_text};
use super::value;
use crate::model::{ExpectForm, Expectation, Expected, HttpVersion, Pattern, Regex, Step};

words!(HttpVersion { "1.0" => HttpVersion::Http10, "1.1" => HttpVersion::Http11, });

/// A method of HTTP (RFC 9110, section 9.1): a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(pub String);

impl Text for Method {
    const WANTED: &'static str = "a method such as \"GET\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        if is_token(text) { Ok(Self(text.to_owned())) } else { Err(bad_text(key, text, "it is no method of HTTP")) }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A field of a request: "Name: value".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: String,
}

impl Text for Header {
    const WANTED: &'static str = "a field such as \"Host: kubernetes\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let field = text.split_once(':').map(|(name, value)| (name, value.trim()));
        let whole = |(name, value): &(&str, &str)| is_token(name) && !value.chars().any(char::is_control);
        match field.filter(whole) {
            // A length of its own would make the body another one than it is.
            Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
                Err(bad_text(key, text, "the length is worked out from the body"))
            }
            Some((name, value)) => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            None => Err(bad_text(key, text, "it is no field of a request: a name, a colon and a value")),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

/// A token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(fits)
}

/// What an answer must be: "status 200-299,301", "status ~ ^2", "body ok", "body ~ ok$", each with "! " before it for what
/// it must not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    written: String,
    pub expect: Expectation,
}

impl Text for Answer {
    const WANTED: &'static str = "what is expected, such as \"status 200-299\" or \"body ok\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let (negated, rest) = negation(text);
        let of = match rest.split_once(' ') {
            Some(("status", what)) => match what.strip_prefix("~ ") {
                Some(expression) => Expected::StatusPattern(regex(expression, text, key)?),
                None => Expected::Status(
                    ranges(what).ok_or_else(|| bad_text(key, text, "it has no statuses such as 200-299,301"))?,
                ),
            },
            Some(("body", what)) => Expected::Body(match what.strip_prefix("~ ") {
                Some(expression) => regex(expression, text, key)?,
                None => Pattern::Text(what.into()),
            }),
            _ => {
                return Err(bad_text(
                    key,
                    text,
                    "it begins with neither \"status\" nor \"body\", with or without a \"!\"",
                ));
            }
        };
        Ok(Self { written: text.to_owned(), expect: Expectation { negated, of } })
    }

    fn text(&self) -> String {
        self.written.clone()
    }
}

fn negation(text: &str) -> (bool, &str) {
    match text.strip_prefix("! ") {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

fn ranges(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let range = |part: &str| value::statuses(part).or_else(|| value::status(part).map(|status| (status, status)));
    text.split(',').map(|part| range(part.trim()).map(|(first, last)| first..=last)).collect()
}

fn regex(expression: &str, text: &str, key: &str) -> Result<Pattern, Mistake> {
    let regex = Regex::new(expression);
    regex.map(Pattern::Regex).map_err(|_| bad_text(key, text, "its regular expression can't be read, or is too large"))
}

/// A step of a conversation: "connect", "connect tls", "connect 6380", "send PING", "send-hex 0d0a", "expect PONG",
/// "expect ~ ^PO", "expect-hex 2b4f4b", the last three with "! " before them for what must not come; "comment redis".
#[derive(Debug, Clone, PartialEq)]
pub struct StepText {
    written: String,
    pub step: Step,
}

impl Text for StepText {
    const WANTED: &'static str = "a step such as \"connect\", \"send PING\" or \"expect PONG\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let (negated, rest) = negation(text);
        let expect = |pattern, form| Step::Expect { negated, pattern, form };
        let hex = |digits| bytes(digits).ok_or_else(|| bad_text(key, text, "it has no pairs of hexadecimal digits"));
        let step = match rest.split_once(' ').unwrap_or((rest, "")) {
            ("connect", words) if !negated => connect(words).ok_or_else(|| bad_text(key, text, CONNECTS))?,
            ("send", what) if !negated && !what.is_empty() => Step::Send(what.into()),
            ("send-hex", digits) if !negated => Step::Send(hex(digits)?),
            ("comment", what) if !negated && !what.is_empty() => Step::Comment(what.to_owned()),
            ("expect-hex", digits) => expect(Pattern::Text(hex(digits)?), ExpectForm::Binary),
            ("expect", what) if !what.is_empty() => match what.strip_prefix("~ ") {
                Some(expression) => expect(regex(expression, text, key)?, ExpectForm::Regex),
                None => expect(Pattern::Text(what.into()), ExpectForm::String),
            },
            _ => return Err(bad_text(key, text, STEPS)),
        };
        Ok(Self { written: text.to_owned(), step })
    }

    fn text(&self) -> String {
        self.written.clone()
    }
}

const CONNECTS: &str = "behind \"connect\" there may be a port and \"tls\", and nothing else";
const STEPS: &str = "it is none of \"connect\", \"send …\", \"send-hex …\", \"expect …\", \"expect ~ …\", \"expect-hex …\" and \"comment …\"";

fn connect(words: &str) -> Option<Step> {
    let (mut port, mut tls) = (None, false);
    for word in words.split_ascii_whitespace() {
        match word {
            "tls" if !tls => tls = true,
            number if port.is_none() => port = Some(number.parse::<u16>().ok().filter(|port| *port != 0)?),
            _ => return None,
        }
    }
    Some(Step::Connect { port, tls })
}

/// At least one pair of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Option<Step> {
        StepText::parse(text, "steps").ok().map(|step| step.step)
    }

    #[test]
    fn steps_are_read_as_they_are_written() {
        assert_eq!(step("connect"), Some(Step::Connect { port: None, tls: false }));
        assert_eq!(step("connect 6380 tls"), Some(Step::Connect { port: Some(6380), tls: true }));
        assert_eq!(step("send PING\r\n"), Some(Step::Send(b"PING\r\n".to_vec())));
        assert_eq!(step("send-hex 0d0A"), Some(Step::Send(vec![13, 10])));
        assert_eq!(step("comment a b"), Some(Step::Comment("a b".to_owned())));
        let expect =
            |negated, text: &[u8], form| Some(Step::Expect { negated, pattern: Pattern::Text(text.into()), form });
        assert_eq!(step("expect +PONG x"), expect(false, b"+PONG x", ExpectForm::String));
        assert_eq!(step("! expect-hex 2b"), expect(true, b"+", ExpectForm::Binary));
        assert!(matches!(step("expect ~ ^[0-9]"), Some(Step::Expect { form: ExpectForm::Regex, .. })));
        for wrong in [
            "",
            "send",
            "! send x",
            "comment",
            "! comment x",
            "expect",
            "connect 0",
            "connect tls tls",
            "send-hex 0",
            "send-hex zz",
            "wait",
        ] {
            assert_eq!(step(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn expectations_are_read_as_they_are_written() {
        let expect = |text: &str| Answer::parse(text, "expect").ok().map(|answer| answer.expect);
        let statuses = expect("status 200-204, 301").unwrap();
        assert!(statuses.holds(301, b"") && !statuses.holds(302, b""));
        assert!(expect("! status 500").unwrap().holds(404, b""));
        assert!(expect("status ~ ^4").unwrap().holds(404, b""));
        assert!(expect("body all is well").unwrap().holds(200, b"so all is well"));
        assert!(!expect("! body ~ ^down$").unwrap().holds(200, b"down"));
        for wrong in ["", "200", "status", "status 99", "status ~ (", "header x"] {
            assert_eq!(expect(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn fields_and_methods_are_such() {
        let header = |text| Header::parse(text, "headers").ok().map(|header| header.text());
        assert_eq!(header("Host:  a.b ").as_deref(), Some("Host: a.b"));
        assert_eq!(
            ["Host", ": x", "A b: c", "A: b\nc: d", "Content-Length: 3"].map(header),
            [None, None, None, None, None]
        );
        assert!(Method::parse("GET", "method").is_ok() && Method::parse("GET /", "method").is_err());
    }
}
