//! What happened is told later, to those who ask and to those who wait.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;

use super::admin::app;
use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server};
use crate::harness::wait::until;
use crate::harness::{http, schema, tls};

/// The first event of this kind, once there is one; read over the stats listener, where everybody may.
fn event(app: &App, kind: &str) -> Value {
    until(&format!("an event of the kind {kind}"), || {
        let events = http::get(app.stats(), "/api/v1/events?after=0&limit=4096").expect("an answer").json();
        schema::fits(&events, "Events");
        events["events"].as_array().unwrap().iter().find(|event| event["kind"] == kind).cloned()
    })
}

// Seen to fail with changes that are not kept, and with one probe in place of three.
#[test]
fn a_server_that_goes_down_is_told_with_its_last_three_probes() {
    let server = Server::echo();
    let check = "check = { type = \"tcp\", interval = \"100ms\", fast_interval = \"100ms\", fall = 3 }";
    let app = App::start(&Config::to(&[server.address()]).backend(check));
    app.server_is("a", "ready");
    until("a probe has passed", || (app.server("a")["check"]["last"]["passed"] == true).then_some(()));
    server.stop();
    let down = event(&app, "server");
    assert_eq!((&down["backend"], &down["server"], &down["level"]), (&"back".into(), &"a".into(), &"error".into()));
    assert!(down["text"].as_str().unwrap().starts_with("back/a is down (refused), was ready: "), "{down}");
    let statuses: Vec<_> = down["evidence"].as_array().unwrap().iter().map(|seen| &seen["status"]).collect();
    assert_eq!(statuses, ["L4CON", "L4CON", "L4CON"]);
}

#[test]
fn a_limit_that_is_reached_and_the_processs_begin_are_events() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]).frontend("max_sessions = 1"));
    let started = event(&app, "process");
    assert!(started["text"].as_str().unwrap().starts_with("evenkeel "), "{started}");
    let mut holder = app.connect();
    holder.say("mine");
    holder.hears("mine");
    let _waiting = app.connect();
    let limit = event(&app, "limit");
    assert_eq!(limit["level"], "warn");
    assert_eq!(
        limit["text"],
        "frontend front (at most 1): session limit of the frontend reached: new clients wait until a session ends"
    );
    assert!(app.metric("evenkeel_events_total", &[]) >= 2.0);
}

/// A server whose certificate ends in so many days.
fn ending(days: i64) -> Server {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(days);
    let chain = vec![params.self_signed(&key).unwrap().der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Server::tls_on(listener, &tls::config(chain, key), &Arc::new(AtomicBool::new(false)))
}

#[test]
fn a_certificate_that_ends_soon_is_told_of_once() {
    let server = ending(6);
    let check = "check = { type = \"tls\", verify = \"none\", interval = \"100ms\" }";
    let mut app = App::start(&Config::to(&[server.address()]).backend(check));
    let told = event(&app, "certificate");
    assert_eq!((&told["level"], &told["server"]), (&"warn".into(), &"a".into()));
    assert!(told["text"].as_str().unwrap().ends_with("expires in 5 days"), "{told}");
    let line = app.next_line("the same in the log", |line| line["not_after"].is_string());
    assert_eq!((&line["message"], &line["level"]), (&told["text"], &"WARN".into()));
    server.has_accepted(server.accepted() + 5);
    let lines = app.program().printed();
    assert_eq!(lines.iter().filter(|line| line.contains("\"not_after\"")).count(), 1);
}

// Seen to fail without the wait, at its second half.
#[test]
fn who_waits_for_an_event_gets_it_as_it_happens() {
    let server = Server::echo();
    let (app, operator, _directory) = app(Config::to(&[server.address()]));
    event(&app, "process");
    let last = operator.get("/api/v1/events")["last"].as_u64().unwrap();
    let waiting = {
        let operator = operator.clone();
        thread::spawn(move || operator.get(&format!("/api/v1/events?after={last}&wait=30")))
    };
    // It may be asked before or after: in both cases this is the next event.
    operator.does("/api/v1/debug", r#"{"source":"192.0.2.1"}"#);
    let document = waiting.join().unwrap();
    assert_eq!(document["events"][0]["kind"], "action");
    assert_eq!(document["events"][0]["seq"], last + 1);
    let begin = Instant::now();
    let document = operator.get(&format!("/api/v1/events?after={}&wait=1", last + 1));
    assert_eq!(document["events"], serde_json::json!([]));
    assert!(begin.elapsed() >= Duration::from_secs(1), "answered after {:?}", begin.elapsed());
}
