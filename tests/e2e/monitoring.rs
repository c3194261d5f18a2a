//! What people watch a load balancer with: Prometheus with alert rules and the queries of Grafana boards, collectd, and checks
//! that read the CSV by position. Those made for HAProxy, and evenkeel's own of docs/monitoring.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use self::haproxy_boards::{NO_NUMBER, OF_HAPROXY, OF_THE_EXPORTER, SELECTORS, SELECTORS_OF_THE_EXPORTER, VARIABLES};
use self::prometheus::{Job, Prometheus};
use crate::harness::app::{App, BINARY, Config};
use crate::harness::peers::{Peer, Server, connect, refusing};
use crate::harness::program::{Program, run};
use crate::harness::wait::until;
use crate::harness::{http, ports, tls};

mod board;
mod haproxy_boards;
mod prometheus;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

// ---- what is made for HAProxy ----

/// evenkeel in HAProxy's place: a haproxy.cfg with two servers that are checked, one that refuses and nobody checks, one that
/// takes one session at a time, and a frontend that turns everybody away.
struct Site {
    one: Option<Server>,
    two: Option<Server>,
    _narrow: Server,
    api: SocketAddr,
    unchecked: SocketAddr,
    narrow: SocketAddr,
    guarded: SocketAddr,
    stats: SocketAddr,
    directory: TempDir,
    app: Program,
}

impl Site {
    fn start() -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let [api, unchecked, narrow, guarded, stats] = [(); 5].map(|()| address());
        let servers = [Server::echo(), Server::echo(), Server::echo()];
        let directory = tempfile::tempdir().unwrap();
        let [one, two, small] = servers.each_ref().map(Server::address);
        let config = format!(
            "\
global
    maxconn 20
    stats socket {directory}/haproxy.sock
defaults
    mode tcp
    timeout connect 1s
    timeout queue 60s
    timeout client 60s
    timeout server 60s
    retries 1
    default-server inter 200ms fastinter 100ms downinter 200ms fall 2 rise 1
frontend api
    bind {api}
    maxconn 10
    default_backend api_backend
frontend unchecked
    bind {unchecked}
    default_backend unchecked_backend
frontend narrow
    bind {narrow}
    default_backend narrow_backend
frontend guarded
    bind {guarded}
    tcp-request connection reject if {{ src 127.0.0.0/8 }}
    default_backend api_backend
backend api_backend
    balance leastconn
    server one {one} check maxconn 5
    server two {two} check maxconn 5 weight 3
backend unchecked_backend
    server gone {gone}
backend narrow_backend
    server small {small} maxconn 1
listen stats
    bind {stats}
    mode http
    stats enable
    stats uri /
",
            directory = directory.path().display(),
            gone = refusing(),
        );
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let app = Program::start(Command::new(BINARY).arg("run").arg("--config").arg(&file));
        app.wait_for("serving");
        let [first, second, third] = servers;
        let (one, two) = (Some(first), Some(second));
        Self { one, two, _narrow: third, api, unchecked, narrow, guarded, stats, directory, app }
    }

    fn socket(&self) -> String {
        self.directory.path().join("haproxy.sock").display().to_string()
    }

    /// The exporter that is a program of its own, reading this site from there.
    fn exporter(&self, from: &str) -> (Program, SocketAddr) {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let exporter = Program::start(
            Command::new("prometheus-haproxy-exporter")
                .args([format!("--haproxy.scrape-uri={from}"), format!("--web.listen-address={listen}")]),
        );
        until("the exporter answers", || http::get(listen, "/metrics").filter(|answer| answer.status == 200));
        (exporter, listen)
    }

    /// Waits until the exporter sees the checked servers up.
    fn is_settled(&self, prometheus: &Prometheus) {
        prometheus.returns("count(haproxy_server_status{proxy=\"api_backend\",state=\"UP\"} == 1) == 2");
        prometheus.returns("count(haproxy_server_up{backend=\"api_backend\"} == 1) == 2");
    }
}

