//! `bind` lines (configuration manual, section 5.1).

use std::collections::HashSet;

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::super::show::quoted;
use super::super::value::duration_text;
use super::argument::{Address, Allowed, Family, Options, address, number_of, time_of};
use super::cfg::Statement;
use super::file::bad_line;
use super::unix::{self, Files};

const ENCRYPTED: &str = "sessions are passed on as they are, and never opened on the way";
const PASS_THROUGH: &str = "remove it: clients speak TLS with the server behind";

/// Every word that may stand behind an address.
pub const WORDS: &[Allowed] = &[
    Allowed::honoured("v4v6", 0),
    Allowed::honoured("v6only", 0),
    Allowed::honoured("name", 1),
    Allowed::honoured("accept-proxy", 0),
    Allowed::honoured("maxconn", 1),
    Allowed::honoured("backlog", 1),
    Allowed::honoured("interface", 1),
    Allowed::honoured("tcp-ut", 1),
    Allowed::honoured("transparent", 0),
    Allowed::noted("id", 1, "a listener is told by its address"),
    Allowed::noted("nice", 1, "sessions of all frontends have the same priority"),
    Allowed::noted("process", 1, "all workers listen on all sockets"),
    Allowed::noted("thread", 1, "all workers listen on all sockets"),
    Allowed::noted("shards", 1, "all workers share one socket for each address"),
    Allowed::noted("label", 1, "a listener is told by its address"),
    Allowed::noted("guid-prefix", 1, "a listener is told by its address"),
    Allowed::noted("tfo", 0, "connections are taken in the ordinary way"),
    Allowed::noted("defer-accept", 0, "a session begins when its client connects, as an API server's does"),
    Allowed::noted("mss", 1, "the kernel knows the path better"),
    Allowed::noted("proto", 1, "it is about HTTP"),
    Allowed::noted("idle-ping", 1, "it is about HTTP"),
    Allowed::honoured("mode", 1),
    Allowed::honoured("user", 1),
    Allowed::honoured("uid", 1),
    Allowed::honoured("group", 1),
    Allowed::honoured("gid", 1),
    Allowed::refused("ssl", 0, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("crt", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("crt-list", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("alpn", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("ca-file", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("verify", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("ciphers", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("ciphersuites", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("ssl-min-ver", 1, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("strict-sni", 0, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("no-sslv3", 0, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("no-tlsv10", 0, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("no-tlsv11", 0, ENCRYPTED, PASS_THROUGH),
    Allowed::refused("no-tls-tickets", 0, ENCRYPTED, PASS_THROUGH),
    Allowed::refused(
        "accept-netscaler-cip",
        1,
        "the client's address is taken from the PROXY protocol only",
        "use accept-proxy",
    ),
    Allowed::refused(
        "namespace",
        1,
        "evenkeel stays in the network namespace that it was started in",
        "start one in each",
    ),
];

/// Listeners of one address at most, as of `:30000-32767`, which are a cluster's node ports.
const MOST: usize = 2_768;

/// A listen address in TOML's form.
pub struct Listen {
    pub address: String,
    /// What else the line says of it, as keys of TOML.
    pub options: Vec<String>,
    /// `None` if only the socket knows it.
    pub port: Option<u16>,
    pub at: Span,
    /// Whether the line names neither an address nor a family: IPv4 alone for HAProxy.
    pub is_bare: bool,
    /// Whether it is a unix socket.
    pub is_unix: bool,
}

/// The addresses of one `bind` line.
pub fn read(statement: &Statement, files: &Files, lenient: bool, mistakes: &mut Mistakes) -> Vec<Listen> {
    let Some((addresses, words)) = statement.arguments.split_first() else {
        mistakes.push(Some(statement.at), bad_line("`bind` needs an address", "write `bind :6443`"));
        return Vec::new();
    };
    let mut options = Options::default();
    options.read(words, WORDS, "bind", lenient, mistakes);
    let mut listen: Vec<Listen> = Vec::new();
    let keys = Keys::of(&options, files, mistakes);
    for text in addresses.text.split(',') {
        let is_bare = is_bare(text);
        if listen.len() >= MOST {
            let what = format!("`{}` is more than {MOST} listeners", addresses.text);
            mistakes.push(Some(addresses.span), bad_line(what, "write several `bind` lines, or smaller ranges"));
            break;
        }
        let at = addresses.span;
        if let Some(address) = files.address(text) {
            listen.push(Listen { address, options: keys.at(true), port: None, at, is_bare, is_unix: true });
            continue;
        }
        match expanded(text, &options) {
            Ok(some) => {
                listen.extend(some.into_iter().map(|(address, port)| Listen {
                    address,
                    options: keys.at(false),
                    port,
                    at,
                    is_bare,
                    is_unix: false,
                }));
            }
            Err((what, hint)) => mistakes.push(Some(addresses.span), bad_line(what, hint)),
        }
    }
    if !listen.is_empty() {
        let (has_unix, has_ip) = (listen.iter().any(|one| one.is_unix), listen.iter().any(|one| !one.is_unix));
        unix::note_idle(&options, has_unix, has_ip, mistakes);
    }
    listen
}

/// `:6443` and `*:6443`.
pub fn is_bare(text: &str) -> bool {
    let bare = |address: Address<'_>| matches!(address.host, "" | "*") && address.family.is_none();
    !text.starts_with("fd@") && address(text).is_ok_and(bare)
}

/// What a line says of its listeners, as keys of TOML with their values.
struct Keys {
    of_all: Vec<String>,
    of_ip: Vec<String>,
    of_unix: Vec<String>,
}

impl Keys {
    fn of(options: &Options, files: &Files, mistakes: &mut Mistakes) -> Self {
        let (of_all, of_ip) = (keys(options, mistakes), ip_keys(options, mistakes));
        Self { of_all, of_ip, of_unix: files.keys(options) }
    }

    /// Those that hold at an address, or at a unix socket.
    fn at(&self, is_unix: bool) -> Vec<String> {
        let own = if is_unix { &self.of_unix } else { &self.of_ip };
        self.of_all.iter().chain(own).cloned().collect()
    }
}

fn keys(options: &Options, mistakes: &mut Mistakes) -> Vec<String> {
    let mut keys = Vec::new();
    let mut number = |word: &str, key: &str, high: u64, keys: &mut Vec<String>| {
        // 0 is no limit, and no length of its own.
        let value = options.value(word).filter(|word| word.text != "0");
        if let Some(number) = value.and_then(|word| number_of(word, 1, high, mistakes)) {
            keys.push(format!("{key} = {number}"));
        }
    };
    number("maxconn", "max_sessions", 10_000_000, &mut keys);
    number("backlog", "backlog", 65_535, &mut keys);
    keys.extend(options.value("name").map(|word| format!("name = {}", quoted(&word.text))));
    keys.extend(options.has("accept-proxy").map(|_| "accept_proxy = \"everybody\"".to_owned()));
    keys
}

fn ip_keys(options: &Options, mistakes: &mut Mistakes) -> Vec<String> {
    let mut keys = Vec::new();
    keys.extend(options.value("interface").map(|word| format!("interface = {}", quoted(&word.text))));
    if let Some((time, _)) = options.value("tcp-ut").and_then(|word| time_of(word, mistakes)) {
        keys.push(format!("user_timeout = {}", quoted(&duration_text(time))));
    }
    keys.extend(options.has("transparent").map(|_| "transparent = true".to_owned()));
    keys
}

impl Listen {
    /// What names no family takes both, as evenkeel has it.
    pub fn take_both_families(&mut self) {
        if let Some(port) = self.port.filter(|_| self.is_bare) {
            self.address = format!(":{port}");
        }
    }

    /// In TOML's form.
    pub fn literal(&self) -> String {
        let address = quoted(&self.address);
        match self.options.is_empty() {
            true => address,
            false => format!("{{ address = {address}, {} }}", self.options.join(", ")),
        }
    }
}

/// Makes of the listeners of a section what the kernel makes of HAProxy's: one that is there twice is one, and where all
/// of IPv4 is listened on (`wide`) one on all of IPv6 is on that alone.
pub fn part(listen: &mut Vec<Listen>, wide: &HashSet<u16>, mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for listener in listen.iter_mut() {
        if listener.port.is_some_and(|port| wide.contains(&port)) && listener.address.starts_with(':') {
            listener.address.insert_str(0, "[::]");
        }
    }
    listen.retain(|listener| {
        let is_new = seen.insert(listener.address.clone());
        if !is_new {
            let why = format!("{} is listened on already", listener.address);
            mistakes.push(Some(listener.at), Mistake::LeftOut { why });
        }
        is_new
    });
}

type Refusal = (String, &'static str);

const ADDRESSES: &str = "write `bind :6443`, or `bind unix@/run/api.sock`";

/// One address, or one for each port of a range.
fn expanded(text: &str, options: &Options) -> Result<Vec<(String, Option<u16>)>, Refusal> {
    if let Some(number) = text.strip_prefix("fd@") {
        return Ok(vec![(format!("fd@{number}"), None)]);
    }
    let Address { family, host, port } = address(text)
        .map_err(|kind| (format!("`{text}` is {kind}, and sessions come in over TCP or a unix socket"), ADDRESSES))?;
    let port = port.ok_or((format!("`{text}` has no port"), "write `bind :6443`"))?;
    let (first, last) = port.split_once('-').unwrap_or((port, port));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    let (Some(first), Some(last)) = (port(first), port(last)) else {
        return Err((
            format!("`{text}` has no port from 1 to 65535"),
            "write `bind :6443`, or `bind :6443-6445` for a range",
        ));
    };
    if last < first || usize::from(last - first) >= MOST {
        return Err((format!("`{text}` is no range of at most {MOST} ports"), "write the lower port first"));
    }
    let host = host_of(host, family, options.has("v6only").is_none());
    Ok((first..=last).map(|port| (format!("{host}:{port}"), Some(port))).collect())
}

/// HAProxy's `:6443` is IPv4 only; `:::6443` takes IPv4, too, as Linux has it, unless it says `v6only`.
fn host_of(host: &str, family: Option<Family>, both: bool) -> String {
    match (host, family) {
        ("" | "*", None | Some(Family::Ipv4)) => "0.0.0.0".to_owned(),
        ("" | "*" | "::", _) if both => String::new(),
        ("" | "*" | "::", _) => "[::]".to_owned(),
        (host, _) if host.contains(':') => format!("[{host}]"),
        (host, _) => host.to_owned(),
    }
}
