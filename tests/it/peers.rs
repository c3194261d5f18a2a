//! Two load balancers in front of the same servers that are of different opinions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Server, refusing};
use crate::harness::wait::{until, until_within};
use crate::harness::{http, schema, tls};

/// Both have held their opinion for ten seconds, and have been asked within five.
const SETTLES: Duration = Duration::from_secs(60);

const CHECK: &str = "check = { type = \"tcp\", interval = \"100ms\", fall = 1 }";

/// Another opinion of the same server, by its names: it is refused at one and reached at the other.
#[test]
fn where_two_differ_both_say_so_and_who_should_look() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = tls::pem("lb2");
    let (certificate, key) = (file("lb2.crt", &certificate), file("lb2.key", &key));
    let server = Server::echo();
    let (one, two) = (Config::to(&[server.address()]).backend(CHECK), Config::to(&[refusing()]).backend(CHECK));
    let (url_of_one, url_of_two) = (format!("http://{}", one.stats()), format!("https://{}", two.stats()));
    let wrong = format!("http://{}", two.stats());
    // The first one's list has itself, as a file for both would.
    let one = one
        .stats_lines(&format!("peers = [\"{url_of_one}\", \"{url_of_two}\", \"{wrong}\"]\npeers_ca = '{certificate}'"));
    let two = two
        .stats_lines(&format!("peers = [\"{url_of_one}\"]\ntls = {{ certificate = '{certificate}', key = '{key}' }}"));
    let (mut one, _two) = (App::start(&one), App::start(&two));

    let peers = |app: &App| app.status()["peers"].clone();
    let first = until("the other has answered", || {
        let peers = peers(&one);
        let others = peers["others"].as_array()?;
        let told = others.len() == 2 && !others[0]["heard"].is_null() && !others[1]["silence"].is_null();
        (told && peers["servers"][0]["theirs"][0] == "down").then_some(peers)
    });
    assert_eq!((&first["servers"][0]["ours"], &first["servers"][0]["theirs"][0]), (&"ready".into(), &"down".into()));
    let urls: Vec<&Value> = first["others"].as_array().unwrap().iter().map(|peer| &peer["url"]).collect();
    assert_eq!(urls, [&json!(url_of_two), &json!(wrong)], "itself is left out");
    let silence = first["others"][1]["silence"].as_str().unwrap();
    assert!(silence.starts_with("it answers 400 Bad Request: this port speaks TLS: ask https://"), "{silence}");

    let name = first["name"].as_str().unwrap();
    let expected = format!("{name} sees a ready, {url_of_two} down: look at the network between {url_of_two} and a.");
    let told = until_within(SETTLES, "a sentence of it", || {
        let told = peers(&one)["differences"].clone();
        told.as_array()?.iter().any(|told| *told == json!(expected)).then_some(told)
    });
    assert_eq!(told.as_array().unwrap().iter().filter(|told| told.as_str().unwrap().contains(" sees ")).count(), 1);
    let status = http::get(one.stats(), "/api/v1/status").unwrap().json();
    schema::fits(&status, "Status");
    let is_of_it = |line: &Value| line["message"] == "a peer does not answer" && line["peer"] == json!(wrong);
    one.next_line("who does not answer", is_of_it);
}

#[test]
fn a_peer_that_goes_is_told_of_and_a_reload_forgets_it() {
    let server = Server::echo();
    let other = App::start(&Config::to(&[server.address()]));
    let url = format!("http://{}", other.stats());
    let alone = Config::to(&[server.address()]);
    let mut app = App::start(&alone.clone().stats_lines(&format!("peers = [\"{url}\"]")));
    let peer = |app: &App| app.status()["peers"]["others"][0].clone();
    until("it answers", || (!peer(&app)["heard"].is_null()).then_some(()));
    drop(other);
    until("it is silent", || (peer(&app)["silence"] == "connection refused").then_some(()));
    until_within(SETTLES, "a sentence of it", || {
        let told = app.status()["peers"]["differences"][0].clone();
        let told = told.as_str()?;
        (told.starts_with(&url) && told.ends_with("connection refused.")).then_some(())
    });
    app.reload(&alone);
    assert_eq!(app.status()["peers"], Value::Null);
}
