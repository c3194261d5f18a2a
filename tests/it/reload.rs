//! A reload exchanges the configuration, and nothing else: sockets, sessions, counters and health stay.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server, refusing};
use crate::harness::program::{command, run};
use crate::harness::wait::until;

/// The inode of the socket that listens on an address, and when it was bound as far as `ss` tells.
fn inode(address: SocketAddr) -> String {
    let table = run(&mut command("ss --tcp --listening --numeric --extended --no-header"));
    let line = table.lines().find(|line| line.split_whitespace().nth(3) == Some(&address.to_string()));
    let line = line.unwrap_or_else(|| panic!("nobody listens on {address}"));
    let inode = line.split_whitespace().find(|word| word.starts_with("ino:"));
    inode.expect("ss tells the inode").to_owned()
}

fn refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn count(app: &App, of: &str) -> u64 {
    app.status()["process"]["counts"][of].as_u64().expect("a count")
}

// Seen to fail when no server is taken for the one that was there.
#[test]
fn what_stays_in_the_configuration_keeps_its_socket_its_sessions_and_its_counts() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let held = Manual::listen();
    let config = Config::to(&[held.address(), a.address()]).backend("balance = \"first\"");
    let mut app = App::start(&config);
    let (mut client, mut server) = app.session(&held);
    client.say("before");
    server.hears("before");
    let (socket, total) = (inode(app.front()), app.server("a")["counts"]["sessions_total"].clone());

    let line = app.reload(&Config::to(&[held.address(), a.address(), b.address()]).at(&config).server(0, "weight = 0"));
    assert_eq!(line["changes"], 3, "a server, a weight and the balance method: {line}");
    assert_eq!(inode(app.front()), socket);
    client.say("after");
    server.hears("after");
    server.say("answer");
    client.hears("answer");
    assert_eq!(app.server_sessions("a"), 1, "it is still counted there");
    assert_eq!(app.server("a")["counts"]["sessions_total"], total);

    app.connect().hears("a");
    app.connect().hears("b");
    drop((client, server));
    app.has_sessions(0);
    assert_eq!(count(&app, "sessions_total"), 3);
}

#[test]
fn the_same_again_changes_nothing() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config);
    assert_eq!(app.reload(&config)["changes"], 0);
    let mut client = app.connect();
    client.say("hello");
    client.hears("hello");
}

#[test]
fn a_file_with_mistakes_is_refused_with_their_places_and_changes_nothing() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config);
    let text = config.text().replace("weight", "") + "[limits]\nmax_sesions = 4\n";
    let errors = app.refuses(&text.replacen("[limits]\n", "", 1));
    assert!(errors.iter().any(|line| line.contains("evenkeel.toml:") && line.contains("max_sesions")), "{errors:?}");
    app.connect().hears("a");
    app.reload(&config);
}

#[test]
fn a_file_that_is_gone_empty_or_no_text_is_refused() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config);
    std::fs::remove_file(app.file()).unwrap();
    let errors = app.refuses_what_is_there();
    assert!(errors.iter().any(|line| line.contains("evenkeel.toml")), "{errors:?}");
    std::fs::create_dir(app.file()).unwrap();
    app.refuses_what_is_there();
    std::fs::remove_dir(app.file()).unwrap();
    for text in ["", "[[frontend]]\nname = \"fro", "\0\0\0", "evenkeel"] {
        assert!(!app.refuses(text).is_empty(), "{text:?}");
    }
    app.connect().hears("a");
    app.reload(&config);
}

#[test]
fn a_port_that_is_taken_refuses_the_whole_reload() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let config = Config::to(&[a.address()]);
    let mut app = App::start(&config);
    let (free, taken) = (Config::to(&[]).front(), TcpListener::bind("127.0.0.1:0").unwrap());
    let two = format!(
        "[[frontend]]\nname = \"free\"\nlisten = \"{free}\"\nbackend = \"back\"\n\
         [[frontend]]\nname = \"taken\"\nlisten = \"{}\"\nbackend = \"back\"\n",
        taken.local_addr().unwrap()
    );
    let errors = app.refuses(&Config::to(&[b.address()]).at(&config).more(&two).text());
    assert!(errors.iter().any(|line| line.contains("the port is taken")), "{errors:?}");
    app.connect().hears("a");
    assert!(refused(free));
}

#[test]
fn listeners_come_and_go_with_the_configuration() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config);
    let mut client = app.connect();
    let old = app.front();
    let moved = Config::to(&[server.address()]);
    app.reload(&moved);
    until("the old address refuses", || refused(old).then_some(()));
    assert!(refused(config.stats()), "the stats page has moved, too");
    client.say("from the old address");
    client.hears("from the old address");
    let mut new = app.connect();
    new.say("from the new one");
    new.hears("from the new one");
    app.reload(&config);
    app.connect();
}

// Seen to fail when the listener is not led to the new frontend.
#[test]
fn a_listener_that_another_frontend_takes_over_stays_open() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let config = Config::to(&[a.address()]);
    let mut app = App::start(&config);
    app.connect().hears("a");
    let socket = inode(app.front());
    let text = config.text().replace("\"front\"", "\"other\"").replace("\"back\"", "\"behind\"");
    let text = text.replace(&a.address().to_string(), &b.address().to_string());
    std::fs::write(app.file(), text).unwrap();
    app.signal(Signal::HUP);
    app.next_line("that it is done", |line| line["message"] == "reloaded");
    assert_eq!(inode(app.front()), socket);
    app.connect().hears("b");
    assert_eq!(count(&app, "sessions_total"), 2);
    assert!(count(&app, "connects") >= 2, "what the old backend has counted is not forgotten");
}

