//! `log` lines, which proxies write to them, and what a proxy's lines say.

use std::collections::BTreeSet;

use super::super::read::Span;
use super::super::show::quoted;
use super::compose::Composer;
use super::document::Section;
use super::file::{Prefix, Proxy, Statement};

/// `[log]`: what is not a target, then each target.
pub fn compose(composer: &mut Composer<'_>) -> Vec<Section> {
    let mut section = Section::new("[log]", None);
    // Each frontend says whether sessions without a word have lines.
    section.set("null_sessions", true, None);
    let mut targets = targets(composer);
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

/// A place that lines go to, with the proxies whose lines those are.
struct Target {
    at: Span,
    /// `None` for an output of the process.
    receiver: Option<Receiver>,
    /// The bound and the softening of how grave lines are.
    levels: [Option<(String, Span)>; 2],
    tag: String,
    proxies: BTreeSet<String>,
}

struct Receiver {
    address: (String, Span),
    facility: (String, Span),
    is_rfc5424: bool,
    length: Option<(u64, Span)>,
}

fn targets(composer: &mut Composer<'_>) -> Vec<Section> {
    let cfg = composer.cfg;
    let logging: Vec<&Proxy> = cfg.proxies.iter().filter(|proxy| !proxy.is_http()).collect();
    let mut targets: Vec<Target> = Vec::new();
    for proxy in &logging {
        let tag = tag(proxy, composer);
        for line in lines(proxy, cfg.globals("log")) {
            match targets.iter_mut().find(|target| target.at == line.at && target.tag == tag) {
                Some(target) => drop(target.proxies.insert(proxy.name.text.clone())),
                None => targets.extend(target(line, &tag, proxy, composer)),
            }
        }
    }
    // A line that no proxy writes to is looked at, too.
    for line in cfg.globals("log") {
        if targets.iter().all(|target| target.at != line.at) {
            let _ = read(line, composer);
        }
    }
    let names: BTreeSet<&str> = logging.iter().map(|proxy| proxy.name.text.as_str()).collect();
    targets.iter().map(|target| target.section(names.len())).collect()
}

/// The lines that a proxy writes to: those of its defaults and its own, `global` standing for those of `global`, and
/// `no log` taking back all before it.
fn lines<'a>(proxy: &'a Proxy, global: impl Iterator<Item = &'a Statement>) -> Vec<&'a Statement> {
    let global: Vec<&Statement> = global.collect();
    let mut lines = Vec::new();
    for line in proxy.every("log") {
        match line.arguments.first() {
            _ if line.prefix == Some(Prefix::No) => lines.clear(),
            Some(word) if word.text == "global" => lines.extend(&global),
            _ => lines.push(line),
        }
    }
    lines
}

fn tag(proxy: &Proxy, composer: &Composer<'_>) -> String {
    let statement = proxy.last("log-tag").or_else(|| composer.cfg.global("log-tag"));
    statement.and_then(|statement| statement.arguments.first()).map_or("haproxy", |word| &word.text).to_owned()
}

fn target(line: &Statement, tag: &str, proxy: &Proxy, composer: &mut Composer<'_>) -> Option<Target> {
    let (receiver, levels) = read(line, composer)?;
    let proxies = BTreeSet::from([proxy.name.text.clone()]);
    Some(Target { at: line.at, receiver, levels, tag: tag.to_owned(), proxies })
}

type Levels = [Option<(String, Span)>; 2];

const HINT: &str = "write it as `log 127.0.0.1:514 local2`, `log /dev/log local0` or `log stdout format raw local0`";

/// `log TARGET [len N] [format F] FACILITY [MAX [MIN]]`.
fn read(line: &Statement, composer: &mut Composer<'_>) -> Option<(Option<Receiver>, Levels)> {
    let Some((target, mut words)) = line.arguments.split_first() else {
        composer.wrong(line.at, "`log` has no target", HINT);
        return None;
    };
    let (mut format, mut length) = (None, None);
    while let [key, value, rest @ ..] = words {
        match key.text.as_str() {
            "format" => format = Some(value),
            "len" => length = super::argument::number_of(value, 80, 65_535, composer.mistakes).map(|n| (n, value.span)),
            "sample" | "profile" => {
                let hint = "take it out: every line is written, in the format of its frontend";
                composer.wrong(key.span, format!("`{}` is not supported on a `log` line", key.text), hint);
            }
            _ => break,
        }
        words = rest;
    }
    let Some((facility, levels)) = words.split_first() else {
        composer.wrong(line.at, "`log` has no facility", HINT);
        return None;
    };
    let mut known = [None, None];
    for (level, known) in levels.iter().zip(&mut known) {
        match LEVELS.contains(&level.text.as_str()) {
            true => *known = Some((level.text.clone(), level.span)),
            false => composer.wrong(level.span, format!("`{}` is no level", level.text), SEVERITIES),
        }
    }
    let format = format.map(|word| (word.text.as_str(), word.span));
    let is_output = matches!(target.text.as_str(), "stdout" | "stderr" | "fd@1" | "fd@2");
    let fits: &[&str] = if is_output { &["raw", "short"] } else { &["rfc3164", "local", "rfc5424"] };
    if let Some((word, at)) = format.filter(|(word, _)| !fits.contains(word)) {
        let hint = format!("write `format {}`", fits.join("` or `format "));
        composer.wrong(at, format!("`format {word}` is not supported here"), hint);
    }
    let receiver = Receiver {
        address: (receiver(&target.text), target.span),
        facility: (facility.text.clone(), facility.span),
        is_rfc5424: format.is_some_and(|(word, _)| word == "rfc5424"),
        length,
    };
    Some(((!is_output).then_some(receiver), known))
}

/// HAProxy's words for how grave a line is (configuration manual, section 4.2, `log`).
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const SEVERITIES: &str = "write emerg, alert, crit, err, warning, notice, info or debug";

impl Target {
    /// As TOML. A target of all proxies there are names none.
    fn section(&self, proxies: usize) -> Section {
        let mut section = Section::new("[[log.target]]", Some(self.at));
        match &self.receiver {
            None => section.text("type", "stdout", Some(self.at)),
            Some(receiver) => receiver.write(&self.tag, &mut section),
        }
        section.text("format", "tcplog", None);
        section.text("lines", "haproxy", None);
        for (key, level) in ["least", "gravest"].into_iter().zip(&self.levels) {
            if let Some((word, at)) = level {
                section.text(key, word, Some(*at));
            }
        }
        if self.proxies.len() < proxies {
            let names: Vec<String> = self.proxies.iter().map(|name| quoted(name)).collect();
            section.set("proxies", format!("[{}]", names.join(", ")), None);
        }
        section
    }
}

impl Receiver {
    fn write(&self, tag: &str, section: &mut Section) {
        let (address, facility) = (&self.address, &self.facility);
        section.text("type", "syslog", Some(address.1));
        section.text("address", &address.0, Some(address.1));
        section.text("facility", &facility.0, Some(facility.1));
        section.text("tag", tag, None);
        section.text("protocol", if self.is_rfc5424 { "rfc5424" } else { "rfc3164" }, None);
        // HAProxy's messages have 1024 bytes at most, whatever their protocol.
        match self.length {
            Some((length, at)) => section.set("length", length, Some(at)),
            None if self.is_rfc5424 => section.set("length", 1024, None),
            None => {}
        }
    }
}

/// An address in TOML's form.
fn receiver(text: &str) -> String {
    let text = text.strip_prefix("udp@").or_else(|| text.strip_prefix("unix@")).unwrap_or(text);
    match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.replace("localhost", "127.0.0.1"),
    }
}

/// The formats of lines, of which the last that is stated counts.
const FORMATS: [&str; 3] = ["option tcplog", "option httplog", "log-format"];

/// What a frontend's lines say, and which of its sessions have one.
pub fn sessions(proxy: &Proxy, section: &mut Section, composer: &Composer<'_>) {
    if lines(proxy, composer.cfg.globals("log")).is_empty() {
        section.set("log.enabled", false, None);
    }
    let format = FORMATS.iter().filter_map(|keyword| proxy.last(keyword)).max_by_key(|statement| statement.at.start);
    match format {
        None => section.text("log.line", "connect", None),
        Some(format) if format.keyword.words == "log-format" => {
            let text = format.arguments.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            section.text("log.line", &text, Some(format.at));
        }
        // `option httplog` means this where no HTTP is looked into.
        Some(format) => section.text("log.line", "tcplog", Some(format.at)),
    }
    for (keyword, key, value) in [
        ("option dontlognull", "log.silent_clients", false),
        ("option dontlog-normal", "log.normal_sessions", false),
        ("option logasap", "log.asap", true),
        ("option log-separate-errors", "log.separate_errors", true),
    ] {
        if let Some(statement) = proxy.last(keyword) {
            section.set(key, value, Some(statement.at));
        }
    }
}
