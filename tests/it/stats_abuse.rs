//! The stats page among clients that attack it: by their number, by not reading, by what they ask for, and by what servers
//! say of themselves.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use socket2::SockRef;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server, connect, connect_in_segments};
use crate::harness::speaker::Speaker;
use crate::harness::wait::{PATIENCE, until, until_within};
use crate::harness::{http, raise_descriptor_limit};

/// As on an Ethernet, so that the kernel doesn't keep whole pages for those who don't read.
const SEGMENT: u32 = 1460;

/// Those who don't read.
const SLOW: usize = 60;

/// Resident memory that evenkeel may ever have had.
const BOUND: u64 = 112 * 1024 * 1024;

/// Longest wait until those who don't read are gone: they have 20 seconds.
const LET_GO: Duration = Duration::from_secs(60);

/// Longest wait until there is room for somebody who reads: less than the time that the others have.
const MAKES_ROOM: Duration = Duration::from_secs(8);

/// A backend whose page is large: a megabyte, or somewhat more.
fn thousand_servers() -> String {
    let server = |number: usize| format!("{{ name = \"server-{number}\", address = \"127.0.0.1:{}\" }}", number + 1000);
    let servers: Vec<_> = (0..1000).map(server).collect();
    format!(
        "[[backend]]\nname = \"many\"\ncheck = \"off\"\nrequired = false\nservers = [\n{}\n]\n",
        servers.join(",\n")
    )
}

fn descriptors(app: &mut App) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", app.program().pid())).unwrap().count()
}

fn most_resident(app: &mut App) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.program().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most that was ever resident");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Asks for a path, and never reads a byte of the answer.
fn asks_and_does_not_read(stats: SocketAddr, path: &str) -> TcpStream {
    let mut client = connect_in_segments(stats, SEGMENT);
    SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
    client.say(&format!("GET {path} HTTP/1.1\r\nHost: lb\r\n\r\n"));
    client
}

/// A session is undisturbed, and a new one is begun.
fn sessions_go_on(app: &App, session: &mut TcpStream) {
    for client in [session, &mut app.connect()] {
        client.say("undisturbed");
        client.hears("undisturbed");
    }
}

// Seen to fail without the time that an answer may take, without the room that answers share, and with room that nobody
// makes.
#[test]
fn who_does_not_read_is_let_go_and_costs_little_memory() {
    raise_descriptor_limit();
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).more(&thousand_servers()));
    let mut session = app.connect();
    let before = descriptors(&mut app);
    // Some follow a page, others want it as a whole, and others more than a page.
    let paths = ["/live?page=/", "/", "/metrics"];
    let slow: Vec<_> =
        (0..SLOW).map(|number| asks_and_does_not_read(app.stats(), paths[number % paths.len()])).collect();
    assert_eq!(app.http_status("/livez"), 200);
    sessions_go_on(&app, &mut session);
    let held = descriptors(&mut app);
    assert!(
        held >= before + SLOW / paths.len(),
        "those who follow a page are there: {before} descriptors, then {held}"
    );
    until_within(MAKES_ROOM, "they make room for who reads", || {
        http::get(app.stats(), "/metrics").filter(|answer| answer.status == 200)
    });
    until_within(LET_GO, "they are let go", || (descriptors(&mut app) <= before + 4).then_some(()));
    let most = most_resident(&mut app);
    assert!(most < BOUND, "{} MiB were resident", most >> 20);
    assert_eq!(app.http_status("/"), 200);
    sessions_go_on(&app, &mut session);
    drop(slow);
}

/// Those who connect and say nothing, or as many of them as this process may hold.
fn silent() -> usize {
    let most = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    10_000.min(most - 500)
}

// Seen to fail with a listener that lets in no more than so many until they have left.
#[test]
fn ten_thousand_connections_that_say_nothing_keep_nobody_from_the_page() {
    raise_descriptor_limit();
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]));
    let mut session = app.connect();
    let mut silent = Vec::new();
    for number in 1..=self::silent() {
        let mut client = connect(app.stats());
        if number % 2 == 0 {
            client.say("GET / HT");
        }
        silent.push(client);
        if number % 1000 == 0 {
            for path in ["/livez", "/", "/metrics"] {
                assert_eq!(app.http_status(path), 200, "{path} beside {number}");
            }
            sessions_go_on(&app, &mut session);
        }
    }
    assert!(descriptors(&mut app) < 1000, "they don't take the descriptors of sessions");
    drop(silent);
}

