//! From the expanded form to a [`model::Config`], or to what is wrong between its parts.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::Hash;

use super::expand::{Expanded, Proxy};
use super::leaf::Switch;
use super::mistake::{Mistake, Mistakes};
use super::raw;
use super::read::{Span, Stated};
use super::source::Source;
use crate::model::{
    Backend, BackendName, BackendTimeouts, Check, Config, Frontend, Host, HostAddress, Keepalive, ProxyId, Server,
    ServerId, ServerName, Weight,
};

mod checks;
mod listeners;
mod process;

use checks::Checks;

/// Resolves everything. `None` if that can't be done; what is in `mistakes` may speak against it all the same.
pub fn resolve(expanded: &Expanded, source: &Source, mistakes: &mut Mistakes) -> Option<Config> {
    note_preset(expanded, mistakes);
    listeners::note_collisions(expanded, mistakes);
    note_duplicate_names(expanded, mistakes);
    let known = backend_names(expanded);
    let mut checks = Checks::new(&source.directory);
    let (mut frontends, mut backends) = (Vec::new(), Vec::new());
    let mut whole = true;
    let mut id = ProxyId::FIRST;
    for proxy in &expanded.proxies {
        match proxy {
            Proxy::Frontend(raw) => {
                let frontend = frontend(raw, id, &known, mistakes);
                whole &= frontend.is_some();
                frontends.extend(frontend);
            }
            Proxy::Backend(raw) => {
                let backend = backend(raw, id, &mut checks, mistakes);
                whole &= backend.is_some();
                backends.extend(backend);
            }
        }
        id = ProxyId(id.0 + 1);
    }
    note_unused_backends(expanded, &known, mistakes);
    whole.then(|| Config {
        policy: process::policy(expanded),
        limits: process::limits(&expanded.limits),
        hosts: hosts(&backends),
        frontends,
        backends,
        stats: listeners::stats(&expanded.stats, id),
        admin: process::admin(&expanded.admin),
        log: process::log(&expanded.log),
        process: process::process(&expanded.process),
    })
}

// ---- fields ----

/// The value of a field that [`super::expand`] has filled.
fn filled<T: Clone>(field: &Option<Stated<T>>) -> T {
    field.as_ref().expect("expand fills every field that has a default").value.clone()
}

/// The value of a field that has no default; that the file doesn't mention it is noted.
fn needed<T: Clone>(
    field: &Option<Stated<T>>,
    key: &'static str,
    section: &Section<'_>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    if field.is_none() && !section.stated.contains(&key) {
        let mistake = Mistake::MissingKey { key, place: section.words.clone(), hint: Some(example(key)) };
        mistakes.push(Some(section.at), mistake);
    }
    field.as_ref().map(|stated| stated.value.clone())
}

/// A part of the file that needs keys.
struct Section<'a> {
    /// To begin "… has no `name`".
    words: String,
    at: Span,
    stated: &'a [&'static str],
}

fn example(key: &str) -> String {
    match key {
        "listen" => r#"add `listen = ":6443"`"#,
        "backend" => r#"add `backend = "kubeAPI_backend"`, the name of a `[[backend]]`"#,
        "servers" => r#"add `servers = ["10.10.0.2:6443", "10.10.1.2:6443"]`"#,
        "address" => r#"add `address = "10.10.0.2:6443"`"#,
        _ => r#"add `name = "kubeAPI"`"#,
    }
    .to_owned()
}

fn named<T: std::fmt::Display>(things: &str, name: &Option<Stated<T>>) -> String {
    match name {
        Some(name) => format!("{things} `{}`", name.value),
        None => format!("this {things}"),
    }
}

// ---- frontends ----

fn frontend(
    raw: &raw::Frontend,
    id: ProxyId,
    known: &HashSet<&BackendName>,
    mistakes: &mut Mistakes,
) -> Option<Frontend> {
    let section = Section { words: named("frontend", &raw.name), at: raw.at, stated: &raw.stated };
    let name = needed(&raw.name, "name", &section, mistakes);
    let listen = needed(&raw.listen, "listen", &section, mistakes);
    let backend = needed(&raw.backend, "backend", &section, mistakes);
    if let Some(unknown) = raw.backend.as_ref().filter(|backend| !known.contains(&backend.value)) {
        let mut known: Vec<String> = known.iter().map(ToString::to_string).collect();
        known.sort();
        mistakes.push(unknown.span(), Mistake::UnknownBackend { name: unknown.value.to_string(), known });
    }
    Some(Frontend {
        id,
        name: name?,
        listen: listen?.0.into_iter().map(|address| address.value).collect(),
        backend: backend?,
        max_sessions: filled(&raw.max_sessions).on().map(|sessions| sessions.0),
        keepalive: keepalive(&raw.client_keepalive),
        freebind: filled(&raw.freebind),
        backlog: filled(&raw.backlog).0,
        client_timeout: filled(&filled(&raw.timeouts).client).on().map(|wait| wait.0),
    })
}

