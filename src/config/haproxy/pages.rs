//! Sections in `mode http` that serve statistics, metrics or a monitor's answer themselves.

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::super::show::quoted;
use super::super::when;
use super::acl;
use super::bind;
use super::cfg::{Kind, Proxy, Statement};
use super::compose::Composer;
use super::document::Section;
use super::log;
use super::words::Word;

/// What brings the statistics about.
const STATISTICS: &[&str] = &[
    "stats enable",
    "stats uri",
    "stats auth",
    "stats realm",
    "stats refresh",
    "stats scope",
    "stats hide-version",
    "stats show-legends",
    "stats show-node",
    "stats show-desc",
    "stats admin",
];

const EXPORTER: &str = "http-request use-service";

/// Where HAProxy's families are where a section shows statistics, unless it says where.
const METRICS: &str = "/metrics";

/// Connections of a section at a time, at most: each has buffers of its own.
const MOST_SESSIONS: u64 = 10_000;

/// Whether a keyword makes a section in `mode http` one that evenkeel serves.
pub fn serves(keyword: &str) -> bool {
    STATISTICS.contains(&keyword) || ["monitor-uri", EXPORTER].contains(&keyword)
}

/// Notes what a section in `mode tcp` says of pages: HAProxy ignores it there, and warns.
pub fn note_ignored(proxy: &Proxy, mistakes: &mut Mistakes) {
    if let Some(statement) = proxy.all().find(|statement| serves(statement.keyword.words)) {
        let (kind, name) = (proxy.kind.word(), &proxy.name.text);
        let why = format!("`{}` does nothing in {kind} {name}, which is not in `mode http`", statement.written);
        mistakes.push(Some(statement.at), Mistake::LeftOut { why });
    }
}

/// As TOML; `several` says whether there is another one.
pub fn compose(proxy: &Proxy, number: u32, several: bool, composer: &mut Composer<'_>) -> Option<Section> {
    if !proxy.is_page() || leads_elsewhere(proxy, composer) {
        return None;
    }
    let mut section = Section::new(if several { "[[stats]]" } else { "[stats]" }, Some(proxy.at));
    section.text("name", &proxy.name.text, Some(proxy.name.span));
    section.set("id", number, Some(proxy.at));
    if proxy.kind == Kind::Frontend {
        section.set("frontend_only", true, Some(proxy.at));
    }
    listen(proxy, &mut section, composer);
    let shows = proxy.all().find(|statement| STATISTICS.contains(&statement.keyword.words));
    if shows.is_none() {
        section.set("own_pages", false, Some(proxy.at));
    }
    let has_exporter = exporter(proxy, &mut section, composer);
    if let Some(statement) = shows {
        statistics(proxy, &mut section, composer);
        if !has_exporter {
            section.text("metrics", METRICS, Some(statement.at));
        }
    }
    if let Some(word) = proxy.last("monitor-uri").and_then(|statement| statement.arguments.first()) {
        section.text("monitor", &word.text, Some(word.span));
        conditions("monitor_fail", proxy.own("monitor fail"), proxy, &mut section, composer);
    }
    if let Some((most, at)) = proxy.last("maxconn").and_then(|statement| composer.number(statement, 0, u32::MAX.into()))
    {
        section.set("max_sessions", most.clamp(1, MOST_SESSIONS), Some(at));
    }
    log::requests(proxy, &mut section, composer);
    Some(section)
}

/// Refuses a section whose other requests would go to servers.
fn leads_elsewhere(proxy: &Proxy, composer: &mut Composer<'_>) -> bool {
    let way = ["server", "default_backend", "use_backend"].iter().find_map(|keyword| proxy.own(keyword).next());
    let Some(way) = way else { return false };
    let mistake = Mistake::DirectiveRefused {
        word: way.written.clone(),
        why: "this section is in mode http, and evenkeel passes no requests on",
        instead: "leave it out, or write `mode tcp`: sessions are passed on as bytes",
    };
    composer.mistakes.push(Some(way.head), mistake);
    true
}

fn listen(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let mut listen = Vec::new();
    for statement in proxy.own("bind") {
        listen.extend(bind::read(statement, &composer.files, composer.choice.lenient, composer.mistakes));
    }
    if proxy.own("bind").next().is_none() {
        let what = format!("{} {} listens nowhere", proxy.kind.word(), proxy.name.text);
        composer.wrong(proxy.at, what, "add a `bind` line");
    }
    for listen in listen.extract_if(.., |listen| listen.is_unix) {
        let what = format!("statistics can't be had over the unix socket `{}`", listen.address);
        composer.wrong(listen.at, what, "write `bind :9000`; what `stats socket` opens answers `show stat`");
    }
    let Some(first) = listen.first() else { return };
    let at = first.at;
    // A name or a limit changes nothing that anybody would miss: those who watch are few.
    let heeded =
        |option: &&String| !["name = ", "backlog = ", "max_sessions = "].iter().any(|key| option.starts_with(key));
    if let Some(option) = first.options.iter().find(heeded) {
        let what = format!("`{option}` can't be had for a place of statistics");
        composer.wrong(at, what, "leave it out of this `bind` line");
    }
    bind::part(&mut listen, &composer.wide, composer.mistakes);
    let addresses: Vec<_> = listen.iter().map(|listen| quoted(&listen.address)).collect();
    section.set("listen", format!("[{}]", addresses.join(", ")), Some(at));
}

