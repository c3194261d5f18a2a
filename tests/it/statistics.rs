//! HAProxy's statistics of the same site, held against what HAProxy 3.2 itself said of it, value by value.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::app::BINARY;
use crate::harness::http;
use crate::harness::program::Program;
use crate::harness::statistics::{GOLDEN, Scene, Table, table};

/// Values that time decides: of them only whether there is one is compared.
const TIMES: [&str; 21] = [
    "lastchg",
    "downtime",
    "lastsess",
    "rate",
    "rate_max",
    "conn_rate",
    "conn_rate_max",
    "check_duration",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "qtime_max",
    "ctime_max",
    "rtime_max",
    "ttime_max",
    "req_rate",
    "req_rate_max",
    "req_tot",
    "h1req",
    "intercepted",
];

/// What evenkeel has none of, and HAProxy has a guess at.
const GUESSES: [&str; 1] = ["need_conn_est"];

/// In the lines of `mode http` sections, what those who watched have brought about.
const OF_WATCHING: [&str; 12] = [
    "scur", "smax", "stot", "bin", "bout", "conn_tot", "h1sess", "hrsp_2xx", "hrsp_4xx", "hrsp_5xx", "cli_abrt", "slim",
];

// Seen to fail with `chkdown` of a server in maintenance left empty.
#[test]
fn each_value_is_haproxys() {
    let (scene, _app, directory) = start();
    let _held = scene.play();
    let golden = fs::read_to_string(Path::new(GOLDEN).join("statistics.csv")).expect("HAProxy's own");
    let (theirs, ours) = (table(&golden), table(&scene.csv()));
    assert_eq!(differences(&theirs, &ours), Vec::<String>::new());
    drop(directory);
}

#[test]
fn each_series_is_haproxys() {
    let (scene, _app, _directory) = start();
    let _held = scene.play();
    let golden = fs::read_to_string(Path::new(GOLDEN).join("metrics.txt")).expect("HAProxy's own");
    let ours = http::get(scene.monitor, "/metrics").unwrap().body;
    let series = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("version="));
        lines.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect()
    };
    let ours = series(&ours);
    let missing: Vec<String> = series(&golden).into_iter().filter(|name| !ours.contains(name)).collect();
    let node = missing.iter().filter(|name| !name.starts_with("haproxy_process_node{"));
    assert_eq!(node.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// evenkeel with the scene's haproxy.cfg, its checks settled.
fn start() -> (Scene, Program, tempfile::TempDir) {
    let scene = Scene::set();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, scene.config()).unwrap();
    let app = Program::start(Command::new(BINARY).arg("run").arg("--config").arg(&file));
    app.wait_for("serving");
    scene.settle();
    (scene, app, directory)
}

/// Each value that differs, in words.
fn differences(theirs: &Table, ours: &Table) -> Vec<String> {
    assert!(theirs.len() > 15, "{} lines", theirs.len());
    let mut all: Vec<String> = Vec::new();
    for ((proxy, line), values) in theirs {
        let Some(own) = ours.get(&(proxy.clone(), line.clone())) else {
            all.push(format!("there is no {proxy}/{line}"));
            continue;
        };
        for (column, value) in values {
            let own = own.get(column).map_or("no such column", String::as_str);
            if !agree(column, values["mode"] == "http", value, own) {
                all.push(format!("{proxy}/{line} {column}: {value:?} of HAProxy, {own:?} of evenkeel"));
            }
        }
    }
    let more = ours.keys().filter(|line| !theirs.contains_key(*line));
    all.extend(more.map(|(proxy, line)| format!("{proxy}/{line} is evenkeel's alone")));
    all
}

fn agree(column: &str, http: bool, theirs: &str, ours: &str) -> bool {
    if TIMES.contains(&column) || GUESSES.contains(&column) || http && OF_WATCHING.contains(&column) {
        return theirs.is_empty() == ours.is_empty();
    }
    // A star says that a check is under way just now.
    theirs.trim_start_matches("* ") == ours.trim_start_matches("* ")
}
