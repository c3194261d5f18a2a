//! HAProxy's page with `stats admin`: scripts that send its form go on working, and nobody else's form does anything.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::admin::{Operator, post_to};
use crate::harness::app::{App, BINARY, Config};
use crate::harness::http::{self, Response};
use crate::harness::peers::{Manual, Peer, Server, connect};
use crate::harness::ports;
use crate::harness::program::Program;
use crate::harness::wait::until;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// `ops:secret`.
const LOGIN: &str = "Authorization: Basic b3BzOnNlY3JldA==\r\n";

/// An app whose page lets those act who have shown a password.
struct Site {
    app: App,
    operator: Operator,
    _directory: TempDir,
}

impl Site {
    fn start(servers: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("admin.sock");
        let lines = "uri = \"/stats\"\nusers = [\"ops:secret\"]\nadmin_if = [\"source 127.0.0.0/8\"]";
        let admin = format!("[admin]\nsocket = \"{}\"", socket.display());
        let app = App::start(&Config::to(servers).stats_lines(lines).more(&admin));
        Self { app, operator: Operator::at(&socket), _directory: directory }
    }

    /// Where a form leads, sent with the password.
    fn sent(&self, form: &str) -> String {
        led(&post_to(self.app.stats(), "/stats", &format!("{FORM}{LOGIN}"), form))
    }

    fn state(&self, server: &str) -> String {
        let status = self.operator.get("/api/v1/status");
        let servers = status["backends"][0]["servers"].as_array().expect("a list").clone();
        let server = servers.into_iter().find(|known| known["name"] == server).expect("it is there");
        server["state"].as_str().expect("a word").to_owned()
    }

    /// Who has acted, the first one first.
    fn actors(&self) -> Vec<String> {
        let events = self.operator.events().into_iter().filter(|event| event["kind"] == "action");
        events.map(|event| event["by"].as_str().expect("a name").to_owned()).collect()
    }
}

fn page(stats: SocketAddr, headers: &str) -> Response {
    let mut stream = connect(stats);
    write!(stream, "GET /stats HTTP/1.1\r\nHost: {stats}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    http::parse(&answer).expect("an answer")
}

/// Where an answer leads; its status, if nowhere.
fn led(answer: &Response) -> String {
    let value = |line: &str| line.strip_prefix("location: ").map(str::to_owned);
    answer.head.lines().find_map(value).unwrap_or_else(|| answer.status.to_string())
}

/// What lies between two texts, each time.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(behind).next()).collect()
}

/// As a script does it that knows HAProxy's page: it reads the form, and sends it filled in.
#[test]
fn a_script_takes_servers_out_and_back_and_it_is_known_who_did() {
    let servers = [Server::named("a"), Server::named("b")];
    let site = Site::start(&servers.each_ref().map(Server::address));
    let stats = site.app.stats();
    let drain = "s=a&action=drain&b=back";
    assert_eq!(led(&post_to(stats, "/stats", FORM, drain)), "401", "the password stands before it");
    assert_eq!(page(stats, "").status, 401);
    let guess = Instant::now();
    // `ops:guess`
    assert_eq!(page(stats, "Authorization: Basic b3BzOmd1ZXNz\r\n").status, 401);
    assert!(guess.elapsed() >= Duration::from_millis(250), "who guesses is slowed down: {:?}", guess.elapsed());
    assert!(site.actors().is_empty(), "nothing is done");

    let page = page(stats, LOGIN).body;
    assert_eq!(between(&page, "<option value=\"", "\"").len(), 14, "nothing, and thirteen actions: {page}");
    let backend = between(&page, "name=\"b\" value=\"", "\"")[0].replace('#', "%23");
    let names = between(&page, "name=\"s\" value=\"", "\"");
    assert_eq!(names, ["a", "b"]);
    assert_eq!(site.sent(&format!("s=a&s=b&action=drain&b={backend}")), "/stats;st=DONE");
    assert_eq!([site.state("a"), site.state("b")], ["drain", "drain"]);
    assert_eq!(site.sent(&format!("s=a&action=ready&b={backend}")), "/stats;st=DONE");
    assert_eq!([site.state("a"), site.state("b")], ["ready", "drain"]);
    let actors = site.actors();
    assert_eq!(actors.len(), 3);
    for by in actors {
        assert!(by.starts_with("ops at 127.0.0.1:") && by.ends_with(" over HAProxy's page"), "{by}");
    }
}

