//! From the expanded form to a [`model::Config`], or to what is wrong between its parts.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::door;
use super::expand::{Expanded, Proxy};
use super::leaf::Switch;
use super::list::OneOrMore;
use super::mistake::{Mistake, Mistakes};
use super::raw;
use super::read::{Span, Stated};
use super::source::Source;
use super::spelling;
use super::value::duration_text;
use crate::model::{
    self, Backend, BackendTimeouts, Check, Closing, Config, Dialect, Frontend, FrontendLog, Keepalive, Listen, Network,
    ProxyId, Server, ServerId, SourceLimits, Weight,
};

mod access;
mod checks;
mod files;
mod full;
mod konnectivity;
mod listeners;
mod names;
mod numbers;
mod peers;
mod process;
mod routes;
mod runtime;
mod service;
mod sites;
mod tables;
mod targets;
mod tls;

use checks::Checks;
use names::Known;
use service::retries;

/// Resolves everything. `None` if that can't be done; what is in `mistakes` may speak against it all the same.
pub fn resolve(expanded: &Expanded, source: &Source, mistakes: &mut Mistakes) -> Option<Config> {
    names::note_preset(expanded, mistakes);
    listeners::note_collisions(expanded, mistakes);
    listeners::note_circles(expanded, mistakes);
    files::note_shared(expanded, mistakes);
    names::note_duplicate_names(expanded, mistakes);
    numbers::note_duplicates(expanded, mistakes);
    let known = Known::of(expanded);
    let mut checks = Checks::new(&source.directory);
    let (mut frontends, mut backends) = (Vec::new(), Vec::new());
    let mut whole = true;
    let mut numbers = numbers::of(expanded);
    for proxy in &expanded.proxies {
        match proxy {
            Proxy::Frontend(raw) => {
                let frontend = frontend(raw, numbers.take(numbers::value(&raw.id)), &known, mistakes);
                whole &= frontend.is_some();
                frontends.extend(frontend);
            }
            Proxy::Backend(raw) => {
                let backend = backend(raw, numbers.take(numbers::value(&raw.id)), &known, &mut checks, mistakes);
                whole &= backend.is_some();
                backends.extend(backend);
            }
        }
    }
    let ids: HashSet<ProxyId> = frontends.iter().map(|frontend| frontend.id).collect();
    for backend in &mut backends {
        backend.is_listen = ids.contains(&backend.id);
    }
    service::note_tracked(expanded, &backends, mistakes);
    names::note_without_servers(expanded, mistakes);
    names::note_unused_backends(expanded, &known, mistakes);
    konnectivity::note_hindrances(expanded, mistakes);
    let stats = sites::all(expanded, &mut numbers, &known, &source.directory, mistakes);
    let peers = peers::all(expanded, &source.directory, mistakes);
    let targets = targets::resolve(&expanded.log, mistakes);
    targets::note_unknown_proxies(expanded, &known, mistakes);
    let runtime = runtime::resolve(&expanded.runtime, &known, mistakes);
    let tables = tables::resolve(&expanded.tables, &known, mistakes);
    whole.then(|| Config {
        dialect: Dialect::Toml,
        policy: process::policy(expanded),
        limits: process::limits(&expanded.limits),
        hosts: model::hosts(&backends),
        frontends,
        backends,
        stats,
        admin: process::admin(&expanded.admin),
        log: process::log(&expanded.log, targets),
        process: process::process(&expanded.process),
        security: process::security(&expanded.security),
        runtime,
        peers,
        tables,
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
    if field.is_none() && !section.stated.contains(&key) && !section.known.incomplete {
        let place = section.words();
        let hint = Some(section.meant().unwrap_or_else(|| format!("add `{key} = {}`", section.example(key))));
        mistakes.push(Some(section.at), Mistake::MissingKey { key, place, hint });
    }
    field.as_ref().map(|stated| stated.value.clone())
}

/// A part of the file that needs keys.
struct Section<'a> {
    thing: &'static str,
    name: Option<String>,
    at: Span,
    stated: &'a [&'static str],
    known: &'a Known<'a>,
}

impl Section<'_> {
    /// To begin "… has no `name`".
    fn words(&self) -> String {
        named(self.thing, &self.name)
    }

    /// For one that was to be laid over a part of the preset.
    fn meant(&self) -> Option<String> {
        let near = spelling::meant(self.name.as_ref()?, self.known.preset_parts.iter().map(String::as_str))?;
        Some(format!("did you mean the preset's `{near}`?"))
    }

    fn example(&self, key: &str) -> &'static str {
        match (key, self.thing) {
            ("backend", _) | ("name", "backend") => r#""kubeAPI_backend""#,
            ("listen", "runtime socket") => r#""unix:/run/evenkeel/haproxy.sock""#,
            ("listen", _) => r#"":6443""#,
            ("servers", _) => r#"["10.10.0.2:6443", "10.10.1.2:6443"]"#,
            ("address", _) => r#""10.10.0.2:6443""#,
            ("stage", _) => r#""session""#,
            ("verdict", _) => r#""reject""#,
            ("name", "server") => r#""controller-1""#,
            ("name", "table") | ("table", _) => r#""sources""#,
            ("store", _) => r#"["conn_cur", "conn_rate(3s)"]"#,
            _ => r#""kubeAPI""#,
        }
    }
}

