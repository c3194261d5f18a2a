//! Servers used as HAProxy uses them: retries, redispatch, health by probes alone. The numbers are those of HAProxy 3.2.26
//! with the same servers.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::app::{App, Config};
use crate::harness::peers::{BlackHole, Manual, Peer, Server, refusing};
use crate::harness::speaker::Speaker;
use crate::harness::wait::until;

/// What HAProxy is asked for: no hedge, the client closed, every session with a line.
fn as_haproxy(config: Config) -> Config {
    config
        .backend("judged_by = \"probes\"\ndial_hedge = \"off\"\non_no_server = \"close\"\non_down = \"keep\"")
        .log("null_sessions = true")
}

/// Letters, retries, moves of the next session, and the server that it ended with.
fn ended(app: &mut App) -> (String, u64, u64, String) {
    let record = app.next_session();
    let number = |key: &str| record[key].as_u64().unwrap();
    let text = |key: &str| record[key].as_str().unwrap_or("none").to_owned();
    (text("letters"), number("retries"), number("moves"), text("server"))
}

fn counts(app: &App, server: &str) -> [u64; 5] {
    let counts = app.server(server)["counts"].clone();
    ["connect_errors", "retries", "moves", "chosen", "sessions_total"].map(|key| counts[key].as_u64().unwrap())
}

fn closed(app: &App) -> Duration {
    let begun = Instant::now();
    app.connect().sees_fin();
    begun.elapsed()
}

// Seen to fail with each failed dial counted as an error.
#[test]
fn a_server_that_refuses_is_dialled_again_after_a_pause_and_then_the_client_is_closed() {
    let config = as_haproxy(Config::to(&[refusing(), Server::echo().address()])).backend("retries = 3");
    let mut app = App::start(&config.backend("balance = \"roundrobin\"").timeouts("dial = \"200ms\""));
    assert!(closed(&app) >= Duration::from_millis(600), "three pauses of 200 ms");
    assert_eq!(ended(&mut app), ("SC".into(), 3, 0, "a".into()));
    assert_eq!(counts(&app, "a"), [1, 3, 0, 1, 4]);
}

// Seen to fail with a pause before the dial of another server.
#[test]
fn with_redispatch_the_next_dial_goes_elsewhere_at_once() {
    let other = Server::named("b");
    let config = as_haproxy(Config::to(&[refusing(), other.address()])).backend("retries = 3\nredispatch = \"last\"");
    let mut app = App::start(&config.backend("balance = \"roundrobin\"").timeouts("dial = \"60s\"\nconnect = \"60s\""));
    let begun = Instant::now();
    app.connect().hears("b");
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(ended(&mut app), ("--".into(), 1, 1, "b".into()));
    assert_eq!((counts(&app, "a"), counts(&app, "b")), ([0, 0, 1, 1, 1], [0, 0, 0, 1, 1]));
}

#[test]
fn two_servers_that_refuse_are_dialled_in_turn() {
    let config = as_haproxy(Config::to(&[refusing(), refusing()])).backend("retries = 3\nredispatch = \"last\"");
    let mut app = App::start(&config.backend("balance = \"roundrobin\"").timeouts("dial = \"60s\"\nconnect = \"60s\""));
    assert!(closed(&app) < Duration::from_secs(1));
    assert_eq!(ended(&mut app), ("SC".into(), 3, 3, "b".into()));
    assert_eq!((counts(&app, "a"), counts(&app, "b")), ([0, 0, 2, 2, 2], [1, 0, 1, 2, 2]));
}

