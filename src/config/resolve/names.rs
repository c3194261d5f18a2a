//! What only shows when parts of the file are held against each other: names that are there twice, or lead nowhere.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt;
use std::hash::Hash;

use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Origin, Span, Stated};
use super::tables::Stores;
use super::text;
use crate::model::BackendName;

/// What names may mean.
pub struct Known<'a> {
    pub backends: HashSet<&'a BackendName>,
    pub tables: Stores<'a>,
    /// Names of the preset's frontends and backends.
    pub preset_parts: Vec<String>,
    /// Whether a mistake hides what else there may be: then nobody complains that something isn't there.
    pub incomplete: bool,
    /// Whether a backend's name can't be read: a reference may have meant it.
    unnamed: bool,
    /// The backends' names for who looks for one of them, in their order.
    offered: Vec<String>,
}

/// Names that are offered to who names another: more would be no help, and a large file has many mistakes.
const OFFERED: usize = 64;

impl<'a> Known<'a> {
    /// Collects them.
    pub fn of(expanded: &'a Expanded) -> Self {
        let from_preset = |origin| matches!(origin, Origin::Preset { .. });
        let frontends = || expanded.frontends().filter_map(|frontend| frontend.name.as_ref());
        let backends = || expanded.backends().filter_map(|backend| backend.name.as_ref());
        let preset_frontends = frontends().filter(|name| from_preset(name.origin)).map(|name| name.value.to_string());
        let preset_backends = backends().filter(|name| from_preset(name.origin)).map(|name| name.value.to_string());
        let broken_preset = expanded.stated.contains(&"preset") && expanded.preset_at.is_none();
        let broken_backends = expanded.stated.contains(&"backend") && expanded.backend_at.is_none();
        let unnamed = expanded.backends().any(|backend| backend.refused.contains(&"name"));
        let mut offered: Vec<String> = backends().map(|name| name.value.to_string()).collect();
        offered.sort();
        offered.dedup();
        offered.truncate(OFFERED);
        Self {
            preset_parts: preset_frontends.chain(preset_backends).collect(),
            backends: backends().map(|name| &name.value).collect(),
            tables: Stores::of(&expanded.tables, expanded.stated.contains(&"table") && expanded.tables.is_empty()),
            incomplete: broken_preset || broken_backends,
            unnamed,
            offered,
        }
    }

    /// Notes a reference that leads nowhere.
    pub fn note_unknown(&self, backend: &Option<Stated<BackendName>>, mistakes: &mut Mistakes) {
        if let Some(unknown) = backend.as_ref().filter(|backend| self.lacks(&backend.value)) {
            let known = self.offered.clone();
            mistakes.push(unknown.span(), Mistake::UnknownBackend { name: unknown.value.to_string(), known });
        }
    }

    /// Whether a reference to this backend leads nowhere.
    fn lacks(&self, backend: &BackendName) -> bool {
        !self.incomplete && !self.unnamed && !self.backends.contains(backend)
    }
}

/// Notes a preset without controllers, the reverse, and a file that serves nothing.
pub fn note_preset(expanded: &Expanded, mistakes: &mut Mistakes) {
    let states = |key| expanded.stated.contains(&key);
    if let (Some(at), false) = (expanded.preset_at, states("controllers")) {
        mistakes.push(Some(at), Mistake::PresetWithoutControllers);
    }
    if let (Some(at), false) = (expanded.controllers_at, states("preset")) {
        mistakes.push(Some(at), Mistake::ControllersWithoutPreset);
    }
    let meant_some = states("preset") || states("controllers");
    let broken_list = states("frontend") && expanded.frontend_at.is_none();
    if expanded.frontends().next().is_none() && !meant_some && !broken_list {
        mistakes.push(expanded.frontend_at, Mistake::NothingToServe);
    }
}

/// Notes frontends and backends of one name.
pub fn note_duplicate_names(expanded: &Expanded, mistakes: &mut Mistakes) {
    note_twice(expanded.frontends().map(|frontend| &frontend.name), "frontends", mistakes);
    note_twice(expanded.backends().map(|backend| &backend.name), "backends", mistakes);
    note_twice(expanded.stats.iter().map(|stats| &stats.name), "stats sections", mistakes);
    note_twice(expanded.tables.iter().map(|table| &table.name), "tables", mistakes);
    note_nameless_stats(expanded, mistakes);
}