#[test]
fn sessions_of_a_server_that_is_gone_stay_or_are_closed_as_configured() {
    for (on_removed, closes) in [("keep", false), ("close", true), ("drain", true)] {
        let (gone, stays) = (Manual::listen(), Server::named("b"));
        let config =
            Config::to(&[gone.address(), stays.address()]).backend("balance = \"first\"\ndrain_max = \"300ms\"");
        let config = config.backend(&format!("on_removed = \"{on_removed}\"\ndrain_idle = \"100ms\""));
        let mut app = App::start(&config);
        let (mut client, mut server) = app.session(&gone);
        client.say("hello");
        server.hears("hello");
        let line = app.reload(&Config::to(&[stays.address()]).at(&config));
        assert_eq!(line["closing"], u64::from(closes), "{on_removed}");
        if closes {
            client.sees_fin();
            let session = app.next_session();
            assert_eq!((&session["cause"], &session["ended_by"]), (&"server was removed".into(), &"killed".into()));
        } else {
            server.say("still here");
            client.hears("still here");
        }
        app.connect().hears("b");
    }
}

#[test]
fn new_sessions_have_the_new_timeouts_and_old_ones_the_old() {
    let server = Server::silent();
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config);
    let mut old = app.connect();
    old.say("x");
    server.has_accepted(1);
    app.reload(&config.clone().timeouts("client = \"200ms\""));
    let mut new = app.connect();
    new.sees_fin();
    assert_eq!(app.next_session()["cause"], "idle");
    old.say("still here");
    app.has_sessions(1);
}

#[test]
fn a_lower_session_limit_lets_nobody_in_until_there_is_room() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]).limits("on_limit = \"reset\"");
    let mut app = App::start(&config);
    let mut held: Vec<_> = (0..3).map(|_| app.connect()).collect();
    for client in &mut held {
        client.say("x");
        client.hears("x");
    }
    app.reload(&config.clone().frontend("max_sessions = 2"));
    app.resets_a_client();
    drop(held);
    app.has_sessions(0);
    let mut client = app.connect();
    client.say("room");
    client.hears("room");
    app.reload(&config);
    assert_eq!(app.status()["frontends"][0]["sessions_limit"], serde_json::Value::Null);
}

#[test]
fn health_is_kept_and_another_check_starts_on_the_side_where_the_server_was() {
    let (up, down) = (Server::named("a"), refusing());
    let check = "check = { type = \"tcp\", interval = \"100ms\", down_interval = \"100ms\" }";
    let config = Config::to(&[up.address(), down]).backend(check);
    let mut app = App::start(&config);
    app.server_is("b", "down");
    let since = app.server("b")["since"].clone();
    app.reload(&config.clone().backend("balance = \"first\""));
    assert_eq!((&app.server("b")["state"], &app.server("b")["since"]), (&"down".into(), &since));
    let slower = Config::to(&[up.address(), down]).at(&config).backend(&check.replace("100ms", "1h"));
    app.reload(&slower);
    assert_eq!(app.server("b")["state"], "down");
    app.reload(&config);
    let back = Server::echo_on(down);
    app.server_is("b", "ready");
    drop(back);
}

#[test]
fn a_hundred_hang_ups_in_a_row_cut_nobody() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config);
    let mut client = app.connect();
    for _ in 0..100 {
        app.signal(Signal::HUP);
        client.say("x");
        client.hears("x");
        app.connect();
    }
    app.next_line("that it was done", |line| line["message"] == "reloaded");
    std::fs::write(app.file(), config.frontend("max_sessions = 7").text()).unwrap();
    app.signal(Signal::HUP);
    app.next_line("that the last is done as well", |line| line["message"] == "reloaded" && line["changes"] == 1);
    assert_eq!(app.status()["frontends"][0]["sessions_limit"], 7);
}

#[test]
fn who_stops_does_not_reload() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("shutdown_grace = \"10s\""));
    let mut client = app.connect();
    client.say("x");
    client.hears("x");
    app.signal(Signal::TERM);
    app.next_line("that it stops", |line| line["message"] == "stopping: no longer accepting");
    app.signal(Signal::HUP);
    app.next_line("that it doesn't", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("stopping and does"))
    });
    client.say("still here");
    client.hears("still here");
    drop(client);
    assert_eq!(app.ended().code(), Some(0));
}

#[test]
fn a_listener_that_is_closed_for_want_of_servers_opens_when_that_is_no_longer_wanted() {
    let (down, up) = (refusing(), Server::named("b"));
    let check = "check = { type = \"tcp\", interval = \"100ms\", fall = 1 }\n";
    let config = Config::to(&[down]).backend(&format!("{check}on_no_server = \"close_listener\""));
    let mut app = App::start(&config);
    let front = app.front();
    until("clients are refused", || refused(front).then_some(()));
    app.reload(&Config::to(&[down, up.address()]).at(&config).backend(check));
    until("clients are taken", || TcpStream::connect(front).ok());
    app.connect().hears("b");
}

#[test]
fn a_reload_to_a_thousand_backends_keeps_sessions_going() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let app = App::start(&config);
    let mut client = app.connect();
    let mut more = String::new();
    for number in 0..1_000 {
        let (b, c) = (number / 250, number % 250);
        more +=
            &format!("[[backend]]\nname = \"more-{number}\"\ncheck = \"off\"\nservers = [\"127.1.{b}.{c}:6443\"]\n");
    }
    std::fs::write(app.file(), config.more(&more).text()).unwrap();
    app.signal(Signal::HUP);
    let begun = std::time::Instant::now();
    while app.status()["backends"].as_array().map_or(0, Vec::len) == 1 {
        client.say("x");
        client.hears("x");
        assert!(begun.elapsed() < Duration::from_secs(60), "never reloaded");
    }
    client.say("x");
    client.hears("x");
}
