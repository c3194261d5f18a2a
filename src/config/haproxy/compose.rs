//! From statements to TOML: limits, log, and each proxy in its order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::mistake::{Mistake, Mistakes};
use super::super::numbers::Numbers;
use super::super::read::Span;
use super::super::show::quoted;
use super::super::value::duration_text;
use super::argument::{number_of, time_of};
use super::cfg::{Cfg, Kind, Proxy, Statement};
use super::document::{Document, Section};
use super::file::bad_line;
use super::unix::Files;
use super::{Choice, backend, frontend, log, pages, rules, runtime, table};
use crate::model::ProxyId;

/// The longest time that a process which takes nobody new can be left to its sessions.
const FOR_EVER: Duration = Duration::from_secs(366 * 24 * 3_600);

/// What is being composed, and what all parts of it look at.
pub struct Composer<'a> {
    pub cfg: &'a Cfg,
    pub choice: Choice,
    pub mistakes: &'a mut Mistakes,
    /// The ports that lead to each backend, by its name.
    pub ports: HashMap<String, Vec<u16>>,
    /// The ports that some section listens on under all IPv4 addresses.
    pub wide: HashSet<u16>,
    /// The names of `backend` sections.
    pub backends: HashSet<&'a str>,
    /// Whose the files of unix sockets are.
    pub files: Files,
}

/// Listeners of a file, which are a socket each: all node ports of a cluster twice over, and others.
const MOST_LISTENERS: usize = 8_192;

/// Composes the whole file.
pub fn compose(cfg: &Cfg, choice: Choice, mistakes: &mut Mistakes) -> Document {
    let files = Files::of(cfg, choice.lenient, mistakes);
    let (ports, wide, backends) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut composer = Composer { cfg, choice, mistakes, ports, wide, backends, files };
    composer.look_at_modes();
    let mut document = Document::default();
    if !composer.know_ports() {
        return document;
    }
    document.sections.extend(composer.process());
    document.sections.extend(composer.limits());
    document.sections.extend(log::compose(&mut composer));
    document.sections.extend(runtime::compose(&mut composer));
    let mut numbers = Numbers::new(cfg.proxies.iter().filter_map(stated_number), first_number(cfg));
    let pages = cfg.proxies.iter().filter(|proxy| proxy.kind.has_frontend() && proxy.is_http() && proxy.is_page());
    let several = pages.count() > 1;
    let mut has_page = false;
    for proxy in &cfg.proxies {
        let number = numbers.take(stated_number(proxy)).0;
        let is_http = proxy.is_http();
        if proxy.kind.has_frontend() && !is_http {
            document.sections.push(frontend::compose(proxy, number, &mut composer));
            document.sections.extend(rules::compose(proxy, &mut composer));
            document.sections.extend(frontend::without_backend(proxy, number, &composer));
        }
        document.sections.extend(table::compose(proxy, &mut composer));
        if proxy.kind.has_backend() && !is_http && !proxy.is_without_servers() && !table::is_all(proxy, &composer) {
            document.sections.extend(backend::compose(proxy, number, &mut composer));
        }
        if is_http && proxy.kind.has_frontend() {
            let page = pages::compose(proxy, number, several, &mut composer);
            has_page |= page.is_some();
            document.sections.extend(page);
        }
    }
    if !has_page {
        document.sections.push(pages::none());
    }
    document
}

