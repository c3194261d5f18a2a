//! The stats page among clients that mean it no good.

use std::io::{ErrorKind, Read, Write};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server, connect};

/// Whether the other side has ended the connection, with or without an answer before it.
fn is_cut_off(mut client: std::net::TcpStream) -> bool {
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_request_without_end_is_cut_off() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let mut client = connect(app.stats());
    client.say("GET / HTTP/1.1\r\nHost: x\r\n");
    let endless = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let sent = (0..10_000).take_while(|_| client.write_all(endless.as_bytes()).is_ok()).count();
    assert!(sent < 10_000, "ten megabytes of headers were taken");
    assert_eq!(app.http_status("/"), 200);
}

#[test]
fn a_request_that_never_comes_is_cut_off() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let mut slow = connect(app.stats());
    slow.say("GET / HT");
    let silent = connect(app.stats());
    assert!(is_cut_off(slow), "half a request line is no reason to wait for half a minute");
    assert!(is_cut_off(silent));
}

#[test]
fn those_who_crowd_the_page_dont_keep_others_from_it() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let crowd: Vec<_> = (0..300).map(|_| connect(app.stats())).collect();
    let mut client = app.connect();
    client.say("undisturbed");
    client.hears("undisturbed");
    drop(crowd);
    crate::harness::wait::until("the page answers again", || {
        crate::harness::http::get(app.stats(), "/livez").filter(|answer| answer.status == 200)
    });
}
