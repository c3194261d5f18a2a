//! Clients that another load balancer passes on, and who they are then.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server, connect_from};
use crate::harness::wait::until;

const FROM_HERE: &str = "accept_proxy = [\"127.0.0.0/8\"]";

const V1: &str = "PROXY TCP4 10.9.8.7 10.1.1.1 1234 6443\r\n";

/// The same in version 2, with an extension.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\x0a\x09\x08\x07\x0a\x01\x01\x01\x04\xd2\x19\x2b\x04\0\x04abcd";

/// Nobody else's, in version 2.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Who the next session in the log was, and how it ended.
fn client_and_letters(app: &mut App) -> (String, String) {
    let record = app.next_session();
    let text = |key: &str| record[key].as_str().unwrap().to_owned();
    (text("client"), text("letters"))
}

/// A session whose client has sent this header, and has talked with its server.
fn session_of(app: &App, server: &Manual, header: &[u8]) -> (TcpStream, TcpStream) {
    let mut client = app.connect();
    client.write_all(header).unwrap();
    client.say("question");
    let mut served = server.accept();
    served.hears("question");
    served.say("answer");
    client.hears("answer");
    (client, served)
}

// Seen to fail with a header that stays in the stream.
#[test]
fn a_session_is_the_clients_whom_its_header_names() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).frontend(FROM_HERE));
    for header in [V1.as_bytes(), V2] {
        drop(session_of(&app, &server, header));
        assert_eq!(client_and_letters(&mut app), ("10.9.8.7:1234".into(), "--".into()));
    }
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let (client, served) = session_of(&app, &server, header);
        let address = client.local_addr().unwrap().to_string();
        drop((client, served));
        assert_eq!(client_and_letters(&mut app), (address, "--".into()));
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).frontend(FROM_HERE));
    for header in [V1.as_bytes(), V2] {
        let mut client = app.connect();
        client.set_nodelay(true).unwrap();
        for byte in header {
            client.write_all(&[*byte]).unwrap();
        }
        client.say("question");
        let mut served = server.accept();
        served.hears("question");
        drop((client, served));
        assert_eq!(client_and_letters(&mut app).0, "10.9.8.7:1234");
    }
}

#[test]
fn who_is_not_trusted_is_a_client_himself() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).frontend("accept_proxy = \"127.0.0.9\""));
    let mut client = app.connect();
    let address = client.local_addr().unwrap().to_string();
    client.say(V1);
    let mut served = server.accept();
    served.hears(V1);
    drop((client, served));
    assert_eq!(client_and_letters(&mut app).0, address);
    let mut trusted = connect_from([127, 0, 0, 9].into(), app.front());
    trusted.say(V1);
    trusted.say("question");
    server.accept().hears("question");
}

#[test]
fn what_is_no_header_closes_its_client_and_is_told() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).frontend(FROM_HERE));
    for garbage in
        ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 10.9.8.7\r\n", "\r\n\r\n\0\r\nQUIT\n\u{11}\u{11}\0\u{c}xxxxxxxxxxxx"]
    {
        let mut client = app.connect();
        client.say(garbage);
        client.sees_reset();
        let record = app.next_session();
        assert_eq!((&record["letters"], &record["cause"]), (&"CR".into(), &"bad PROXY protocol header".into()));
    }
    let mut half = app.connect();
    half.say("PROXY TC");
    half.sends_fin();
    let record = app.next_session();
    assert_eq!((&record["letters"], &record["cause"]), (&"CR".into(), &"no PROXY protocol header".into()));
    assert_eq!(server.accepted(), 0);
    assert_eq!(app.status()["frontends"][0]["counts"]["request_errors"], 4);
}

#[test]
fn who_says_nothing_in_time_is_closed_and_has_no_line() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).frontend(FROM_HERE).timeouts("handshake = \"100ms\""));
    app.connect().sees_fin();
    let mut slow = app.connect();
    slow.say("PROXY TC");
    slow.sees_reset();
    let record = app.next_session();
    assert_eq!((&record["letters"], &record["cause"]), (&"cR".into(), &"no PROXY protocol header".into()));
    assert_eq!(app.sessions().len(), 1, "the silent one is nobody's business");
    assert_eq!(server.accepted(), 0);
}

#[test]
fn limits_by_source_are_the_clients_whom_a_header_names() {
    let server = Server::echo();
    let limits = format!("{FROM_HERE}\nmax_sessions_per_source = 1\ndeny = \"10.66.0.0/16\"");
    let mut app = App::start(&Config::to(&[server.address()]).frontend(&limits));
    let served = |header: &str| {
        let mut client = app.connect();
        client.say(header);
        client.say("hello");
        client.hears("hello");
        client
    };
    let first = served(V1);
    let _other = served("PROXY TCP4 10.9.8.8 10.1.1.1 1234 6443\r\n");
    let refused = |app: &App, header: &str| {
        let mut client = app.connect();
        client.say(header);
        client.sees_reset();
    };
    refused(&app, V1);
    assert_eq!(app.next_session()["cause"], "too many sessions of this source");
    refused(&app, "PROXY TCP4 10.66.0.1 10.1.1.1 1234 6443\r\n");
    assert_eq!(app.next_session()["cause"], "denied by source");
    first.shutdown(Shutdown::Both).unwrap();
    drop(first);
    assert_eq!(app.next_session()["client"], "10.9.8.7:1234");
    until("a place for another one", || {
        let mut client = app.connect();
        client.say(V1);
        client.say("hello");
        let mut answer = [0; 5];
        std::io::Read::read_exact(&mut client, &mut answer).ok()
    });
}

#[test]
fn what_follows_a_header_is_a_session_like_any_other() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).frontend(FROM_HERE));
    let (mut client, mut served) = session_of(&app, &server, V1.as_bytes());
    client.say("last words");
    client.sends_fin();
    served.hears("last words");
    served.sees_fin();
    served.say("all the same");
    client.hears("all the same");
    served.resets();
    client.sees_reset_after_fin();
    assert_eq!(client_and_letters(&mut app).1, "SD");
    let (client, mut served) = session_of(&app, &server, V2);
    client.resets();
    served.sees_reset();
    assert_eq!(client_and_letters(&mut app), ("10.9.8.7:1234".into(), "CD".into()));
}

#[test]
fn a_listener_has_its_own_word_on_headers_and_a_limit_of_its_own() {
    let server = Server::echo();
    let port = crate::harness::ports::free();
    let config = Config::to(&[server.address()]);
    let plain = config.front();
    let listen = format!(
        "listen = [\"{plain}\", {{ address = \"127.0.0.1:{port}\", accept_proxy = \"everybody\", max_sessions = 1, \
         interface = \"lo\", user_timeout = \"30s\", backlog = 16 }}]"
    );
    let text = config.text().replace(&format!("listen = \"{plain}\"\nbackend"), &format!("{listen}\nbackend"));
    assert!(text.contains("everybody"), "{text}");
    let mut app = App::start_text(&config, &text);
    let mut direct = app.connect();
    direct.say("hello");
    direct.hears("hello");
    let behind = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut passed_on = crate::harness::peers::connect(behind);
    passed_on.say(V1);
    passed_on.say("hello");
    passed_on.hears("hello");
    let mut waiting = crate::harness::peers::connect(behind);
    waiting.say(V1);
    waiting.say("hello");
    let line = app.next_line("the limit", |line| line["max_sessions"] == 1 && line["frontend"] == "front");
    assert!(line["message"].as_str().unwrap().contains(&format!("the listener 127.0.0.1:{port}")), "{line}");
    drop(passed_on);
    waiting.hears("hello");
}
