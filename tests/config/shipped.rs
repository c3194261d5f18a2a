//! The configurations that come with the program, held against the code.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use evenkeel::config::{self, SECTIONS};
use evenkeel::model::{Balance, Config, ListenAddress, Probe, Verify};
use serde_json::Value;

const SHIPPED: [&str; 3] = ["config/evenkeel.toml", "config/minimal.toml", "config/reference.toml"];

fn load(file: &str) -> Config {
    config::load(Path::new(file)).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

#[test]
fn each_loads_without_a_warning_and_shows_as_what_it_is() {
    for file in SHIPPED {
        let (config, warnings) = config::inspect(Path::new(file)).unwrap();
        assert!(warnings.is_empty(), "{warnings}");
        let shown = config::show(Path::new(file)).unwrap();
        assert_eq!(config::parse(&shown, "shown.toml").unwrap(), config, "{file} shows as\n{shown}");
    }
}

#[test]
fn none_has_been_forgotten() {
    let files = std::fs::read_dir("config").unwrap().map(|entry| entry.unwrap().path());
    let found: BTreeSet<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    assert_eq!(found, SHIPPED.iter().map(|file| Path::new(file).to_owned()).collect());
}

// ---- config/evenkeel.toml ----

/// What the guide's haproxy.cfg says, by hand.
#[test]
fn the_reference_configuration_says_what_the_haproxy_file_says() {
    let config = load("config/evenkeel.toml");
    let day = Some(Duration::from_secs(86_400));
    let services = [("kubeAPI", 6443), ("konnectivity", 8132), ("controllerJoinAPI", 9443)];
    let servers = [("k0s-ch-sion-1", "10.10.0.2"), ("k0s-at-vie-1", "10.10.1.2"), ("k0s-de-fra-1", "10.10.2.2")];
    assert_eq!(config.limits.max_sessions, 4000);
    assert_eq!(config.stats[0].listen, [ListenAddress::DualStack { port: 9000 }]);
    assert!(config.frontends.iter().all(|frontend| !frontend.log.null_sessions));
    assert_eq!((config.frontends.len(), config.backends.len(), config.hosts.len()), (3, 3, 3));
    for (index, (name, port)) in services.into_iter().enumerate() {
        let (frontend, backend) = (&config.frontends[index], &config.backends[index]);
        assert_eq!(frontend.name.as_str(), name);
        assert_eq!(frontend.listen, [ListenAddress::DualStack { port }.into()]);
        assert_eq!(frontend.backend, backend.name);
        assert_eq!((frontend.max_sessions, frontend.client_timeout), (Some(3000), day));
        assert_eq!(backend.name.as_str(), format!("{name}_backend"));
        assert_eq!(backend.balance, Balance::LeastConn);
        assert_eq!(backend.timeouts.connect, Duration::from_secs(10));
        assert_eq!((backend.timeouts.server, backend.timeouts.tunnel), (day, day));
        assert_eq!(backend.required, port == 6443);
        for (server, (name, address)) in backend.servers.iter().zip(servers) {
            assert_eq!(server.name.as_str(), name);
            assert_eq!(server.address.to_string(), format!("{address}:{port}"));
            assert!(matches!(&server.check.as_ref().unwrap().probe, Probe::Tls(tls) if tls.verify == Verify::None));
        }
        assert_eq!(backend.servers.len(), servers.len());
    }
}

/// As HAProxy counts: frontends 2 to 4, backends 5 to 7, the stats page last.
#[test]
fn ids_follow_the_file() {
    let config = load("config/evenkeel.toml");
    let frontends: Vec<u32> = config.frontends.iter().map(|frontend| frontend.id.0).collect();
    let backends: Vec<u32> = config.backends.iter().map(|backend| backend.id.0).collect();
    assert_eq!((frontends, backends, config.stats[0].id.0), (vec![2, 3, 4], vec![5, 6, 7], 8));
}

// ---- config/minimal.toml ----

#[test]
fn the_minimal_configuration_is_the_presets_two_lines() {
    let text = std::fs::read_to_string("config/minimal.toml").unwrap();
    assert_eq!(text.lines().count(), 2);
    let minimal = load("config/minimal.toml");
    let names: Vec<&str> = minimal.backends[0].servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["10.10.0.2", "10.10.1.2", "10.10.2.2"]);
}

// ---- config/reference.toml ----

fn reference() -> String {
    std::fs::read_to_string("config/reference.toml").unwrap()
}