// Seen to fail with a source moved to another server.
#[test]
fn a_source_stays_with_its_server_also_when_it_is_redispatched() {
    let config = as_haproxy(Config::to(&[refusing(), refusing()])).backend("retries = 3\nredispatch = \"last\"");
    let mut app = App::start(&config.backend("balance = \"source\"").timeouts("dial = \"200ms\""));
    let took = closed(&app);
    // The last one is redispatched, and doesn't pause for that.
    assert!((Duration::from_millis(400)..Duration::from_secs(20)).contains(&took), "{took:?}");
    let (letters, retries, moves, server) = ended(&mut app);
    assert_eq!((letters.as_str(), retries, moves), ("SC", 3, 0));
    assert_eq!(counts(&app, &server), [1, 3, 0, 1, 4]);
}

#[test]
fn a_dial_that_nobody_answers_has_its_own_time_and_no_pause() {
    let hole = BlackHole::dig();
    let config = as_haproxy(Config::to(&[hole.address()])).backend("retries = 2");
    let mut app = App::start(&config.timeouts("dial = \"300ms\"\nconnect = \"60s\""));
    let took = closed(&app);
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert_eq!(ended(&mut app), ("sC".into(), 2, 0, "a".into()));
    assert_eq!(counts(&app, "a"), [1, 2, 0, 1, 3]);
}

#[test]
fn a_session_begins_with_the_header_that_the_server_wants() {
    for (version, begins) in [("v1", "PROXY TCP4 127.0.0.1 127.0.0.1 "), ("v2", "\r\n\r\n\0\r\nQUIT\n!\u{11}")] {
        let server = Manual::listen();
        let config = Config::to(&[server.address()]).server(0, &format!("send_proxy = \"{version}\""));
        let app = App::start(&config);
        let (_client, mut served) = app.session(&server);
        served.hears(begins);
    }
}

#[test]
fn sessions_come_from_the_stated_source() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]).server(0, "source = \"127.0.7.7\", user_timeout = \"30s\""));
    let (_client, served) = app.session(&server);
    assert_eq!(served.peer_addr().unwrap().ip().to_string(), "127.0.7.7");
}

const OFTEN: &str =
    "interval = \"100ms\", fast_interval = \"100ms\", down_interval = \"100ms\", timeout = \"interval\"";

// Seen to fail with a server that is to be down losing one step alone.
#[test]
fn dials_in_a_row_that_fail_take_a_server_down_where_they_are_watched() {
    let (alive, other) = (Server::echo(), Server::named("b"));
    let check = format!("check = {{ type = \"tcp\", port = {}, {OFTEN} }}", alive.address().port());
    let config = as_haproxy(Config::to(&[refusing(), other.address()])).backend("retries = 1\nredispatch = 1");
    let config = config.backend("balance = \"first\"").backend(&check).backend("log_health_checks = true");
    let config =
        config.server(0, "observe = { errors = 2, then = \"down\" }").timeouts("dial = \"60s\"\nconnect = \"60s\"");
    let mut app = App::start(&config);
    app.next_line("that its probes pass", |line| report(line, "a", "succeeded"));
    for _ in 0..2 {
        app.connect().hears("b");
    }
    let line = app.next_line("what dials have shown", |line| report(line, "a", "failed"));
    let text = line["message"].as_str().unwrap();
    assert!(
        text.contains("info: \"Detected 2 consecutive errors, last one was: L4 unsuccessful connection\""),
        "{text}"
    );
    app.next_line("that a is down", |line| line["server"] == "a" && line["to"] == "down");
    app.next_line("that its probes bring it up", |line| line["server"] == "a" && line["to"] == "ready");
}

fn report(line: &Value, server: &str, outcome: &str) -> bool {
    line["server"] == server && line["outcome"] == outcome
}

