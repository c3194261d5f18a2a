//! What is told of a session when it has ended.

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer};
use crate::harness::wait::until;

#[test]
fn a_sessions_line_tells_all() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    client.say("seven b");
    served.hears("seven b");
    served.say("four");
    client.hears("four");
    let (client_address, source) = (client.local_addr().unwrap(), served.peer_addr().unwrap());
    client.sends_fin();
    served.sends_fin();
    served.sees_fin();
    let record = app.next_session();
    assert_eq!(record["frontend"], "front");
    assert_eq!(record["backend"], "back");
    assert_eq!(record["server"], "a");
    assert_eq!(record["client"], client_address.to_string());
    assert_eq!(record["listener"], app.front().to_string());
    assert_eq!(record["source"], source.to_string(), "what the server's own log shows");
    assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&7.into(), &4.into()));
    assert_eq!((&record["retries"], &record["moves"]), (&0.into(), &0.into()));
    assert_eq!(
        (&record["phase"], &record["cause"], &record["letters"]),
        (&"data".into(), &"finished".into(), &"--".into())
    );
    for key in ["id", "timestamp", "level", "ended_by"] {
        assert!(record[key].is_string(), "{key} in {record}");
    }
    for key in ["waited_ms", "dial_ms", "total_ms"] {
        assert!(record[key].as_f64().is_some_and(|time| time >= 0.0), "{key} in {record}");
    }
}

#[test]
fn sessions_without_a_byte_are_counted_and_not_logged() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    for _ in 0..3 {
        drop(app.session(&server));
    }
    let (mut client, served) = app.session(&server);
    client.say("x");
    drop((client, served));
    assert_eq!(app.next_session()["bytes_in"], 1, "the first line is of the first session that moved a byte");
    app.has_sessions(0);
    assert_eq!(app.sessions().len(), 1);
    assert_eq!(app.status()["frontends"][0]["counts"]["sessions_total"], 4);
}

#[test]
fn sessions_without_a_byte_are_logged_on_request() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).log("null_sessions = true"));
    drop(app.session(&server));
    let record = app.next_session();
    assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&0.into(), &0.into()));
}

#[test]
fn bytes_are_counted_while_a_session_lives() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    client.say("four");
    served.hears("four");
    let labels = ["server=\"a\""];
    until("the bytes in the metrics", || (app.metric("evenkeel_server_in_bytes_total", &labels) == 4.0).then_some(()));
    assert_eq!(app.server("a")["counts"]["bytes_in"], 4);
}
