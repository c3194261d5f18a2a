//! The board and the alert rules of docs/monitoring ask for what is exported, in the way that it is meant to be asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::encode;
use crate::event::{Predecessor, Snapshot, fixture};

const BOARD: &str = "monitoring/grafana.json";
const ALERTS: &str = "monitoring/alerts.yml";
const ALERTS_TEST: &str = "monitoring/alerts_test.yml";
const PAGE: &str = "monitoring.md";

/// What Prometheus adds to each series.
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];
/// Labels whose values are words of evenkeel's, rather than names of the configuration's.
const OF_WORDS: [&str; 3] = ["state", "cause", "status"];

/// A family as it is exported: whether it counts, and the values of each label.
#[derive(Default)]
struct Family {
    counts: bool,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// A metric that an expression asks for.
#[derive(Debug)]
struct Selector<'a> {
    /// The word before it.
    before: &'a str,
    name: &'a str,
    /// Label, operator and value.
    matchers: Vec<(&'a str, &'a str, &'a str)>,
}

// Seen to fail with an alert for `evenkeel_backend_down`, and with a state "readyy" in the board.
#[test]
fn what_is_asked_for_is_exported() {
    let families = families(&encode(&everything()));
    let texts = [expressions(), vec![document(ALERTS), document(ALERTS_TEST)]].concat();
    let mut asked = BTreeSet::new();
    for selector in texts.iter().flat_map(|text| selectors(text)) {
        let Selector { name, ref matchers, .. } = selector;
        let family = families.get(name).unwrap_or_else(|| panic!("{selector:?}: there is no such metric"));
        for (label, operator, value) in matchers {
            if OF_THE_SCRAPE.contains(label) {
                continue;
            }
            let values = family.labels.get(*label).unwrap_or_else(|| panic!("{selector:?}: there is no label {label}"));
            let holds = |word: &String| match *operator {
                "=~" => Regex::new(&format!("^(?:{value})$")).unwrap().is_match(word),
                _ => word == value,
            };
            assert!(
                !OF_WORDS.contains(label) || values.iter().any(holds),
                "{selector:?}: {label} is one of {values:?}"
            );
        }
        asked.insert(name);
    }
    assert!(asked.len() > 40, "{asked:?}");
}

// Seen to fail with a panel of `evenkeel_events_total` itself.
#[test]
fn counters_and_only_they_are_asked_for_their_increase() {
    let families = families(&encode(&everything()));
    let texts = [expressions(), vec![document(ALERTS)]].concat();
    for selector in texts.iter().flat_map(|text| selectors(text)) {
        let increase = selector.before.ends_with("rate(") || selector.before.ends_with("increase(");
        assert_eq!(families[selector.name].counts, increase, "{selector:?}");
    }
}

// Seen to fail with an alert that only alerts.yml has.
#[test]
fn each_alert_is_tried_and_documented() {
    let [rules, tests, page] = [ALERTS, ALERTS_TEST, PAGE].map(document);
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    for alert in &alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "alerts_test.yml doesn't try {alert}");
        assert!(page.contains(&format!("| `{alert}` |")), "docs/monitoring.md doesn't have {alert}");
    }
    for word in ["summary: ", "description: ", "severity: "] {
        assert_eq!(
            rules.lines().filter(|line| line.trim().starts_with(word)).count(),
            alerts.len(),
            "each has a {word}"
        );
    }
}

// Seen to fail with two panels of one id, and with one that is moved onto its neighbour.
#[test]
fn the_board_can_be_laid_out() {
    let board = board();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let title = &panel["title"];
        assert!(place("x") + place("w") <= 24, "{title} is wider than the board");
        for cell in (place("x")..place("x") + place("w")).flat_map(|x| (0..place("h")).map(move |y| (x, y))) {
            assert!(taken.insert((cell.0, place("y") + cell.1)), "{title} lies on another panel");
        }
        let references: Vec<_> =
            panel["targets"].as_array().into_iter().flatten().map(|target| &target["refId"]).collect();
        let distinct: BTreeSet<_> = references.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), references.len(), "{title}");
        assert!(panel["type"] == "row" || panel["datasource"]["uid"] == "${datasource}", "{title}");
    }
    assert_eq!(board["uid"], "evenkeel");
}

/// A snapshot that leaves no family out.
fn everything() -> Snapshot {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(fixture::CONTROLLERS[1]);
    let replaced = fixture::now() - Duration::from_secs(60);
    snapshot.process.predecessors.push(Predecessor { pid: 4700, version: "0.1.0".into(), replaced, sessions: 3 });
    snapshot.backends[0].servers[0].max_sessions = Some(500);
    snapshot.backends[0].servers[0].check.as_mut().unwrap().last.as_mut().unwrap().code = Some(200);
    snapshot
}

fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            families.entry(name.to_owned()).or_default().counts = kind == "counter";
        }
    }
    for selector in text.lines().filter(|line| !line.starts_with('#')).flat_map(selectors) {
        let family = families.get_mut(selector.name).expect("a series of a family");
        for (label, _, value) in selector.matchers {
            family.labels.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    families
}

fn board() -> Value {
    serde_json::from_str(&document(BOARD)).expect("the board is JSON")
}

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// All expressions of the board: of panels, variables and annotations.
fn expressions() -> Vec<String> {
    fn gather(part: &Value, into: &mut Vec<String>) {
        match part {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| match value {
                Value::String(text) if key == "expr" || key == "query" => into.push(text.clone()),
                _ => gather(value, into),
            }),
            Value::Array(parts) => parts.iter().for_each(|part| gather(part, into)),
            _ => {}
        }
    }
    let mut expressions = Vec::new();
    gather(&board(), &mut expressions);
    expressions
}

/// The metrics of evenkeel's in a text, each with what it is narrowed by.
fn selectors(text: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("evenkeel_") {
        let (before, rest) = text.split_at(start);
        let before = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let within = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        found.push(Selector { before, name, matchers: within.map(|(within, _)| matchers(within)).unwrap_or_default() });
    }
    found
}

/// Splits `a="b",c=~"d"`. No name or word has a comma in it.
fn matchers(text: &str) -> Vec<(&str, &str, &str)> {
    let each = text.split(',').map(str::trim).filter(|matcher| !matcher.is_empty());
    each.map(|matcher| {
        let (label, rest) = matcher.split_at(matcher.find(['=', '!']).expect("an operator"));
        let (operator, value) = rest.split_at(rest.find(|c| !"=!~".contains(c)).expect("a value"));
        (label, operator, value.trim_matches('"'))
    })
    .collect()
}
