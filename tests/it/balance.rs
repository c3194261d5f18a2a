//! Who gets the next session.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::process::Signal;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server, connect_from};
use crate::harness::wait::until;

/// Opens idle sessions at once and says how many each server got.
fn spread(balance: &str, weights: [u16; 3], sessions: usize) -> [u64; 3] {
    let servers = [Server::silent(), Server::silent(), Server::silent()];
    let mut config = Config::to(&servers.each_ref().map(Server::address)).backend(&format!("balance = \"{balance}\""));
    for (number, weight) in weights.iter().enumerate() {
        config = config.server(number, &format!("weight = {weight}"));
    }
    let app = App::start(&config.process("workers = 2"));
    let clients: Vec<TcpStream> = (0..sessions).map(|_| app.connect()).collect();
    until("all sessions are at a server", || {
        (servers.iter().map(Server::accepted).sum::<usize>() == sessions).then_some(())
    });
    let counts = ["a", "b", "c"].map(|name| app.server_sessions(name));
    assert_eq!(
        counts.map(|count| count as usize),
        servers.each_ref().map(Server::accepted),
        "the page tells the truth"
    );
    drop(clients);
    counts
}

fn assert_near(counts: [u64; 3], wanted: [u64; 3]) {
    for (count, wanted) in counts.iter().zip(wanted) {
        assert!(count.abs_diff(wanted) <= 1, "{counts:?}");
    }
}

#[test]
fn leastconn_spreads_idle_sessions_evenly() {
    assert_near(spread("leastconn", [1, 1, 1], 300), [100, 100, 100]);
}

#[test]
fn leastconn_follows_weights() {
    assert_near(spread("leastconn", [1, 2, 1], 300), [75, 150, 75]);
}

#[test]
fn roundrobin_follows_weights() {
    assert_near(spread("roundrobin", [1, 2, 1], 300), [75, 150, 75]);
}

/// Of connections that come at once the worker that looks first finds all.
#[test]
fn workers_share_sessions_that_come_together() {
    let server = Server::silent();
    let config = Config::to(&[server.address()]).process("workers = 2\nshutdown_grace = \"0s\"");
    let mut app = App::start(&config.log("null_sessions = true"));
    app.signal(Signal::STOP);
    let clients: Vec<TcpStream> = (0..64).map(|_| app.connect()).collect();
    app.signal(Signal::CONT);
    server.has_accepted(clients.len());
    app.signal(Signal::TERM);
    app.ended();
    let of_first = app.sessions().iter().filter(|session| session["id"].as_str().unwrap().starts_with("0-")).count();
    // Half each, but for the few by which one may have more before it hands any over.
    assert!((26..=38).contains(&of_first), "{of_first} of {}", clients.len());
}

#[test]
fn weight_zero_takes_no_new_session() {
    assert_eq!(spread("leastconn", [1, 0, 1], 100), [50, 0, 50]);
    assert_eq!(spread("roundrobin", [1, 0, 1], 100), [50, 0, 50]);
}

#[test]
fn first_fills_the_first() {
    assert_eq!(spread("first", [1, 1, 1], 30), [30, 0, 0]);
}

#[test]
fn leastconn_evens_out_what_has_ended() {
    let servers = [Server::named("a"), Server::named("b")];
    let app = App::start(&Config::to(&servers.each_ref().map(Server::address)));
    let mut clients: Vec<(TcpStream, String)> = (0..20).map(|_| greeted(&app)).collect();
    clients.retain(|(_, name)| name == "a");
    app.has_sessions(10);
    let next: Vec<(TcpStream, String)> = (0..10).map(|_| greeted(&app)).collect();
    assert!(next.iter().all(|(_, name)| name == "b"), "those that b lost come back to it");
}

/// A client and the name of the server that it was given.
fn greeted(app: &App) -> (TcpStream, String) {
    let mut client = app.connect();
    let mut name = [0];
    std::io::Read::read_exact(&mut client, &mut name).unwrap();
    (client, String::from_utf8_lossy(&name).into_owned())
}

#[test]
fn roundrobin_takes_turns() {
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    let config = Config::to(&servers.each_ref().map(Server::address)).backend("balance = \"roundrobin\"");
    let app = App::start(&config);
    let names: String = (0..9).map(|_| greeted(&app).1).collect();
    let turn: String = names.chars().take(3).collect();
    assert_eq!(names, turn.repeat(3));
    assert!(turn.contains('a') && turn.contains('b') && turn.contains('c'), "{names}");
}

#[test]
fn source_keeps_a_client_at_its_server() {
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    let config = Config::to(&servers.each_ref().map(Server::address)).backend("balance = \"source\"");
    let app = App::start(&config.process("workers = 2"));
    let mut seen = Vec::new();
    for last in 1..=30 {
        let visit = || said_to(Ipv4Addr::new(127, 0, 5, last), app.front());
        let name = visit();
        assert!((0..3).all(|_| visit() == name), "127.0.5.{last} moved from {name}");
        seen.push(name);
    }
    assert!(["a", "b", "c"].iter().all(|name| seen.iter().any(|seen| seen == name)), "{seen:?}");
}

fn said_to(source: Ipv4Addr, front: SocketAddr) -> String {
    let mut name = [0];
    std::io::Read::read_exact(&mut connect_from(source, front), &mut name).unwrap();
    String::from_utf8_lossy(&name).into_owned()
}

#[test]
fn a_backup_gets_nothing_while_a_primary_serves() {
    let servers = [Server::named("a"), Server::named("b")];
    let config = Config::to(&servers.each_ref().map(Server::address)).server(0, "backup = true");
    let app = App::start(&config);
    for _ in 0..10 {
        app.connect().hears("b");
    }
}
