//! Who waits where when a server is full and sessions are tied to it (`on_full = "wait"`).

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server, connect_from};
use crate::harness::wait::until;

/// One server whose queue has one place, and another one with all the room there is.
fn waiting(servers: &[Server; 2], backend: &str) -> Config {
    Config::to(&[servers[0].address(), servers[1].address()])
        .backend(backend)
        .backend("balance = \"source-map\"\ncheck = \"off\"\non_no_server = \"close\"")
        .log("null_sessions = true")
}

/// Those who wait, for any server and for the first alone.
fn waits(app: &App, count: u64) {
    until("those who wait", || {
        let backend = &app.status()["backends"][0];
        let own = &backend["servers"][0]["counts"]["queued"];
        (backend["counts"]["queued"] == count && *own == count).then_some(())
    });
}

/// A client that is tied to the first server.
fn source() -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 2)
}

// Seen to fail with a queue that is never full.
#[test]
fn a_session_waits_for_the_server_that_it_is_tied_to() {
    let servers = [Server::named("a"), Server::named("b")];
    let config = waiting(&servers, "on_full = \"wait\"").server(0, "max_sessions = 1, max_queue = 1");
    let mut app = App::start(&config);
    let connect = || connect_from(source(), app.front());
    let mut first = connect();
    first.hears("a");
    let mut second = connect();
    waits(&app, 1);
    connect().sees_fin();
    let record = app.next_session();
    assert_eq!(
        (record["letters"].as_str(), record["phase"].as_str(), record["server"].as_str()),
        (Some("SQ"), Some("queue"), Some("a"))
    );
    assert_eq!(app.server("a")["counts"]["connect_errors"], 1);
    drop(first);
    second.hears("a");
    waits(&app, 0);
}

#[test]
fn a_session_goes_to_the_next_server_unless_it_is_to_wait() {
    let servers = [Server::named("a"), Server::named("b")];
    let app = App::start(&waiting(&servers, "on_full = \"next\"").server(0, "max_sessions = 1"));
    let mut first = connect_from(source(), app.front());
    first.hears("a");
    connect_from(source(), app.front()).hears("b");
}

// Seen to fail where nobody looks at a client that waits.
#[test]
fn a_client_that_closes_without_a_word_gives_its_place_up() {
    let servers = [Server::named("a"), Server::named("b")];
    let mut app = App::start(&waiting(&servers, "on_full = \"wait\"").server(0, "max_sessions = 1"));
    let mut first = connect_from(source(), app.front());
    first.hears("a");
    let silent = connect_from(source(), app.front());
    waits(&app, 1);
    drop(silent);
    let record = app.next_session();
    assert_eq!((record["letters"].as_str(), record["phase"].as_str()), (Some("CQ"), Some("queue")));
    // One that has said what it wants may be done with talking.
    let mut half = connect_from(source(), app.front());
    half.write_all(b"hello").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    waits(&app, 1);
    drop(first);
    half.hears("a");
}

// Seen to fail with a limit that is `max_sessions` at any load.
#[test]
fn a_server_has_more_sessions_with_more_load() {
    let servers = [Server::named("a"), Server::named("b")];
    let config =
        waiting(&servers, "on_full = \"wait\"\nfull_sessions = 4").server(0, "max_sessions = 2, min_sessions = 1");
    let app = App::start(&config);
    let mut clients: Vec<_> = (0..3)
        .map(|number| {
            let client = connect_from(source(), app.front());
            until("it has come in", || (app.status()["backends"][0]["counts"]["sessions"] == number + 1).then_some(()));
            client
        })
        .collect();
    clients[0].hears("a");
    waits(&app, 2);
    clients.push(connect_from(source(), app.front()));
    clients[1].hears("a");
    waits(&app, 2);
}
