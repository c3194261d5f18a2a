//! Fills what the file leaves open. Nearest wins: server over backend or frontend over `[defaults]` over preset over
//! built-in. Nothing is refused here: what is missing and has no default stays missing.

use std::collections::HashSet;

use super::builtin;
use super::leaf::{Switch, VerifyMode};
use super::list::{List, OneOrMore};
use super::preset::{KUBE_API, Parts};
use super::raw::{
    Admin, Backend, BackendTimeouts, Check, Defaults, File, Frontend, FrontendLog, FrontendTimeouts, Limits, Log,
    Process, Runtime, Security, Server, Stats, Table, Timeouts,
};
use super::read::{Span, Stated, fill};
use super::value;
use crate::model::{BackendName, ServerName};

/// The file with nothing left open that has a default.
#[derive(Debug)]
pub struct Expanded {
    /// The keys that the file's top level states, and where some of them stand.
    pub stated: Vec<&'static str>,
    pub preset_at: Option<Span>,
    pub controllers_at: Option<Span>,
    pub frontend_at: Option<Span>,
    pub backend_at: Option<Span>,
    pub timeouts: Timeouts,
    /// Those keys of `[defaults]` that a policy has, too; the others have gone where they apply.
    pub defaults: Defaults,
    pub limits: Limits,
    /// In the order of their ids: the preset's, then the file's as they follow one another there.
    pub proxies: Vec<Proxy>,
    pub stats: Vec<Stats>,
    pub admin: Admin,
    pub log: Log,
    pub process: Process,
    pub security: Security,
    pub runtime: Vec<Runtime>,
    pub tables: Vec<Table>,
}

impl Expanded {
    /// The frontends in the order of their ids.
    pub fn frontends(&self) -> impl Iterator<Item = &Frontend> {
        self.proxies.iter().filter_map(|proxy| match proxy {
            Proxy::Frontend(frontend) => Some(frontend),
            Proxy::Backend(_) => None,
        })
    }

    /// The backends in the order of their ids.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.proxies.iter().filter_map(|proxy| match proxy {
            Proxy::Backend(backend) => Some(backend),
            Proxy::Frontend(_) => None,
        })
    }
}

/// What has a place in the order of ids.
#[expect(clippy::large_enum_variant, reason = "a file has a handful of them, and they live while it is read")]
#[derive(Debug)]
pub enum Proxy {
    Frontend(Frontend),
    Backend(Backend),
}

/// The expanded form of a file.
pub fn expand(file: File) -> Expanded {
    let defaults = file.defaults.map(|stated| stated.value).unwrap_or_default();
    let timeouts = filled(file.timeouts, &builtin::timeouts());
    let controllers = file.controllers.as_ref().map(|stated| &stated.value);
    let frontend_at = file.frontend.as_ref().and_then(Stated::span);
    let backend_at = file.backend.as_ref().and_then(Stated::span);
    let parts = file.preset.as_ref().map(|preset| preset.value.parts(preset.span().unwrap_or_default(), controllers));

    let log = complete_log(filled(file.log, &builtin::log()));
    let mut proxies = in_id_order(parts, values(file.frontend), values(file.backend), &defaults);
    for proxy in &mut proxies {
        match proxy {
            Proxy::Frontend(frontend) => complete_frontend(frontend, &timeouts, &log),
            Proxy::Backend(backend) => complete_backend(backend, &defaults, &timeouts),
        }
    }
    settle_required(&mut proxies);
    Expanded {
        stated: file.stated,
        preset_at: file.preset.as_ref().and_then(Stated::span),
        controllers_at: file.controllers.as_ref().and_then(Stated::span),
        frontend_at,
        backend_at,
        timeouts,
        defaults: policy_keys(&defaults),
        limits: filled(file.limits, &builtin::limits()),
        proxies,
        stats: complete_stats(file.stats),
        admin: filled(file.admin, &builtin::admin()),
        log,
        process: filled(file.process, &builtin::process()),
        security: filled(file.security, &builtin::security()),
        runtime: complete_runtime(values(file.runtime)),
        tables: complete_tables(values(file.table)),
    }
}

