//! Where the log goes.

use std::collections::BTreeSet;

use super::super::expand::Expanded;
use super::super::leaf::Switch;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Span, Stated};
use super::super::target::{Target, TargetType};
use super::filled;
use super::names::Known;
use crate::model::{LogPlace, LogTarget, Severities, Stats, Syslog};

/// Each target is a thread and a queue.
const MAX_TARGETS: usize = 32;

/// The targets, without those that are wrong.
pub fn resolve(raw: &raw::Log, mistakes: &mut Mistakes) -> Vec<LogTarget> {
    let stated = filled(&raw.target).0;
    note_too_many(stated.len(), raw.target.as_ref().and_then(Stated::span), mistakes);
    let mut targets: Vec<LogTarget> = Vec::new();
    let mut places: Vec<Option<Span>> = Vec::new();
    for entry in &stated {
        let Some(target) = target(&entry.value.0, mistakes) else { continue };
        match targets.iter().position(|first| first.is_same_as(&target)) {
            Some(first) => {
                let mistake = Mistake::DuplicateTarget { place: target.place.to_string() };
                mistakes.push_pair(entry.span(), places[first], "first here", mistake);
            }
            None => {
                places.push(entry.span());
                targets.push(target);
            }
        }
    }
    targets
}

/// Notes each frontend, backend or stats section with lines that a target names and that isn't there.
pub fn note_unknown_proxies(expanded: &Expanded, known: &Known<'_>, mistakes: &mut Mistakes) {
    if known.incomplete {
        return;
    }
    let frontends = expanded.frontends().filter_map(|frontend| Some(frontend.name.as_ref()?.value.to_string()));
    let backends = expanded.backends().filter_map(|backend| Some(backend.name.as_ref()?.value.to_string()));
    let logs = |stats: &&raw::Stats| stats.log.as_ref().is_some_and(|log| matches!(log.value, Switch::On(_)));
    let sites = expanded.stats.iter().filter(logs);
    let sites = sites.map(|stats| stats.name.as_ref().map_or(Stats::NAME.to_owned(), |name| name.value.to_string()));
    let names: BTreeSet<String> = frontends.chain(backends).chain(sites).collect();
    let targets = filled(&expanded.log.target).0;
    let named = targets.iter().filter_map(|target| target.value.0.proxies.as_ref()).flat_map(|names| &names.value.0);
    for unknown in named.filter(|name| !names.contains(name.value.as_str())) {
        let known = names.iter().cloned().collect();
        mistakes.push(unknown.span(), Mistake::UnknownProxy { name: unknown.value.to_string(), known });
    }
}

fn note_too_many(count: usize, at: Option<Span>, mistakes: &mut Mistakes) {
    if count > MAX_TARGETS {
        mistakes.push(
            at,
            Mistake::OutOfRange {
                key: "target".to_owned(),
                found: format!("a list of {count}"),
                low: "1".to_owned(),
                high: MAX_TARGETS.to_string(),
                or_off: false,
            },
        );
    }
}

fn target(raw: &Target, mistakes: &mut Mistakes) -> Option<LogTarget> {
    let Some(kind) = &raw.kind else {
        if !raw.stated.contains(&"type") {
            let hint = Some(r#"add `type = "syslog"` (or journald, stdout)"#.to_owned());
            let place = "this log target".to_owned();
            mistakes.push(Some(raw.at), Mistake::MissingKey { key: "type", place, hint });
        }
        return None;
    };
    note_foreign_keys(raw, kind.value, mistakes);
    // Its place is not the one that stands for what can't be read.
    if raw.refused.iter().any(|key| ["address", "socket"].contains(key)) {
        return None;
    }
    let place = match kind.value {
        TargetType::Stdout => LogPlace::Stdout,
        TargetType::Journald => LogPlace::Journald { socket: filled(&raw.socket).0, tag: filled(&raw.tag).0 },
        TargetType::Syslog => LogPlace::Syslog(Syslog {
            address: filled(&raw.address).0,
            protocol: filled(&raw.protocol),
            facility: filled(&raw.facility),
            tag: filled(&raw.tag).0,
            length: length(raw),
        }),
    };
    Some(LogTarget {
        place,
        format: filled(&raw.format),
        level: filled(&raw.level),
        lines: filled(&raw.lines),
        proxies: raw.proxies.as_ref().map(|names| names.value.0.iter().map(|name| name.value.to_string()).collect()),
        severities: Severities { least: filled(&raw.least), gravest: filled(&raw.gravest) },
    })
}

/// As receivers of its protocol take them, unless it is stated.
fn length(raw: &Target) -> usize {
    raw.length.as_ref().map_or_else(|| Syslog::usual_length(filled(&raw.protocol)), |length| length.value.0 as usize)
}

/// Notes each key that targets of another type have.
fn note_foreign_keys(raw: &Target, kind: TargetType, mistakes: &mut Mistakes) {
    for key in raw.stated.iter().filter(|key| !kind.own_keys().contains(key)) {
        let owners: Vec<&str> =
            TargetType::ALL.into_iter().filter(|kind| kind.own_keys().contains(key)).map(TargetType::name).collect();
        if !owners.is_empty() {
            let mistake = Mistake::NotOfThisTarget { key, kind: kind.name(), belongs_to: owners.join(" or ") };
            mistakes.push(place_of(raw, key), mistake);
        }
    }
}

/// Where the file states a key that not all targets have.
fn place_of(raw: &Target, key: &str) -> Option<Span> {
    let stated = match key {
        "socket" => raw.socket.as_ref().and_then(Stated::span),
        "address" => raw.address.as_ref().and_then(Stated::span),
        "protocol" => raw.protocol.as_ref().and_then(Stated::span),
        "facility" => raw.facility.as_ref().and_then(Stated::span),
        "tag" => raw.tag.as_ref().and_then(Stated::span),
        "length" => raw.length.as_ref().and_then(Stated::span),
        _ => None,
    };
    Some(stated.unwrap_or(raw.at))
}
