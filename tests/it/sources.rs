//! What a frontend lets one source do, seen by clients of several addresses.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server, connect, connect_from, is_reset_from};
use crate::harness::ports;
use crate::harness::wait::until;

/// A frontend on all addresses of both families with these limits, two workers behind it.
fn limited(server: &Server, limits: &str) -> Config {
    let port = ports::free();
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Config::to(&[server.address()]).listen(&format!(":{port}"), front).frontend(limits).process("workers = 2")
}

/// A client of this address that is served.
fn served(app: &App, source: [u8; 4]) -> TcpStream {
    let mut client = connect_from(source.into(), app.front());
    client.say("hello");
    client.hears("hello");
    client
}

fn denied(app: &App) -> (u64, u64) {
    let status = app.status();
    let of = |part: &serde_json::Value| part["counts"]["denied"].as_u64().unwrap();
    (of(&status["frontends"][0]), of(&status["process"]))
}

#[test]
fn a_source_has_so_many_sessions_and_another_is_not_disturbed() {
    let server = Server::echo();
    let mut app = App::start(&limited(&server, "max_sessions_per_source = 2"));
    let first = served(&app, [127, 0, 9, 1]);
    let _second = served(&app, [127, 0, 9, 1]);
    assert!(is_reset_from([127, 0, 9, 1].into(), app.front()));
    let _other = served(&app, [127, 0, 9, 2]);
    let record = app.next_session();
    assert_eq!((&record["letters"], &record["cause"]), (&"PR".into(), &"too many sessions of this source".into()));
    assert!(record["client"].as_str().unwrap().starts_with("127.0.9.1:"), "an IPv4 client is shown as one: {record}");
    assert_eq!(denied(&app), (1, 1));
    assert_eq!(app.metric("evenkeel_frontend_denied_total", &[]), 1.0);
    drop(first);
    until("a place for another session", || (!is_reset_from([127, 0, 9, 1].into(), app.front())).then_some(()));
}

#[test]
fn a_source_begins_so_many_sessions_a_second() {
    let server = Server::echo();
    let mut app = App::start(&limited(&server, "rate_per_source = 2"));
    // As fast as it can, which is many times in a second: at some time there is no place left.
    until("a refusal", || is_reset_from([127, 0, 9, 1].into(), app.front()).then_some(()));
    drop(served(&app, [127, 0, 9, 2]));
    app.next_line("the refused one", |line| line["cause"] == "too many new sessions of this source");
    until("a place", || (!is_reset_from([127, 0, 9, 1].into(), app.front())).then_some(()));
    let (frontend, process) = denied(&app);
    assert!(frontend > 0 && frontend == process);
}

#[test]
fn who_may_come_in_is_a_matter_of_networks() {
    let server = Server::echo();
    let limits = "allow = [\"127.1.0.0/16\", \"::1\"]\ndeny = \"127.1.2.0/24\"";
    let mut app = App::start(&limited(&server, limits));
    drop(served(&app, [127, 1, 0, 1]));
    assert!(is_reset_from([127, 1, 2, 1].into(), app.front()), "denied, though allowed");
    assert!(is_reset_from([127, 2, 0, 1].into(), app.front()), "not among the allowed");
    assert_eq!(app.next_line("a refused one", |line| line["letters"] == "PR")["cause"], "denied by source");
    let mut client = connect(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], app.front().port())));
    client.say("through");
    client.hears("through");
    assert_eq!(denied(&app), (2, 2));
}

#[test]
fn many_who_are_refused_have_few_lines_and_are_counted_in_others() {
    const CLIENTS: usize = 300;
    let server = Server::echo();
    let mut app = App::start(&limited(&server, "deny = \"127.0.9.0/24\""));
    for _ in 0..CLIENTS {
        assert!(is_reset_from([127, 0, 9, 1].into(), app.front()));
    }
    assert_eq!(denied(&app), (CLIENTS as u64, CLIENTS as u64));
    let mut untold = 0;
    let told = |app: &App| app.sessions().len();
    while told(&app) + untold < CLIENTS {
        let line = app.next_line("how many more there were", |line| line["clients"].is_u64());
        untold += usize::try_from(line["clients"].as_u64().unwrap()).unwrap();
    }
    assert_eq!(told(&app) + untold, CLIENTS);
    assert!(untold > 0 && told(&app) % 10 == 0, "{untold} without a line");
}