// Seen to fail with `haproxy_server_status` that says UP of a server that is down.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn alert_rules_that_people_have_for_haproxy_fire() {
    let mut site = Site::start();
    let (_exporter, exporter) = site.exporter(&format!("http://{}/;csv", site.stats));
    let jobs = [Job("haproxy", site.stats, "/metrics"), Job("exporter", exporter, "/metrics")];
    let prometheus = Prometheus::start(&jobs, include_str!("monitoring/haproxy-alerts.yml"));
    site.is_settled(&prometheus);
    assert_eq!(prometheus.firing(), Vec::<String>::new(), "all is well");
    let fire = |alerts: &[(&str, &str)]| alerts.iter().for_each(|(alert, labels)| prometheus.fires(alert, labels));

    let _held: Vec<_> = (0..9).map(|_| connect(site.api)).collect();
    let _queued: Vec<_> = (0..2).map(|_| connect(site.narrow)).collect();
    is_turned_away(site.guarded);
    is_turned_away(site.unchecked);
    fire(&[
        ("HaproxyFrontendNearlyFull", "proxy=\"api\""),
        ("HaproxyServerNearlyFull", "proxy=\"api_backend\""),
        ("HaproxyProcessNearlyFull", "job=\"haproxy\""),
        ("HaproxySessionsQueue", "proxy=\"narrow_backend\""),
        ("HaproxyDeniesConnections", "proxy=\"guarded\""),
        ("HaproxyConnectionErrors", "proxy=\"unchecked_backend\""),
        ("HaproxyRetries", "proxy=\"unchecked_backend\""),
        ("ExporterFrontendNearlyFull", "frontend=\"api\""),
    ]);

    site.one.take().expect("it runs").stop();
    let one = "proxy=\"api_backend\",server=\"one\"";
    fire(&[
        ("HaproxyServerDown", one),
        ("HaproxyServerNotUp", one),
        ("HaproxyChecksFail", one),
        ("HaproxyCheckRefused", one),
        ("HaproxyServerFlapped", one),
        ("HaproxyServersMissing", "proxy=\"api_backend\""),
        ("ExporterServerDown", "backend=\"api_backend\",server=\"one\""),
    ]);
    assert!(!prometheus.firing().contains(&"HaproxyBackendDown".to_owned()), "the other server is up");

    site.two.take().expect("it runs").stop();
    fire(&[
        ("HaproxyBackendDown", "proxy=\"api_backend\""),
        ("HaproxyHasNoAliveServers", "proxy=\"api_backend\""),
        ("HaproxyBackendWasDown", "proxy=\"api_backend\""),
        ("ExporterBackendDown", "backend=\"api_backend\""),
    ]);
    let firing = prometheus.firing();
    let about_http =
        firing.iter().filter(|alert| ["HaproxyManyServerErrors", "HaproxySlowAnswers"].contains(&alert.as_str()));
    assert_eq!(about_http.collect::<Vec<_>>(), Vec::<&String>::new(), "TCP has none of it");

    site.app.kill();
    fire(&[("HaproxyScrapeDown", "job=\"haproxy\""), ("ExporterSeesNothing", "job=\"exporter\"")]);
}

/// A client that is not served, in whichever way it is told.
fn is_turned_away(address: SocketAddr) {
    let client = connect(address);
    until("the client is turned away", || client.is_over().then_some(()));
}

// Seen to fail with NaN for what isn't counted.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn what_boards_for_haproxy_ask_is_answered() {
    let site = Site::start();
    let (_exporter, exporter) = site.exporter(&format!("unix:{}", site.socket()));
    let jobs = [Job("haproxy", site.stats, "/metrics"), Job("exporter", exporter, "/metrics")];
    let prometheus = Prometheus::start(&jobs, "groups: []");
    site.is_settled(&prometheus);
    let mut client = connect(site.api);
    client.say("hello");
    client.hears("hello");

    // Once there is a rate of anything, each series has been scraped.
    prometheus.returns("rate(haproxy_process_bytes_out_total[10s]) > 0");
    prometheus.returns("rate(haproxy_frontend_bytes_out_total{job=\"exporter\"}[10s]) > 0");

    for (label, selector) in VARIABLES {
        assert!(!prometheus.label_values(label, selector).is_empty(), "{label} of {selector}");
    }
    let instance = site.stats.to_string();
    let asked = OF_HAPROXY.iter().map(|query| filled(query, SELECTORS, &instance));
    let asked = asked.chain(OF_THE_EXPORTER.iter().map(|query| filled(query, SELECTORS_OF_THE_EXPORTER, &instance)));
    let answered = |query: &String| {
        let samples = prometheus.query(query);
        let no_number = NO_NUMBER.iter().any(|name| query.starts_with(name));
        if no_number { !samples.is_empty() } else { samples.iter().any(is_a_number) }
    };
    let unanswered: Vec<String> = asked.filter(|query| !answered(query)).collect();
    assert_eq!(unanswered, Vec::<String>::new());
}

