//! `tcp-request` and `use_backend` lines (configuration manual, section 4.2): whom a frontend lets in, and where to.

use super::super::when;
use super::acl;
use super::compose::Composer;
use super::document::Section;
use super::file::{Proxy, Statement};

/// As TOML: the rules, then the routes.
pub fn compose(proxy: &Proxy, composer: &mut Composer<'_>) -> Vec<Section> {
    let mut sections = Vec::new();
    for (keyword, stage) in STAGES {
        sections.extend(proxy.every(keyword).filter_map(|statement| rule(proxy, statement, stage, composer)));
    }
    sections.extend(proxy.own("use_backend").filter_map(|statement| route(proxy, statement, composer)));
    sections
}

/// The keyword of each stage.
const STAGES: [(&str, &str); 3] =
    [("tcp-request connection", "connection"), ("tcp-request session", "session"), ("tcp-request content", "content")];

/// Keys of the frontend itself that its rules and routes need.
pub fn waits(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let asks = STAGES.iter().any(|(keyword, _)| proxy.every(keyword).next().is_some());
    if asks || proxy.own("use_backend").next().is_some() {
        // A client that says nothing is judged by that.
        section.text("on_silence", "judge", None);
    }
    match proxy.last("tcp-request inspect-delay").and_then(|statement| composer.wait(statement)) {
        Some((delay, at)) if !delay.is_zero() => section.wait("timeouts.inspect", delay.min(super::HOUR), Some(at)),
        _ if asks => section.text("timeouts.inspect", "off", None),
        _ => {}
    }
    let handshake = composer.time(proxy, "timeout client-hs").or_else(|| composer.time(proxy, "timeout client"));
    if let Some((time, at)) = handshake.filter(|_| proxy.last("timeout client-hs").is_some() || wants_headers(proxy)) {
        section.wait("timeouts.handshake", time.clamp(super::MOMENT, super::HOUR), Some(at));
    }
}

/// Whether PROXY protocol headers are read at all.
fn wants_headers(proxy: &Proxy) -> bool {
    let says = |statement: &Statement, word: &str| statement.arguments.iter().any(|own| own.text == word);
    proxy.own("bind").any(|bind| says(bind, "accept-proxy"))
        || proxy.every("tcp-request connection").any(|rule| says(rule, "expect-proxy"))
}

fn rule(proxy: &Proxy, line: &Statement, stage: &str, composer: &mut Composer<'_>) -> Option<Section> {
    let words: Vec<&str> = line.arguments.iter().map(|word| word.text.as_str()).collect();
    let (verdict, length) = match (words.as_slice(), stage) {
        (["accept", ..], _) => ("accept", 1),
        (["reject", ..], _) => ("reject", 1),
        (["expect-proxy", "layer4", ..], "connection") => ("expect_proxy", 2),
        _ => {
            let what = format!("`{} {}` is not supported", line.written, words.first().unwrap_or(&""));
            composer.wrong(line.at, what, "what is: accept and reject, and `expect-proxy layer4` of a connection");
            return None;
        }
    };
    let condition = acl::condition(proxy, &line.arguments[length..], line.at, composer.mistakes)?;
    let mut section = Section::new("[[frontend.rule]]", Some(line.at));
    section.text("stage", stage, Some(line.head));
    section.text("when", &when::write(&condition), Some(line.at));
    section.text("verdict", verdict, Some(line.arguments[0].span));
    Some(section)
}

fn route(proxy: &Proxy, line: &Statement, composer: &mut Composer<'_>) -> Option<Section> {
    let Some((name, words)) = line.arguments.split_first() else {
        composer.wrong(line.at, "`use_backend` names no backend", "write `use_backend NAME if CONDITION`");
        return None;
    };
    if name.text.contains('%') {
        composer.wrong(name.span, "a backend's name is not made of variables", "write a line for each backend");
        return None;
    }
    let condition = acl::condition(proxy, words, line.at, composer.mistakes)?;
    let mut section = Section::new("[[frontend.route]]", Some(line.at));
    section.text("when", &when::write(&condition), Some(line.at));
    section.text("backend", &name.text, Some(name.span));
    Some(section)
}
