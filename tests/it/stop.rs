//! SIGTERM: the workers go home as soon as nobody is left.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::wait::until;

#[test]
fn with_nobody_left_it_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::echo();
        let mut app = App::start(&Config::to(&[server.address()]).process("shutdown_grace = \"60s\""));
        let mut client = app.connect();
        client.say("bye");
        client.hears("bye");
        drop(client);
        app.has_sessions(0);
        let begin = Instant::now();
        app.signal(signal);
        assert_eq!(app.ended().code(), Some(0));
        assert!(begin.elapsed() < Duration::from_secs(5), "the grace is for those who are left");
    }
}

#[test]
fn it_ends_when_the_last_session_has_ended() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).process("shutdown_grace = \"60s\""));
    let (mut client, mut served) = app.session(&server);
    client.say("hello");
    served.hears("hello");
    app.signal(Signal::TERM);
    until("the frontend refuses", || std::net::TcpStream::connect(app.front()).err());
    // The grace has only begun: a session that is in use goes on.
    served.say("the rest");
    client.hears("the rest");
    client.sends_fin();
    served.sees_fin();
    drop(served);
    let begin = Instant::now();
    assert_eq!(app.ended().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn sessions_that_stay_are_closed_within_the_grace() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("shutdown_grace = \"2s\""));
    let mut clients: Vec<_> = (0..20).map(|_| app.connect()).collect();
    for client in &mut clients {
        client.say("staying");
        client.hears("staying");
    }
    let begin = Instant::now();
    app.signal(Signal::TERM);
    assert_eq!(app.ended().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let sessions = app.sessions();
    assert_eq!(sessions.len(), 20, "each has its line");
    assert!(sessions.iter().all(|session| session["letters"] == "KD"), "{sessions:#?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("shutdown_grace = \"10m\""));
    let mut client = app.connect();
    client.say("staying");
    client.hears("staying");
    app.signal(Signal::TERM);
    until("the frontend refuses", || std::net::TcpStream::connect(app.front()).err());
    let begin = Instant::now();
    app.signal(Signal::TERM);
    app.ended();
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn during_preempt_livez_is_red_and_clients_are_still_taken() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("preempt = \"3s\""));
    assert_eq!(app.http_status("/livez"), 200);
    app.signal(Signal::TERM);
    until("livez is red", || (app.http_status("/livez") == 503).then_some(()));
    let mut client = app.connect();
    client.say("still taken");
    client.hears("still taken");
    drop(client);
    assert_eq!(app.ended().code(), Some(0));
}
