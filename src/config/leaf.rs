//! What may stand behind a key: numbers within a range, durations, words out of a list.

use std::borrow::Cow;
use std::time::Duration;

use toml::de::DeValue;

use super::mistake::Mistake;
use super::read::{Found, Origin, Reader, Value};
use super::show::{Writer, quoted};
use super::value;
use crate::model::{
    Balance, Connect, JudgedBy, LogFormat, LogLevel, OnDown, OnDraining, OnFull, OnLimit, OnNoServer, OnPrimaryBack,
    OnRefused, OnRemoved, RequestLine, RuntimeLevel,
};

// ---- numbers and truth ----

/// A whole number within a range, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const LOW: u32, const HIGH: u32>(pub u32);

impl<const LOW: u32, const HIGH: u32> Value for Whole<LOW, HIGH> {
    fn wanted() -> Cow<'static, str> {
        format!("a whole number from {LOW} to {HIGH}").into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(number) = found.value else {
            return reader.wrong_type::<Self>(found, unquoted(found));
        };
        let value = i128::from_str_radix(number.as_str(), number.radix());
        match value.ok().and_then(|value| u32::try_from(value).ok()).filter(|value| (LOW..=HIGH).contains(value)) {
            Some(value) => Some(Self(value)),
            None => reader.refuse(
                found,
                Mistake::OutOfRange {
                    key: found.key.to_owned(),
                    found: number.to_string(),
                    low: LOW.to_string(),
                    high: HIGH.to_string(),
                    or_off: found.or_off,
                },
            ),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// For a number or a truth in quotation marks.
fn unquoted(found: &Found<'_>) -> Option<String> {
    let text = found.value.as_str()?;
    let plain = text.parse::<u64>().is_ok() || text == "true" || text == "false";
    plain.then(|| format!("write it without quotation marks: {text}"))
}

impl Value for bool {
    fn wanted() -> Cow<'static, str> {
        "true or false".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::Boolean(value) => Some(*value),
            _ => reader.wrong_type::<Self>(found, unquoted(found)),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(self.to_string())
    }
}

// ---- durations ----

/// A duration within a range, ends included, in milliseconds; a multiple of `STEP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait<const LOW: u64, const HIGH: u64, const STEP: u64 = 1>(pub Duration);

impl<const LOW: u64, const HIGH: u64, const STEP: u64> Value for Wait<LOW, HIGH, STEP> {
    fn wanted() -> Cow<'static, str> {
        "a duration such as \"10s\"".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = match found.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) => number_text(found.value),
            _ => return reader.wrong_type::<Self>(found, None),
        };
        let key = found.key.to_owned();
        match value::duration(&text) {
            Err(error) => reader.refuse(found, Mistake::BadDuration { key, text, error }),
            Ok(duration) if !(LOW..=HIGH).contains(&milliseconds(duration)) => {
                let limit = |milliseconds| value::duration_text(Duration::from_millis(milliseconds));
                reader.refuse(
                    found,
                    Mistake::OutOfRange { key, found: text, low: limit(LOW), high: limit(HIGH), or_off: found.or_off },
                )
            }
            Ok(duration) if !milliseconds(duration).is_multiple_of(STEP) => {
                reader.refuse(found, Mistake::NotWholeSeconds { key, found: text })
            }
            Ok(duration) => Some(Self(duration)),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(quoted(&value::duration_text(self.0)))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number as it is written; empty for anything else.
pub fn number_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => String::new(),
    }
}

// ---- off, auto ----

/// A value, or `"off"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch<T> {
    Off,
    On(T),
}

impl<T> Switch<T> {
    /// `None` is off.
    pub fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::Off, Self::On)
    }

    /// The value, unless it is off.
    pub fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

impl<T: Value> Value for Switch<T> {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or \"off\"", T::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::String(text) if text == "off" => Some(Self::Off),
            DeValue::Boolean(false) => reader.wrong_type::<Self>(found, Some("write \"off\"".to_owned())),
            _ => T::read(&Found { or_off: true, ..*found }, reader).map(Self::On),
        }
    }

    fn fill_from(&mut self, further: &Self) {
        if let (Self::On(near), Self::On(further)) = (self, further) {
            near.fill_from(further);
        }
    }

    fn literal(&self) -> Option<String> {
        match self {
            Self::Off => Some(quoted("off")),
            Self::On(value) => value.literal(),
        }
    }

    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        match self {
            Self::Off => out.value(key, &quoted("off"), origin),
            Self::On(value) => value.write(key, origin, out),
        }
    }
}

/// A number of threads, or `"auto"`: one for each core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    Auto,
    Count(u32),
}

impl Value for Workers {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or \"auto\"", Whole::<1, 1024>::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::String(text) if text == "auto" => Some(Self::Auto),
            DeValue::Integer(_) => Whole::<1, 1024>::read(found, reader).map(|count| Self::Count(count.0)),
            _ => reader.wrong_type::<Self>(found, unquoted(found)),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(match self {
            Self::Auto => quoted("auto"),
            Self::Count(count) => count.to_string(),
        })
    }
}

// ---- words ----

/// Declares a value that is one word out of a list.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr,)* }) => {
        impl Value for $type {
            fn wanted() -> Cow<'static, str> {
                let words: &[&str] = &[$(concat!('"', $word, '"')),*];
                words.join(" or ").into()
            }

            fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let DeValue::String(text) = found.value else {
                    return reader.wrong_type::<Self>(found, None);
                };
                match text.as_ref() {
                    $($word => Some($value),)*
                    unknown => reader.refuse(found, Mistake::UnknownWord {
                        key: found.key.to_owned(), word: unknown.to_owned(), known: vec![$($word),*],
                    }),
                }
            }

            fn literal(&self) -> Option<String> {
                $(if *self == $value { return Some(quoted($word)); })*
                None
            }
        }
    };
}
pub(super) use words;