fn named(thing: &str, name: &Option<String>) -> String {
    match name {
        Some(name) => format!("{thing} `{name}`"),
        None => format!("this {thing}"),
    }
}

fn text<T: fmt::Display>(name: &Option<Stated<T>>) -> Option<String> {
    name.as_ref().map(|name| name.value.to_string())
}

// ---- frontends ----

fn frontend(raw: &raw::Frontend, id: ProxyId, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Frontend> {
    let section = Section { thing: "frontend", name: text(&raw.name), at: raw.at, stated: &raw.stated, known };
    let name = needed(&raw.name, "name", &section, mistakes);
    let listen = needed(&raw.listen, "listen", &section, mistakes);
    known.note_unknown(&raw.backend, mistakes);
    let routes = routes::routes(raw, known, mistakes);
    // With routes alone there is nobody for whom no route is.
    let closes_unrouted = raw.backend.is_none() && raw.route.is_some() && !raw.stated.contains(&"backend");
    let backend = match closes_unrouted {
        true => routes.first().map(|route| route.backend.clone()),
        false => needed(&raw.backend, "backend", &section, mistakes),
    };
    let rules = routes::rules(raw, &routes, known, mistakes);
    let timeouts = filled(&raw.timeouts);
    let accept_proxy = door::accepted(&filled(&raw.accept_proxy));
    let listen: Option<Vec<Listen>> =
        listen.and_then(|listen| listen.0.iter().map(|door| door.value.resolved(&accept_proxy)).collect());
    Some(Frontend {
        id,
        name: name?,
        listen: listen?,
        backend: backend?,
        max_sessions: filled(&raw.max_sessions).on().map(|sessions| sessions.0),
        keepalive: keepalive(&raw.client_keepalive),
        freebind: filled(&raw.freebind),
        backlog: filled(&raw.backlog).0,
        client_timeout: filled(&timeouts.client).on().map(|wait| wait.0),
        by_source: source_limits(raw),
        rules,
        routes,
        inspect_delay: filled(&timeouts.inspect).on().map(|wait| wait.0),
        on_silence: filled(&raw.on_silence),
        closes_unrouted,
        handshake_timeout: filled(&timeouts.handshake).0,
        log: Arc::new(frontend_log(&filled(&raw.log))),
        reset_clients: filled(&raw.reset_clients),
    })
}

fn frontend_log(raw: &raw::FrontendLog) -> FrontendLog {
    FrontendLog {
        enabled: filled(&raw.enabled),
        null_sessions: filled(&raw.null_sessions),
        silent_clients: filled(&raw.silent_clients),
        normal_sessions: filled(&raw.normal_sessions),
        asap: filled(&raw.asap),
        separate_errors: filled(&raw.separate_errors),
        line: filled(&raw.line).0,
    }
}

fn source_limits(raw: &raw::Frontend) -> SourceLimits {
    SourceLimits {
        max_sessions: filled(&raw.max_sessions_per_source).on().map(|sessions| sessions.0),
        rate: filled(&raw.rate_per_source).on().map(|rate| rate.0),
        allow: networks(&raw.allow),
        deny: networks(&raw.deny).unwrap_or_default(),
    }
}

/// `None` if it is off.
fn networks(key: &Option<Stated<Switch<OneOrMore<Network>>>>) -> Option<Vec<Network>> {
    Some(filled(key).on()?.0.iter().map(|network| network.value).collect())
}

fn keepalive(raw: &Option<Stated<Switch<raw::Keepalive>>>) -> Option<Keepalive> {
    let raw = filled(raw);
    let raw = raw.on()?;
    Some(Keepalive { idle: filled(&raw.idle).0, interval: filled(&raw.interval).0, count: filled(&raw.count).0 })
}

// ---- backends and servers ----

fn backend(
    raw: &raw::Backend,
    id: ProxyId,
    known: &Known<'_>,
    checks: &mut Checks<'_>,
    mistakes: &mut Mistakes,
) -> Option<Backend> {
    let section = Section { thing: "backend", name: text(&raw.name), at: raw.at, stated: &raw.stated, known };
    let name = needed(&raw.name, "name", &section, mistakes);
    let members = needed(&raw.servers, "servers", &section, mistakes);
    let check = checks.resolve(&filled(&raw.check), mistakes);
    names::note_duplicate_servers(raw, mistakes);
    names::note_nobody(raw, mistakes);
    note_long_dial(&filled(&raw.timeouts), mistakes);
    full::note_contradictions(raw, mistakes);
    let mut servers = Vec::new();
    let mut whole = true;
    let mut ids = service::ServerIds::of(raw, mistakes);
    for member in members.iter().flat_map(|members| &members.0) {
        let server = server(&member.value.0, ids.id(&member.value.0), &check, known, checks, mistakes);
        whole &= server.is_some();
        servers.extend(server);
    }
    members.filter(|_| whole)?;
    Some(Backend {
        id,
        name: name?,
        is_listen: false,
        balance: filled(&raw.balance),
        servers,
        timeouts: backend_timeouts(&filled(&raw.timeouts)),
        on_no_server: filled(&raw.on_no_server),
        closing: closing(raw),
        dial_hedge: filled(&raw.dial_hedge).on().map(|wait| wait.0),
        max_dials: filled(&raw.max_dials).0,
        judged_by: filled(&raw.judged_by),
        slow_start: filled(&raw.slow_start).on().map(|wait| wait.0),
        issuer: raw.issuer.as_ref().map(|issuer| issuer.value.0.clone()),
        required: filled(&raw.required),
        keepalive: keepalive(&raw.server_keepalive),
        check,
        retries: retries(raw),
        log_health_checks: filled(&raw.log_health_checks),
        all_backups: filled(&raw.all_backups),
        draws: filled(&raw.random_draws).0,
        on_full: filled(&raw.on_full),
        full_sessions: raw.full_sessions.as_ref().map(|sessions| sessions.value.0),
    })
}

/// `connect` bounds all dials of a session together: one that may take longer leaves no time for another server.
fn note_long_dial(raw: &raw::BackendTimeouts, mistakes: &mut Mistakes) {
    let (dial, connect) = (filled(&raw.dial).0, filled(&raw.connect).0);
    let refused = ["dial", "connect"].iter().any(|key| raw.refused.contains(key));
    let dial_at = raw.dial.as_ref().and_then(Stated::span);
    if dial > connect && dial_at.is_some() && !refused {
        let connect_at = raw.connect.as_ref().and_then(Stated::span);
        let mistake = Mistake::DialOverConnect { dial: duration_text(dial), connect: duration_text(connect) };
        mistakes.push_pair(dial_at, connect_at, "this ends it", mistake);
    }
}

fn closing(raw: &raw::Backend) -> Closing {
    Closing {
        on_down: filled(&raw.on_down),
        on_refused: filled(&raw.on_refused),
        on_draining: filled(&raw.on_draining),
        on_primary_back: filled(&raw.on_primary_back),
        on_removed: filled(&raw.on_removed),
        dead_after: filled(&raw.dead_after).0,
        drain_idle: filled(&raw.drain_idle).0,
        drain_max: filled(&raw.drain_max).0,
        kill_spread: filled(&raw.kill_spread).0,
    }
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
    known: &Known<'_>,
    checks: &mut Checks<'_>,
    mistakes: &mut Mistakes,
) -> Option<Server> {
    let section = Section { thing: "server", name: text(&raw.name), at: raw.at, stated: &raw.stated, known };
    let address = needed(&raw.address, "address", &section, mistakes);
    // Without an address there is no name to fall back on, and one complaint is enough.
    let name = address.as_ref().and_then(|_| needed(&raw.name, "name", &section, mistakes));
    let check = match &raw.check {
        _ if raw.track.is_some() => None,
        Some(own) => checks.resolve(&own.value, mistakes),
        None => backends_check.clone(),
    };
    service::note_contradictions(raw, check.is_some(), mistakes);
    let agent = service::agent(raw, mistakes);
    Some(Server {
        agent,
        weight: Weight::new(filled(&raw.weight).0 as u16).expect("the key's range is the weight's"),
        backup: filled(&raw.backup),
        max_sessions: filled(&raw.max_sessions).on().map(|sessions| sessions.0),
        disabled: filled(&raw.disabled),
        check,
        slow_start: service::slow_start(raw),
        on_down: raw.on_down.as_ref().map(|on_down| on_down.value),
        on_primary_back: raw.on_primary_back.as_ref().map(|on_primary_back| on_primary_back.value),
        observe: service::watchfulness(raw),
        track: raw.track.as_ref().map(|track| track.value.clone()),
        source: raw.source.as_ref().map(|source| source.value.0),
        interface: raw.interface.as_ref().map(|interface| interface.value.0.clone()),
        user_timeout: filled(&raw.user_timeout).on().map(|wait| wait.0),
        send_proxy: filled(&raw.send_proxy).on().copied(),
        init_state: filled(&raw.init_state),
        initial_address: raw.initial_address.as_ref().map(|ip| ip.value.0),
        max_queue: filled(&raw.max_queue).on().map(|sessions| sessions.0),
        min_sessions: filled(&raw.min_sessions).on().map(|sessions| sessions.0),
        ..Server::new(id, name?, address?.endpoint)
    })
}
