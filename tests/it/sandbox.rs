//! What the process can't do any more once it serves.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::admin::Operator;
use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server};
use crate::harness::{schema, tls};

/// A field of each of the process's threads, as `/proc` has it.
fn of_all_threads(app: &mut App, field: &str) -> Vec<String> {
    let tasks = format!("/proc/{}/task", app.program().pid());
    let tasks = fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path().join("status"));
    let value = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::trim));
        line.unwrap_or_else(|| panic!("no {field} in {status}")).to_owned()
    };
    tasks.map(|status| value(fs::read_to_string(status).unwrap())).collect()
}

/// Rights are given up by the thread that does it and passed on to those that it starts. Mutations seen to fail: a
/// thread started before; no seccomp.
#[test]
fn every_thread_is_confined_alike() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("workers = 2"));
    let threads = of_all_threads(&mut app, "NoNewPrivs");
    assert!(threads.len() >= 4, "control, log and two workers: {threads:?}");
    for (field, wanted) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0000000000000000")] {
        let found: BTreeSet<_> = of_all_threads(&mut app, field).into_iter().collect();
        assert_eq!(found, BTreeSet::from([wanted.to_owned()]), "{field}");
    }
}

#[test]
fn one_line_says_what_is_on() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]));
    let line = app.next_line("what it has given up", |line| line["message"] == "confined");
    let sandbox = line["sandbox"].as_str().unwrap();
    assert!(sandbox.starts_with("landlock ABI ") && sandbox.ends_with(", seccomp, no_new_privs"), "{line}");
    assert_eq!((&line["capabilities"], &line["level"]), (&"none".into(), &"INFO".into()), "{line}");
    assert!(line.get("missing").is_none(), "{line}");
}

#[test]
fn the_sandbox_can_be_left_off() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).more("[security]\nsandbox = false"));
    let line = app.next_line("what it has given up", |line| line["message"] == "confined");
    assert_eq!((&line["sandbox"], &line["capabilities"]), (&"no_new_privs".into(), &"none".into()), "{line}");
    assert!(of_all_threads(&mut app, "Seccomp").iter().all(|mode| mode == "0"));
}

#[test]
fn a_user_that_nobody_knows_is_refused_before_anything_is_served() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]).process("user = \"no-such-user\"");
    let mut app = App::launch(&config);
    assert_eq!(app.ended().code(), Some(1));
    let printed = app.program().printed();
    assert_eq!(
        printed,
        ["error: process.user: /etc/passwd has no user \"no-such-user\"; write one of its names, or a number"]
    );
}

/// A file that is replaced is another file to the kernel. Mutation seen to fail: files allowed, not their directories.
#[test]
fn a_token_that_is_replaced_is_read() {
    let server = Server::tls(&tls::server("one"));
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "first").unwrap();
    let check = format!(
        "check = {{ type = \"kube-apiserver\", verify = \"none\", token_file = \"{}\", interval = \"100ms\" }}",
        token.display()
    );
    let mut app = App::start(&Config::to(&[server.address()]).backend(&check));
    let fresh = directory.path().join("fresh");
    fs::write(&fresh, "second").unwrap();
    fs::rename(&fresh, &token).unwrap();
    app.next_line("the new token", |line| line["message"] == "token read anew");
}

// ---- what a reload may not undo ----

/// Everything about what was refused: the answer, and that all goes on.
fn refused(app: &mut App, operator: &Operator, text: &str) -> String {
    fs::write(app.file(), text).unwrap();
    for body in ["{}", r#"{"dry_run":true}"#] {
        let answer = operator.post("/api/v1/reload", body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        schema::fits(&answer.json(), "RefusedConfiguration");
    }
    let answer = operator.post("/api/v1/reload", "{}").json();
    assert!(answer["error"].as_str().unwrap().contains("gave up at its start"), "{answer}");
    let event = operator.events().into_iter().rfind(|event| event["kind"] == "reload").unwrap();
    let report = answer["report"].as_str().unwrap().to_owned();
    for reason in report.lines() {
        assert!(event["text"].as_str().unwrap().contains(reason), "{reason} in {event}");
        let line = format!("reload: {reason}");
        app.next_line("the reason", |found| found["message"] == line && found["level"] == "ERROR");
    }
    let mut client = app.connect();
    client.say("undisturbed");
    client.hears("undisturbed");
    report
}

// Seen to fail with a reload that doesn't ask.
#[test]
fn a_reload_that_needs_what_was_given_up_is_refused_with_all_reasons() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let (mut app, operator, _directory) = super::admin::app(config.clone());
    let before = fs::read_to_string(app.file()).unwrap();
    let socket = before.lines().rfind(|line| line.starts_with("socket")).unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let text = before
        .replace("[process]", "[process]\nuser = \"root\"\nkeep_bind = true")
        .replace(&socket, &format!("socket = \"{}\"", elsewhere.path().join("admin.sock").display()));
    let report = refused(&mut app, &operator, &text);
    let reasons: Vec<_> = report.lines().collect();
    for (reason, what) in reasons.iter().zip(["process.user", "process.keep_bind", "the admin socket"]) {
        assert!(reason.starts_with(what), "{report}");
    }
    assert_eq!(reasons.len(), 3, "{report}");
}

// Seen to fail without the look at what is out of reach.
#[test]
fn a_token_that_only_the_sandbox_hides_is_said_to_be_out_of_reach() {
    let server = Server::echo();
    let (app, operator, _directory) = super::admin::app(Config::to(&[server.address()]));
    let before = fs::read_to_string(app.file()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let token = elsewhere.path().join("token");
    fs::write(&token, "s3cret").unwrap();
    fs::write(app.file(), before.replace("[stats]", &format!("[stats]\ntoken_file = \"{}\"", token.display())))
        .unwrap();
    let answer = operator.post("/api/v1/reload", "{}");
    assert_eq!(answer.status, 422, "{}", answer.body);
    let reason = format!("{} is in no directory that the sandbox allows", token.display());
    assert!(answer.json()["report"].as_str().unwrap().contains(&reason), "{}", answer.body);
    assert!(operator.events().iter().any(|event| event["text"].as_str().unwrap().contains(&reason)));
    // Beside the configuration it may be.
    let beside = app.directory().path().join("token");
    fs::write(&beside, "s3cret").unwrap();
    let text = before.replace("[stats]", &format!("[stats]\ntoken_file = \"{}\"", beside.display()));
    fs::write(app.file(), text).unwrap();
    assert_eq!(operator.does("/api/v1/reload", "{}")["changed"], true);
}

// Seen to fail with an addition that doesn't ask.
#[test]
fn a_server_at_a_port_that_was_given_up_is_not_added() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]).more("[security]\nconnect = \"servers\"");
    let (app, operator, _directory) = super::admin::app(config);
    let line = app.lines().into_iter().find(|line| line["message"] == "confined");
    if line.as_ref().is_some_and(|line| line["missing"].is_string()) {
        // Without that part of the sandbox nothing is given up.
        return;
    }
    let at = |port: u16| format!("{{\"name\":\"n\",\"address\":\"127.0.0.9:{port}\"}}");
    let answer = operator.post("/api/v1/backends/back/servers", &at(1));
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("security.connect"), "{}", answer.body);
    let known = server.address().port();
    assert_eq!(operator.post("/api/v1/backends/back/servers", &at(known)).status, 200);
}
