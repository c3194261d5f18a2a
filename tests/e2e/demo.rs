//! The demo does what the README promises, and leaves nothing behind.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::app::BINARY;
use crate::harness::program::{Program, command, run};
use crate::harness::wait::until;
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
fn the_demo_names_a_port_that_is_taken() {
    let offset = ports::free_offset(&PORTS);
    let port = 8132 + offset;
    let _holder = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut demo = Program::start(Command::new(BINARY).args(["demo", "--port-offset", &offset.to_string()]));
    assert_eq!(demo.ended().code(), Some(1));
    let told = demo.printed().join("\n");
    assert!(told.contains(&port.to_string()) && told.contains("--port-offset"), "{told}");
}
