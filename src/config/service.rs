//! What a file may say of how a server is used beside its address: retries, what dials do to its health, its agent.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroI32;
use std::time::Duration;

use toml::de::DeValue;

use super::leaf::{Whole, words};
use super::mistake::Mistake;
use super::raw::{Interval, ProbeTime as ProbeWait};
use super::read::{Found, Reader, Value, section};
use super::show::quoted;
use super::text::{Machine, Text, bad_text};
use crate::model::{BackendName, InitState, OnErrors, ProxyVersion, Redispatch, Retries, ServerName, Tracked};

/// Dials after the first at most, where they are counted.
pub type RetryCount = Whole<0, 100>;
/// Failed dials in a row.
pub type Errors = Whole<1, 1_000_000>;

section! {
    /// What failed dials of a server do to its health.
    Observe, "`observe`";
    "errors" => errors: Errors,
    "then" => then: OnErrors,
}

section! {
    /// A program beside the server that says how it fares.
    Agent, "an `agent`";
    "port" => port: Whole<1, 65_535>,
    "address" => address: Machine,
    "interval" => interval: Interval,
    "send" => send: Said,
}

words!(OnErrors {
    "probe_soon" => OnErrors::ProbeSoon,
    "fail_probe" => OnErrors::FailProbe,
    "almost_down" => OnErrors::AlmostDown,
    "down" => OnErrors::Down,
});
words!(InitState {
    "fully_up" => InitState::FullyUp,
    "up" => InitState::Up,
    "down" => InitState::Down,
    "fully_down" => InitState::FullyDown,
});
words!(ProxyVersion { "v1" => ProxyVersion::V1, "v2" => ProxyVersion::V2, });

/// Whom a session dials after a failed dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Others,
    Count(RetryCount),
}

impl From<Retries> for Retry {
    fn from(retries: Retries) -> Self {
        match retries {
            Retries::Others => Self::Others,
            Retries::Counted { most, .. } => Self::Count(Whole(most)),
        }
    }
}

impl Value for Retry {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or \"others\"", RetryCount::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::String(text) if text == "others" => Some(Self::Others),
            DeValue::Integer(_) => RetryCount::read(found, reader).map(Self::Count),
            _ => reader.wrong_type::<Self>(found, None),
        }
    }

    fn literal(&self) -> Option<String> {
        match self {
            Self::Others => Some(quoted("others")),
            Self::Count(count) => count.literal(),
        }
    }
}

/// The furthest from either end that a dial may be counted.
const FARTHEST: i32 = 100;

impl Value for Redispatch {
    fn wanted() -> Cow<'static, str> {
        "\"off\", \"last\", or a whole number from 1 to 100, or from -100 to -1 counted from the last".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::String(text) if text == "off" => Some(Self::Never),
            DeValue::String(text) if text == "last" => Some(Self::LAST),
            DeValue::Integer(number) => {
                let value = i32::from_str_radix(number.as_str(), number.radix()).ok().and_then(NonZeroI32::new);
                match value.filter(|value| value.get().abs() <= FARTHEST) {
                    Some(value) => Some(Self::Every(value)),
                    None => reader.wrong_type::<Self>(found, None),
                }
            }
            _ => reader.wrong_type::<Self>(found, None),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(match self {
            Self::Never => quoted("off"),
            last if *last == Self::LAST => quoted("last"),
            Self::Every(number) => number.to_string(),
        })
    }
}

/// What bounds a probe: a time, or the interval in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeLimit {
    Time(ProbeWait),
    Interval,
}

impl ProbeLimit {
    /// Of the interval where that is meant.
    pub fn within(self, interval: Duration) -> Duration {
        match self {
            Self::Time(wait) => wait.0,
            Self::Interval => interval,
        }
    }
}

impl Value for ProbeLimit {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or \"interval\"", ProbeWait::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::String(text) if text == "interval" => Some(Self::Interval),
            _ => ProbeWait::read(found, reader).map(Self::Time),
        }
    }

    fn literal(&self) -> Option<String> {
        match self {
            Self::Time(wait) => wait.literal(),
            Self::Interval => Some(quoted("interval")),
        }
    }
}

/// Whose state a server has: "backend/server".
impl Text for Tracked {
    const WANTED: &'static str = "a backend and its server such as \"kubeAPI_backend/controller-1\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let named = text.split_once('/').and_then(|(backend, server)| {
            Some(Self { backend: BackendName::new(backend).ok()?, server: ServerName::new(server).ok()? })
        });
        named.ok_or_else(|| bad_text(key, text, "it is no backend's name, a slash and a server's name"))
    }

    fn text(&self) -> String {
        format!("{}/{}", self.backend, self.server)
    }
}

/// An address of our own, with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceAddress(pub SocketAddr);

impl Text for SourceAddress {
    const WANTED: &'static str = "an address such as \"10.0.0.5\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let whole = text.parse::<SocketAddr>().ok();
        let alone = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
        let address = whole.or_else(alone);
        address.map(Self).ok_or_else(|| bad_text(key, text, "it is no IP address, with or without a port"))
    }

    fn text(&self) -> String {
        match self.0.port() {
            0 => self.0.ip().to_string(),
            _ => self.0.to_string(),
        }
    }
}

/// An IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip(pub IpAddr);

impl Text for Ip {
    const WANTED: &'static str = "an IP address such as \"10.10.0.2\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let ip = text.trim_matches(['[', ']']).parse();
        ip.map(Self).map_err(|_| bad_text(key, text, "it is no IP address"))
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// What is sent, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(pub String);

/// Longest text that a check sends at once, in bytes.
const SAID: usize = 8 * 1024;

impl Text for Said {
    const WANTED: &'static str = "a text";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        if text.len() > SAID {
            Err(bad_text(key, "…", "it has more than 8192 bytes"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}