impl Composer<'_> {
    /// Notes what is wrong with one line.
    pub fn wrong(&mut self, at: Span, what: impl ToString, hint: impl Into<String>) {
        self.mistakes.push(Some(at), bad_line(what, hint));
    }

    /// Whether unstated settings are HAProxy's.
    pub fn as_haproxy(&self) -> bool {
        self.choice.policy == super::Policy::Haproxy
    }

    /// The time that a keyword states for a proxy, or its defaults for it; 0 is as if it were unstated.
    pub fn time(&mut self, proxy: &Proxy, keyword: &str) -> Option<(Duration, Span)> {
        self.wait(proxy.last(keyword)?).filter(|(time, _)| !time.is_zero())
    }

    /// The time that a statement states.
    pub fn wait(&mut self, statement: &Statement) -> Option<(Duration, Span)> {
        let keyword = statement.keyword.words;
        let Some(word) = statement.arguments.first() else {
            self.wrong(statement.at, format!("`{keyword}` has no time"), format!("write it as `{keyword} 10s`"));
            return None;
        };
        time_of(word, self.mistakes)
    }

    /// The number that a keyword states.
    pub fn number(&mut self, statement: &Statement, low: u64, high: u64) -> Option<(u64, Span)> {
        let Some(word) = statement.arguments.first() else {
            let keyword = statement.keyword.words;
            self.wrong(statement.at, format!("`{keyword}` has no number"), format!("write it as `{keyword} {low}`"));
            return None;
        };
        Some((number_of(word, low, high, self.mistakes)?, word.span))
    }

    /// Proxies whose sessions HAProxy would look into.
    fn look_at_modes(&mut self) {
        for proxy in &self.cfg.proxies {
            let statement = proxy.last("mode");
            let place = statement.map_or(proxy.at, |statement| statement.at);
            match proxy.mode() {
                "tcp" | "http" => {}
                other => {
                    let other = other.to_owned();
                    self.wrong(place, format!("`mode {other}` is unknown"), "write `mode tcp`");
                }
            }
            if !proxy.is_http() {
                pages::note_ignored(proxy, self.mistakes);
            }
            if proxy.is_http() && !proxy.is_page() {
                let why = "a section in mode http is taken only if it serves statistics, metrics or a monitor";
                let word = format!("{} {}", proxy.kind.word(), proxy.name.text);
                let mistake = Mistake::DirectiveRefused {
                    word,
                    why,
                    instead: "write `mode tcp` in it: sessions are passed on as bytes",
                };
                self.mistakes.push(Some(proxy.at), mistake);
            }
        }
    }

    /// Which ports lead to each backend. Not if there are too many of them, which is noted.
    fn know_ports(&mut self) -> bool {
        let named = self.cfg.proxies.iter().filter(|proxy| proxy.kind == Kind::Backend);
        self.backends = named.map(|proxy| proxy.name.text.as_str()).collect();
        let mut all = 0;
        for proxy in self.cfg.proxies.iter().filter(|proxy| proxy.kind.has_frontend()) {
            let listen = frontend::listeners(proxy, MOST_LISTENERS - all);
            all += listen.len();
            if all == MOST_LISTENERS {
                let what = format!(
                    "the file listens on {MOST_LISTENERS} addresses and ports by here, and more is not possible"
                );
                self.wrong(proxy.at, what, "make the ranges of ports smaller");
                return false;
            }
            let wide = listen.iter().filter(|listen| listen.address.starts_with("0.0.0.0:"));
            self.wide.extend(wide.filter_map(|listen| listen.port));
            let ports: Vec<u16> = listen.iter().filter_map(|listen| listen.port).collect();
            for backend in frontend::backends(proxy) {
                self.ports.entry(backend).or_default().extend(&ports);
            }
        }
        true
    }

    /// How long sessions may stay once nobody new is taken: for ever, unless that is stated.
    fn process(&mut self) -> Option<Section> {
        let Some(statement) = self.cfg.global("hard-stop-after") else {
            let mut section = Section::new("[process]", None);
            section.instead(
                "upgrade_grace",
                quoted(&duration_text(FOR_EVER)),
                "evenkeel's way, \"1d\": who stays for ever is not waited for",
            );
            return self.as_haproxy().then_some(section);
        };
        let (time, at) = self.wait(statement)?;
        let mut section = Section::new("[process]", Some(statement.at));
        section.wait("shutdown_grace", time.min(super::HOUR), Some(at));
        section.wait("upgrade_grace", time.min(FOR_EVER), Some(at));
        Some(section)
    }

    fn limits(&mut self) -> Option<Section> {
        // Of several the first counts, other than with most keywords.
        let statement = self.cfg.globals("maxconn").find(|statement| !statement.is_zero())?;
        let (sessions, at) = self.number(statement, 1, 10_000_000)?;
        let mut section = Section::new("[limits]", Some(statement.at));
        section.set("max_sessions", sessions, Some(at));
        Some(section)
    }
}

impl Proxy {
    /// `tcp` unless it says otherwise.
    pub fn mode(&self) -> &str {
        self.last("mode").and_then(|statement| statement.arguments.first()).map_or("tcp", |word| &word.text)
    }

    pub fn is_http(&self) -> bool {
        self.mode() == "http"
    }

    /// Whether it serves something itself.
    pub fn is_page(&self) -> bool {
        self.all().any(|statement| pages::serves(statement.keyword.words))
    }

    /// A `listen` section that leads elsewhere by `default_backend`.
    fn is_without_servers(&self) -> bool {
        self.kind == Kind::Listen && self.own("server").next().is_none() && self.last("default_backend").is_some()
    }
}

/// HAProxy keeps the first number for the runtime API, if `global` says anything of it.
fn first_number(cfg: &Cfg) -> ProxyId {
    let api = ["stats socket", "stats timeout", "stats maxconn"];
    if api.iter().any(|keyword| cfg.global(keyword).is_some()) { ProxyId::FIRST } else { ProxyId(1) }
}

fn stated_number(proxy: &Proxy) -> Option<u32> {
    proxy.own("id").last()?.arguments.first()?.text.parse().ok()
}
