//! Where the process is watched over HTTP, and what is there.

use std::path::Path;

use super::super::expand::Expanded;
use super::super::leaf::Switch;
use super::super::list::List;
use super::super::mistake::{Mistake, Mistakes};
use super::super::numbers::Numbers;
use super::super::raw;
use super::super::read::Stated;
use super::access;
use super::filled;
use super::names::Known;
use super::numbers::value;
use super::routes;
use super::tables;
use super::tls;
use crate::model::{Condition, FrontendName, Monitor, RequestLog, Serves, Stats, StatsPage};

/// Those that listen anywhere. Relative paths start from `directory`.
pub fn all(
    expanded: &Expanded,
    numbers: &mut Numbers,
    known: &Known<'_>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Vec<Stats> {
    note_two_accesses(expanded, mistakes);
    for raw in &expanded.stats {
        note_monitors_needs(raw, known, mistakes);
        for when in listed(&raw.admin_if) {
            routes::note_unknown_backends(when, known, mistakes);
            tables::note_counts_of_pages(when, mistakes);
        }
    }
    let site = |raw: &raw::Stats| site(raw, numbers, directory, mistakes);
    expanded.stats.iter().filter_map(site).collect()
}

/// `None` if it is off.
fn site(raw: &raw::Stats, numbers: &mut Numbers, directory: &Path, mistakes: &mut Mistakes) -> Option<Stats> {
    let access = access::access(raw, directory, mistakes);
    let tls = tls::identity(raw, directory, mistakes);
    let id = numbers.take(value(&raw.id));
    let Some(listen) = &raw.listen else {
        if !raw.refused.contains(&"listen") {
            let hint = Some("add `listen = \"127.0.0.1:9001\"`".to_owned());
            let place = super::named("stats section", &super::text(&raw.name));
            mistakes.push(Some(raw.at), Mistake::MissingKey { key: "listen", place, hint });
        }
        return None;
    };
    let Switch::On(listen) = &listen.value else { return None };
    Some(Stats {
        id,
        name: raw.name.as_ref().map_or_else(usual_name, |name| name.value.clone()),
        listen: listen.0.iter().map(|address| address.value).collect(),
        freebind: filled(&raw.freebind),
        max_sessions: filled(&raw.max_sessions).0,
        access,
        serves: serves(raw),
        is_listen: !filled(&raw.frontend_only),
        tls,
        log: filled(&raw.log).on().map(request_log),
    })
}

fn request_log(raw: &raw::StatsLog) -> RequestLog {
    RequestLog {
        line: filled(&raw.line),
        silent_clients: filled(&raw.silent_clients),
        normal_requests: filled(&raw.normal_requests),
        asap: filled(&raw.asap),
        separate_errors: filled(&raw.separate_errors),
    }
}

fn usual_name() -> FrontendName {
    FrontendName::new(Stats::NAME).expect("it has letters only")
}

fn serves(raw: &raw::Stats) -> Serves {
    Serves {
        monitor: raw
            .monitor
            .as_ref()
            .map(|uri| Monitor { uri: uri.value.0.clone(), fail: conditions(&raw.monitor_fail) }),
        metrics: raw.metrics.as_ref().map(|path| path.value.0.clone()),
        ours: filled(&raw.own_pages),
        page: page(raw),
    }
}

fn conditions(list: &Option<Stated<List<Condition, 1>>>) -> Vec<Condition> {
    listed(list).map(|condition| condition.value.clone()).collect()
}

fn listed(list: &Option<Stated<List<Condition, 1>>>) -> impl Iterator<Item = &Stated<Condition>> {
    list.iter().flat_map(|list| &list.value.0)
}

/// Notes conditions without a monitor that they are for, and those that ask for backends that there are not.
fn note_monitors_needs(raw: &raw::Stats, known: &Known<'_>, mistakes: &mut Mistakes) {
    let Some(conditions) = &raw.monitor_fail else { return };
    if raw.monitor.is_none() && !raw.refused.contains(&"monitor") {
        let hint = Some("add `monitor = \"/healthz\"`".to_owned());
        let place = super::named("stats section", &super::text(&raw.name));
        mistakes.push(conditions.span(), Mistake::MissingKey { key: "monitor", place, hint });
    }
    for when in &conditions.value.0 {
        routes::note_unknown_backends(when, known, mistakes);
        tables::note_counts_of_pages(when, mistakes);
    }
}

/// There is one as soon as anything is said of it.
fn page(raw: &raw::Stats) -> Option<StatsPage> {
    let raw::Stats { uri, refresh, users, realm, hide_version, legends, scope, admin_if, .. } = raw;
    let is_stated = uri.is_some()
        || refresh.is_some()
        || users.is_some()
        || realm.is_some()
        || hide_version.is_some()
        || legends.is_some()
        || scope.is_some()
        || admin_if.is_some();
    if !is_stated {
        return None;
    }
    let users = users.iter().flat_map(|users| &users.value.0);
    let scope = scope.iter().flat_map(|scope| &scope.value.0);
    let uri = uri.as_ref().map_or(StatsPage::URI, |uri| &uri.value.0);
    Some(StatsPage {
        refresh: refresh.as_ref().and_then(|refresh| refresh.value.on()).map(|every| every.0),
        users: users.map(|login| (login.value.user.clone(), login.value.password.clone())).collect(),
        realm: realm.as_ref().map_or(StatsPage::REALM, |realm| &realm.value.0).to_owned(),
        hide_version: is_true(hide_version),
        legends: is_true(legends),
        scope: scope.map(|name| name.value.to_string()).collect(),
        admin: conditions(admin_if),
        ..StatsPage::at(uri)
    })
}

fn is_true(stated: &Option<Stated<bool>>) -> bool {
    stated.as_ref().is_some_and(|stated| stated.value)
}

/// Who may act is the same at all of them.
fn note_two_accesses(expanded: &Expanded, mistakes: &mut Mistakes) {
    let stated = |raw: &raw::Stats| {
        let spans = [
            raw.token_file.as_ref().and_then(Stated::span),
            raw.user.as_ref().and_then(Stated::span),
            raw.password_hash.as_ref().and_then(Stated::span),
        ];
        spans.into_iter().flatten().min()
    };
    let mut stated = expanded.stats.iter().filter_map(stated);
    if let (Some(first), Some(second)) = (stated.next(), stated.next()) {
        mistakes.push_pair(Some(second), Some(first), "first here", Mistake::TwoAccesses);
    }
}
