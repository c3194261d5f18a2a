//! A worker that hangs: it is said which, in which session, and the process is no longer live.

use rustix::process::Signal;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server};

#[test]
fn a_worker_that_hangs_is_told_of_with_what_it_was_doing() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]).process("workers = 2");
    let mut app = App::launch_with(&config, |command| {
        command.env("EVENKEEL_HANG_IN_SESSION", "2");
    });
    app.program().wait_for("serving");
    let mut first = app.connect();
    first.say("fine");
    first.hears("fine");
    drop(first);
    let client = app.connect();
    let line = app.next_line("the stall", |line| line["message"] == "a worker hangs: its sessions stand still");
    assert_eq!(line["client"], client.local_addr().unwrap().to_string());
    let worker = line["worker"].as_u64().unwrap();
    assert!(line["session"].as_str().unwrap().starts_with(&format!("{worker}-")), "{line}");
    // The one that hangs in this test waits for another thread.
    assert!(line["thread"].as_str().unwrap().starts_with("sleeping"), "{line}");
    assert_eq!(app.http_status("/livez"), 503);
    // The other worker takes whoever comes, and hands nobody to the one that hangs.
    let mut served = app.connect();
    served.say("the other");
    served.hears("the other");
    drop((served, client));
    // Nor does the end wait for it.
    app.signal(Signal::TERM);
    app.next_line("that it is left behind", |line| line["message"] == "a worker hangs: ending without it");
    assert_eq!(app.ended().code(), Some(0));
}
