//! The check of a server: its own words, and what its backend's options make of it.

use std::time::Duration;

use super::super::read::Span;
use super::super::show::quoted;
use super::argument::{Options, number_of, time_of};
use super::compose::Composer;
use super::document::Section;
use super::file::{Proxy, Statement};

/// The options of which the last one says what a check asks (configuration manual, section 4.2).
pub const KINDS: [&str; 3] = ["option httpchk", "option ssl-hello-chk", "option tcp-check"];

/// From one probe to the next unless stated.
const INTERVAL: Duration = Duration::from_secs(2);

/// Adds `check` to a server.
pub fn compose(proxy: &Proxy, options: &Options, line: Span, section: &mut Section, composer: &mut Composer<'_>) {
    let Some(at) = options.has("check") else {
        section.text("check", "off", Some(line));
        return;
    };
    kind(proxy, options, at, section, composer);
    if let Some(port) =
        options.value("port").and_then(|word| Some((number_of(word, 1, 65_535, composer.mistakes)?, word.span)))
    {
        section.set("check.port", port.0, Some(port.1));
    }
    schedule(proxy, options, at, section, composer);
}

fn kind(proxy: &Proxy, options: &Options, at: Span, section: &mut Section, composer: &mut Composer<'_>) {
    let asked = proxy.last_of(&KINDS);
    let over_tls = options.has("check-ssl");
    match asked.map(|statement| (statement.keyword.words, statement)) {
        Some(("option httpchk", statement)) => http(statement, over_tls, section, composer),
        // A hello of SSLv3, which no API server answers any more: a handshake is what is meant.
        Some(("option ssl-hello-chk", statement)) if over_tls.is_none() => {
            section.text("check.type", "tls", Some(statement.at));
            section.text("check.verify", "none", Some(statement.at));
            return;
        }
        _ if over_tls.is_some() => section.text("check.type", "tls", over_tls),
        _ => return section.text("check.type", "tcp", Some(at)),
    }
    if over_tls.is_some() {
        tls(options, over_tls.unwrap_or(at), section, composer);
    }
}

/// `option httpchk [METHOD] [URI] [VERSION]`.
fn http(statement: &Statement, over_tls: Option<Span>, section: &mut Section, composer: &mut Composer<'_>) {
    let texts: Vec<&str> = statement.arguments.iter().map(|word| word.text.as_str()).collect();
    let (method, path) = match texts.as_slice() {
        [] => ("OPTIONS", "/"),
        [path] => ("OPTIONS", *path),
        [method, path, ..] => (*method, *path),
    };
    if over_tls.is_none() || method != "GET" {
        let what = format!(
            "`option httpchk` with {method}{} is not supported",
            if over_tls.is_none() { " and without check-ssl" } else { "" }
        );
        return composer.wrong(statement.at, what, "write `option httpchk GET /readyz` and `check-ssl` on the servers");
    }
    section.text("check.type", "https", Some(statement.at));
    section.text("check.path", path, Some(statement.at));
    section.set("check.accept", "[\"200-399\"]", Some(statement.at));
}

fn tls(options: &Options, at: Span, section: &mut Section, composer: &mut Composer<'_>) {
    let by_default = composer.cfg.global("ssl-server-verify").and_then(|statement| statement.arguments.first());
    let verify = options.value("verify").or(by_default);
    match (verify.map(|word| (word.text.as_str(), word.span)), options.value("ca-file")) {
        (Some(("none", span)), _) => section.text("check.verify", "none", Some(span)),
        (Some(("required", _)) | None, Some(file)) => {
            section.text("check.ca_file", &based(composer, "ca-base", &file.text), Some(file.span))
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
            composer.wrong(span, format!("`verify {other}` is unknown"), "write `verify none` or `verify required`")
        }
    }
    if let Some(name) = options.value("check-sni") {
        section.text("check.server_name", &name.text, Some(name.span));
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
    let (fast, down) = (time("fastinter").or(inter), time("downinter").or(inter));
    let interval = inter.map_or(INTERVAL, |(time, _)| time);
    for (key, stated) in [("check.interval", inter), ("check.fast_interval", fast), ("check.down_interval", down)] {
        let (time, at) = stated.map_or((interval, None), |(time, at)| (time, Some(at)));
        section.wait(key, time, at);
    }
    // Without `timeout check` a check has its whole interval.
    let (timeout, place) = composer.time(proxy, "timeout check").unwrap_or((interval, at));
    section.wait("check.timeout", timeout.min(interval), Some(place));
    for (word, default) in [("rise", 2), ("fall", 3)] {
        let stated =
            options.value(word).and_then(|value| Some((number_of(value, 1, 1_000, composer.mistakes)?, value.span)));
        let (number, at) = stated.map_or((default, None), |(number, at)| (number, Some(at)));
        section.set(format!("check.{word}"), number, at);
    }
}
