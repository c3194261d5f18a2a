//! `server` and `default-server` lines (configuration manual, section 5.2).

use super::super::mistake::Mistakes;
use super::argument::{Address, Allowed, Family, Options, address};
use super::cfg::{Proxy, Statement};
use super::file::bad_line;
use super::words::Word;

const fn switch(word: &'static str) -> Allowed {
    Allowed::honoured(word, 0).or_not()
}

const fn noted(word: &'static str, values: usize, why: &'static str) -> Allowed {
    Allowed::noted(word, values, why).or_not()
}

const fn refused(word: &'static str, values: usize, why: &'static str, instead: &'static str) -> Allowed {
    Allowed::refused(word, values, why, instead).or_not()
}

const ENCRYPTED: &str = "sessions are passed on as they are, and never encrypted or opened on the way";
const PASS_THROUGH: &str = "remove it: clients speak TLS with the server itself; `check-ssl` is for the check alone";
const OWN_TLS: &str = "probes use rustls with its own modern defaults";
const RESOLVED: &str = "names are looked up by the system's resolver, every 30 s";
const HTTP_POOL: &str = "it is about HTTP connections that are used again";

/// Every word that may stand behind a server's address.
pub const WORDS: &[Allowed] = &[
    switch("check"),
    switch("check-ssl"),
    Allowed::honoured("verify", 1),
    Allowed::honoured("ca-file", 1),
    Allowed::honoured("crt", 1),
    Allowed::honoured("verifyhost", 1),
    Allowed::honoured("check-sni", 1),
    Allowed::honoured("check-alpn", 1),
    Allowed::honoured("inter", 1),
    Allowed::honoured("fastinter", 1),
    Allowed::honoured("downinter", 1),
    Allowed::honoured("rise", 1),
    Allowed::honoured("fall", 1),
    Allowed::honoured("port", 1),
    Allowed::honoured("weight", 1),
    switch("backup"),
    Allowed::honoured("maxconn", 1),
    Allowed::honoured("disabled", 0),
    Allowed::honoured("enabled", 0),
    Allowed::honoured("addr", 1),
    Allowed::honoured("slowstart", 1),
    Allowed::honoured("on-marked-down", 1),
    Allowed::honoured("on-marked-up", 1),
    Allowed::honoured("observe", 1),
    Allowed::honoured("error-limit", 1),
    Allowed::honoured("on-error", 1),
    Allowed::honoured("track", 1),
    Allowed::honoured("source", 1),
    Allowed::honoured("interface", 1),
    Allowed::honoured("tcp-ut", 1),
    switch("send-proxy"),
    switch("send-proxy-v2"),
    switch("check-send-proxy"),
    Allowed::honoured("init-state", 1),
    Allowed::honoured("init-addr", 1),
    Allowed::honoured("id", 1),
    switch("agent-check"),
    Allowed::honoured("agent-port", 1),
    Allowed::honoured("agent-inter", 1),
    Allowed::honoured("agent-addr", 1),
    Allowed::honoured("agent-send", 1),
    Allowed::honoured("maxqueue", 1),
    Allowed::honoured("minconn", 1),
    refused("usesrc", 1, "servers see evenkeel's own address", "tell them the client's by `send-proxy-v2`"),
    refused("send-proxy-v2-ssl", 0, "evenkeel doesn't know what is inside", "write `send-proxy-v2`"),
    refused("send-proxy-v2-ssl-cn", 0, "evenkeel doesn't know what is inside", "write `send-proxy-v2`"),
    refused("proxy-v2-options", 1, "the header says who connects to what, and no more", "remove it"),
    refused("set-proxy-v2-tlv-fmt", 1, "the header says who connects to what, and no more", "remove it"),
    noted("resolvers", 1, RESOLVED),
    noted("resolve-prefer", 1, RESOLVED),
    noted("resolve-net", 1, RESOLVED),
    noted("resolve-opts", 1, RESOLVED),
    noted("cookie", 1, "there are no cookies in TCP"),
    noted("redir", 1, "it is about HTTP"),
    noted("ciphers", 1, OWN_TLS),
    noted("ciphersuites", 1, OWN_TLS),
    noted("curves", 1, OWN_TLS),
    noted("sigalgs", 1, OWN_TLS),
    noted("client-sigalgs", 1, OWN_TLS),
    noted("crl-file", 1, OWN_TLS),
    noted("ssl-min-ver", 1, OWN_TLS),
    noted("ssl-max-ver", 1, OWN_TLS),
    noted("force-tlsv12", 0, OWN_TLS),
    noted("force-tlsv13", 0, OWN_TLS),
    noted("sslv3", 0, OWN_TLS),
    noted("tlsv10", 0, OWN_TLS),
    noted("tlsv11", 0, OWN_TLS),
    noted("ssl-reuse", 0, OWN_TLS),
    noted("tls-tickets", 0, OWN_TLS),
    noted("tfo", 0, "connections are opened in the ordinary way"),
    noted("pool-conn-name", 1, HTTP_POOL),
    noted("pool-low-conn", 1, HTTP_POOL),
    noted("pool-max-conn", 1, HTTP_POOL),
    noted("pool-purge-delay", 1, HTTP_POOL),
    noted("max-reuse", 1, HTTP_POOL),
    noted("check-reuse-pool", 0, HTTP_POOL),
    noted("check-pool-conn-name", 1, HTTP_POOL),
    noted("idle-ping", 1, HTTP_POOL),
    noted("strict-maxconn", 0, "`maxconn` always is"),
    noted("shard", 1, "it is about peers"),
    noted("log-proto", 1, "it is about receivers of logs"),
    noted("non-stick", 0, "there are no stick rules"),
    noted("stick", 0, "there are no stick rules"),
    noted("guid", 1, "counters are kept over reloads by name"),
    noted("hash-key", 1, "a hash is made of the server's place in its backend"),
    refused("ssl", 0, ENCRYPTED, PASS_THROUGH),
    refused("sni", 1, ENCRYPTED, PASS_THROUGH),
    refused("alpn", 1, ENCRYPTED, PASS_THROUGH),
    refused("npn", 1, ENCRYPTED, PASS_THROUGH),
    refused("socks4", 1, "servers are dialled directly", "remove it, or route to them"),
    refused("check-via-socks4", 0, "servers are dialled directly", "remove it, or route to them"),
    refused("namespace", 1, "evenkeel stays in the network namespace that it was started in", "start one in each"),
    refused("proto", 1, "sessions are passed on as bytes", "remove it"),
    refused("check-proto", 1, "a check's protocol follows from its type", "remove it"),
    refused("ws", 1, "sessions are passed on as bytes", "remove it"),
];

