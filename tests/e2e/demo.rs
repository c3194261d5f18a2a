//! The demo does what the README promises, and leaves nothing behind.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::app::BINARY;
use crate::harness::program::{Program, command, run};
use crate::harness::wait::{until, until_within};
use crate::harness::{http, ports, sockets};

const PORTS: [u16; 4] = [6443, 8132, 9443, 9000];

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_demo_serves_and_ends_cleanly() {
    let offset = ports::free_offset(&PORTS);
    let mut demo = Program::start(Command::new(BINARY).args(["demo", "--port-offset", &offset.to_string()]));
    let stats = SocketAddr::from(([127, 0, 0, 1], 9000 + offset));
    until("the demo is ready", || http::get(stats, "/readyz").filter(|answer| answer.status == 200));
    for host in ["127.0.0.1", "[::1]"] {
        let url = format!("https://{host}:{}/readyz", 6443 + offset);
        let answer = run(&mut command(&format!("curl --silent --show-error --fail --insecure --max-time 20 {url}")));
        assert_eq!(answer.trim(), "ok");
    }
    let page = http::get(stats, "/").expect("the page").body;
    assert!(page.contains("kubeAPI_backend") && page.contains("konnectivity"), "{page}");
    let told = demo.printed().join("\n");
    assert!(told.contains(&format!("{}", 9000 + offset)), "it says what to open: {told}");
    demo.signal(Signal::INT);
    assert_eq!(demo.ended().code(), Some(0), "{:#?}", demo.printed());
    let listening = |port: u16| sockets::tcp(None).iter().any(|s| s.state == "LISTEN" && s.local.port() == port);
    assert!(PORTS.iter().all(|port| !listening(port + offset)), "nothing is left listening");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn in_the_demo_a_controller_fails_and_returns() {
    let offset = ports::free_offset(&PORTS);
    let _demo = Program::start(Command::new(BINARY).args(["demo", "--port-offset", &offset.to_string()]));
    let stats = SocketAddr::from(([127, 0, 0, 1], 9000 + offset));
    let status = || Some(http::get(stats, "/api/v1/status")?.json());
    let down = |status: &Value| status["backends"][0]["servers"].as_array().unwrap().iter().filter(is_down).count();
    until("the load is there", || status().filter(|status| status["process"]["counts"]["sessions"] != 0));
    until_within(Duration::from_secs(60), "a controller fails", || status().filter(|status| down(status) == 1));
    until_within(Duration::from_secs(60), "it returns", || status().filter(|status| down(status) == 0));
}

fn is_down(server: &&Value) -> bool {
    server["state"] == "down"
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_demo_names_a_port_that_is_taken() {
    let offset = ports::free_offset(&PORTS);
    let port = 8132 + offset;
    let _holder = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut demo = Program::start(Command::new(BINARY).args(["demo", "--port-offset", &offset.to_string()]));
    assert_eq!(demo.ended().code(), Some(1));
    let told = demo.printed().join("\n");
    assert!(told.contains(&port.to_string()) && told.contains("--port-offset"), "{told}");
}
