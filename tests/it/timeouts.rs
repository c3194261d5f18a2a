//! Waits have ends, each where its key says.

use std::time::Duration;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::wait::pause;

/// Starts with one timeout, goes idle in a session that has carried bytes, and gives the session's line.
fn idle_session(timeouts: &str) -> serde_json::Value {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts(timeouts));
    let mut client = app.connect();
    client.say("hello");
    client.hears("hello");
    let record = app.next_session();
    assert_eq!(record["cause"], "idle");
    record
}

#[test]
fn an_idle_client_is_let_go() {
    assert_eq!(idle_session("client = \"300ms\"")["letters"], "cD");
}

#[test]
fn an_idle_server_is_let_go() {
    assert_eq!(idle_session("server = \"300ms\"")["letters"], "sD");
}

#[test]
fn the_tunnel_timeout_replaces_the_other_two() {
    let record = idle_session("tunnel = \"300ms\"\nclient = \"1h\"\nserver = \"1h\"");
    assert_eq!(record["phase"], "data");
}

#[test]
fn a_session_that_speaks_is_not_idle() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("tunnel = \"1s\""));
    let mut client = app.connect();
    for _ in 0..6 {
        pause(Duration::from_millis(400));
        client.say("still here");
        client.hears("still here");
    }
    assert!(app.sessions().is_empty(), "more than twice its timeout has passed, never without a byte for so long");
    assert_eq!(app.next_session()["cause"], "idle");
}

#[test]
fn without_a_timeout_an_idle_session_stays() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let mut client = app.connect();
    client.say("hello");
    client.hears("hello");
    pause(Duration::from_secs(2));
    client.say("still here");
    client.hears("still here");
}

#[test]
fn a_half_closed_session_ends_when_it_falls_silent() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("half_close = \"400ms\""));
    let (mut client, mut served) = app.session(&server);
    client.say("hello");
    client.sends_fin();
    served.hears("hello");
    served.sees_fin();
    let record = app.next_session();
    assert_eq!(record["cause"], "half-closed for too long");
    // It is the server that has kept silent.
    assert_eq!(record["letters"], "sD");
}

#[test]
fn a_half_closed_session_that_still_speaks_goes_on() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("half_close = \"1s\""));
    let (mut client, mut served) = app.session(&server);
    client.sends_fin();
    served.sees_fin();
    for _ in 0..6 {
        pause(Duration::from_millis(400));
        served.say("still here");
        client.hears("still here");
    }
    served.sends_fin();
    client.sees_fin();
    assert_eq!(app.next_session()["cause"], "finished");
}
