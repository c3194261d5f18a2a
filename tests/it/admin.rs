//! The admin API: what it says agrees with the world, and what it is told is done and written down.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::admin::{ACTION, Operator, post, post_to};
use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server, connect_from};
use crate::harness::wait::{PATIENCE, until};
use crate::harness::{http, schema, sockets};

/// An app with an admin socket, and whoever is at it. `more` is of `[stats]` and `[admin]`.
fn app_with(config: Config, more: &str) -> (App, Operator, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let app = App::start(&config.more(&format!("[admin]\nsocket = \"{}\"\n{more}", socket.display())));
    (app, Operator::at(&socket), directory)
}

pub fn app(config: Config) -> (App, Operator, tempfile::TempDir) {
    app_with(config, "")
}

/// A session that has moved a byte each way.
pub fn talking(app: &App, server: &Manual) -> (TcpStream, TcpStream) {
    let (mut client, mut served) = app.session(server);
    client.say("hello");
    served.hears("hello");
    served.say("hi");
    client.hears("hi");
    (client, served)
}

// Seen to fail with the server's own address in place of ours, and with bytes that are swapped.
#[test]
fn the_list_of_sessions_is_what_the_kernel_and_the_peers_see() {
    let server = Manual::listen();
    let (app, operator, _directory) = app(Config::to(&[server.address()]).process("workers = 2"));
    let sessions: Vec<_> = (0..5).map(|_| talking(&app, &server)).collect();
    // What a client has heard is counted a moment later.
    let document = until("all bytes are counted", || {
        let document = operator.get("/api/v1/sessions?sort=client");
        let all = document["sessions"].as_array().unwrap().iter().all(|session| session["bytes_out"] != 0);
        all.then_some(document)
    });
    schema::fits(&document, "Sessions");
    assert_eq!(document["total"], 5);
    let listed: Vec<(String, String)> = (document["sessions"].as_array().unwrap().iter())
        .map(|session| {
            assert_eq!((&session["frontend"], &session["backend"]), (&"front".into(), &"back".into()));
            assert_eq!((&session["server"], &session["state"]), (&"a".into(), &"open".into()));
            assert_eq!((&session["bytes_in"], &session["bytes_out"]), (&5.into(), &2.into()));
            (session["client"].as_str().unwrap().to_owned(), session["source"].as_str().unwrap().to_owned())
        })
        .collect();
    let address = |stream: &TcpStream| stream.local_addr().unwrap().to_string();
    let mut played: Vec<_> =
        sessions.iter().map(|(client, served)| (client, served.peer_addr().unwrap().to_string())).collect();
    played.sort_by_key(|(client, _)| client.local_addr().unwrap());
    assert_eq!(listed, played.iter().map(|(client, source)| (address(client), source.clone())).collect::<Vec<_>>());
    let known = sockets::tcp(None);
    for (_, source) in &listed {
        let is_it = |socket: &&sockets::Socket| socket.local.to_string() == *source && socket.state == "ESTAB";
        assert_eq!(known.iter().filter(is_it).count(), 1, "{source} in ss");
    }
}

#[test]
fn sessions_are_found_by_their_source_and_limited_in_number() {
    let server = Server::echo();
    let (app, operator, _directory) = app(Config::to(&[server.address()]));
    let mut clients: Vec<_> = [[127, 0, 9, 1], [127, 0, 9, 2], [127, 0, 8, 1]]
        .map(|source| connect_from(source.into(), app.front()))
        .into_iter()
        .collect();
    for client in &mut clients {
        client.say("x");
        client.hears("x");
    }
    for (query, count) in [
        ("source=127.0.9.0/24", 2),
        ("source=127.0.8.1", 1),
        ("source=10.0.0.0/8", 0),
        ("limit=2", 2),
        ("server=back/a", 3),
        ("server=a&frontend=front&backend=back", 3),
    ] {
        assert_eq!(operator.sessions(query).len(), count, "{query}");
    }
    assert_eq!(http::get(app.stats(), "/api/v1/sessions?limit=1").unwrap().json()["total"], 3, "for looking only");
}

// Seen to fail with a command that ends nobody.
#[test]
fn a_kill_ends_its_session_and_no_other_and_the_record_says_so() {
    let server = Manual::listen();
    let (mut app, operator, _directory) = app(Config::to(&[server.address()]));
    let (mut first, mut other) = (talking(&app, &server), talking(&app, &server));
    let client = first.0.local_addr().unwrap().to_string();
    let ids: Vec<(Value, Value)> =
        operator.sessions("").into_iter().map(|session| (session["client"].clone(), session["id"].clone())).collect();
    let id = &ids.iter().find(|(of, _)| *of == client).unwrap().1;
    let answer = operator.does("/api/v1/sessions/kill", &json!({"ids": [id, "0-999-1", id]}).to_string());
    schema::fits(&answer, "Killed");
    assert_eq!((&answer["killed"], &answer["unknown"]), (&1.into(), &json!(["0-999-1"])));
    first.0.sees_fin();
    first.1.sees_fin();
    let record = app.next_session();
    assert_eq!((&record["id"], &record["letters"]), (id, &"KC".into()));
    assert_eq!(record["cause"], "closed by the operator");
    other.0.say("undisturbed");
    other.1.hears("undisturbed");
    let again = operator.does("/api/v1/sessions/kill", &json!({"ids": [id]}).to_string());
    assert_eq!((&again["killed"], &again["unknown"]), (&0.into(), &json!([id])));
}