/// One page by default; each of several says itself where it is.
fn complete_stats(stated: Option<Stated<OneOrMore<Stats>>>) -> Vec<Stats> {
    let mut stats: Vec<Stats> =
        stated.map(|list| list.value.0.into_iter().map(|item| item.value).collect()).unwrap_or_default();
    if stats.len() > 1 {
        stats.iter_mut().for_each(|one| one.fill(&builtin::site()));
    } else {
        let mut one = stats.pop().unwrap_or_default();
        one.fill(&builtin::stats());
        stats.push(one);
    }
    for one in &mut stats {
        if let Some(Stated { value: Switch::On(log), .. }) = &mut one.log {
            log.fill(&builtin::stats_log());
        }
    }
    stats
}

/// A section, present or not, with its defaults.
fn filled<T: super::read::Value + Default>(section: Option<Stated<T>>, further: &T) -> T {
    let mut section = section.map(|stated| stated.value).unwrap_or_default();
    section.fill_from(further);
    section
}

fn values<T>(list: Option<Stated<List<T, 0>>>) -> Vec<T> {
    list.map(|list| list.value.0.into_iter().map(|item| item.value).collect()).unwrap_or_default()
}

fn policy_keys(defaults: &Defaults) -> Defaults {
    let mut kept = Defaults {
        client_keepalive: defaults.client_keepalive.clone(),
        server_keepalive: defaults.server_keepalive.clone(),
        on_no_server: defaults.on_no_server.clone(),
        ..Defaults::default()
    };
    kept.fill(&builtin::defaults());
    kept
}

/// Frontends and backends with `[defaults]` and preset filled in: first the preset's, which the file's of the same name
/// are laid over, then the file's others.
fn in_id_order(
    parts: Option<Parts>,
    mut frontends: Vec<Frontend>,
    mut backends: Vec<Backend>,
    defaults: &Defaults,
) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    let (preset_frontends, preset_backends) = parts.map(|parts| (parts.frontends, parts.backends)).unwrap_or_default();
    for preset in &preset_frontends {
        let of_that_name = take(&mut frontends, |frontend| same(&frontend.name, &preset.name));
        proxies.push(Proxy::Frontend(frontend_over(of_that_name, defaults, Some(preset))));
    }
    for preset in &preset_backends {
        let of_that_name = take(&mut backends, |backend| same(&backend.name, &preset.name));
        proxies.push(Proxy::Backend(backend_over(of_that_name, defaults, Some(preset))));
    }
    let mut others: Vec<(Span, Proxy)> = Vec::new();
    for frontend in frontends {
        others.push((frontend.at, Proxy::Frontend(frontend_over(Some(frontend), defaults, None))));
    }
    for backend in backends {
        others.push((backend.at, Proxy::Backend(backend_over(Some(backend), defaults, None))));
    }
    others.sort_by_key(|(at, _)| *at);
    proxies.extend(others.into_iter().map(|(_, proxy)| proxy));
    proxies
}

fn take<T>(list: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    list.iter().position(wanted).map(|index| list.remove(index))
}

fn same<T: PartialEq>(a: &Option<Stated<T>>, b: &Option<Stated<T>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a.value == b.value)
}

fn frontend_over(stated: Option<Frontend>, defaults: &Defaults, preset: Option<&Frontend>) -> Frontend {
    let mut frontend = stated.unwrap_or_default();
    fill(&mut frontend.max_sessions, &defaults.max_sessions);
    fill(&mut frontend.max_sessions_per_source, &defaults.max_sessions_per_source);
    fill(&mut frontend.rate_per_source, &defaults.rate_per_source);
    fill(&mut frontend.allow, &defaults.allow);
    fill(&mut frontend.deny, &defaults.deny);
    fill(&mut frontend.freebind, &defaults.freebind);
    fill(&mut frontend.backlog, &defaults.backlog);
    fill(&mut frontend.client_keepalive, &defaults.client_keepalive);
    fill(&mut frontend.reset_clients, &defaults.reset_clients);
    if let Some(preset) = preset {
        frontend.fill(preset);
    }
    frontend
}