#[test]
fn a_server_that_answers_404_takes_no_new_sessions_where_that_is_wanted() {
    let page = Speaker::answering("HTTP/1.1 200 OK\r\n\r\n");
    let other = Server::named("b");
    let check = format!("check = {{ type = \"http\", not_found_drains = true, port = {}, {OFTEN} }}", page.port());
    let config = as_haproxy(Config::to(&[Server::echo().address(), other.address()])).backend("balance = \"first\"");
    let mut app = App::start(&config.server(0, &check));
    until("it is up", || (app.server("a")["check"]["last"]["status"] == "L7OK").then_some(()));
    page.say("HTTP/1.1 404 Not Found\r\n\r\n");
    app.next_line("that a drains", |line| line["server"] == "a" && line["to"] == "draining");
    app.connect().hears("b");
    page.say("HTTP/1.1 200 OK\r\n\r\n");
    app.next_line("that a is back", |line| line["server"] == "a" && line["to"] == "ready");
    page.say("HTTP/1.1 503 No\r\n\r\n");
    app.next_line("that a is down", |line| line["server"] == "a" && line["to"] == "down");
    // Only a server that is up can come to drain.
    page.say("HTTP/1.1 404 Not Found\r\n\r\n");
    until("a 404 is a failure", || (app.server("a")["check"]["last"]["code"] == 404).then_some(()));
    assert_eq!(app.server("a")["state"], "down");
}

#[test]
fn a_conversation_is_held_with_a_server() {
    let server = Server::echo();
    let steps = "steps = [\"connect\", \"send PING\", \"expect PI\", \"send x\", \"expect ~ G?x$\"]";
    let check = format!("check = {{ type = \"script\", {steps}, {OFTEN} }}");
    let app = App::start(&as_haproxy(Config::to(&[server.address()])).backend(&check));
    until("it passed", || (app.server("a")["check"]["last"]["status"] == "L7OK").then_some(()));
}

#[test]
fn a_server_that_is_tracked_takes_its_follower_with_it() {
    let (one, other) = (Server::named("a"), Server::named("b"));
    let follower = Server::named("c");
    let config = as_haproxy(Config::to(&[one.address(), other.address(), follower.address()]));
    let config = config.backend("balance = \"first\"").server(2, "track = \"back/b\"");
    let config = config.backend(&format!("check = {{ type = \"tcp\", {OFTEN} }}"));
    let mut app = App::start(&config);
    other.stop();
    app.next_line("that b is down", |line| line["server"] == "b" && line["to"] == "down");
    app.next_line("that c is, too", |line| line["server"] == "c" && line["to"] == "down");
}

#[test]
fn an_agent_takes_its_server_out_and_brings_it_back() {
    let (one, other) = (Server::named("a"), Server::named("b"));
    let agent = Speaker::saying("up\n");
    let key = format!("agent = {{ port = {}, interval = \"100ms\" }}", agent.port());
    let config = as_haproxy(Config::to(&[one.address(), other.address()])).backend("balance = \"first\"");
    let mut app = App::start(&config.server(0, &key));
    app.connect().hears("a");
    agent.say("down #disk full\n");
    let line = app.next_line("that a is down", |line| line["server"] == "a" && line["to"] == "down");
    assert!(line.to_string().contains("disk full"), "{line}");
    app.connect().hears("b");
    agent.say("up\n");
    app.next_line("that a is back", |line| line["server"] == "a" && line["to"] == "ready");
    agent.say("drain\n");
    app.next_line("that a drains", |line| line["server"] == "a" && line["to"] == "drain");
    agent.say("ready 50%\n");
    app.next_line("that a is back", |line| line["server"] == "a" && line["to"] == "ready");
}

// What HAProxy 3.2.26 did, whatever the client had left to read.
#[test]
fn a_session_that_is_closed_before_its_end_is_a_fin_to_its_client_and_a_reset_to_its_server() {
    let server = Manual::listen();
    let (app, operator, _directory) = super::admin::app(as_haproxy(Config::to(&[server.address()])));
    let (mut client, mut served) = super::admin::talking(&app, &server);
    served.say("an answer");
    client.hears("an answer");
    let id = operator.sessions("")[0]["id"].clone();
    operator.does("/api/v1/sessions/kill", &serde_json::json!({"ids": [id]}).to_string());
    client.sees_fin();
    served.sees_reset();
}