fn keepalive(raw: &Option<Stated<Switch<raw::Keepalive>>>) -> Option<Keepalive> {
    let raw = filled(raw);
    let raw = raw.on()?;
    Some(Keepalive { idle: filled(&raw.idle).0, interval: filled(&raw.interval).0, count: filled(&raw.count).0 })
}

// ---- backends and servers ----

fn backend(raw: &raw::Backend, id: ProxyId, checks: &mut Checks<'_>, mistakes: &mut Mistakes) -> Option<Backend> {
    let section = Section { words: named("backend", &raw.name), at: raw.at, stated: &raw.stated };
    let name = needed(&raw.name, "name", &section, mistakes);
    let members = needed(&raw.servers, "servers", &section, mistakes);
    let check = checks.resolve(&filled(&raw.check), mistakes);
    note_duplicate_servers(raw, mistakes);
    let mut servers = Vec::new();
    let mut whole = true;
    for (index, member) in members.iter().flat_map(|members| &members.0).enumerate() {
        let server = server(&member.value.0, ServerId(index as u32 + 1), &check, checks, mistakes);
        whole &= server.is_some();
        servers.extend(server);
    }
    members.filter(|_| whole)?;
    Some(Backend {
        id,
        name: name?,
        balance: filled(&raw.balance),
        servers,
        timeouts: backend_timeouts(&filled(&raw.timeouts)),
        on_no_server: filled(&raw.on_no_server),
        required: filled(&raw.required),
        keepalive: keepalive(&raw.server_keepalive),
    })
}

fn backend_timeouts(raw: &raw::BackendTimeouts) -> BackendTimeouts {
    BackendTimeouts {
        connect: filled(&raw.connect).0,
        dial: filled(&raw.dial).0,
        queue: filled(&raw.queue).0,
        server: filled(&raw.server).on().map(|wait| wait.0),
        tunnel: filled(&raw.tunnel).on().map(|wait| wait.0),
        half_close: filled(&raw.half_close).on().map(|wait| wait.0),
    }
}

fn server(
    raw: &raw::Server,
    id: ServerId,
    backends_check: &Option<Check>,
    checks: &mut Checks<'_>,
    mistakes: &mut Mistakes,
) -> Option<Server> {
    let section = Section { words: named("server", &raw.name), at: raw.at, stated: &raw.stated };
    let address = needed(&raw.address, "address", &section, mistakes);
    // Without an address there is no name to fall back on, and one complaint is enough.
    let name = address.as_ref().and_then(|_| needed(&raw.name, "name", &section, mistakes));
    let check = match &raw.check {
        Some(own) => checks.resolve(&own.value, mistakes),
        None => backends_check.clone(),
    };
    Some(Server {
        id,
        name: name?,
        address: address?.endpoint,
        weight: Weight::new(filled(&raw.weight).0 as u16).expect("the key's range is the weight's"),
        backup: filled(&raw.backup),
        max_sessions: filled(&raw.max_sessions).on().map(|sessions| sessions.0),
        disabled: filled(&raw.disabled),
        check,
    })
}

/// The machines of all servers, in order of first appearance.
fn hosts(backends: &[Backend]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut places: HashMap<&HostAddress, usize> = HashMap::new();
    for backend in backends {
        for server in &backend.servers {
            let member: (BackendName, ServerName) = (backend.name.clone(), server.name.clone());
            match places.entry(&server.address.host) {
                Entry::Occupied(place) => hosts[*place.get()].servers.push(member),
                Entry::Vacant(place) => {
                    place.insert(hosts.len());
                    hosts.push(Host { address: server.address.host.clone(), servers: vec![member] });
                }
            }
        }
    }
    hosts
}

// ---- what only shows between parts ----