/// Notes stats sections without a name, where there are several.
fn note_nameless_stats(expanded: &Expanded, mistakes: &mut Mistakes) {
    let nameless = |stats: &&raw::Stats| stats.name.is_none() && !stats.refused.contains(&"name");
    for stats in expanded.stats.iter().filter(nameless).filter(|_| expanded.stats.len() > 1) {
        let hint = Some("add `name = \"monitor\"`".to_owned());
        let place = "this stats section".to_owned();
        mistakes.push(Some(stats.at), Mistake::MissingKey { key: "name", place, hint });
    }
}

/// Notes servers of one name in a backend, and those of one address.
pub fn note_duplicate_servers(backend: &raw::Backend, mistakes: &mut Mistakes) {
    let members = || backend.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0);
    let named_twice = note_twice(members().map(|server| &server.name), "servers", mistakes);
    let mut seen = HashMap::new();
    for address in members().filter_map(|server| server.address.as_ref()) {
        let Some(first) = first_seen(&mut seen, &address.value.endpoint, address.span()) else { continue };
        // A server without a name has its address's: that both are there twice is one mistake.
        if !named_twice.contains(&address.span()) {
            let backend = text(&backend.name).unwrap_or_default();
            let mistake = Mistake::DuplicateAddress { backend, address: address.value.written.clone() };
            mistakes.push_pair(address.span(), first, "first here", mistake);
        }
    }
}

/// Notes a backend of which no server takes sessions.
pub fn note_nobody(backend: &raw::Backend, mistakes: &mut Mistakes) {
    let mut members = backend.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0);
    let no_share = |server: &raw::Server| server.weight.as_ref().filter(|weight| weight.value.0 == 0)?.span();
    let disabled = |server: &raw::Server| server.disabled.as_ref().filter(|disabled| disabled.value)?.span();
    let Some(first) = members.next().and_then(|first| no_share(first).or_else(|| disabled(first))) else { return };
    if members.all(|server| no_share(server).or_else(|| disabled(server)).is_some()) {
        let name = text(&backend.name).unwrap_or_default();
        let at = backend.name.as_ref().and_then(Stated::span);
        mistakes.push_pair(at, Some(first), "as this one", Mistake::NobodyServes { backend: name });
    }
}

/// Notes backends without a server.
pub fn note_without_servers(expanded: &Expanded, mistakes: &mut Mistakes) {
    let is_empty = |backend: &&raw::Backend| backend.servers.as_ref().is_some_and(|servers| servers.value.0.is_empty());
    for name in expanded.backends().filter(is_empty).filter_map(|backend| backend.name.as_ref()) {
        mistakes.push(name.span(), Mistake::NoServer { backend: name.value.to_string() });
    }
}

/// Notes each name that another of the same kind already has, and says where these stand.
fn note_twice<'a, T: fmt::Display + Hash + Eq + 'a>(
    names: impl Iterator<Item = &'a Option<Stated<T>>>,
    things: &'static str,
    mistakes: &mut Mistakes,
) -> HashSet<Option<Span>> {
    let mut seen = HashMap::new();
    let mut twice = HashSet::new();
    for name in names.flatten() {
        if let Some(first) = first_seen(&mut seen, &name.value, name.span()) {
            twice.insert(name.span());
            let mistake = Mistake::DuplicateName { things, name: name.value.to_string() };
            mistakes.push_pair(name.span(), first, "first here", mistake);
        }
    }
    twice
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

/// Notes backends that nothing leads to, but only if every frontend leads somewhere: a misspelt reference isn't a second mistake.
pub fn note_unused_backends(expanded: &Expanded, known: &Known<'_>, mistakes: &mut Mistakes) {
    let leads =
        |name: &Option<Stated<BackendName>>| name.as_ref().is_some_and(|name| known.backends.contains(&name.value));
    if expanded.frontends().next().is_none() || !expanded.frontends().flat_map(references).all(leads) {
        return;
    }
    let used = expanded.frontends().flat_map(references).filter_map(|name| Some(&name.as_ref()?.value));
    let used: HashSet<&BackendName> = used.collect();
    for name in expanded.backends().filter_map(|backend| backend.name.as_ref()) {
        if !used.contains(&name.value) {
            mistakes.push(name.span(), Mistake::UnusedBackend { name: name.value.to_string() });
        }
    }
}

/// Where a frontend leads.
fn references(frontend: &raw::Frontend) -> impl Iterator<Item = &Option<Stated<BackendName>>> {
    let routes = frontend.route.iter().flat_map(|routes| &routes.value.0).map(|route| &route.value.backend);
    let own = Some(&frontend.backend).filter(|backend| backend.is_some() || frontend.route.is_none());
    own.into_iter().chain(routes)
}
