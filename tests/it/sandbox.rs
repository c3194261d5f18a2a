//! What the process can't do any more once it serves.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::app::{App, Config};
use crate::harness::peers::Server;
use crate::harness::tls;

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