fn backend_over(stated: Option<Backend>, defaults: &Defaults, preset: Option<&Backend>) -> Backend {
    let mut backend = stated.unwrap_or_default();
    fill(&mut backend.balance, &defaults.balance);
    fill(&mut backend.on_no_server, &defaults.on_no_server);
    fill(&mut backend.on_down, &defaults.on_down);
    fill(&mut backend.on_refused, &defaults.on_refused);
    fill(&mut backend.on_draining, &defaults.on_draining);
    fill(&mut backend.on_primary_back, &defaults.on_primary_back);
    fill(&mut backend.on_removed, &defaults.on_removed);
    fill(&mut backend.dead_after, &defaults.dead_after);
    fill(&mut backend.drain_idle, &defaults.drain_idle);
    fill(&mut backend.drain_max, &defaults.drain_max);
    fill(&mut backend.kill_spread, &defaults.kill_spread);
    fill(&mut backend.dial_hedge, &defaults.dial_hedge);
    fill(&mut backend.max_dials, &defaults.max_dials);
    fill(&mut backend.judged_by, &defaults.judged_by);
    fill(&mut backend.slow_start, &defaults.slow_start);
    fill(&mut backend.server_keepalive, &defaults.server_keepalive);
    fill(&mut backend.check, &defaults.check);
    fill(&mut backend.retries, &defaults.retries);
    fill(&mut backend.redispatch, &defaults.redispatch);
    fill(&mut backend.log_health_checks, &defaults.log_health_checks);
    fill(&mut backend.all_backups, &defaults.all_backups);
    fill(&mut backend.random_draws, &defaults.random_draws);
    fill(&mut backend.on_full, &defaults.on_full);
    if let Some(preset) = preset {
        backend.fill(preset);
    }
    backend
}

fn complete_frontend(frontend: &mut Frontend, timeouts: &Timeouts, log: &Log) {
    frontend.fill(&builtin::frontend());
    if let Some(own) = &mut frontend.log {
        own.value.fill(&FrontendLog { null_sessions: log.null_sessions.clone(), ..builtin::frontend_log() });
    }
    if let Some(own) = &mut frontend.timeouts {
        own.value.fill(&FrontendTimeouts {
            client: timeouts.client.clone(),
            inspect: timeouts.inspect.clone(),
            handshake: timeouts.handshake.clone(),
            ..FrontendTimeouts::default()
        });
    }
}

fn complete_backend(backend: &mut Backend, defaults: &Defaults, timeouts: &Timeouts) {
    for member in backend.servers.iter_mut().flat_map(|servers| &mut servers.value.0) {
        complete_server(&mut member.value.0, defaults, &backend.check);
    }
    backend.fill(&builtin::backend());
    if let Some(Stated { value: Switch::On(check), .. }) = &mut backend.check {
        complete_check(check);
    }
    if let Some(own) = &mut backend.timeouts {
        own.value.fill(&BackendTimeouts {
            connect: timeouts.connect.clone(),
            dial: timeouts.dial.clone(),
            queue: timeouts.queue.clone(),
            server: timeouts.server.clone(),
            tunnel: timeouts.tunnel.clone(),
            half_close: timeouts.half_close.clone(),
            refused: timeouts.refused.clone(),
            ..BackendTimeouts::default()
        });
    }
}

/// A server has a check of its own only if it states one; otherwise it is its backend's.
fn complete_server(server: &mut Server, defaults: &Defaults, backends_check: &Option<Stated<Switch<Check>>>) {
    fill(&mut server.weight, &defaults.weight);
    server.fill(&builtin::server());
    if let Some(Stated { value: Switch::On(observe), .. }) = &mut server.observe {
        observe.fill(&builtin::observe());
    }
    if let Some(Stated { value: Switch::On(agent), .. }) = &mut server.agent {
        agent.fill(&builtin::agent());
    }
    if server.name.is_none() && !server.stated.contains(&"name") {
        server.name = server.address.as_ref().and_then(|address| {
            let value = ServerName::new(value::written_host(&address.value.written)).ok()?;
            Some(Stated { value, origin: address.origin })
        });
    }
    if server.check.is_some() {
        fill(&mut server.check, backends_check);
    }
    if let Some(Stated { value: Switch::On(check), .. }) = &mut server.check {
        complete_check(check);
    }
}

