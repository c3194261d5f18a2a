//! SIGTERM: the workers go home as soon as nobody is left.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::wait::{pause, until};

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

/// Two sessions, the first of them the longer idle, in a process that has just been told to stop.
fn stopping(server: &Manual) -> (App, [(TcpStream, TcpStream); 2]) {
    let mut app = App::start(&Config::to(&[server.address()]).process("shutdown_grace = \"60s\""));
    let session = || {
        let (mut client, mut served) = app.session(server);
        client.say("hello");
        served.hears("hello");
        (client, served)
    };
    let idle = session();
    // By so much it is the longer idle, beyond what any clock could round off.
    pause(Duration::from_millis(600));
    let sessions = [idle, session()];
    app.signal(Signal::TERM);
    app.next_line("that it stops", |line| line["message"].as_str().is_some_and(|text| text.contains("no longer")));
    (app, sessions)
}

#[test]
fn a_process_that_stops_refuses_new_clients() {
    let server = Manual::listen();
    let (app, _sessions) = stopping(&server);
    // From the line on that says so, not some time later.
    let error = TcpStream::connect(app.front()).expect_err("nobody accepts any more");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn the_idlest_session_is_closed_first_and_the_process_ends_with_the_last() {
    let server = Manual::listen();
    let (mut app, [(mut idle, _idle_served), (mut busy, mut served)]) = stopping(&server);
    idle.sees_fin();
    // Its turn comes in half a minute: until then a session goes on.
    served.say("the rest");
    busy.hears("the rest");
    busy.sends_fin();
    served.sees_fin();
    drop(served);
    let begin = Instant::now();
    assert_eq!(app.ended().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
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
    assert!(sessions.iter().all(|session| session["letters"] == "KC"), "{sessions:#?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Manual::listen();
    let (mut app, [(mut idle, _idle_served), _busy]) = stopping(&server);
    idle.sees_fin();
    let begin = Instant::now();
    app.signal(Signal::INT);
    app.ended();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
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
