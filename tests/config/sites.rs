//! Where the process is watched over HTTP, as a haproxy.cfg and as TOML say it.

use evenkeel::config::{self, Choice};
use evenkeel::model::{Config, Serves, Stats};

const CFG: &str = include_str!("haproxy/pages.cfg");

fn haproxy(text: &str) -> Result<Config, String> {
    let parsed = config::parse_haproxy(text, "haproxy.cfg", Choice::default());
    parsed.map(|(config, _)| config).map_err(|report| report.to_string())
}

fn site<'a>(config: &'a Config, name: &str) -> &'a Stats {
    config.stats.iter().find(|site| site.name.as_str() == name).expect("a section of this name")
}

// Seen to fail with `.` taken for a name.
#[test]
fn each_section_in_mode_http_serves_what_it_says() {
    let config = haproxy(CFG).unwrap();
    let stats = site(&config, "stats");
    let page = stats.serves.page.as_ref().expect("statistics");
    assert_eq!((page.uri.as_str(), page.realm.as_str()), ("/", "Site one"));
    assert_eq!(page.refresh.map(|every| every.as_secs()), Some(5));
    let users: Vec<_> = page.users.iter().map(|(user, password)| (user.as_str(), password.0.as_str())).collect();
    assert_eq!(users, [("watcher", "a:b"), ("other", "c")]);
    assert_eq!(page.scope, ["controllers", "stats"]);
    assert_eq!(page.admin.iter().map(|condition| condition.any.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(page.hide_version && page.legends && stats.is_listen && stats.serves.ours);
    assert_eq!(stats.serves.metrics.as_deref(), Some("/metrics"), "HAProxy's, where the file is its");
    let monitor = site(&config, "monitor");
    assert_eq!((monitor.is_listen, monitor.id.0), (false, 5));
    let Serves { monitor: Some(asked), metrics: None, ours: false, page: None } = &monitor.serves else {
        panic!("{:?}", monitor.serves)
    };
    assert_eq!((asked.uri.as_str(), asked.fail.len()), ("/healthz", 1));
    assert_eq!(site(&config, "metrics").serves, Serves { metrics: Some("/m".into()), ..Serves::default() });
}

/// HAProxy gives the first number to the runtime API, where `global` has one.
#[test]
fn numbers_are_haproxys() {
    let first = |text: &str| haproxy(text).unwrap().frontends[0].id.0;
    assert_eq!(first(CFG), 2);
    assert_eq!(first(&CFG.replace("    stats timeout 30s\n", "")), 1);
}

#[test]
fn what_it_comes_to_as_toml_behaves_the_same() {
    let file = tempfile::Builder::new().suffix(".cfg").tempfile().unwrap();
    std::fs::write(file.path(), CFG).unwrap();
    let (toml, _) = config::import(file.path()).map_err(|report| report.to_string()).unwrap();
    let imported = config::parse(&toml, "evenkeel.toml").unwrap_or_else(|report| panic!("{report}\n{toml}"));
    assert_eq!(imported.stats, haproxy(CFG).unwrap().stats);
}

#[test]
fn what_can_not_be_served_is_refused_with_its_line() {
    for (old, new, expected) in [
        (
            "    monitor-uri /healthz",
            "    monitor-uri /healthz\n    default_backend controllers",
            "passes no requests on",
        ),
        ("use-service prometheus-exporter", "use-service lua.x", "no such service"),
        ("if is_metrics", "if { src 10.0.0.0/8 }", "one condition, its path"),
        ("bind 127.0.0.1:9002", "bind 127.0.0.1:9002 accept-proxy", "can't be had for a place of statistics"),
        ("stats hide-version", "stats http-request deny", "who may look is named by"),
        ("stats admin if office", "stats admin", "`stats admin` has no condition"),
        ("stats admin if office", "stats admin when office", "`when` stands where `if` or `unless` should"),
        ("stats admin if office", "stats admin if nobody", "there is no acl `nobody`"),
        ("stats admin if office", "stats admin if { path /x }", "`path` can't be asked for"),
        ("monitor fail if few", "monitor fail", "`monitor fail` has no condition"),
    ] {
        let error = haproxy(&CFG.replace(old, new)).expect_err(new);
        assert!(error.contains(expected), "{new}: {error}");
    }
}

#[test]
fn several_places_have_names_and_listeners_of_their_own() {
    let preset = "preset = \"k0s\"\ncontrollers = [\"10.10.0.2\"]\n";
    let parse =
        |sections: &str| config::parse(&format!("{preset}{sections}"), "a.toml").map_err(|report| report.to_string());
    let two =
        "[[stats]]\nname = \"a\"\nlisten = \"127.0.0.1:9000\"\n[[stats]]\nname = \"b\"\nlisten = \"127.0.0.1:9001\"\n";
    let config = parse(two).unwrap();
    assert_eq!(config.stats.iter().map(|site| site.id.0).collect::<Vec<_>>(), [8, 9]);
    for (old, new, expected) in [
        ("name = \"b\"\n", "", "no `name`"),
        ("name = \"b\"", "name = \"a\"", "two stats sections"),
        ("listen = \"127.0.0.1:9001\"\n", "", "no `listen`"),
        ("127.0.0.1:9001", "127.0.0.1:9000", "127.0.0.1:9000"),
        ("name = \"b\"", "name = \"b\"\nmonitor_fail = [\"always\"]", "no `monitor`"),
        ("name = \"b\"", "name = \"b\"\nadmin_if = [\"usable_servers c > 1\"]", "backend"),
        ("name = \"b\"", "name = \"b\"\nadmin_if = [\"sources\"]", "is no test"),
        ("name = \"b\"", "name = \"b\"\nadmin_if = []", "is empty"),
    ] {
        let error = parse(&two.replacen(old, new, 1)).expect_err(expected);
        assert!(error.contains(expected), "{new}: {error}");
    }
}