/// A board's query with everything chosen, as Grafana sends it.
fn filled(query: &str, selectors: &[(&str, &str)], instance: &str) -> String {
    let variables = [
        ("$host", instance),
        ("$frontend", ".+"),
        ("$backend", ".+"),
        ("$server", ".+"),
        ("$code", ".+"),
        ("$interval", "10s"),
    ];
    selectors.iter().chain(&variables).fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}

fn is_a_number(sample: &Value) -> bool {
    sample["value"][1].as_str().is_some_and(|value| value.parse().is_ok_and(|value: f64| !value.is_nan()))
}

// Seen to fail with `CurrConns` under another name.
#[test]
#[ignore = "needs a package of PyPI's: tests/run installs it"]
fn collectds_plugin_reads_the_runtime_socket() {
    let site = Site::start();
    until("both servers are up", || {
        let csv = http::get(site.stats, "/;csv")?.body;
        (csv.lines().filter(|line| line.starts_with("api_backend,") && line.contains(",UP,")).count() == 3)
            .then_some(())
    });
    let _held = [connect(site.api), connect(site.api)];
    until("both sessions are counted", || {
        http::get(site.stats, "/;csv")?.body.contains("\napi,FRONTEND,,,2,").then_some(())
    });

    let printed = run(Command::new("/usr/bin/python3")
        .arg(Path::new(ROOT).join("tests/e2e/monitoring/collectd.py"))
        .arg(site.socket())
        .env("PYTHONPATH", Path::new(ROOT).join("target/python")));
    let read: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(read["complaints"], serde_json::json!([]));
    let given = read["given"].as_array().expect("a list");
    let value = |of: &str, name: &str| {
        let found = given.iter().find(|metric| metric["of"] == of && metric["name"] == name);
        let value = &found.unwrap_or_else(|| panic!("{name} of {of} in {printed}"))["value"];
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    // Of the process: as they are written.
    assert_eq!(value("haproxy", "max_connections"), "20");
    assert_eq!(value("haproxy", "current_connections"), "2");
    assert_eq!(value("haproxy", "pid"), site.app.pid().to_string());
    // Of proxies and servers: as numbers, 0 for what is empty.
    assert_eq!(value("api.FRONTEND", "current_session_count"), "2");
    assert_eq!(value("api.FRONTEND", "max_sessions"), "10");
    assert_eq!(value("api_backend.BACKEND", "active_server_count"), "2");
    assert_eq!(value("api_backend.BACKEND", "current_session_count"), "2");
    assert_eq!(value("api_backend.two", "server_weight"), "3");
    assert_eq!(value("unchecked_backend.gone", "failed_check_count"), "0");
    assert_eq!(value("api_backend.one", "http_response_5xx"), "0");
}

/// As checks for Nagios have it: name, server and status are the columns 1, 2 and 18, the type is the 33rd.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_check_reads_the_csv_by_position() {
    let mut site = Site::start();
    let columns = |which: &str| {
        let pipe = format!("curl --silent 'http://{}/;csv' | cut -d, -f{which} | grep ^api", site.stats);
        run(Command::new("sh").arg("-c").arg(pipe))
    };
    let status = |expected: &str| {
        until(&format!("the columns say {expected}"), || (columns("1,2,18") == expected).then_some(()));
    };
    status("api,FRONTEND,OPEN\napi_backend,one,UP\napi_backend,two,UP\napi_backend,BACKEND,UP\n");
    assert_eq!(
        columns("1,2,7,19,33"),
        "api,FRONTEND,10,,0\napi_backend,one,5,1,2\napi_backend,two,5,3,2\napi_backend,BACKEND,3,4,1\n"
    );
    site.one.take().expect("it runs").stop();
    status("api,FRONTEND,OPEN\napi_backend,one,DOWN\napi_backend,two,UP\napi_backend,BACKEND,UP\n");
    let over_the_socket =
        format!("echo 'show stat' | socat stdio {} | cut -d, -f1,2,18 | grep ^api_backend,one", site.socket());
    assert_eq!(run(Command::new("sh").arg("-c").arg(over_the_socket)), "api_backend,one,DOWN\n");
}

// ---- evenkeel's own ----

/// evenkeel by a file of TOML, with two controllers that speak TLS, all of whose metrics are there.
struct Own {
    one: Option<Server>,
    two: Option<Server>,
    app: App,
    config: Config,
}