#[test]
fn sessions_are_ended_over_the_page() {
    let server = Manual::listen();
    let mut site = Site::start(&[server.address()]);
    let (mut client, mut served) = site.app.session(&server);
    client.say("hello");
    served.hears("hello");
    assert_eq!(site.sent("s=a&action=shutdown&b=back"), "/stats;st=DONE");
    let session = site.app.next_session();
    assert_eq!(session["ended_by"], "killed", "{session}");
    assert_eq!(site.sent("s=a&action=shutdown&b=back"), "/stats;st=DONE", "there is none left");
}

// Seen to fail without the look at the headers.
#[test]
fn forms_of_other_sites_and_forms_without_end_do_nothing() {
    let server = Server::echo();
    let site = Site::start(&[server.address()]);
    let stats = site.app.stats();
    let form = "s=a&action=maint&b=back";
    for foreign in ["Origin: http://evil.example\r\n", "Referer: http://evil.example/\r\n", "Origin: null\r\n"] {
        let answer = post_to(stats, "/stats", &format!("{FORM}{LOGIN}{foreign}"), form);
        assert_eq!(led(&answer), "/stats;st=DENY", "{foreign}");
    }
    assert_eq!(site.sent(&format!("{form}&x={}", "x".repeat(100_000))), "/stats;st=EXCD");
    assert_eq!(site.sent(&format!("{form}{}", "&s=nobody".repeat(1_000))), "/stats;st=PART");
    assert_eq!(site.actors().len(), 1, "the last one alone");
    let mut slow = connect(stats);
    write!(slow, "POST /stats HTTP/1.1\r\nHost: x\r\n{FORM}{LOGIN}Content-Length: 99\r\n\r\n{form}").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(site.actors().len(), 1);
}

/// Sections of a haproxy.cfg: each has its own rules of who may act, and on what.
#[test]
fn a_section_says_who_may_act_and_on_what() {
    let server = Server::echo();
    let [front, open, scoped, closed] = std::array::from_fn(|_| SocketAddr::from(([127, 0, 0, 1], ports::free())));
    let address = server.address();
    let section = |name: &str, at: SocketAddr, lines: &str| {
        format!("listen {name}\n bind {at}\n mode http\n stats enable\n stats uri /stats\n{lines}")
    };
    let text = format!(
        "defaults\n timeout connect 1s\n timeout client 9s\n timeout server 9s\n\
         listen api\n bind {front}\n server one {address}\n\
         backend other\n server one {address}\n\
         {}{}{}",
        section("open", open, " stats admin unless { src 10.0.0.0/8 }\n"),
        section("scoped", scoped, " stats scope .\n stats scope api\n stats admin if LOCALHOST\n"),
        section("closed", closed, " stats admin if { src 10.0.0.0/8 }\n stats admin if { dst_port 1 }\n"),
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(&file, text).unwrap();
    let app = Program::start(Command::new(BINARY).arg("run").arg("--config").arg(&file));
    app.wait_for("serving");
    let sent = |at, form| led(&post_to(at, "/stats", FORM, form));
    let status = |row: &str| {
        let csv = http::get(open, "/stats;csv").expect("it answers").body;
        let line = csv.lines().find(|line| line.starts_with(row)).expect("the row is there").to_owned();
        line.split(',').nth(17).expect("a status").to_owned()
    };
    assert_eq!(sent(closed, "s=one&action=maint&b=api"), "/stats;st=DENY");
    assert_eq!(sent(scoped, "s=one&action=maint&b=other"), "/stats;st=DENY");
    assert_eq!([status("api,one,"), status("other,one,")], ["no check", "no check"]);
    assert_eq!(sent(scoped, "s=one&action=maint&b=api"), "/stats;st=DONE");
    assert_eq!(sent(open, "s=one&action=drain&b=other"), "/stats;st=DONE");
    until("both", || ([status("api,one,"), status("other,one,")] == ["MAINT", "DRAIN"]).then_some(()));
    let has_form = |at| http::get(at, "/stats").expect("it answers").body.contains("<form");
    assert_eq!([open, scoped, closed].map(has_form), [true, true, false]);
    // Where there is no such page, there is no form either.
    assert_eq!(http::request(closed, "PUT", "/stats", "x").expect("an answer").status, 503);
}