#[test]
fn a_session_that_is_not_connected_yet_is_listed_and_can_be_killed() {
    let hole = crate::harness::peers::BlackHole::dig();
    let config = Config::to(&[hole.address()]).timeouts("dial = \"60s\"\nconnect = \"60s\"");
    let (mut app, operator, _directory) = app(config);
    let mut client = app.connect();
    let session = until("it is listed", || operator.sessions("").pop());
    assert_eq!((&session["state"], &session["server"]), (&"connecting".into(), &Value::Null));
    schema::fits(&operator.get("/api/v1/sessions"), "Sessions");
    operator.does("/api/v1/sessions/kill", &json!({"ids": [session["id"]]}).to_string());
    client.sees_reset();
    app.next_line("its record", |line| line["message"] == "session" && line["letters"] == "KC");
}

// Seen to fail with an action that is not told of.
#[test]
fn a_server_in_maint_gets_nobody_and_who_did_it_is_known() {
    let (first, second) = (Server::named("a"), Server::named("b"));
    let (mut app, operator, _directory) = app(Config::to(&[first.address(), second.address()]));
    let answer = operator.does("/api/v1/servers/back/a/state", r#"{"state":"maint"}"#);
    schema::fits(&answer, "StatesSet");
    let expected = json!([{"backend": "back", "server": "a", "from": "ready", "to": "maint", "sessions": 0}]);
    assert_eq!(answer["changed"], expected);
    for _ in 0..3 {
        app.connect().hears("b");
    }
    let server = app.server("a");
    assert_eq!((&server["state"], &server["overrides"]), (&"maint".into(), &json!(["admin_state"])));
    let line = app.next_line("the action", |line| line["action"] == "state");
    let by = format!("uid {}, pid {}", rustix::process::getuid().as_raw(), std::process::id());
    assert!(line["by"].as_str().unwrap().contains(&by), "{line}");
    assert_eq!(line["message"], answer["text"]);
    let event = operator.events().into_iter().find(|event| event["kind"] == "action").unwrap();
    assert_eq!((&event["by"], &event["text"], &event["server"]), (&line["by"], &answer["text"], &"a".into()));
    operator.does("/api/v1/servers/*/a/state", r#"{"state":"ready"}"#);
    until("a is chosen again", || {
        let mut name = [0];
        app.connect().read_exact(&mut name).unwrap();
        (name == *b"a").then_some(())
    });
    assert_eq!(app.metric("evenkeel_actions_total", &[]), 2.0);
}

#[test]
fn a_weight_holds_from_the_next_session_on() {
    let (first, second) = (Server::named("a"), Server::named("b"));
    let config = Config::to(&[first.address(), second.address()]).backend("balance = \"roundrobin\"");
    let (app, operator, _directory) = app(config);
    let answer = operator.does("/api/v1/servers/back/b/weight", r#"{"weight":3}"#);
    schema::fits(&answer, "WeightsSet");
    assert_eq!((&answer["changed"][0]["from"], &answer["changed"][0]["to"]), (&1.into(), &3.into()));
    let mut said = String::new();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = app.connect();
            let mut name = [0];
            client.read_exact(&mut name).unwrap();
            said.push(name[0].into());
            client
        })
        .collect();
    assert_eq!((said.matches('b').count(), clients.len()), (6, 8), "{said}");
    assert_eq!(app.server("b")["overrides"], json!(["weight"]));
}

#[test]
fn every_document_is_as_it_is_described() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]).backend("check = { type = \"tcp\", interval = \"100ms\" }");
    let (app, operator, _directory) = app(config);
    app.server_is("a", "ready");
    schema::fits(&operator.get("/api/v1/status"), "Status");
    schema::fits(&operator.get("/api/v1/events"), "Events");
    schema::fits(&operator.does("/api/v1/debug", r#"{"source":"127.0.0.1"}"#), "Told");
    let refused = operator.post("/api/v1/debug", "{}").json();
    schema::fits(&refused, "Error");
    let wrong = json!({"text": "x", "killed": "2", "unknown": []});
    let all = schema::description();
    assert!(schema::check(&wrong, &all["components"]["schemas"]["Killed"], &all).is_err(), "the check can fail");
    assert_eq!(app.http_status("/livez"), 200);
}

// ---- bad input ----

/// Everything goes on as before.
fn is_undisturbed(app: &App, operator: &Operator) {
    let mut client = app.connect();
    client.say("undisturbed");
    client.hears("undisturbed");
    operator.does("/api/v1/servers/back/a/weight", r#"{"weight":1}"#);
}

#[test]
fn a_request_that_is_no_good_is_refused_in_words_and_nothing_happens() {
    let server = Server::echo();
    let (app, operator, _directory) = app(Config::to(&[server.address()]));
    let state = "/api/v1/servers/back/a/state";
    let huge = format!(r#"{{"ids":["{}"]}}"#, "x".repeat(70_000));
    for (path, body, status, words) in [
        (state, "{\"state\":", 400, "EOF"),
        (state, "state=drain", 400, "it must be JSON such as"),
        (state, "\u{1}\u{2}", 400, "expected value"),
        (state, "[]", 400, "it must be JSON such as"),
        (state, r#"{"state":"off"}"#, 400, "`state` is"),
        (state, r#"{"state":"drain","force":true}"#, 400, "unknown field `force`"),
        (state, "", 411, "there is no body"),
        ("/api/v1/servers/back/c/state", r#"{"state":"drain"}"#, 404, "there are a"),
        ("/api/v1/servers/bakc/a/state", r#"{"state":"drain"}"#, 404, "there are back"),
        ("/api/v1/servers/*/c/weight", r#"{"weight":1}"#, 404, "there is no server"),
        ("/api/v1/servers/back/a/start", "{}", 404, "not found"),
        ("/api/v1/status", "{}", 405, "GET"),
        ("/api/v1/sessions/kill", &huge, 413, "64 KiB"),
    ] {
        let answer = operator.post(path, body);
        assert_eq!(answer.status, status, "{path} {body:.80}: {}", answer.body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{path}: {error}");
    }
    assert_eq!(app.server("a")["state"], "ready");
    assert_eq!(app.metric("evenkeel_actions_total", &[]), 0.0);
    is_undisturbed(&app, &operator);
}

/// Reads to the end, and gives how long that took.
fn time_to_end(stream: &mut impl Read) -> (String, std::time::Duration) {
    let begin = Instant::now();
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    (String::from_utf8_lossy(&answer).into_owned(), begin.elapsed())
}

#[test]
fn an_action_that_never_comes_whole_is_given_up() {
    let server = Server::echo();
    let (app, operator, _directory) = app(Config::to(&[server.address()]));
    let whole = post("/api/v1/servers/back/a/state", ACTION, r#"{"state":"maint"}"#);
    let mut slow = operator.connect();
    slow.write_all(&whole.as_bytes()[..whole.len() - 2]).unwrap();
    let mut truncated = operator.connect();
    truncated.write_all(&whole.as_bytes()[..whole.len() - 2]).unwrap();
    truncated.shutdown(std::net::Shutdown::Write).unwrap();
    let (answer, took) = time_to_end(&mut truncated);
    assert!(!answer.contains("200 OK") && took < PATIENCE / 2, "{answer}");
    let (answer, took) = time_to_end(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408") && took < PATIENCE / 2, "after {took:?}: {answer}");
    let endless = post("/api/v1/sessions/kill", &format!("{ACTION}Transfer-Encoding: chunked\r\n"), "");
    let endless =
        endless.replace("Content-Length: 0\r\n", "") + &format!("10000\r\n{}\r\n", "x".repeat(65_536)).repeat(4);
    let answer = operator.sends(endless.as_bytes());
    assert!(answer.is_none_or(|answer| answer.status == 413));
    assert_eq!(app.server("a")["state"], "ready");
    is_undisturbed(&app, &operator);
}

// ---- who may act ----

#[test]
fn the_stats_listener_takes_no_action_unless_it_is_told_whose() {
    let server = Server::echo();
    let (mut app, _operator, _directory) = app(Config::to(&[server.address()]));
    let path = "/api/v1/servers/back/a/state";
    let answer = post_to(app.stats(), path, ACTION, r#"{"state":"maint"}"#);
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("[stats] token_file"), "{}", answer.body);
    // As a form of another site is sent, and as a script of another site asks for leave.
    let form = "Origin: http://evil.example\r\nContent-Type: text/plain\r\n";
    assert_eq!(post_to(app.stats(), path, form, r#"{"state":"maint"}"#).status, 403);
    let asked = http::request(app.stats(), "OPTIONS", path, "").unwrap();
    assert!(asked.status == 405 && !asked.head.to_ascii_lowercase().contains("access-control"), "{}", asked.head);
    assert_eq!(app.server("a")["state"], "ready");
    assert_eq!(app.metric("evenkeel_actions_refused_total", &[]), 1.0);
    app.next_line("the refusal", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("no right credential"))
    });
}

/// The hash of the word `hunter2`, cheap.
fn hash() -> String {
    use std::process::{Command, Stdio};
    let mut command = Command::new(crate::harness::app::BINARY);
    let mut child = command.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hunter2\n").unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim_end().to_owned()
}

// Seen to fail with a token that is read once, and with a password that is not asked for.
#[test]
fn with_the_token_or_the_password_the_stats_listener_takes_actions() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let server = Server::echo();
    let stats = format!("token_file = \"{}\"\nuser = \"ops\"\npassword_hash = \"{}\"", token.display(), hash());
    let mut app = App::start(&Config::to(&[server.address()]).stats_lines(&stats));
    let address = app.stats();
    let act = |credential: &str| {
        let headers = format!("{ACTION}{credential}");
        post_to(address, "/api/v1/servers/back/a/state", &headers, r#"{"state":"maint"}"#)
    };
    for wrong in ["", "Authorization: Bearer s3cre\r\n", "Authorization: Basic b3BzOnMzY3JldA==\r\n"] {
        let answer = act(wrong);
        assert_eq!(answer.status, 401, "{wrong}: {}", answer.body);
        assert!(answer.head.to_ascii_lowercase().contains("www-authenticate: bearer"), "{}", answer.head);
    }
    assert_eq!(app.server("a")["state"], "ready");
    assert_eq!(act("Authorization: Bearer s3cret\r\n").status, 200);
    let line = app.next_line("the action", |line| line["action"] == "state");
    assert!(line["by"].as_str().unwrap().starts_with("the token's holder at 127.0.0.1:"), "{line}");
    // ops:hunter2
    assert_eq!(act("Authorization: Basic b3BzOmh1bnRlcjI=\r\n").status, 200);
    let line = app.next_line("the action", |line| line["action"] == "state");
    assert!(line["by"].as_str().unwrap().starts_with("ops at 127.0.0.1:"), "{line}");
    std::fs::write(&token, "another").unwrap();
    assert_eq!(act("Authorization: Bearer s3cret\r\n").status, 401);
    assert_eq!(act("Authorization: Bearer another\r\n").status, 200);
}

#[test]
fn the_socket_belongs_to_the_group_that_is_said_and_one_that_is_not_there_is_named() {
    use std::os::unix::fs::MetadataExt;
    let server = Server::echo();
    let own = rustix::process::getgid().as_raw();
    let (_app, _operator, directory) =
        app_with(Config::to(&[server.address()]), &format!("mode = \"0640\"\ngroup = \"{own}\""));
    let socket = std::fs::metadata(directory.path().join("admin.sock")).unwrap();
    assert_eq!((socket.gid(), socket.mode() & 0o777), (own, 0o640));
    let path = directory.path().join("other.sock");
    let lines = format!("[admin]\nsocket = \"{}\"\ngroup = \"no-such-group\"", path.display());
    let mut app = App::launch(&Config::to(&[server.address()]).more(&lines));
    assert_eq!(app.ended().code(), Some(1));
    app.program().wait_for("this host has no group no-such-group");
    assert!(!path.exists());
}

// ---- step by step ----

// Seen to fail with each step left out.
#[test]
fn the_sessions_of_a_source_are_logged_step_by_step() {
    let (refusing, server) = (crate::harness::peers::refusing(), Manual::listen());
    let config = Config::to(&[refusing, server.address()]).backend("balance = \"first\"");
    let (mut app, operator, _directory) = app(config);
    let answer = operator.does("/api/v1/debug", r#"{"source":"127.0.9.0/24","seconds":600}"#);
    assert!(answer["text"].as_str().unwrap().contains("127.0.9.0/24"), "{answer}");
    let play = |source: [u8; 4]| {
        let mut client = connect_from(source.into(), app.front());
        client.say("hello");
        let mut served = server.accept();
        served.hears("hello");
        served.say("hi");
        client.hears("hi");
        client.sends_fin();
        served.sees_fin();
        served.sends_fin();
        client.sees_fin();
    };
    play([127, 0, 8, 1]);
    play([127, 0, 9, 7]);
    let mut steps = Vec::new();
    while steps.last().is_none_or(|step| step != "session ended") {
        let line = app.next_line("a step", |line| line["debug"] == true);
        assert!(line["client"].as_str().unwrap().starts_with("127.0.9.7:"), "{line}");
        steps.push(line["message"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        steps,
        [
            "session accepted",
            "session leased to a server",
            "session dial failed",
            "session leased to a server",
            "session connected to the server",
            "session first bytes of the client passed on",
            "session first bytes of the server passed on",
            "session the client has finished writing",
            "session ended",
        ]
    );
}