impl Own {
    fn start() -> Self {
        let servers = [Server::tls(&tls::server("one")), Server::tls(&tls::server("two"))];
        let check =
            "check = { type = \"tls\", verify = \"none\", interval = \"200ms\", fast_interval = \"100ms\", rise = 1 }";
        let config = Config::to(&servers.each_ref().map(Server::address))
            .backend(check)
            .limits("max_sessions = 40")
            .frontend("max_sessions = 10");
        let app = App::start(&config);
        ["a", "b"].iter().for_each(|name| app.server_is(name, "ready"));
        let [first, second] = servers;
        Self { one: Some(first), two: Some(second), app, config }
    }

    fn job(&self) -> Job<'static> {
        Job("evenkeel", self.app.stats(), "/metrics")
    }
}

fn promtool(arguments: &str) -> String {
    run(Command::new("promtool").args(arguments.split(' ')).current_dir(Path::new(ROOT).join("docs/monitoring")))
}

// Seen to fail with a rule that asks for "ready" instead of "down", and with a `for` that is longer.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn our_alert_rules_do_what_their_tests_say() {
    let checked = promtool("check rules alerts.yml");
    assert!(checked.contains("SUCCESS: 27 rules found"), "{checked}");
    promtool("test rules alerts_test.yml");
}

// Seen to fail with a panel that asks for a metric that there is not.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn every_query_of_our_board_returns_data() {
    let mut own = Own::start();
    let prometheus = Prometheus::start(&[own.job()], "groups: []");
    own.one.take().expect("it runs").stop();
    own.app.server_is("a", "down");
    let client = own.app.connect();
    prometheus.returns("evenkeel_server_state{server=\"a\",state=\"down\"} == 1 and on () evenkeel_sessions == 1");
    prometheus.returns("rate(evenkeel_sessions_total[10s])");
    let queries = board::queries(&prometheus);
    assert!(queries.len() > 50, "{queries:?}");
    for (panel, query) in &queries {
        let samples = prometheus.query(query);
        assert!(!samples.is_empty() && samples.iter().all(is_a_number), "{panel}: {query} gives {samples:?}");
    }
    drop(client);
}

// Seen to fail with `evenkeel_backend_up` that is 1 always.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn our_alerts_fire() {
    let mut own = Own::start();
    let prometheus = Prometheus::start(&[own.job()], &at_once(include_str!("../../docs/monitoring/alerts.yml")));
    prometheus.returns("evenkeel_server_state{state=\"ready\"} == 1");
    assert_eq!(prometheus.firing(), Vec::<String>::new(), "all is well");

    own.one.take().expect("it runs").stop();
    prometheus.fires("EvenkeelServerDown", "backend=\"back\",server=\"a\"");
    prometheus.fires("EvenkeelBackendOnLastServer", "backend=\"back\"");
    own.two.take().expect("it runs").stop();
    prometheus.fires("EvenkeelBackendWithoutServer", "backend=\"back\"");
    own.app.resets_a_client();
    prometheus.fires("EvenkeelNoServerFound", "backend=\"back\"");
    own.app.refuses("listen = ");
    prometheus.fires("EvenkeelReloadRefused", "job=\"evenkeel\"");
    own.app.program().kill();
    prometheus.fires("EvenkeelUnreachable", "job=\"evenkeel\"");
}

/// The rules, for which nothing has to last: what they wait for is tried by promtool.
fn at_once(rules: &str) -> String {
    let waits = |line: &str| line.trim_start().starts_with("for: ");
    assert!(rules.lines().filter(|line| waits(line)).count() > 10);
    rules.lines().filter(|line| !waits(line)).map(|line| format!("{line}\n")).collect()
}

// Seen to fail with a backend that has counters of its own after a reload.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn no_counter_goes_down_when_the_configuration_changes() {
    let mut own = Own::start();
    let prometheus = Prometheus::start(&[own.job()], "groups: []");
    for _ in 0..4 {
        own.app.connect().sends_fin();
    }
    own.app.has_sessions(0);
    prometheus.returns("evenkeel_sessions_total == 4");
    let changed = own.config.clone().backend("balance = \"roundrobin\"").frontend("max_sessions_per_source = 9");
    own.app.reload(&changed);
    own.app.connect().sends_fin();
    prometheus.returns("evenkeel_sessions_total == 5");
    // Each under its name: what a function gives has none, and two of one server would be taken for one.
    let counters = prometheus.label_values("__name__", "{__name__=~\"evenkeel_.+_total\"}");
    assert!(counters.len() > 40, "{counters:?}");
    for counter in counters {
        assert_eq!(prometheus.query(&format!("resets({counter}[5m]) > 0")), Vec::<Value>::new(), "{counter}");
    }
}
