//! The check of a server: its own words, and what its backend's options make of it.

use std::time::Duration;

use super::super::read::Span;
use super::super::show::quoted;
use super::super::value::duration_text;
use super::argument::{Options, number_of, time_of};
use super::cfg::Proxy;
use super::compose::Composer;
use super::document::Section;
use super::{HOUR, question, service};

/// The options of which the last one says what a check asks (configuration manual, section 4.2).
pub const KINDS: [&str; 3] = ["option httpchk", "option ssl-hello-chk", "option tcp-check"];

/// From one probe to the next unless stated.
const INTERVAL: Duration = Duration::from_secs(2);

/// Adds `check` to a server.
pub fn compose(proxy: &Proxy, options: &Options, line: Span, section: &mut Section, composer: &mut Composer<'_>) {
    // One that tracks another has that one's state.
    let Some(at) = options.has("check").filter(|_| options.has("track").is_none()) else {
        section.text("check", "off", Some(line));
        return;
    };
    kind(proxy, options, at, section, composer);
    let port = question::port(proxy).or_else(|| options.value("port"));
    if let Some(port) = port.and_then(|word| Some((number_of(word, 1, 65_535, composer.mistakes)?, word.span))) {
        section.set("check.port", port.0, Some(port.1));
    }
    elsewhere(options, section, composer);
    schedule(proxy, options, at, section, composer);
}

fn kind(proxy: &Proxy, options: &Options, at: Span, section: &mut Section, composer: &mut Composer<'_>) {
    let asked = proxy.last_of(&KINDS);
    let over_tls = options.has("check-ssl");
    match asked.map(|statement| (statement.keyword.words, statement)) {
        Some(("option httpchk", statement)) => {
            if question::http(proxy, statement, over_tls.is_some(), section, composer) {
                tls(options, over_tls.unwrap_or(statement.at), section, composer);
            }
            return;
        }
        Some(("option tcp-check", _))
            if let Some(speaks_tls) = question::script(proxy, over_tls.is_some(), section, composer) =>
        {
            if speaks_tls {
                tls(options, over_tls.unwrap_or(at), section, composer);
            }
            return;
        }
        // A hello of SSLv3, which no API server answers any more: a handshake is what is meant.
        Some(("option ssl-hello-chk", statement)) if over_tls.is_none() => {
            section.text("check.type", "tls", Some(statement.at));
            section.text("check.verify", "none", Some(statement.at));
            return;
        }
        _ => {}
    }
    match over_tls {
        Some(at) => {
            section.text("check.type", "tls", Some(at));
            tls(options, at, section, composer);
        }
        None => section.text("check.type", "tcp", Some(at)),
    }
}

/// Where it is asked, if elsewhere, and what the question begins with.
fn elsewhere(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    if let Some(word) = options.value("addr") {
        match word.text.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            Ok(ip) => section.text("check.address", &ip.to_string(), Some(word.span)),
            Err(_) => composer.wrong(
                word.span,
                format!("`addr {}` is no IP address", word.text),
                "write the address itself: only servers are known by names",
            ),
        }
    }
    if let Some(at) = options.has("check-send-proxy") {
        // Without a word on its version it is the sessions', or the first.
        let version = service::send_proxy(options).map_or("v1", |(version, _)| version);
        section.text("check.send_proxy", version, Some(at));
    }
}