/// The reference with every key that stands there at its default taken out of its comment.
fn uncommented() -> String {
    let is_key =
        |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let lines = reference();
    let lines = lines.lines().map(|line| if is_key(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_references_defaults_are_the_codes() {
    assert_ne!(uncommented(), reference());
    let stated = config::parse(&uncommented(), "config/reference.toml").unwrap_or_else(|report| panic!("{report:?}"));
    assert_eq!(stated, load("config/reference.toml"));
}

/// Keys of a check that a `tcp` one hasn't got are examples there, at the defaults of those that have them.
#[test]
fn the_references_examples_of_an_https_check_are_its_defaults() {
    let https = reference().replace("#type = \"tcp\"", "type = \"https\"").replace("# verify =", "verify =");
    let https = https.replace("#[backend.check]", "[backend.check]");
    let keys = ["alpn", "path", "accept", "draining"];
    let stated = keys.iter().fold(https.clone(), |text, key| text.replace(&format!("# {key} ="), &format!("{key} =")));
    assert_eq!(https.matches("\n# ").count() - stated.matches("\n# ").count(), keys.len());
    let parsed = |text: &str| config::parse(text, "reference.toml").unwrap_or_else(|report| panic!("{report:?}"));
    assert_eq!(parsed(&stated), parsed(&https));
}

/// The keys that a section of the reference mentions, in or out of a comment, as an assignment or a table's header.
fn mentioned(section: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut current = String::new();
    for line in reference().lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = header.trim_start_matches('[').to_owned();
            let (parent, key) = current.rsplit_once('.').unwrap_or(("", &current));
            if parent == section {
                keys.insert(key.to_owned());
            }
        } else if let Some((key, _)) = line.split_once(" = ") {
            let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_key && current == section {
                keys.insert(key.to_owned());
            }
        }
    }
    keys
}

#[test]
fn the_reference_has_every_key_that_the_code_knows_and_no_other() {
    for (section, keys) in SECTIONS {
        let known: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(mentioned(section), known, "section [{section}]");
    }
}

// ---- config/schema.json ----

/// Where the schema has a section's properties.
fn properties<'a>(schema: &'a Value, section: &str) -> &'a serde_json::Map<String, Value> {
    let pointer = match section {
        "" => "/properties".to_owned(),
        "frontend" | "backend" | "stats" => format!("/$defs/{section}/properties"),
        "stats.tls" => "/$defs/stats/properties/tls/properties".to_owned(),
        "frontend.timeouts" => "/$defs/frontend/properties/timeouts/properties".to_owned(),
        "frontend.log" => "/$defs/frontend/properties/log/properties".to_owned(),
        "backend.timeouts" => "/$defs/backend/properties/timeouts/properties".to_owned(),
        "frontend.client_keepalive" | "backend.server_keepalive" => "/$defs/keepalive/properties".to_owned(),
        "backend.check" => "/$defs/check/properties".to_owned(),
        "backend.servers" => "/$defs/server/properties".to_owned(),
        "frontend.listen" => "/$defs/door/properties".to_owned(),
        "frontend.rule" => "/$defs/rule/properties".to_owned(),
        "runtime" => "/properties/runtime/items/properties".to_owned(),
        "table" => "/properties/table/items/properties".to_owned(),
        "backend.servers.observe" => "/$defs/server/properties/observe/anyOf/1/properties".to_owned(),
        "backend.servers.agent" => "/$defs/server/properties/agent/anyOf/1/properties".to_owned(),
        "frontend.route" => "/$defs/route/properties".to_owned(),
        "stats.log" => "/$defs/stats/properties/log/anyOf/1/properties".to_owned(),
        "log.target" => "/$defs/log_target/anyOf/1/properties".to_owned(),
        top => format!("/properties/{top}/properties"),
    };
    schema.pointer(&pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("no {pointer}"))
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string("config/schema.json").unwrap()).unwrap()
}

#[test]
fn the_schema_has_every_key_that_the_code_knows_and_no_other() {
    let schema = schema();
    for (section, keys) in SECTIONS {
        let known: BTreeSet<&str> = keys.iter().copied().collect();
        let described: BTreeSet<&str> = properties(&schema, section).keys().map(String::as_str).collect();
        assert_eq!(described, known, "section [{section}]");
    }
}

#[test]
fn the_schemas_defaults_are_the_references() {
    let text = ["alpn", "path", "accept", "draining"]
        .iter()
        .fold(uncommented(), |text, key| text.replace(&format!("# {key} ="), &format!("{key} =")));
    let reference: Value = toml::from_str(&text).unwrap();
    let schema = schema();
    let mut compared = 0;
    for (section, _) in SECTIONS {
        for (key, property) in properties(&schema, section) {
            let Some(default) = property.get("default") else { continue };
            let place = section.split('.').chain([key.as_str()]).filter(|part| !part.is_empty());
            let stated = place.fold(&reference, |value, part| {
                let table = value.as_array().map_or(value, |list| &list[0]);
                table.get(part).unwrap_or(&Value::Null)
            });
            assert_eq!(stated, default, "[{section}] {key}");
            compared += 1;
        }
    }
    assert!(compared > 40, "only {compared} defaults compared");
}

// ---- docs/configuration.md ----

/// The keys in the table below a heading.
fn documented(section: &str) -> BTreeSet<String> {
    let heading = match section {
        "" => "The file".to_owned(),
        "frontend.client_keepalive" | "backend.server_keepalive" => "Keepalives".to_owned(),
        "frontend" | "frontend.listen" | "frontend.rule" | "frontend.route" | "backend" | "backend.servers"
        | "log.target" | "runtime" | "table" => format!("`[[{section}]]`"),
        section => format!("`[{section}]`"),
    };
    let text = std::fs::read_to_string("docs/configuration.md").unwrap();
    let mut lines = text.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading);
    assert!(lines.next().is_some(), "no heading {heading}");
    let table = lines.take_while(|line| !line.starts_with('#'));
    table.filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect()
}

#[test]
fn the_documentation_has_every_key_that_the_code_knows_and_no_other() {
    for (section, keys) in SECTIONS {
        let known: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(documented(section), known, "section [{section}]");
    }
}

#[test]
fn what_the_documentation_shows_loads() {
    for page in ["README.md", "docs/configuration.md", "docs/checks.md", "docs/logging.md", "docs/runtime-api.md"] {
        let text = std::fs::read_to_string(page).unwrap();
        let examples: Vec<&str> =
            text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!examples.is_empty(), "{page} shows no configuration");
        for example in examples {
            // Where a token and an authority are, as examples name them.
            config::parse(example, "tests/config/example.toml")
                .unwrap_or_else(|report| panic!("{}", report.render(false)));
        }
    }
}
