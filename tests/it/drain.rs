//! Drains over a time: nobody new comes, and those who are there go evenly, the idlest first.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::admin::{app, talking};
use crate::harness::admin::Operator;
use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::schema;
use crate::harness::wait::{pause, until};

const STATE: &str = "/api/v1/servers/back/a/state";

/// So many sessions of server `a`, the first the idlest.
fn aged(app: &App, server: &Manual, sessions: usize) -> Vec<(TcpStream, TcpStream)> {
    (0..sessions)
        .map(|_| {
            // By so much it is the longer idle, beyond what any clock could round off.
            pause(Duration::from_millis(300));
            talking(app, server)
        })
        .collect()
}

/// The app with a drained `a`, where its sessions are, and `b`, which says its name.
fn two_servers() -> (App, Operator, tempfile::TempDir, Manual, Server) {
    let (first, second) = (Manual::listen(), Server::named("b"));
    let config = Config::to(&[first.address(), second.address()]).backend("balance = \"first\"");
    let (app, operator, directory) = app(config);
    (app, operator, directory, first, second)
}

// Seen to fail with the order turned round, with all closed at once, and without an end that is told.
#[test]
fn a_drain_over_a_time_closes_the_idlest_first_and_all_by_the_end() {
    let (mut app, operator, _directory, server, _other) = two_servers();
    let mut sessions = aged(&app, &server, 4);
    let clients: Vec<_> = sessions.iter().map(|(client, _)| client.local_addr().unwrap().to_string()).collect();
    let begin = Instant::now();
    let answer = operator.does(STATE, r#"{"state":"drain","over_seconds":4}"#);
    schema::fits(&answer, "StatesSet");
    let expected = json!({"backend": "back", "server": "a", "from": "ready", "to": "drain", "sessions": 4});
    assert_eq!(answer["changed"], json!([expected]));
    assert_eq!(answer["text"], "back/a: ready → drain, its 4 sessions are closed over 4s");
    app.connect().hears("b");
    // The last has three and a half seconds to go: meanwhile it goes on.
    sessions[3].0.say("still here");
    sessions[3].1.hears("still here");
    let order: Vec<_> = (0..4).map(|_| ended(&mut app)).collect();
    assert_eq!(order, clients);
    assert!(begin.elapsed() > Duration::from_secs(3), "{:?}", begin.elapsed());
    for (client, served) in &mut sessions {
        client.sees_fin();
        served.sees_fin();
    }
    let drained = until("the end is told", || operator.events().into_iter().find(|event| event["kind"] == "drained"));
    assert_eq!(drained["text"], "back/a is drained: none of its sessions is left, 4 of them closed for it");
    schema::fits(&operator.get("/api/v1/events"), "Events");
}

/// The client of the next session of `a` that has ended, which the operator must have done.
fn ended(app: &mut App) -> String {
    let record = app.next_line("a session's line", |line| line["message"] == "session" && line["server"] == "a");
    assert_eq!((&record["letters"], &record["cause"]), (&"KC".into(), &"closed by the operator".into()));
    record["client"].as_str().unwrap().to_owned()
}

#[test]
fn a_drain_without_a_time_leaves_those_who_are_there() {
    let (app, operator, _directory, server, _other) = two_servers();
    let mut session = talking(&app, &server);
    let answer = operator.does(STATE, r#"{"state":"drain"}"#);
    assert_eq!(answer["text"], "back/a: ready → drain, its session stays");
    app.connect().hears("b");
    session.0.say("still here");
    session.1.hears("still here");
    assert_eq!(app.server("a")["state"], "drain");
    // Over no time at all: at once.
    operator.does("/api/v1/servers/*/a/state", r#"{"state":"drain","over_seconds":0}"#);
    session.0.sees_fin();
}

// Seen to fail with a drain that goes on.
#[test]
fn ready_ends_a_drain_and_those_who_are_left_stay() {
    let (mut app, operator, _directory, server, _other) = two_servers();
    let mut sessions = aged(&app, &server, 2);
    operator.does(STATE, r#"{"state":"drain","over_seconds":4}"#);
    ended(&mut app);
    let answer = operator.does(STATE, r#"{"state":"ready"}"#);
    assert!(answer["text"].as_str().unwrap().ends_with("the closing has ended"), "{answer}");
    // Past the second one's turn and the end of the time.
    pause(Duration::from_secs(5));
    let (client, served) = &mut sessions[1];
    client.say("still here");
    served.hears("still here");
    let (mut newcomer, mut served) = app.session(&server);
    newcomer.say("new");
    served.hears("new");
    assert!(operator.events().iter().all(|event| event["kind"] != "drained"));
}
