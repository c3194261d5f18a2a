//! The stats listener's door: what strangers see, logging in, and HTTPS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::harness::admin::{ACTION, post_to};
use crate::harness::app::{App, BINARY, Config};
use crate::harness::http::{self, Response};
use crate::harness::peers::{Peer, Server, connect};
use crate::harness::tls;

/// Said by a proxy on this host of those whom it passes on.
const STRANGER: &str = "X-Forwarded-For: 192.0.2.7\r\n";

/// `GET path` with these headers, each with its line's end.
fn get(stats: SocketAddr, path: &str, headers: &str) -> Response {
    let mut stream = connect(stats);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {stats}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parsed(&answer)
}

fn parsed(answer: &str) -> Response {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, head: head.to_owned(), body: body.to_owned() }
}

/// The value of a header of an answer.
fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = |line: &'a str| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name));
    answer.head.lines().find_map(value).map_or("", |(_, value)| value)
}

fn form(stats: SocketAddr, path: &str, headers: &str, body: &str) -> Response {
    post_to(stats, path, &format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}"), body)
}

#[test]
fn strangers_see_how_things_are_and_who_logs_in_sees_and_does_everything() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let server = Server::echo();
    let config = Config::to(&[server.address()]).stats_lines(&format!("token_file = \"{}\"", token.display()));
    let mut app = App::start(&config);
    let stats = app.stats();
    let mut client = app.connect();
    client.say("x");
    client.hears("x");
    for (path, status) in [
        ("/", 200),
        ("/metrics", 200),
        ("/;csv", 200),
        ("/api/v1/status", 200),
        ("/api/v1/sessions", 401),
        ("/api/v1/events", 401),
    ] {
        let seen = get(stats, path, STRANGER);
        assert_eq!(seen.status, status, "{path}: {}", seen.body);
        let own = client.local_addr().unwrap().to_string();
        assert!(!seen.body.contains(&own), "{path} shows a client");
        assert_eq!(get(stats, path, "").status, 200, "{path}, for who is here");
    }

    let wrong = form(stats, "/login", STRANGER, "token=other");
    assert_eq!((wrong.status, header(&wrong, "set-cookie")), (401, ""));
    let line = app.next_line("the refusal", |line| line["message"].as_str().is_some_and(|text| text.contains("login")));
    assert!(line["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert_eq!(form(stats, "/login", "Origin: http://evil.example\r\n", "token=s3cret").status, 403);

    let entered = form(stats, "/login", STRANGER, "token=s3cret&next=%2Fapi%2Fv1%2Fevents");
    assert_eq!((entered.status, header(&entered, "location")), (303, "/api/v1/events"));
    let cookie = header(&entered, "set-cookie").split(';').next().unwrap();
    let known = format!("{STRANGER}Cookie: {cookie}\r\n");
    assert!(get(stats, "/api/v1/sessions", &known).body.contains(&client.local_addr().unwrap().to_string()));
    let drain = |more: &str| {
        post_to(stats, "/api/v1/servers/back/a/state", &format!("{ACTION}{known}{more}"), r#"{"state":"drain"}"#)
    };
    assert_eq!(drain("Origin: http://evil.example\r\n").status, 403);
    assert_eq!(drain("Sec-Fetch-Site: cross-site\r\n").status, 403);
    assert_eq!(app.server("a")["state"], "ready");
    assert_eq!(drain("Sec-Fetch-Site: same-origin\r\n").status, 200);
    let line = app.next_line("the action", |line| line["action"] == "state");
    assert!(line["by"].as_str().unwrap().starts_with("the token's holder at 127.0.0.1:"), "{line}");

    assert_eq!(form(stats, "/logout", &known, "x=").status, 303);
    assert_eq!(get(stats, "/api/v1/sessions", &known).status, 401);
}

/// A configuration whose page speaks TLS with what is in this directory.
fn secure(config: Config, directory: &Path) -> Config {
    let file = |name: &str| directory.join(name).display().to_string();
    config.stats_lines(&format!("tls = {{ certificate = '{}', key = '{}' }}", file("page.crt"), file("page.key")))
}

fn write_certificate(directory: &Path, name: &str) {
    let (certificate, key) = tls::pem(name);
    std::fs::write(directory.join("page.crt"), certificate).unwrap();
    std::fs::write(directory.join("page.key"), key).unwrap();
}

/// Asks `/livez` on a connection that stays.
fn is_alive(stream: &mut (impl Read + Write)) -> bool {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: lb\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(length @ 1..) => answer.extend_from_slice(&chunk[..length]),
            _ => return false,
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

/// What is shown in a handshake.
fn shown(stream: &rustls::StreamOwned<rustls::ClientConnection, TcpStream>) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn https_is_served_and_a_reload_exchanges_the_certificate_under_those_who_are_there() {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path(), "first");
    let server = Server::echo();
    let config = secure(Config::to(&[server.address()]), directory.path());
    let mut app = App::start(&config);
    let mut held = tls::connect(app.stats());
    assert!(is_alive(&mut held));
    assert_eq!(held.conn.alpn_protocol(), None, "nobody has asked for one");
    let first = shown(&held);

    write_certificate(directory.path(), "second");
    assert!(is_alive(&mut held));
    app.reload(&config);
    assert!(is_alive(&mut held), "who is connected stays so");
    let mut next = tls::connect(app.stats());
    assert!(is_alive(&mut next));
    assert_ne!(shown(&next), first);

    // A key of another certificate refuses the whole reload.
    std::fs::write(directory.path().join("page.key"), tls::pem("third").1).unwrap();
    let mistakes = app.refuses_what_is_there();
    assert!(mistakes.iter().any(|line| line.contains("it is not the certificate's key")), "{mistakes:?}");
    assert!(is_alive(&mut tls::connect(app.stats())));
}

#[test]
fn plain_http_is_told_where_to_go_and_healthz_finds_its_way() {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path(), "page");
    let server = Server::echo();
    let app = App::start(&secure(Config::to(&[server.address()]), directory.path()));
    let answer = http::get(app.stats(), "/").unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, format!("this port speaks TLS: ask https://{}\n", app.stats()));
    for (url, code) in [(format!("https://{}", app.stats()), 0), (format!("http://{}", app.stats()), 1)] {
        let healthz = Command::new(BINARY).args(["healthz", "--url", &url]).output().unwrap();
        assert_eq!(healthz.status.code(), Some(code), "{url}: {}", String::from_utf8_lossy(&healthz.stderr));
    }
    // Half a handshake is nobody's business but its own.
    let mut half = connect(app.stats());
    half.write_all(&[22, 3, 1]).unwrap();
    let mut closed = Vec::new();
    let mut meanwhile = tls::connect(app.stats());
    assert!(is_alive(&mut meanwhile));
    let _reset = half.read_to_end(&mut closed);
    assert!(!closed.starts_with(b"HTTP"), "{closed:?}");
}
