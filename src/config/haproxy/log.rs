//! `log` lines, which proxies write to them, and what a proxy's lines say.

use std::collections::BTreeSet;

use super::super::read::Span;
use super::super::show::quoted;
use super::cfg::{Prefix, Proxy, Statement};
use super::compose::Composer;
use super::document::Section;

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

/// Targets that are looked at: more than there can be.
const MOST: usize = 64;

fn targets(composer: &mut Composer<'_>) -> Vec<Section> {
    let cfg = composer.cfg;
    let logging: Vec<&Proxy> = cfg.proxies.iter().filter(|proxy| !proxy.is_http() || is_served(proxy)).collect();
    let mut targets: Vec<Target> = Vec::new();
    for proxy in &logging {
        let tag = tag(proxy, composer);
        if targets.len() > MOST {
            // Which is one too many, and told as such.
            break;
        }
        for line in lines(proxy, cfg.globals("log")) {
            match targets.iter_mut().find(|target| target.at == line.at && target.tag == tag) {
                Some(target) => drop(target.proxies.insert(proxy.name.text.clone())),
                None => {
                    let Some(new) = target(line, &tag, proxy, composer) else { continue };
                    match targets.iter_mut().find(|target| target.is_as(&new)) {
                        Some(target) => target.proxies.extend(new.proxies),
                        None => targets.push(new),
                    }
                }
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

/// Whether a section in `mode http` has requests that are logged.
fn is_served(proxy: &Proxy) -> bool {
    proxy.kind.has_frontend() && proxy.is_page()
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
    /// Whether another line says the same, as in two proxies each with its own.
    fn is_as(&self, other: &Self) -> bool {
        let receiver = |target: &Self| {
            target.receiver.as_ref().map(|to| {
                let length = to.length.map(|(length, _)| length);
                (to.address.0.clone(), to.facility.0.clone(), to.is_rfc5424, length)
            })
        };
        let levels = |target: &Self| target.levels.clone().map(|level| level.map(|(word, _)| word));
        receiver(self) == receiver(other) && levels(self) == levels(other) && self.tag == other.tag
    }

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

/// What the lines of a section's requests say, and which of these have one.
pub fn requests(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    if lines(proxy, composer.cfg.globals("log")).is_empty() {
        return;
    }
    let format = FORMATS.iter().filter_map(|keyword| proxy.last(keyword)).max_by_key(|statement| statement.at.start);
    match format {
        None => section.text("log.line", "connect", None),
        Some(format) if format.keyword.words == "option tcplog" => section.text("log.line", "tcplog", Some(format.at)),
        Some(format) if format.keyword.words == "option httplog" => {
            section.text("log.line", "httplog", Some(format.at));
        }
        Some(format) => {
            let remark = "instead of a format of its own, which evenkeel has for sessions alone";
            section.remarked("log.line", "\"httplog\"", Some(format.at), remark);
        }
    }
    for (keyword, key, value) in [
        ("option dontlognull", "log.silent_clients", false),
        ("option dontlog-normal", "log.normal_requests", false),
        ("option logasap", "log.asap", true),
        ("option log-separate-errors", "log.separate_errors", true),
    ] {
        if let Some(statement) = proxy.last(keyword) {
            section.set(key, value, Some(statement.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{self, Choice};
    use crate::model::{Config, LogLines, LogPlace, RequestLine, SessionLine, Severity};

    fn loaded(text: &str) -> Config {
        let loaded = config::parse_haproxy(text, "haproxy.cfg", Choice::default());
        loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).0
    }

    fn errors(text: &str) -> Vec<String> {
        let report = config::parse_haproxy(text, "haproxy.cfg", Choice::default()).err();
        report.map(|report| report.errors().map(|entry| entry.message.clone()).collect()).unwrap_or_default()
    }

    /// A section of both with these lines in it.
    fn listen(name: &str, port: u16, lines: &str) -> String {
        format!("listen {name}\n bind :{port}\n server s 10.0.0.{port}:1\n{lines}\n")
    }

    /// The targets that are not evenkeel's own: facility, tag, proxies.
    fn targets(config: &Config) -> Vec<(String, Option<Vec<&str>>)> {
        let of = |place: &LogPlace| match place {
            LogPlace::Syslog(syslog) => format!("{:?} {}", syslog.facility, syslog.tag),
            other => other.to_string(),
        };
        let haproxys = config.log.targets.iter().filter(|target| target.lines == LogLines::Haproxys);
        haproxys
            .map(|target| {
                let proxies = target.proxies.as_ref();
                (of(&target.place), proxies.map(|names| names.iter().map(String::as_str).collect()))
            })
            .collect()
    }

    #[test]
    fn a_proxy_writes_to_its_own_lines_and_to_those_of_global() {
        let file = format!(
            "global\n log 127.0.0.1 local0\n log 127.0.0.1 local1 notice err\ndefaults\n log global\n{}{}{}",
            listen("a", 1, " log-tag of-a"),
            listen("b", 2, " no log\n log 127.0.0.1 local2"),
            listen("c", 3, " no log"),
        );
        let config = loaded(&file);
        assert_eq!(
            targets(&config),
            [
                ("Local0 of-a".to_owned(), Some(vec!["a"])),
                ("Local1 of-a".to_owned(), Some(vec!["a"])),
                ("Local2 haproxy".to_owned(), Some(vec!["b"]))
            ]
        );
        let severities = config.log.targets[1].severities;
        assert_eq!((severities.least, severities.gravest), (Severity::Notice, Severity::Error));
        let enabled: Vec<bool> = config.frontends.iter().map(|frontend| frontend.log.enabled).collect();
        assert_eq!(enabled, [true, true, false]);
    }

    #[test]
    fn a_line_of_all_proxies_names_none() {
        let file = format!("global\n log /dev/log local0\ndefaults\n log global\n{}", listen("a", 1, ""));
        assert_eq!(targets(&loaded(&file)), [("Local0 haproxy".to_owned(), None)]);
        let silent = format!("global\n log /dev/log local0\n{}", listen("a", 1, ""));
        assert_eq!(targets(&loaded(&silent)), [], "HAProxy writes nothing there");
    }

    #[test]
    fn a_frontends_lines_are_of_the_last_format_that_is_stated() {
        let of = |defaults: &str, lines: &str| {
            let file = format!("defaults\n log /dev/log local0\n{defaults}\n{}", listen("a", 1, lines));
            loaded(&file).frontends[0].log.line.clone()
        };
        assert_eq!(of("", ""), SessionLine::Connect);
        let line = |lines: &str| of(" option httplog", lines);
        assert_eq!(line(""), SessionLine::Tcplog, "it falls back");
        let SessionLine::Custom(format) = line(" log-format %ci\\ %{+Q}b") else { panic!("a format of its own") };
        assert_eq!(format.written(), "%ci %{+Q}b");
        assert_eq!(line(" log-format %ci\n option tcplog"), SessionLine::Tcplog);
    }

    #[test]
    fn options_say_which_sessions_have_lines() {
        let options = " option dontlognull\n option dontlog-normal\n option logasap\n option log-separate-errors";
        let file = format!("defaults\n log /dev/log local0\n{}{}", listen("a", 1, options), listen("b", 2, ""));
        let config = loaded(&file);
        let [a, b] = [0, 1].map(|place| config.frontends[place].log.as_ref().clone());
        assert_eq!((a.silent_clients, a.normal_sessions, a.asap, a.separate_errors), (false, false, true, true));
        assert_eq!((b.silent_clients, b.normal_sessions, b.asap, b.separate_errors), (true, true, false, false));
        assert!(b.null_sessions, "HAProxy logs all unless told otherwise");
    }

    /// The section `page` with these lines, after defaults with a log and a format.
    fn page(lines: &str) -> Config {
        let file = "defaults\n log 127.0.0.1 local0\n option httplog\n option dontlognull\nlisten page\n bind :9000\n mode http";
        loaded(&format!("{file}\n stats enable\n{lines}\n{}", listen("a", 1, "")))
    }

    #[test]
    fn requests_of_a_page_have_lines_in_the_last_format_that_is_stated() {
        let logged = |lines: &str| page(lines).stats[0].log.clone();
        let httplog = logged("").unwrap();
        assert_eq!((httplog.line, httplog.silent_clients), (RequestLine::Httplog, false));
        assert_eq!(logged(" option tcplog").unwrap().line, RequestLine::Tcplog);
        assert_eq!(logged(" log-format %ST").unwrap().line, RequestLine::Httplog);
        let bare = "defaults\n log 127.0.0.1 local0\nlisten page\n bind :9000\n mode http\n stats enable\n";
        let bare = format!("{bare}{}", listen("a", 1, ""));
        assert_eq!(loaded(&bare).stats[0].log.as_ref().unwrap().line, RequestLine::Connect);
        assert!(logged(" option dontlog-normal").is_some_and(|log| !log.normal_requests && httplog.normal_requests));
        assert_eq!(logged(" no log"), None);
        assert_eq!(targets(&page("")), [("Local0 haproxy".to_owned(), None)]);
        assert_eq!(targets(&page(" no log")), [("Local0 haproxy".to_owned(), Some(vec!["a"]))]);
    }

    #[test]
    fn what_a_line_can_not_say_is_refused_in_its_place() {
        let wrong = |lines: &str| errors(&format!("defaults\n log {lines}\n{}", listen("a", 1, "")));
        assert_eq!(wrong("127.0.0.1 local0 loud"), ["`loud` is no level"]);
        assert_eq!(wrong("127.0.0.1 format iso local0"), ["`format iso` is not supported here"]);
        assert_eq!(wrong("127.0.0.1 sample 1:2 local0"), ["`sample` is not supported on a `log` line"]);
        let format = errors(&format!("defaults\n log /dev/log local0\n{}", listen("a", 1, " log-format %ST")));
        assert_eq!(format, ["\"%ST\" is no line of a log: `%ST` means nothing for sessions of bytes"]);
    }
}