/// What a check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckType {
    Tcp,
    Tls,
    Https,
    KubeApiserver,
    Konnectivity,
    K0sJoin,
    Http,
    HttpOverTls,
    Script,
}

impl CheckType {
    pub const ALL: [Self; 9] = [
        Self::Tcp,
        Self::Tls,
        Self::Https,
        Self::KubeApiserver,
        Self::Konnectivity,
        Self::K0sJoin,
        Self::Http,
        Self::HttpOverTls,
        Self::Script,
    ];

    /// The word for it in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::KubeApiserver => "kube-apiserver",
            Self::Konnectivity => "konnectivity",
            Self::K0sJoin => "k0s-join",
            Self::Http => "http",
            Self::HttpOverTls => "http-over-tls",
            Self::Script => "script",
        }
    }

    /// The keys that checks of this type have beside those that all have.
    pub fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &[],
            Self::Tls => &["verify", "ca_file", "server_name", "alpn", "client_certificate", "client_key"],
            Self::Https => &[
                "verify",
                "ca_file",
                "server_name",
                "alpn",
                "path",
                "accept",
                "draining",
                "client_certificate",
                "client_key",
            ],
            Self::Http => &["path", "method", "http_version", "headers", "body", "expect", "not_found_drains"],
            Self::HttpOverTls => &[
                "verify",
                "ca_file",
                "server_name",
                "alpn",
                "client_certificate",
                "client_key",
                "path",
                "method",
                "http_version",
                "headers",
                "body",
                "expect",
                "not_found_drains",
            ],
            Self::Script => &["steps", "verify", "ca_file", "server_name", "alpn", "client_certificate", "client_key"],
            Self::KubeApiserver => {
                &["verify", "ca_file", "server_name", "token_file", "client_certificate", "client_key"]
            }
            Self::Konnectivity | Self::K0sJoin => &["verify", "ca_file", "server_name"],
        }
    }
}

/// Whom a check believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyMode {
    None,
    /// As [`Self::Full`], but without a `server_name` the certificate may be for anybody.
    Authority,
    Full,
}

words!(Balance {
    "leastconn" => Balance::LeastConn,
    "roundrobin" => Balance::RoundRobin,
    "first" => Balance::First,
    "source" => Balance::Source,
    "spread" => Balance::Spread,
    "idle-first" => Balance::IdleFirst,
    "static-rr" => Balance::StaticRoundRobin,
    "random" => Balance::Random,
    "source-map" => Balance::SourceMap,
    "source-mixed-map" => Balance::SourceMixedMap,
    "source-ring" => Balance::SourceRing,
});
words!(OnFull { "next" => OnFull::Next, "wait" => OnFull::Wait, });
words!(OnNoServer {
    "try_all" => OnNoServer::TryAll,
    "reset" => OnNoServer::Reset,
    "close" => OnNoServer::Close,
    "close_listener" => OnNoServer::CloseListener,
});
words!(OnDown { "ask" => OnDown::Ask, "close" => OnDown::Close, "keep" => OnDown::Keep, });
words!(OnRefused { "drain" => OnRefused::Drain, "close" => OnRefused::Close, });
words!(OnDraining { "keep" => OnDraining::Keep, "close" => OnDraining::Close, });
words!(OnPrimaryBack { "keep" => OnPrimaryBack::Keep, "close" => OnPrimaryBack::Close, });
words!(OnRemoved { "keep" => OnRemoved::Keep, "drain" => OnRemoved::Drain, "close" => OnRemoved::Close, });
words!(JudgedBy { "everything" => JudgedBy::Everything, "probes" => JudgedBy::Probes, });
words!(OnLimit { "queue" => OnLimit::Queue, "reset" => OnLimit::Reset, });
words!(CheckType {
    "tcp" => CheckType::Tcp,
    "tls" => CheckType::Tls,
    "https" => CheckType::Https,
    "kube-apiserver" => CheckType::KubeApiserver,
    "konnectivity" => CheckType::Konnectivity,
    "k0s-join" => CheckType::K0sJoin,
    "http" => CheckType::Http,
    "http-over-tls" => CheckType::HttpOverTls,
    "script" => CheckType::Script,
});
words!(VerifyMode { "none" => VerifyMode::None, "authority" => VerifyMode::Authority, "full" => VerifyMode::Full, });
words!(Connect { "any" => Connect::Any, "servers" => Connect::Servers, });
words!(LogFormat { "text" => LogFormat::Text, "json" => LogFormat::Json, "tcplog" => LogFormat::Tcplog, });
words!(RequestLine {
    "httplog" => RequestLine::Httplog,
    "tcplog" => RequestLine::Tcplog,
    "connect" => RequestLine::Connect,
});
words!(LogLevel {
    "error" => LogLevel::Error,
    "warn" => LogLevel::Warn,
    "info" => LogLevel::Info,
    "debug" => LogLevel::Debug,
    "trace" => LogLevel::Trace,
});
words!(RuntimeLevel {
    "user" => RuntimeLevel::User,
    "operator" => RuntimeLevel::Operator,
    "admin" => RuntimeLevel::Admin,
});
