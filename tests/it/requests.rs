//! Requests to the `mode http` sections of a haproxy.cfg: HAProxy's answers, and HAProxy's lines of them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use crate::harness::app::BINARY;
use crate::harness::peers::connect;
use crate::harness::ports;
use crate::harness::program::Program;
use crate::harness::wait::{PATIENCE, until};

/// evenkeel with three such sections, and who receives their lines.
struct Site {
    stats: SocketAddr,
    plain: SocketAddr,
    quiet: SocketAddr,
    log: UdpSocket,
    _app: Program,
    _directory: tempfile::TempDir,
}

impl Site {
    fn start() -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let (stats, plain, quiet, sessions) = (address(), address(), address(), address());
        let log = UdpSocket::bind("127.0.0.1:0").unwrap();
        log.set_read_timeout(Some(PATIENCE)).unwrap();
        let receiver = log.local_addr().unwrap();
        let text = format!(
            "\
global
    log {receiver} local0
defaults
    mode http
    log global
    timeout client 10s
listen stats
    bind {stats}
    option httplog
    monitor-uri /healthz
    stats enable
    stats uri /stats
    stats auth watcher:secret
    http-request use-service prometheus-exporter if {{ path /metrics }}
frontend plain
    bind {plain}
    stats enable
    stats uri /
frontend quiet
    bind {quiet}
    option httplog
    option dontlognull
    option dontlog-normal
    option log-separate-errors
    stats enable
    stats uri /stats
listen sessions
    bind {sessions}
    mode tcp
    server nobody 192.0.2.1:6443
"
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let app = Program::start(Command::new(BINARY).arg("run").arg("--config").arg(&file));
        // Of one that comes to the quiet section and goes there is no line.
        until("it listens", || TcpStream::connect(quiet).ok());
        Self { stats, plain, quiet, log, _app: app, _directory: directory }
    }

    /// The next line: its priority, and what stands behind its date.
    fn next_line(&self) -> (String, String) {
        let mut datagram = [0; 2048];
        let length = self.log.recv(&mut datagram).expect("a line");
        let line = String::from_utf8_lossy(&datagram[..length]).trim_end().to_owned();
        let (priority, rest) = line.split_once('>').expect("a priority");
        let said = rest.split_once("]: ").expect("a tag").1;
        let said = said.split_once("] ").map_or(said, |(_, behind)| behind);
        (priority.trim_start_matches('<').to_owned(), said.to_owned())
    }
}

/// A whole answer.
fn ask(at: SocketAddr, request: &str) -> String {
    let mut stream = connect(at);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// HAProxy 3.2.26's line without the time that it took and the bytes of what has figures in it.
fn without_figures(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    let zeros = words[2].rsplit_once('/').expect("times").0.to_owned();
    words[2] = &zeros;
    if words[1].ends_with("/<STATS>") || words[1].ends_with("/<PROMEX>") {
        words.remove(4);
    }
    words.join(" ")
}

// Seen to fail with a monitor that has a line, and with answers in the client's version.
#[test]
fn requests_have_haproxys_answers_and_its_lines() {
    let site = Site::start();
    let get = |path: &str, more: &str| ask(site.stats, &format!("GET {path} HTTP/1.0\r\nHost: lb\r\n{more}\r\n"));
    const LOGIN: &str = "Authorization: Basic d2F0Y2hlcjpzZWNyZXQ=\r\n";
    assert_eq!(
        get("/healthz", ""),
        "HTTP/1.1 200 OK\r\ncontent-length: 58\r\ncache-control: no-cache\r\ncontent-type: text/html\r\nconnection: \
         close\r\n\r\n<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n"
    );
    assert!(get("/stats;csv", LOGIN).contains("\r\n\r\n# pxname,svname,"));
    let (priority, csv) = site.next_line();
    assert_eq!(priority, "134", "the monitor has no line");
    let csv = without_figures(&csv);
    assert_eq!(csv, "stats stats/<STATS> 0/0/0/0 200 - - LR-- 1/1/0/0/0 0/0 \"GET /stats;csv HTTP/1.0\"");
    get("/metrics", "");
    let metrics = without_figures(&site.next_line().1);
    assert_eq!(metrics, "stats stats/<PROMEX> 0/0/0/0 200 - - LR-- 1/1/0/0/0 0/0 \"GET /metrics HTTP/1.0\"");
    get("/elsewhere", "");
    let nowhere = without_figures(&site.next_line().1);
    assert_eq!(nowhere, "stats stats/<NOSRV> 0/-1/-1/-1 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET /elsewhere HTTP/1.0\"");
    let unasked = ask(site.stats, "PUT /stats HTTP/1.0\r\n\r\n");
    assert!(unasked.starts_with("HTTP/1.1 401 Unauthorized\r\ncontent-length: 112\r\n"), "{unasked}");
    assert!(without_figures(&site.next_line().1).contains(" 401 - - LR-- "));
}

#[test]
fn what_is_no_request_has_a_line_unless_it_is_to_have_none() {
    let site = Site::start();
    for (sent, letters) in [("", "CR--"), ("GET /stats HT", "CR--"), ("rubbish\r\n\r\n", "PR--")] {
        let mut client: TcpStream = connect(site.stats);
        client.write_all(sent.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let _ = client.read_to_end(&mut Vec::new());
        let line = without_figures(&site.next_line().1);
        assert_eq!(line, format!("stats stats/<NOSRV> -1/-1/-1/-1 400 0 - - {letters} 1/1/0/0/0 0/0 \"<BADREQ>\""));
    }
    // Neither of these has one.
    drop(connect(site.quiet));
    ask(site.quiet, "GET /stats;csv HTTP/1.0\r\n\r\n");
    ask(site.quiet, "GET /elsewhere HTTP/1.0\r\n\r\n");
    let (priority, line) = site.next_line();
    let line = without_figures(&line);
    assert_eq!(line, "quiet quiet/<NOSRV> -1/-1/-1/-1 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET /elsewhere HTTP/1.0\"");
    assert_eq!(priority, "131", "an error");
}

#[test]
fn a_section_without_a_format_says_who_has_connected() {
    let site = Site::start();
    ask(site.plain, "GET /;csv HTTP/1.0\r\n\r\n");
    let (_, line) = site.next_line();
    let (client, to) = line.strip_prefix("Connect from 127.0.0.1:").unwrap().split_once(" to ").unwrap();
    assert!(client.parse::<u16>().is_ok(), "{line}");
    assert_eq!(to, format!("{} (plain/HTTP)", site.plain));
}
