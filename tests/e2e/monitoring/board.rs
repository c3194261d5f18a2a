//! The Grafana board of docs/monitoring, read as Grafana reads it: its variables, and the queries with them filled in.

use std::fs;

use serde_json::Value;

use super::prometheus::Prometheus;
use crate::harness::wait::until;

const BOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring/grafana.json");

/// What Grafana makes of `$__rate_interval` with a scrape each second: four scrapes at the least, and some more here.
const RATE_INTERVAL: &str = "10s";

/// All queries of the panels and annotations, each with what it is for.
pub fn queries(prometheus: &Prometheus) -> Vec<(String, String)> {
    let board: Value = serde_json::from_str(&fs::read_to_string(BOARD).unwrap()).expect("the board is JSON");
    let filled = |expression: &Value, variables: &[(String, String)]| {
        variables.iter().fold(expression.as_str().expect("a query").to_owned(), |text, (name, value)| {
            text.replace(&format!("${name}"), value)
        })
    };
    let mut variables = vec![("__rate_interval".to_owned(), RATE_INTERVAL.to_owned())];
    for variable in list(&board["templating"]).iter().filter(|variable| variable["type"] == "query") {
        let definition = filled(&variable["query"]["query"], &variables);
        variables.push((name_of(variable, "name"), value_of(&definition, prometheus)));
    }
    assert_eq!(variables.len(), 5, "job, instance, frontend and backend, too");

    let panels = board["panels"].as_array().unwrap();
    let of_panels = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (name_of(panel, "title"), filled(&target["expr"], &variables)))
    });
    let annotations = list(&board["annotations"]);
    let of_annotations = annotations.iter().map(|it| (name_of(it, "name"), filled(&it["target"]["expr"], &variables)));
    of_panels.chain(of_annotations).collect()
}

/// All that `label_values(SELECTOR, LABEL)` finds, as a variable with all chosen stands in a regular expression.
fn value_of(definition: &str, prometheus: &Prometheus) -> String {
    let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values(SELECTOR, LABEL)");
    let values = until(&format!("values for {definition}"), || {
        Some(prometheus.label_values(label, selector)).filter(|values| !values.is_empty())
    });
    // A backslash stands for itself within the quotes of a query only if it is there twice.
    values.iter().map(|value| value.replace('.', "\\\\.")).collect::<Vec<_>>().join("|")
}

fn list(part: &Value) -> &Vec<Value> {
    part["list"].as_array().expect("a list")
}

fn name_of(part: &Value, key: &str) -> String {
    part[key].as_str().expect("a name").to_owned()
}
