//! What to do about each mistake.

use std::net::Ipv6Addr;

use super::super::raw::File;
use super::super::spelling;
use super::super::value::{self, AddressError, DurationError, NetworkError};
use super::super::when::{self};
use super::Mistake;
use crate::model::{Descriptor, DescriptorName};

impl Mistake {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound => Some(format!("check the path; for a new file {SHORTEST}")),
            Self::Unreadable(_) => Some("it must be a file that the user evenkeel runs as may read".into()),
            Self::TooLarge => Some("is it the right file?".into()),
            Self::NotUtf8 { utf16: true, .. } => Some("it looks like UTF-16: save it as UTF-8".into()),
            Self::NotUtf8 { .. } => Some("save it as UTF-8, or check that it is the right file".into()),
            Self::Empty | Self::NothingToServe => Some(SHORTEST.into()),
            Self::OtherFormat { hint, .. } => Some((*hint).to_owned()),
            Self::Unquoted { text } => Some(quoting_hint(text)),
            Self::UnknownKey { key, known, .. } => Some(key_hint(key, known)),
            Self::UnknownWord { word, known, .. } => Some(did_you_mean(word, known.iter().copied(), "it can be")),
            Self::UnknownBackend { name, known } => Some(known_backends(name, known)),
            Self::UnknownProxy { name, known } => {
                Some(did_you_mean(name, known.iter().map(String::as_str), "there are"))
            }
            Self::Syntax { hint, .. } | Self::WrongType { hint, .. } | Self::MissingKey { hint, .. } => hint.clone(),
            Self::BadAddress { text, error } => Some(address_hint(text, error)),
            Self::BadNetwork { text, error } => Some(network_hint(text, error)),
            Self::BadDuration { text, error, .. } => Some(duration_hint(text, error)),
            Self::EmptyList { key } => Some(format!("name at least one, or leave `{key}` out where it has a default")),
            Self::DuplicateName { things, .. } => Some(format!("give each of the {things} a name of its own")),
            Self::DuplicateAddress { .. } => {
                Some("they are probed and counted as two; to send one server more sessions, raise its `weight`".into())
            }
            Self::DuplicateController { .. } => Some("remove one of the two, or correct its address".into()),
            Self::NoServer { .. } => Some("its clients are closed at once: add a server to it, or remove what leads to it".into()),
            Self::NobodyServes { .. } => {
                Some("its clients are reset until an operator's command gives it a server: is that meant?".into())
            }
            Self::DialOverConnect { .. } => Some(
                "a server that is silent uses up all the time, and no other is tried: lower `dial` or raise `connect`"
                    .into(),
            ),
            Self::OneServerForAgents { .. } => {
                Some(r#"an agent needs a session at every server: write `balance = "spread"`"#.into())
            }
            Self::SlowStartForAgents { spread: true, .. } => Some("`spread` ignores it: leave it out".into()),
            Self::SlowStartForAgents { spread: false, .. } => {
                Some(r#"its agents may dial for ever: leave it out, and write `balance = "spread"`"#.into())
            }
            Self::UnequalWeights { spread: true, .. } => {
                Some("`spread` ignores them, but for 0: leave them out".into())
            }
            Self::UnequalWeights { spread: false, .. } => {
                Some(r#"its agents may dial for ever: leave the weights out, and write `balance = "spread"`"#.into())
            }
            Self::ListenersCollide { .. } => Some("change the port or the address of one of them".into()),
            Self::LeadsToItself { .. } => {
                Some("its sessions would come back to evenkeel: name the machine behind, or listen elsewhere".into())
            }
            Self::UnusedBackend { .. } => Some("it is checked all the same; remove it if it isn't needed".into()),
            Self::BadCondition { .. } => Some(when::TESTS.to_owned()),
            Self::WhenAlone { other } => Some(format!("say it in `when`: \"{other} … and …\"")),
            Self::NotOfThisStage { .. } => Some(
                "`expect_proxy` belongs to the stage `connection`, and tests of what a client sends to `content`".into(),
            ),
            Self::RouteForNobody => Some(
                r#"add `sni = "api.example.com"`, `source = "10.0.0.0/8"`, or both for those of whom both hold"#.into(),
            ),
            Self::PresetWithoutControllers => Some(r#"add `controllers = ["10.10.0.2", "10.10.1.2"]`"#.into()),
            Self::ControllersWithoutPreset => Some(r#"add `preset = "k0s"` (or kubeadm, rke2, k3s)"#.into()),
            Self::UnknownDirective { near, .. } => Some(near.map_or_else(
                || "HAProxy 3.2 has no such keyword, or evenkeel none of its kind: docs/haproxy.md has those that there are".into(),
                |near| format!("did you mean `{near}`?"),
            )),
            Self::DirectiveElsewhere { sections, .. } => Some(format!("it belongs into: {sections}")),
            Self::DirectiveIdle { sections, .. } => Some(format!("HAProxy does without it there, too; it belongs into: {sections}")),
            Self::DirectiveRefused { instead, .. } => Some((*instead).to_owned()),
            Self::BadLine { hint, .. } => Some(hint.clone()),
            Self::Finding { fix, .. } => Some(fix.clone()),
            Self::DirectiveNoted { .. } | Self::LeftOut { .. } | Self::Said { .. } => None,
            Self::EmptyWord => Some("a variable may have no value: write `${NAME-default}`, or define it".into()),
            Self::NotOfThisCheck { belongs_to, .. } => Some(format!("it is for checks of type {belongs_to}")),
            Self::VerifyUnstated { .. } => {
                Some(r#"add `verify = "none"` to believe anyone, or `ca_file = "ca.crt"`"#.into())
            }
            Self::VerifyWithoutAuthority => Some(r#"add `ca_file = "ca.crt"`, the cluster's CA"#.into()),
            Self::AuthorityWithoutVerify => Some("leave one of the two out".into()),
            Self::TimeoutOverInterval { .. } => Some("probes never overlap: it would stretch the interval".into()),
            Self::StatusTwice { .. } => Some("leave it out of one of the two".into()),
            Self::HalfIdentity { stated, missing } => Some(format!(
                "add `{missing}`, its other half; where one file has both, name it twice, or drop `{stated}`"
            )),
            Self::HalfLogin { missing, .. } if *missing == "user" => {
                Some("add `user`, the name that the password is for".into())
            }
            Self::HalfLogin { .. } => Some("add `password_hash`, which `evenkeel hash-password` makes".into()),
            Self::TwoAccesses => Some("state `token_file`, `user` and `password_hash` for one of them".into()),
            Self::BadSecret { .. } => Some("`evenkeel hash-password` makes one".into()),
            Self::ScriptWithoutSteps => Some(r#"add `steps = ["connect", "expect +OK"]`"#.into()),
            Self::ManySteps { .. } => Some("what takes longer than that is no health check".into()),
            Self::UnknownTracked { .. } => Some("name a server of this file that has a check of its own".into()),
            Self::NotOfThisListener { is_unix: true, .. } => Some("it is for connections over IP: leave it out".into()),
            Self::NotOfThisListener { is_unix: false, .. } => {
                Some(r#"it is for a unix socket, such as { address = "unix:/run/api.sock" }: leave it out"#.into())
            }
            Self::TracksAndChecks => Some("leave one of the two out".into()),
            Self::ObservesUnchecked => Some("give it a check, or leave `observe` out".into()),
            Self::AgentWithoutPort => Some("add `port`, where the agent listens".into()),
            Self::QueueForNobody => Some(r#"write `on_full = "wait"` in the backend, or leave `max_queue` out"#.into()),
            Self::LimitWithoutRoom { least } => {
                Some(format!("write a `max_sessions` above {least}, or leave `min_sessions` out"))
            }
            Self::OtherFamily { .. } => Some("connections can't be made from one to the other".into()),
            Self::TwoCredentials => Some("leave one of the two out".into()),
            Self::NotOfThisTarget { belongs_to, .. } => Some(format!("it is for log targets of type {belongs_to}")),
            Self::DuplicateTarget { .. } => Some("each line would be there twice: remove one of the two".into()),
            Self::TokenToAnyone => Some(r#"add `ca_file = "ca.crt"`, the cluster's CA"#.into()),
            Self::OutOfRange { or_off, .. } => or_off.then(|| "\"off\" stands for no limit".into()),
            Self::BadName { .. }
            | Self::BadText { .. }
            | Self::BadLogLine { .. }
            | Self::NotWholeSeconds { .. }
            | Self::CaFile { .. }
            | Self::TokenFile { .. }
            | Self::ClientCertificate { .. }
            | Self::ClientKey { .. }
            | Self::PageCertificate { .. }
            | Self::PageKey { .. } => None,
            Self::PageCertificateDate { .. } => {
                Some("browsers warn of it: put a new one in its place and reload".into())
            }
            Self::ManyPeers { .. } => Some("many load balancers are watched by their metrics: docs/monitoring.md".into()),
            Self::DuplicatePeer { .. } => Some("leave one of the two out".into()),
            Self::NoTlsPeer => Some("leave it out, or write https:// in `peers`".into()),
            Self::UnknownTable { name, known } => Some(known_tables(name, known)),
            Self::NotStored { count, .. } => Some(format!("add it to the table's `store`, as {}", stored_as(count))),
            Self::StoredTwice { .. } => Some("leave one of the two out; a table keeps one period of a rate".into()),
            Self::NotOfThisVerdict { .. } => Some("leave it out, or write `verdict = \"track\"`".into()),
            Self::CountForPage => Some("ask for `source` or `usable_servers` there, and for counts in a frontend's rules".into()),
        }
    }
}

/// The shortest file that works, for those who have none.
const SHORTEST: &str = r#"two lines are enough: `preset = "k0s"` and `controllers = ["10.10.0.2", "10.10.1.2"]`"#;

/// More than this many known words are no help.
const LISTED: usize = 24;

fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone, otherwise: &str) -> String {
    match spelling::meant(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{otherwise} {}", known.take(LISTED).collect::<Vec<_>>().join(", ")),
    }
}

/// Where the key is at home, if that is the file's top and no key here is near it in spelling.
fn key_hint(key: &str, known: &'static [&'static str]) -> String {
    let at_top = File::KEYS.contains(&key) && spelling::meant(key, known.iter().copied()).is_none();
    match key {
        _ if !at_top => did_you_mean(key, known.iter().copied(), "the keys here are"),
        "preset" | "controllers" => format!("`{key}` belongs to the top of the file, before the first `[section]`"),
        "frontend" | "backend" => format!("`[[{key}]]` is a section of its own"),
        _ => format!("`[{key}]` is a section of its own"),
    }
}

fn quoting_hint(text: &str) -> String {
    let joined = text.replace(' ', "");
    let text = if value::duration(&joined).is_ok() { &joined } else { text };
    format!("write \"{text}\"")
}

fn known_backends(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "add a `[[backend]]` with this name".to_owned();
    }
    did_you_mean(name, known.iter().map(String::as_str), "the backends are")
}

fn known_tables(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "add a `[[table]]` with this name".to_owned();
    }
    did_you_mean(name, known.iter().map(String::as_str), "the tables are")
}

/// A count as `store` has it.
fn stored_as(count: &str) -> String {
    if count.ends_with("_rate") { format!("\"{count}(3s)\"") } else { format!("\"{count}\"") }
}

fn duration_hint(text: &str, error: &DurationError) -> String {
    let forms = || r#"write it as "10s", "500ms", "1.5s", "2m", "1h30m" or "1d""#.to_owned();
    match error {
        DurationError::NoUnit if text.contains(char::is_alphabetic) => {
            value::with_unit(text).map_or_else(forms, |text| format!("write the unit: \"{text}\""))
        }
        DurationError::NoUnit => format!("write the unit: \"{text}s\" for seconds, \"{text}ms\" for milliseconds"),
        DurationError::UnknownUnit(_) => "the units are ms, s, m, h and d".to_owned(),
        _ => forms(),
    }
}

fn network_hint(text: &str, error: &NetworkError) -> String {
    let address = text.split('/').next().unwrap_or(text);
    match error {
        NetworkError::HostBits(network) => {
            format!("write \"{network}\" for the network, or \"{address}\" for the one address")
        }
        NetworkError::Netmask(network) => format!("write \"{network}\""),
        NetworkError::Prefix(..) => "the number behind the slash says how many bits its addresses share".to_owned(),
        NetworkError::NoNetwork => {
            "write a network as in \"10.0.0.0/8\" or \"fd00::/8\", or an address: names and ports \
            can't stand here"
                .to_owned()
        }
    }
}

fn address_hint(text: &str, error: &AddressError) -> String {
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    match error {
        AddressError::NoPort if text.parse::<u16>().is_ok() => format!("write \":{text}\""),
        AddressError::NoPort => format!("add a port, as in \"{}:6443\"", text.trim_end_matches(':')),
        AddressError::PortZero | AddressError::Port(_) => "a port is a number from 1 to 65535".to_owned(),
        AddressError::Unbracketed => match text.rsplit_once(':') {
            Some((host, port)) if is_ipv6(host) => format!("write \"[{host}]:{port}\""),
            _ if is_ipv6(text) => format!("write \"[{text}]:6443\""),
            _ => "write \"[fd00::2]:6443\"".to_owned(),
        },
        AddressError::Url => "leave the scheme and the path off".to_owned(),
        AddressError::ListenHost => r#"write ":6443" for all addresses, or "10.0.0.1:6443" for one"#.to_owned(),
        AddressError::Descriptor(_) => format!(
            "write \"fd@api\" for what the service manager opened under `FileDescriptorName=api` (1 to {} letters, digits \
             and `-_.`), or \"fd@{}\" for the first that it opened",
            DescriptorName::MAX,
            Descriptor::FIRST
        ),
        AddressError::UnixSocket => {
            "a unix socket can't be had here: write \":6443\", or \"fd@api\" for a TCP socket of the service manager's"
                .to_owned()
        }
        AddressError::NamelessSocket => {
            r#"write ":6443", or "unix:/run/evenkeel/api.sock" where clients come in by a unix socket"#.to_owned()
        }
        AddressError::WithPort => "leave the port off".to_owned(),
        AddressError::Bracketed | AddressError::NoHost | AddressError::Host(_) | AddressError::Unspecified => {
            "an address is an IPv4 address, an IPv6 one, or a host name".to_owned()
        }
    }
}
