//! The file as the rules look at it: who takes sessions, who gives them to servers, and what is known of each server.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::super::super::finding::Finding;
use super::super::super::mistake::Mistakes;
use super::super::super::read::Span;
use super::super::argument::{self, Options};
use super::super::cfg::{Cfg, Proxy, Statement};
use super::super::{frontend, server};

pub struct View<'a> {
    pub cfg: &'a Cfg,
    /// Those that pass on bytes and listen.
    pub frontends: Vec<&'a Proxy>,
    /// Those that pass on bytes and have servers.
    pub backends: Vec<Backend<'a>>,
    leading: Leading<'a>,
}

/// The frontends from which sessions may come, by the backend's name.
type Leading<'a> = HashMap<String, Vec<&'a Proxy>>;

/// The port that the clients of each backend come to, by the backend's name; `None` if that is not one.
type Ports = HashMap<String, Option<u16>>;

pub struct Backend<'a> {
    pub proxy: &'a Proxy,
    pub servers: Vec<Server<'a>>,
}

/// One `server` line, with what `default-server` lines say of it.
pub struct Server<'a> {
    pub backend: &'a str,
    pub name: &'a str,
    pub line: &'a Statement,
    /// As it is written, without brackets.
    pub host: &'a str,
    pub port: Option<u16>,
    pub options: Options,
}

impl<'a> View<'a> {
    pub fn of(cfg: &'a Cfg) -> Self {
        let passing = || cfg.proxies.iter().filter(|proxy| !proxy.is_http());
        let frontends: Vec<&Proxy> = passing().filter(|proxy| proxy.kind.has_frontend()).collect();
        let (mut leading, mut ports) = (Leading::new(), Ports::new());
        for proxy in &frontends {
            let own = port(proxy);
            for name in frontend::backends(proxy) {
                if let Some(own) = own {
                    let known = ports.entry(name.clone()).or_insert(own);
                    *known = known.filter(|known| own == Some(*known));
                }
                leading.entry(name).or_default().push(proxy);
            }
        }
        let backends = passing().filter(|proxy| proxy.kind.has_backend()).map(|proxy| Backend::of(proxy, &ports));
        let backends = backends.filter(|backend| !backend.servers.is_empty()).collect();
        Self { cfg, frontends, backends, leading }
    }

    pub fn servers(&self) -> impl Iterator<Item = &Server<'a>> {
        self.backends.iter().flat_map(|backend| &backend.servers)
    }

    /// The frontends from which sessions may come to a backend.
    pub fn leading_to(&self, backend: &str) -> &[&'a Proxy] {
        self.leading.get(backend).map_or(&[], Vec::as_slice)
    }
}

impl<'a> Backend<'a> {
    fn of(proxy: &'a Proxy, ports: &Ports) -> Self {
        let clients = ports.get(&proxy.name.text).copied().flatten();
        let lines = server::lines(proxy).into_iter();
        let servers = lines.filter_map(|(line, defaults)| Server::of(proxy, line, defaults, clients)).collect();
        Self { proxy, servers }
    }
}

impl<'a> Server<'a> {
    fn of(proxy: &'a Proxy, line: &'a Statement, defaults: Options, clients: Option<u16>) -> Option<Self> {
        let [name, written, words @ ..] = line.arguments.as_slice() else { return None };
        let address = argument::address(&written.text).ok()?;
        let mut options = defaults;
        // What is wrong with them has been said.
        options.read(words, server::WORDS, "server", true, &mut Mistakes::default());
        Some(Self {
            backend: &proxy.name.text,
            name: &name.text,
            line,
            host: address.host,
            // Without one it is the port that the client came to.
            port: address.port.map_or(clients, |port| port.parse().ok()),
            options,
        })
    }

    /// Where it is checked, if it is checked by itself.
    pub fn checked(&self) -> Option<Span> {
        self.options.has("check").filter(|_| self.options.has("track").is_none())
    }

    pub fn says(&self, word: &str, value: &str) -> bool {
        self.options.value(word).is_some_and(|word| word.text == value)
    }
}

/// The port that a frontend listens on, or that it is not one alone; `None` if no port is known.
fn port(proxy: &Proxy) -> Option<Option<u16>> {
    let listeners = frontend::listeners(proxy, usize::MAX).into_iter();
    let mut ports = listeners.filter_map(|listen| listen.port);
    let first = ports.next()?;
    Some(ports.all(|port| port == first).then_some(first))
}

impl Proxy {
    /// Where a line would go that it lacks: into its defaults, if it has some.
    pub fn place_for_more(&self) -> Span {
        self.defaults_at.unwrap_or(self.at)
    }

    /// The time that a keyword states for it.
    pub fn stated_time(&self, keyword: &str) -> Option<(Duration, &Statement)> {
        let statement = self.last(keyword)?;
        Some((argument::time(&statement.arguments.first()?.text).ok()?, statement))
    }
}

/// That these proxies lack a line; nothing if there are none.
pub fn lacking<'a>(proxies: impl IntoIterator<Item = &'a Proxy>, what: &str, fix: &str) -> Option<Finding> {
    let proxies: Vec<&Proxy> = proxies.into_iter().collect();
    let places = once_each(proxies.iter().map(|proxy| proxy.place_for_more()));
    let names = once_each(proxies.iter().map(|proxy| proxy.name.text.as_str()));
    (!places.is_empty()).then(|| Finding { places, what: format!("{what}: {}", listed(&names)), fix: fix.to_owned() })
}

/// That this stands at these places; nothing if there are none.
pub fn standing(places: impl IntoIterator<Item = Span>, what: &str, fix: &str) -> Option<Finding> {
    let places = once_each(places);
    (!places.is_empty()).then(|| Finding { places, what: what.to_owned(), fix: fix.to_owned() })
}

/// In order, each once: what several proxies inherit stands at one place.
pub fn once_each<T: Ord + Copy>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(*item)).collect()
}

/// More names than this are counted.
const NAMED: usize = 4;

/// `a, b and c`, or `a, b, c, d and 8 more`.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [some @ .., last] if names.len() <= NAMED => format!("{} and {last}", some.join(", ")),
        many => format!("{} and {} more", many[..NAMED].join(", "), many.len() - NAMED),
    }
}
