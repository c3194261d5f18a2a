//! `log` lines of `global`, and what is logged of sessions.

use super::super::show::quoted;
use super::compose::Composer;
use super::document::Section;
use super::file::Statement;

/// `[log]`: what is not a target, then each target.
pub fn compose(composer: &mut Composer<'_>) -> Vec<Section> {
    let mut section = Section::new("[log]", None);
    let silent = composer.cfg.proxies.iter().find_map(|proxy| proxy.last("option dontlognull"));
    section.set("null_sessions", silent.is_none(), silent.map(|statement| statement.at));
    let tag = composer.cfg.global("log-tag").and_then(|statement| statement.arguments.first());
    let tag = tag.map_or("haproxy", |word| word.text.as_str()).to_owned();
    let cfg = composer.cfg;
    let mut targets: Vec<_> = cfg.globals("log").filter_map(|line| target(line, &tag, composer)).collect();
    if targets.is_empty() {
        targets.push(own_words("info"));
    } else {
        // What HAProxy says on stderr at its start, and what is worth a look; sessions go where the file says.
        targets.push(own_words("warn"));
    }
    std::iter::once(section).chain(targets).collect()
}

fn own_words(level: &str) -> Section {
    let mut section = Section::new("[[log.target]]", None);
    section.text("type", "stdout", None);
    section.text("level", level, None);
    section
}

/// `log TARGET [len N] [format F] [sample …] FACILITY [MAX [MIN]]`.
fn target(line: &Statement, tag: &str, composer: &mut Composer<'_>) -> Option<Section> {
    let hint = "write it as `log 127.0.0.1:514 local2`, `log /dev/log local0` or `log stdout format raw local0`";
    let Some((target, mut words)) = line.arguments.split_first() else {
        composer.wrong(line.at, "`log` has no target", hint);
        return None;
    };
    let mut format = None;
    while let [key, value, rest @ ..] = words {
        match key.text.as_str() {
            "format" => format = Some(value),
            "len" | "sample" | "profile" => {}
            _ => break,
        }
        words = rest;
    }
    let Some((facility, levels)) = words.split_first() else {
        composer.wrong(line.at, "`log` has no facility", hint);
        return None;
    };
    let mut section = Section::new("[[log.target]]", Some(line.at));
    match target.text.as_str() {
        "stdout" | "stderr" | "fd@1" | "fd@2" => section.text("type", "stdout", Some(target.span)),
        other => {
            section.text("type", "syslog", Some(target.span));
            section.text("address", &receiver(other), Some(target.span));
            section.text("facility", &facility.text, Some(facility.span));
            section.text("tag", tag, None);
            let protocol = if format.is_some_and(|format| format.text == "rfc5424") { "rfc5424" } else { "rfc3164" };
            section.text("protocol", protocol, format.map(|format| format.span));
        }
    }
    section.text("format", "tcplog", None);
    if let Some(level) = levels.first() {
        match level_of(&level.text) {
            Some(word) => section.set("level", quoted(word), Some(level.span)),
            None => composer.wrong(
                level.span,
                format!("`{}` is no level", level.text),
                "write emerg, alert, crit, err, warning, notice, info or debug",
            ),
        }
    }
    Some(section)
}

/// An address in TOML's form.
fn receiver(text: &str) -> String {
    let text = text.strip_prefix("udp@").or_else(|| text.strip_prefix("unix@")).unwrap_or(text);
    match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.replace("localhost", "127.0.0.1"),
    }
}

/// The least grave lines that pass.
fn level_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "emerg" | "alert" | "crit" | "err" => "error",
        "warning" => "warn",
        "notice" | "info" => "info",
        "debug" => "debug",
        _ => return None,
    })
}
