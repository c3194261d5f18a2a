//! `run --shadow`: beside the load balancer that serves, watching what it watches.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::app::{BINARY, Config};
use crate::harness::http;
use crate::harness::peers::{Manual, Server, connect};
use crate::harness::ports;
use crate::harness::program::Program;
use crate::harness::wait::until;

/// A shadow of this configuration, and where it is watched.
fn shadow(config: &Config) -> (Program, SocketAddr, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    std::fs::write(&file, config.text()).unwrap();
    let stats = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let mut command = Command::new(BINARY);
    command.args(["run", "--shadow", "--stats", &stats.to_string()]).arg(&file);
    let program = Program::start(&mut command);
    program.wait_for("\"serving\"");
    (program, stats, directory)
}

fn status(stats: SocketAddr) -> serde_json::Value {
    http::get(stats, "/api/v1/status").expect("the page answers").json()
}

// Seen to fail when the frontends are bound.
#[test]
fn a_shadow_takes_nothing_from_who_serves_and_sees_what_he_sees() {
    let server = Server::echo();
    let who_serves = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = who_serves.local_addr().unwrap();
    let his_page = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::to(&[server.address()])
        .listen(&front.to_string(), front)
        .on_stats(his_page.local_addr().unwrap())
        .backend("check = { type = \"tcp\", interval = \"200ms\", fall = 1, rise = 1 }");
    let (program, stats, _directory) = shadow(&config);
    program.wait_for("a shadow: it probes and reports, and takes no client");
    let state = |wanted: &str| {
        until(wanted, || (status(stats)["backends"][0]["servers"][0]["state"] == wanted).then_some(()));
    };
    state("ready");
    let page = http::get(stats, "/").expect("the page").body;
    assert!(page.contains("This process is a shadow (run --shadow)"), "{page}");
    // Whoever connects is his.
    let _client = connect(front);
    who_serves.accept().unwrap();
    drop(server);
    state("down");
    let events = http::get(stats, "/api/v1/events").expect("the events").body;
    assert!(events.contains("back/a is down (refused)"), "{events}");
}

#[test]
fn a_shadow_stays_one_when_it_reads_its_file_again() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]);
    let (program, stats, directory) = shadow(&config);
    let other = Config::to(&[server.address()]).at(&config).backend("slow_start = \"9s\"");
    std::fs::write(directory.path().join("evenkeel.toml"), other.text()).unwrap();
    program.signal(rustix::process::Signal::HUP);
    program.wait_for("\"reloaded\"");
    assert!(std::net::TcpStream::connect(config.front()).is_err() && http::get(config.stats(), "/livez").is_none());
    assert_eq!(status(stats)["frontends"][0]["listen"], serde_json::json!([]));
}

#[test]
fn an_admin_socket_that_is_anothers_stays_his() {
    let server = Manual::listen();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let config = Config::to(&[server.address()]).more(&format!("[admin]\nsocket = \"{}\"", socket.display()));
    let is_there = |path: &Path| std::os::unix::net::UnixStream::connect(path).is_ok();
    let free = shadow(&config);
    assert!(is_there(&socket), "nobody else has it");
    let other = shadow(&config);
    drop(other);
    assert!(is_there(&socket));
    drop(free);
    assert!(!socket.exists());
}