fn tls(options: &Options, at: Span, section: &mut Section, composer: &mut Composer<'_>) {
    let by_default = composer.cfg.global("ssl-server-verify").and_then(|statement| statement.arguments.first());
    let verify = options.value("verify").or(by_default);
    match (verify.map(|word| (word.text.as_str(), word.span)), options.value("ca-file")) {
        (Some(("none", span)), _) => section.text("check.verify", "none", Some(span)),
        (Some(("required", _)) | None, Some(file)) => {
            let names = ["check-sni", "verifyhost"].iter().any(|word| options.value(word).is_some());
            if composer.as_haproxy() && !names {
                let remark = "evenkeel's way, \"full\": the certificate must be for the server's address";
                section.remarked("check.verify", "\"authority\"", Some(file.span), remark);
            }
            section.text("check.ca_file", &based(composer, "ca-base", &file.text), Some(file.span));
        }
        (Some(("required", span)), None) => composer.wrong(
            span,
            "`verify required` needs a `ca-file`",
            "add `ca-file /path/of/ca.crt`, or write `verify none`",
        ),
        (None, None) => composer.wrong(
            at,
            "`check-ssl` must say whom it believes: `verify` is required unless stated, and there is no `ca-file`",
            "write `verify none`, or add `ca-file /path/of/ca.crt`",
        ),
        (Some((other, span)), _) => {
            composer.wrong(span, format!("`verify {other}` is unknown"), "write `verify none` or `verify required`");
        }
    }
    if let Some(file) = options.value("crt") {
        // One file has both, as HAProxy wants it.
        let path = based(composer, "crt-base", &file.text);
        section.text("check.client_certificate", &path, Some(file.span));
        section.text("check.client_key", &path, Some(file.span));
    }
    let verified = options.value("verifyhost").filter(|_| verify.is_none_or(|word| word.text != "none"));
    match (options.value("check-sni"), verified) {
        (Some(sent), Some(verified)) if sent.text != verified.text => composer.wrong(
            verified.span,
            "`verifyhost` and `check-sni` name two hosts",
            "name the same one twice: what is sent is what is verified",
        ),
        (Some(name), _) | (None, Some(name)) => section.text("check.server_name", &name.text, Some(name.span)),
        (None, None) => {}
    }
    if let Some(protocols) = options.value("check-alpn") {
        let list: Vec<_> = protocols.text.split(',').map(quoted).collect();
        section.set("check.alpn", format!("[{}]", list.join(", ")), Some(protocols.span));
    }
}

/// A path below `ca-base` or `crt-base` unless it begins with a slash.
fn based(composer: &Composer<'_>, keyword: &str, path: &str) -> String {
    let base = composer.cfg.global(keyword).and_then(|statement| statement.arguments.first());
    match base {
        Some(base) if !path.starts_with('/') => format!("{}/{path}", base.text.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

fn schedule(proxy: &Proxy, options: &Options, at: Span, section: &mut Section, composer: &mut Composer<'_>) {
    let mut time = |word| options.value(word).and_then(|value| time_of(value, composer.mistakes));
    let inter = time("inter");
    let (fast, down) = (time("fastinter"), time("downinter"));
    let interval = inter.map_or(INTERVAL, |(time, _)| time);
    for (key, stated) in [("check.interval", inter), ("check.fast_interval", fast), ("check.down_interval", down)] {
        match stated {
            Some((time, at)) => section.wait(key, time, Some(at)),
            None if key == "check.fast_interval" && composer.as_haproxy() => section.instead(
                key,
                quoted(&duration_text(interval)),
                "evenkeel's way, \"500ms\": a server that begins to fail or to recover is asked more often",
            ),
            None => {}
        }
    }
    // Without `timeout check` a check has its whole interval; with it, the dial has a time of its own.
    match composer.time(proxy, "timeout check") {
        None if composer.as_haproxy() => section.remarked(
            "check.timeout",
            "\"interval\"",
            Some(at),
            "evenkeel's way, \"1500ms\": a probe has an end of its own, before the next begins",
        ),
        None => {}
        Some((timeout, place)) => {
            section.wait("check.timeout", timeout.clamp(Duration::from_millis(10), HOUR), Some(place));
            let dial = composer.time(proxy, "timeout connect").map_or(interval, |(connect, _)| connect.min(interval));
            section.wait("check.dial_timeout", dial.clamp(Duration::from_millis(1), HOUR), Some(place));
        }
    }
    for (word, default) in [("rise", 2), ("fall", 3)] {
        let stated =
            options.value(word).and_then(|value| Some((number_of(value, 1, 1_000, composer.mistakes)?, value.span)));
        let (number, at) = stated.map_or((default, None), |(number, at)| (number, Some(at)));
        section.set(format!("check.{word}"), number, at);
    }
}