fn complete_check(check: &mut Check) {
    let kind = check.kind.as_ref().map_or(builtin::CHECK_TYPE, |kind| kind.value);
    let interval = check.interval.as_ref().map(|interval| interval.value.0);
    check.fill(&builtin::check(kind, interval));
}

/// Each target has `[log]`'s format and level unless it states its own.
fn complete_log(mut log: Log) -> Log {
    for target in log.target.iter_mut().flat_map(|targets| &mut targets.value.0) {
        let target = &mut target.value.0;
        fill(&mut target.format, &log.format);
        fill(&mut target.level, &log.level);
        if let Some(kind) = &target.kind {
            let built_in = builtin::log_target(kind.value);
            target.fill(&built_in);
        }
    }
    log
}

fn complete_tables(mut tables: Vec<Table>) -> Vec<Table> {
    tables.iter_mut().for_each(|table| table.fill(&builtin::table()));
    tables
}

fn complete_runtime(mut sockets: Vec<Runtime>) -> Vec<Runtime> {
    sockets.iter_mut().for_each(|socket| socket.fill(&builtin::runtime()));
    sockets
}

/// Before `near` is filled from `further`: a type that is stated near drops what doesn't belong to it further away, and
/// so does a nearer word on verification.
pub fn adapt_check(near: &mut Check, further: &mut Check) {
    for check in [&mut *near, &mut *further] {
        if let (None, Some(file)) = (&check.verify, &check.ca_file) {
            check.verify = Some(Stated { value: VerifyMode::Full, origin: file.origin });
        }
    }
    if near.verify.as_ref().is_some_and(|verify| verify.value == VerifyMode::None) {
        further.ca_file = None;
    }
    // Of two credentials the nearer one counts.
    if near.token_file.is_some() {
        (further.client_certificate, further.client_key) = (None, None);
    }
    if near.client_certificate.is_some() || near.client_key.is_some() {
        further.token_file = None;
    }
    let Some(kind) = near.kind.as_ref().map(|kind| kind.value) else { return };
    further.keep(kind.own_keys());
}

impl Check {
    /// Drops what belongs to a type and is not among these keys.
    fn keep(&mut self, keys: &[&str]) {
        /// Each key that not all types have, with its field.
        macro_rules! drop_unless_kept {
            ($($key:literal => $field:ident,)*) => {
                $(if !keys.contains(&$key) { self.$field = None; })*
            };
        }
        drop_unless_kept! {
            "verify" => verify,
            "ca_file" => ca_file,
            "server_name" => server_name,
            "alpn" => alpn,
            "path" => path,
            "accept" => accept,
            "draining" => draining,
            "token_file" => token_file,
            "client_certificate" => client_certificate,
            "client_key" => client_key,
            "method" => method,
            "http_version" => http_version,
            "headers" => headers,
            "body" => body,
            "expect" => expect,
            "not_found_drains" => not_found_drains,
            "steps" => steps,
        }
    }
}

/// Where the file says nowhere which backends are required, those are that a frontend on the API server's port leads to.
fn settle_required(proxies: &mut [Proxy]) {
    let stated =
        proxies.iter().any(|proxy| matches!(proxy, Proxy::Backend(backend) if backend.stated.contains(&"required")));
    let behind_api = proxies.iter().filter_map(|proxy| match proxy {
        Proxy::Frontend(frontend) if listens_on(frontend, KUBE_API) => frontend.backend.as_ref(),
        _ => None,
    });
    let behind_api: HashSet<BackendName> = behind_api.map(|name| name.value.clone()).collect();
    for proxy in proxies {
        if let Proxy::Backend(backend) = proxy {
            let required = !stated && backend.name.as_ref().is_some_and(|name| behind_api.contains(&name.value));
            fill(&mut backend.required, &Stated::built_in(required));
        }
    }
}

fn listens_on(frontend: &Frontend, port: u16) -> bool {
    frontend
        .listen
        .iter()
        .flat_map(|listen| &listen.value.0)
        .any(|door| door.value.address().is_some_and(|at| at.value.0.port() == Some(port)))
}
