//! What commands say of the process and of the conversation itself.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::command::{Asked, Effect};
use crate::model::{HAPROXY_VERSION, ListenAddress, RuntimeAddress};

/// `show version`.
pub fn version() -> String {
    format!("{HAPROXY_VERSION}\n")
}

/// `show env`.
pub fn environment(asked: &Asked<'_>) -> String {
    let shown = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    match asked.word(2) {
        "" => std::env::vars_os().map(shown).collect(),
        name => std::env::var_os(name)
            .map_or_else(|| "Variable not found\n".to_owned(), |value| shown((name.into(), value))),
    }
}

/// `show errors`: those are messages of HTTP that could not be read, of which a TCP proxy has none.
pub fn errors(asked: &Asked<'_>) -> String {
    let (name, names) = (asked.word(2), (asked.views.names)());
    let is_known = names.frontends.iter().any(|frontend| frontend.as_str() == name)
        || names.backends.iter().any(|(backend, _)| backend.as_str() == name);
    if !name.is_empty() && !is_known {
        return "No such proxy.\n".to_owned();
    }
    let now = (asked.views.snapshot)().at;
    format!("Total events captured on [{}] : 0\n", date(now))
}

fn date(at: SystemTime) -> String {
    let local = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let form = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second].[subsecond digits:3]");
    OffsetDateTime::from(at).to_offset(local).format(form).unwrap_or_default()
}

/// `show activity`: of what HAProxy shows for its developers what there is here.
pub fn activity(asked: &Asked<'_>) -> String {
    let snapshot = (asked.views.snapshot)();
    let now = snapshot.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (threads, uptime) = (snapshot.process.workers, snapshot.process.uptime);
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // A string takes whatever is written.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("thread_id", &format!("1 (1..{threads})"));
    line("date_now", &format!("{}.{:06}", now.as_secs(), now.subsec_micros()));
    line("uptime_now", &format!("{}.{:06}", uptime.as_secs(), uptime.subsec_micros()));
    line("accepted", &snapshot.process.counts.sessions_total);
    text
}

/// `show cli sockets`.
pub fn sockets(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let line =
        |socket: &crate::model::RuntimeSocket| format!("{} {} all\n", address(&socket.listen), socket.level.name());
    config.runtime.iter().map(line).fold("# socket lvl processes\n".to_owned(), |text, line| text + &line)
}

fn address(address: &RuntimeAddress) -> String {
    match address {
        RuntimeAddress::Unix(path) => format!("unix@{}", path.display()),
        RuntimeAddress::Listen(ListenAddress::Tcp(address)) if address.is_ipv4() => format!("ipv4@{address}"),
        RuntimeAddress::Listen(ListenAddress::Tcp(address)) => format!("ipv6@{address}"),
        RuntimeAddress::Listen(ListenAddress::DualStack { port }) => format!("ipv6@[::]:{port}"),
        RuntimeAddress::Listen(other @ (ListenAddress::Descriptor(_) | ListenAddress::Unix(_))) => other.to_string(),
    }
}

/// The longest that a client may ask to be silent.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// `set timeout cli`.
pub fn set_timeout(asked: &Asked<'_>) -> Effect {
    let say = |text: &str| Effect::Answer(text.to_owned());
    match (asked.word(2), asked.word(3)) {
        ("cli", "") => say("Expects an integer value.\n"),
        ("cli", text) => match super::time::duration(text, "s").filter(|time| *time >= Duration::from_secs(1)) {
            Some(time) => Effect::Timeout(time.min(LONGEST)),
            None => say("Invalid timeout value.\n"),
        },
        _ => say("'set timeout' only supports 'cli'.\n"),
    }
}