/// Where a server is, in TOML's form.
pub fn endpoint(word: &Word, only_port: Option<u16>, mistakes: &mut Mistakes) -> Option<String> {
    let refuse = |what: String, hint: &str, mistakes: &mut Mistakes| {
        mistakes.push(Some(word.span), bad_line(what, hint));
        None
    };
    let Address { family, host, port } = match address(&word.text) {
        Ok(address) => address,
        Err(kind) => {
            return refuse(
                format!("`{}` is {kind}, and servers are reached over TCP", word.text),
                "write HOST:PORT",
                mistakes,
            );
        }
    };
    let host = match (host, family) {
        ("localhost", Some(Family::Ipv6)) => "::1",
        (host, _) => host,
    };
    let port = match (port, only_port) {
        (Some(port), _) if port.starts_with(['+', '-']) => {
            return refuse(
                format!("`{}` adds to the port that the client used", word.text),
                "write the port itself",
                mistakes,
            );
        }
        (Some(port), _) => match port.parse::<u16>().ok().filter(|port| *port != 0) {
            Some(port) => port,
            None => return refuse(format!("`{port}` is no port from 1 to 65535"), "write HOST:PORT", mistakes),
        },
        // Without one it is the port that the client came to, which is one and the same here.
        (None, Some(port)) => port,
        (None, None) => {
            return refuse(
                format!("`{}` has no port, and its frontends have several", word.text),
                "write HOST:PORT",
                mistakes,
            );
        }
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some(format!("{host}:{port}"))
}

/// The `server` lines of a section, each with the options of the `default-server` lines before it.
pub fn lines(proxy: &Proxy) -> Vec<(&Statement, Options)> {
    let mut options = Options::default();
    let mut defaults = proxy.every("default-server").peekable();
    let mut before = |line: &Statement| {
        while let Some(earlier) = defaults.next_if(|defaults| defaults.at.start < line.at.start) {
            // What is wrong with it is noted where it stands, once.
            options.read(&earlier.arguments, WORDS, "default-server", true, &mut Mistakes::default());
        }
        options.clone()
    };
    proxy.own("server").map(|line| (line, before(line))).collect()
}

/// Notes what is wrong with a `default-server` line.
pub fn look_at_defaults(words: &[Word], lenient: bool, mistakes: &mut Mistakes) {
    Options::default().read(words, WORDS, "default-server", lenient, mistakes);
}