fn statistics(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    match first_word(proxy, "stats uri") {
        Some(word) => section.text("uri", &word.text, Some(word.span)),
        None => section.text("uri", crate::model::StatsPage::URI, None),
    }
    if let Some((every, at)) = composer.time(proxy, "stats refresh") {
        // HAProxy takes any time; a browser counts whole seconds.
        section.wait("refresh", std::time::Duration::from_secs(every.as_secs().max(1)), Some(at));
    }
    list("users", proxy.every("stats auth"), section, |word| word.text.clone());
    if let Some(word) = first_word(proxy, "stats realm") {
        section.text("realm", &word.text, Some(word.span));
    }
    for (keyword, key) in [("stats hide-version", "hide_version"), ("stats show-legends", "legends")] {
        if let Some(statement) = proxy.last(keyword) {
            section.set(key, true, Some(statement.at));
        }
    }
    let own = &proxy.name.text;
    list(
        "scope",
        proxy.every("stats scope"),
        section,
        |word| {
            if word.text == "." { own.clone() } else { word.text.clone() }
        },
    );
    conditions("admin_if", proxy.every("stats admin"), proxy, section, composer);
}

/// A key that has the condition of each of several lines.
fn conditions<'a>(
    key: &str,
    statements: impl Iterator<Item = &'a Statement>,
    proxy: &Proxy,
    section: &mut Section,
    composer: &mut Composer<'_>,
) {
    let mut conditions = Vec::new();
    for statement in statements {
        if statement.arguments.is_empty() {
            let what = format!("`{}` has no condition", statement.written);
            composer.wrong(statement.at, what, "write `if CONDITION`, such as `if LOCALHOST`");
        }
        let condition = acl::condition(proxy, &statement.arguments, statement.at, composer.mistakes);
        conditions.extend(condition.map(|condition| (quoted(&when::write(&condition)), statement.at)));
    }
    let Some((_, at)) = conditions.first().cloned() else { return };
    let conditions: Vec<_> = conditions.into_iter().map(|(condition, _)| condition).collect();
    section.set(key, format!("[{}]", conditions.join(", ")), Some(at));
}

/// A key that has a value from each of several lines.
fn list<'a>(
    key: &str,
    statements: impl Iterator<Item = &'a Statement>,
    section: &mut Section,
    value: impl Fn(&Word) -> String,
) {
    let words: Vec<(&Word, Span)> =
        statements.filter_map(|statement| Some((statement.arguments.first()?, statement.at))).collect();
    let Some((_, at)) = words.first() else { return };
    let values: Vec<_> = words.iter().map(|(word, _)| quoted(&value(word))).collect();
    section.set(key, format!("[{}]", values.join(", ")), Some(*at));
}

fn first_word<'a>(proxy: &'a Proxy, keyword: &str) -> Option<&'a Word> {
    proxy.last(keyword)?.arguments.first()
}

/// The path of `http-request use-service prometheus-exporter if { path /metrics }`; whether there is such a line.
fn exporter(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) -> bool {
    let mut statements = proxy.every(EXPORTER).peekable();
    let is_there = statements.peek().is_some();
    for statement in statements {
        let words: Vec<&str> = statement.arguments.iter().map(|word| word.text.as_str()).collect();
        let asked = match words.as_slice() {
            ["prometheus-exporter", "if", "{", test @ .., "}"] => path_of(test),
            ["prometheus-exporter", "if", name] => named_path(proxy, name),
            _ => None,
        };
        match (words.as_slice(), asked) {
            (_, Some(path)) => section.text("metrics", &path, Some(statement.at)),
            (["prometheus-exporter", ..], None) => composer.wrong(
                statement.at,
                "the exporter is taken with one condition, its path",
                "write `http-request use-service prometheus-exporter if { path /metrics }`",
            ),
            (_, None) => composer.wrong(
                statement.at,
                "there is no such service here",
                "the one that there is is `prometheus-exporter`",
            ),
        }
    }
    is_there
}

/// The path that a test asks for.
fn path_of(test: &[&str]) -> Option<String> {
    match test {
        ["path", path] if path.starts_with('/') => Some((*path).to_owned()),
        _ => None,
    }
}

/// The path that an `acl` line of this name asks for, if there is one such line.
fn named_path(proxy: &Proxy, name: &str) -> Option<String> {
    let of_name = |statement: &&Statement| statement.arguments.first().is_some_and(|word| word.text == name);
    let mut lines = proxy.every("acl").filter(of_name);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let test: Vec<&str> = line.arguments[1..].iter().map(|word| word.text.as_str()).collect();
    path_of(&test)
}

/// Nobody asked for a page.
pub fn none() -> Section {
    let mut section = Section::new("[stats]", None);
    let remark = "evenkeel's way, \"127.0.0.1:9000\": states, sessions, events and metrics for this host";
    section.instead("listen", "\"off\"", remark);
    section
}

#[cfg(test)]
mod tests {
    use crate::config::{self, Choice};

    // Seen to fail with the lines of the defaults beside its own.
    #[test]
    fn a_section_with_a_line_of_its_own_on_statistics_has_nothing_of_what_its_defaults_say_of_them() {
        let pages = |own: &str| {
            let defaults = "defaults\n mode http\n stats enable\n stats uri /s\n stats auth a:b\n";
            let text = format!(
                "{defaults}listen p\n bind :9000\n{own}listen l\n mode tcp\n bind :6443\n server a 10.0.0.1:1\n"
            );
            let loaded = config::parse_haproxy(&text, "haproxy.cfg", Choice::default());
            let config = loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).0;
            let page = config.stats[0].serves.page.clone().expect("a page");
            (page.uri, page.users.len())
        };
        assert_eq!(pages(""), ("/s".to_owned(), 1));
        assert_eq!(pages(" stats refresh 5s\n"), ("/haproxy?stats".to_owned(), 0));
        assert_eq!(pages(" stats uri /own\n"), ("/own".to_owned(), 0));
    }
}
