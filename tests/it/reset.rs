//! RST stays RST on the other side, in every state that a session can be in.

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer};

#[test]
fn a_clients_reset_reaches_the_server() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    client.say("hello");
    served.hears("hello");
    client.resets();
    served.sees_reset();
    let record = app.next_session();
    assert_eq!((&record["letters"], &record["cause"]), (&"CD".into(), &"reset".into()));
}

#[test]
fn a_servers_reset_reaches_the_client() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    served.say("hello");
    client.hears("hello");
    served.resets();
    client.sees_reset();
    let record = app.next_session();
    assert_eq!((&record["letters"], &record["cause"]), (&"SD".into(), &"reset".into()));
}

#[test]
fn a_clients_reset_is_seen_while_the_server_reads_nothing() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("tunnel = \"60s\""));
    let (mut client, mut served) = app.session(&server);
    assert!(client.fills() > 0);
    client.resets();
    let record = app.next_session();
    assert_eq!(record["letters"], "CD");
    served.sees_reset();
}

#[test]
fn a_servers_reset_is_seen_while_the_client_reads_nothing() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("tunnel = \"60s\""));
    let (mut client, mut served) = app.session(&server);
    assert!(served.fills() > 0);
    served.resets();
    let record = app.next_session();
    assert_eq!(record["letters"], "SD");
    client.sees_reset();
}

#[test]
fn a_servers_reset_is_seen_while_it_reads_nothing_itself() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("tunnel = \"60s\""));
    let (mut client, served) = app.session(&server);
    assert!(client.fills() > 0);
    served.resets();
    client.sees_reset();
    assert_eq!(app.next_session()["letters"], "SD");
}

#[test]
fn a_clients_reset_after_its_fin_reaches_the_server() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("half_close = \"60s\""));
    let (mut client, mut served) = app.session(&server);
    client.say("hello");
    served.hears("hello");
    client.sends_fin();
    served.sees_fin();
    client.resets();
    served.sees_reset_after_fin();
    assert_eq!(app.next_session()["letters"], "CD");
}

#[test]
fn a_servers_reset_after_its_fin_reaches_the_client() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("half_close = \"60s\""));
    let (mut client, served) = app.session(&server);
    served.sends_fin();
    client.sees_fin();
    served.resets();
    client.sees_reset_after_fin();
    assert_eq!(app.next_session()["letters"], "SD");
}

#[test]
fn a_servers_reset_after_the_clients_fin_reaches_the_client() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).timeouts("half_close = \"60s\""));
    let (mut client, mut served) = app.session(&server);
    client.sends_fin();
    served.sees_fin();
    served.resets();
    client.sees_reset();
    assert_eq!(app.next_session()["letters"], "SD");
}

#[test]
fn bytes_before_a_fin_are_never_dropped_for_it() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    let sent = served.fills();
    served.sends_fin();
    let received = std::io::copy(&mut client, &mut std::io::sink()).unwrap();
    assert_eq!(received, sent);
}