fn frontends(expanded: &Expanded) -> impl Iterator<Item = &raw::Frontend> {
    expanded.proxies.iter().filter_map(|proxy| match proxy {
        Proxy::Frontend(frontend) => Some(frontend),
        Proxy::Backend(_) => None,
    })
}

fn backends(expanded: &Expanded) -> impl Iterator<Item = &raw::Backend> {
    expanded.proxies.iter().filter_map(|proxy| match proxy {
        Proxy::Backend(backend) => Some(backend),
        Proxy::Frontend(_) => None,
    })
}

fn backend_names(expanded: &Expanded) -> HashSet<&BackendName> {
    backends(expanded).filter_map(|backend| Some(&backend.name.as_ref()?.value)).collect()
}

fn note_preset(expanded: &Expanded, mistakes: &mut Mistakes) {
    let states = |key| expanded.stated.contains(&key);
    if let (Some(at), false) = (expanded.preset_at, states("controllers")) {
        mistakes.push(Some(at), Mistake::PresetWithoutControllers);
    }
    if let (Some(at), false) = (expanded.controllers_at, states("preset")) {
        mistakes.push(Some(at), Mistake::ControllersWithoutPreset);
    }
    let meant_some = states("preset") || states("controllers");
    let broken_list = states("frontend") && expanded.frontend_at.is_none();
    if frontends(expanded).next().is_none() && !meant_some && !broken_list {
        mistakes.push(expanded.frontend_at, Mistake::NothingToServe);
    }
}

fn note_duplicate_names(expanded: &Expanded, mistakes: &mut Mistakes) {
    note_twice(frontends(expanded).map(|frontend| &frontend.name), "frontends", mistakes);
    note_twice(backends(expanded).map(|backend| &backend.name), "backends", mistakes);
}

fn note_duplicate_servers(backend: &raw::Backend, mistakes: &mut Mistakes) {
    let members = || backend.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0);
    let mut seen = HashMap::new();
    let mut twice = HashSet::new();
    for address in members().filter_map(|server| server.address.as_ref()) {
        if let Some(first) = first_seen(&mut seen, &address.value.endpoint, address.span()) {
            twice.insert(address.span());
            let backend = backend.name.as_ref().map(|name| name.value.to_string()).unwrap_or_default();
            let mistake = Mistake::DuplicateAddress { backend, address: address.value.written.clone() };
            mistakes.push_pair(address.span(), first, "first here", mistake);
        }
    }
    // A server without a name has its address's: that both are there twice is one mistake.
    let names = members().map(|server| &server.name);
    note_twice(
        names.filter(|name| name.as_ref().is_some_and(|name| !twice.contains(&name.span()))),
        "servers",
        mistakes,
    );
}

/// Notes each name that another of the same kind already has.
fn note_twice<'a, T: std::fmt::Display + Hash + Eq + 'a>(
    names: impl Iterator<Item = &'a Option<Stated<T>>>,
    things: &'static str,
    mistakes: &mut Mistakes,
) {
    let mut seen = HashMap::new();
    for name in names.flatten() {
        if let Some(first) = first_seen(&mut seen, &name.value, name.span()) {
            let mistake = Mistake::DuplicateName { things, name: name.value.to_string() };
            mistakes.push_pair(name.span(), first, "first here", mistake);
        }
    }
}

/// Where this was seen before, if it was.
fn first_seen<T: Hash + Eq>(seen: &mut HashMap<T, Option<Span>>, what: T, at: Option<Span>) -> Option<Option<Span>> {
    match seen.entry(what) {
        Entry::Occupied(first) => Some(*first.get()),
        Entry::Vacant(place) => {
            place.insert(at);
            None
        }
    }
}

/// Only if every frontend leads somewhere: a misspelt reference isn't a second mistake.
fn note_unused_backends(expanded: &Expanded, known: &HashSet<&BackendName>, mistakes: &mut Mistakes) {
    let leads = |frontend: &raw::Frontend| frontend.backend.as_ref().is_some_and(|name| known.contains(&name.value));
    if !frontends(expanded).all(leads) {
        return;
    }
    let used: HashSet<&BackendName> =
        frontends(expanded).filter_map(|frontend| Some(&frontend.backend.as_ref()?.value)).collect();
    for name in backends(expanded).filter_map(|backend| backend.name.as_ref()) {
        if !used.contains(&name.value) {
            mistakes.push(name.span(), Mistake::UnusedBackend { name: name.value.to_string() });
        }
    }
}