// Seen to fail with readers of a page kept whoever comes.
#[test]
fn pages_that_are_left_open_keep_nobody_from_the_page() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let mut open: Vec<_> = (0..300)
        .map(|_| {
            let mut client = connect(app.stats());
            client.say("GET /live?page=/ HTTP/1.1\r\nHost: lb\r\n\r\n");
            client.hears("HTTP/1.1 200 OK\r\n");
            client
        })
        .collect();
    assert_eq!(app.http_status("/livez"), 200);
    let mut newest = open.pop().expect("the last one");
    newest.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    hears_of(&mut newest, "event: update");
}

/// Reads until this stands in what was read; gives all of it.
fn hears_of(client: &mut TcpStream, words: &str) -> String {
    let (mut heard, mut piece) = (Vec::new(), [0; 16 * 1024]);
    while !String::from_utf8_lossy(&heard).contains(words) {
        let length = client.read(&mut piece).unwrap_or_else(|error| panic!("before {words:?}: {error}"));
        assert!(length > 0, "an end before {words:?}: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

// Seen to fail with every page that is asked for made each second.
#[test]
fn so_many_pages_are_followed_at_a_time() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let follow = |query: String| {
        let mut client = connect(app.stats());
        client.say(&format!("GET /live?page={query} HTTP/1.1\r\nHost: lb\r\n\r\n"));
        let mut line = [0; 12];
        client.read_exact(&mut line).unwrap();
        (String::from_utf8_lossy(&line).into_owned(), client)
    };
    // Whatever they put into its query, that is one page.
    let same: Vec<_> = (0..100).map(|number| follow(format!("/?x={number}"))).collect();
    assert!(same.iter().all(|(line, _)| line == "HTTP/1.1 200"));
    let others: Vec<_> = (0..100).map(|number| follow(format!("/sessions?older={number}"))).collect();
    let refused = others.iter().filter(|(line, _)| line == "HTTP/1.1 429").count();
    assert!(refused >= 1, "each is made once a second");
    assert_eq!(app.http_status("/"), 200);
}

/// Sends this on a connection of its own, and reads until that ends, which may be by RST. What is answered stands at the
/// beginning either way.
fn says(stats: SocketAddr, request: &[u8]) -> String {
    let mut client = connect(stats);
    // Who is refused before all is sent may be reset.
    let _refused = client.write_all(request);
    let (mut answer, mut piece) = (Vec::new(), [0; 16 * 1024]);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no end: {}", String::from_utf8_lossy(&answer));
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(request)),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

// Seen to fail with paths that are decoded before they are looked up.
#[test]
fn paths_are_what_they_are_and_lead_nowhere_else() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let long = format!("/{}", "a/".repeat(3000));
    for (target, status) in [
        ("/..", "404"),
        ("/../livez", "404"),
        ("/%2e%2e/livez", "404"),
        ("/./livez", "404"),
        ("//livez", "404"),
        ("//evil.example/livez", "404"),
        ("/livez%00", "404"),
        ("/%6civez", "404"),
        ("/livez/", "404"),
        ("/livez;x=1", "404"),
        ("/assets/../livez", "404"),
        ("/assets/%2e%2e%2flivez", "404"),
        ("/assets/..%2f..%2fetc%2fpasswd", "404"),
        ("/\\..\\livez", "404"),
        ("http://evil.example/nowhere", "404"),
        ("http://evil.example/livez", "200"),
        ("/livez?/../x", "200"),
        ("livez", "400"),
        ("evil.example:80", "400"),
        ("/live\0z", "400"),
        ("/liv\u{7f}ez", "400"),
        (&long, "404"),
    ] {
        let answer =
            says(app.stats(), format!("GET {target} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n").as_bytes());
        assert_eq!(status_of(&answer), status, "{target:?}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("location:"), "{target:?} leads nowhere: {head}");
        assert!(!body.contains("evil") && !body.contains("passwd"), "{target:?} isn't said back: {body}");
    }
}

/// A whole request, which must never be answered where it stands in another one's body.
const SMUGGLED: &str = "GET /livez HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n";

/// What refuses most of these is hyper, which is held to it here.
#[test]
fn no_request_hides_in_another() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let length = SMUGGLED.len();
    for fields in [
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: {length}, {length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 0x10\r\n".to_owned(),
        format!("Content-Length : {length}\r\n"),
        format!("Content-Length:\r\n {length}\r\n"),
        format!("X: y\r\n Content-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Transfer-Encoding: identity\r\nContent-Length: {length}\r\n"),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Transfer-Encoding: \x0bchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
    ] {
        for method in ["GET /", "POST /api/v1/reload"] {
            let request = format!("{method} HTTP/1.1\r\nHost: lb\r\n{fields}\r\n{SMUGGLED}");
            let answer = says(app.stats(), request.as_bytes());
            assert!(!answer.contains("\r\n\r\nok\n"), "{fields:?}: {answer}");
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{fields:?} was answered twice: {answer}");
            assert!(answer.is_empty() || status_of(&answer).starts_with('4'), "{fields:?}: {answer}");
        }
    }
    assert_eq!(app.http_status("/livez"), 200);
}

// Seen to fail with the overview in place of what is no page.
#[test]
fn only_pages_are_followed_whatever_is_asked_for() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    let long = format!("/{}", "%2e%2e%2f".repeat(500));
    for page in [
        "",
        "//evil.example/",
        "http://evil.example/",
        "javascript:alert(1)",
        "/live?page=/",
        "/live%3Fpage=%2F",
        "/..",
        "/%252e%252e/",
        "/classic",
        "/metrics",
        "/assets/..%2F",
        "/%00",
        "/%0d%0aX-Injected:%201",
        "/sessions%3Fsource=%3Cscript%3E",
        "/&page=/sessions",
        &long,
    ] {
        let answer = says(
            app.stats(),
            format!("GET /live?page={page} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert_eq!(status_of(&answer), "400", "{page:?}: {answer}");
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: text/plain") && head.contains("nosniff"), "{page:?} is no markup: {head}");
        assert!(!head.contains("x-injected"), "{page:?}: {head}");
    }
}

/// What a server's agent says of it: markup, the end of a part of a page, and an attribute.
const HOSTILE: &str = "<script>alert(1)</script><!--/part-->\"><img src=//evil.example id=\"main\" onerror='x'>";

// Seen to fail with what was seen marked as safe in the template of a server's line, and of an event's.
#[test]
fn what_servers_say_is_no_markup_on_any_page() {
    let server = Server::echo();
    let agent = Speaker::saying("up\n");
    let key = format!("agent = {{ port = {}, interval = \"100ms\" }}", agent.port());
    let app = App::start(&Config::to(&[server.address()]).server(0, &key));
    agent.say(&format!("down #{HOSTILE}\n"));
    app.server_is("a", "down");
    for path in ["/", "/classic", "/events", "/sessions"] {
        let page = http::get(app.stats(), path).unwrap().body;
        let is_told = ["/", "/events"].contains(&path);
        assert_eq!(page.contains("&#60;script&#62;"), is_told, "{path}: {page}");
        is_harmless(path, &page);
    }
    let markdown = http::get(app.stats(), "/events.md").unwrap().body;
    assert!(markdown.contains("\\<script\\>") && !markdown.replace("\\<", "").contains('<'), "{markdown}");
    for path in ["/", "/events"] {
        let mut reader = connect(app.stats());
        reader.say(&format!("GET /live?page={path} HTTP/1.1\r\nHost: lb\r\n\r\n"));
        let begun = hears_of(&mut reader, "event: update\n");
        let (_, update) = begun.split_once("event: update\n").unwrap();
        // The whole page is one line of the stream.
        let told = if update.contains("\n\n") { begun } else { begun + &hears_of(&mut reader, "\n\n") };
        assert!(told.contains("script"), "{told}");
        is_harmless(path, &told);
    }
}

/// Has no markup but evenkeel's own.
fn is_harmless(path: &str, page: &str) {
    assert!(!page.contains("alert(1)</script>") && !page.contains("<script>"), "{path}: {page}");
    assert!(!page.contains("<img") && !page.contains("onerror='x'"), "{path}: {page}");
    assert!(!page.contains("evil.example id=\"main\""), "{path}: {page}");
}

// Seen to fail with a query that stands in the page as it was sent.
#[test]
fn what_is_asked_for_is_no_markup() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]));
    for (target, status) in [
        ("/events?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%3Cimg%20src=x%20onerror='x'%3E", "200"),
        ("/events?q=\"><script>alert(1)</script>", "200"),
        ("/events?server=%22%20autofocus%20onfocus=%22alert(1)", "200"),
        ("/?x=\"><script>alert(1)</script>", "200"),
        ("/sessions?source=%3Cscript%3Ealert(1)%3C/script%3E", "400"),
        ("/sessions?x=<script>alert(1)</script>", "400"),
    ] {
        let answer =
            says(app.stats(), format!("GET {target} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n").as_bytes());
        // Some of them are no request targets at all.
        assert!([status, "400"].contains(&status_of(&answer)), "{target}: {answer}");
        let is_text = answer.to_ascii_lowercase().contains("content-type: text/plain");
        if !is_text && status_of(&answer) == "200" {
            is_harmless(target, &answer);
            assert!(!answer.contains("\" autofocus"), "{target}: {answer}");
        }
    }
    until("it still answers", || http::get(app.stats(), "/livez").filter(|answer| answer.status == 200));
}
