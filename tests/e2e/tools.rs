//! What other tools say of evenkeel: promtool of its metrics, systemd of its unit.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::harness::app::{App, BINARY, Config};
use crate::harness::http;
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::program::{output, run};
use crate::harness::tls;
use crate::harness::wait::until;

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn promtool_accepts_the_metrics() {
    let servers = [Server::tls(&tls::server("one")), Server::tls(&tls::server("other"))];
    let check = "check = { type = \"tls\", verify = \"none\", interval = \"200ms\" }";
    let app = App::start(&Config::to(&servers.each_ref().map(Server::address)).backend(check));
    ["a", "b"].iter().for_each(|name| app.server_is(name, "ready"));
    app.connect().sends_fin();
    let (ended_well, said) = promtool(&http::get(app.stats(), "/metrics").expect("metrics").body);
    assert!(ended_well && said.is_empty(), "{said}");
    // HAProxy's own names are not to its taste, which is another matter than not being read.
    let (_, said) = promtool(&http::get(app.stats(), "/metrics/haproxy").expect("metrics").body);
    let tastes = |line: &&str| line.starts_with("haproxy_");
    assert_eq!(said.lines().filter(|line| !tastes(line)).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Whether promtool is content, and what it says.
fn promtool(metrics: &str) -> (bool, String) {
    assert!(metrics.lines().count() > 50, "{metrics}");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr) + String::from_utf8_lossy(&verdict.stdout);
    (verdict.status.success(), said.into_owned())
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_kernel_asks_quiet_peers_on_both_sides() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]));
    let (client, served) = app.session(&server);
    // The client's side first asks after 30 s, the server's after 15 s, set when the session is a second old; what `ss`
    // shows is what is left of it.
    let left = |local: SocketAddr, peer: SocketAddr| {
        let filter = format!("src {local} and dst {peer}");
        let shown = run(Command::new("ss").args(["--tcp", "--numeric", "--options", "--no-header", &filter]));
        shown.split("timer:(keepalive,").nth(1)?.split("sec").next()?.parse::<f64>().ok()
    };
    let left = |local, peer| until(&format!("keepalive from {local} to {peer}"), || left(local, peer));
    let to_client = left(app.front(), client.local_addr().unwrap());
    let to_server = left(served.peer_addr().unwrap(), server.address());
    assert!((25.0..=30.0).contains(&to_client) && (10.0..=15.0).contains(&to_server), "{to_client} {to_server}");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn systemd_accepts_the_units() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/evenkeel.service")).unwrap();
    let installed = "/usr/lib/evenkeel/evenkeel";
    assert!(unit.contains(installed), "the unit starts {installed}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.service");
    // systemd looks whether the program is there; here it is where cargo put it.
    std::fs::write(&file, unit.replace(installed, BINARY)).unwrap();
    let socket = directory.path().join("evenkeel.socket");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/evenkeel.socket"), &socket).unwrap();
    let verdict = output(Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file).arg(&socket));
    let said = String::from_utf8_lossy(&verdict.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("evenkeel")).collect();
    assert!(verdict.status.success() && ours.is_empty(), "{said}");
}
