//! The stats page among clients that mean it no good.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::Socket;

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

// Seen to fail without the option on the listener.
#[test]
fn a_reader_who_is_gone_holds_a_place_for_half_a_minute() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]));
    let mut client = connect(app.stats());
    client.say("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    client.hears("HTTP/1.1 200 OK");
    let own = client.local_addr().unwrap();
    let pid = app.program().pid();
    let of_the_client = |socket: &Socket| {
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        peer.is_some_and(|peer| peer.ip().to_canonical() == own.ip() && peer.port() == own.port())
    };
    let socket = sockets(pid).into_iter().find(of_the_client).expect("the app's end of the connection");
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
}

/// Duplicates of all sockets that a program has.
fn sockets(pid: u32) -> Vec<Socket> {
    let process = pidfd_open(Pid::from_raw(pid.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
    let socket = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        std::fs::read_link(entry.path()).ok().filter(|target| target.to_string_lossy().starts_with("socket:"))?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok().map(Socket::from)
    };
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(socket).collect()
}
