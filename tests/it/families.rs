//! IPv4 and IPv6, in front and behind.

use std::net::SocketAddr;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, Server, connect};
use crate::harness::ports;
use crate::harness::wait::until;

fn both(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))]
}

/// Sends a word through `client`'s address to a server on `server`.
fn carries(server: SocketAddr, client: usize) {
    let server = Server::echo_on(server);
    let port = ports::free();
    let config = Config::to(&[server.address()]).listen(&format!(":{port}"), both(port)[client]);
    let mut app = App::start(&config);
    let mut stream = app.connect();
    stream.say("through");
    stream.hears("through");
    let local = stream.local_addr().unwrap();
    drop(stream);
    let record = app.next_session();
    assert_eq!(record["client"], local.to_string(), "an IPv4 client stays one on a dual-stack listener");
}

#[test]
fn ipv4_client_to_ipv4_server() {
    carries(both(ports::free())[0], 0);
}

#[test]
fn ipv4_client_to_ipv6_server() {
    carries(both(ports::free())[1], 0);
}

#[test]
fn ipv6_client_to_ipv4_server() {
    carries(both(ports::free())[0], 1);
}

#[test]
fn ipv6_client_to_ipv6_server() {
    carries(both(ports::free())[1], 1);
}

#[test]
fn a_frontend_on_one_family_refuses_the_other() {
    let server = Manual::listen();
    let port = ports::free();
    let [v4, v6] = both(port);
    let app = App::start(&Config::to(&[server.address()]).listen(&v6.to_string(), v6));
    assert!(std::net::TcpStream::connect(v4).is_err(), "[::1] was named, and nothing else");
    let _client = app.connect();
    server.accept();
}

#[test]
fn a_frontend_listens_on_all_its_addresses() {
    let server = Server::echo();
    let port = ports::free();
    let [v4, v6] = both(port);
    let listen = format!("listen = [\"{v4}\", \"{v6}\"]");
    let config =
        Config::to(&[server.address()]).more(&format!("[[frontend]]\nname = \"two\"\n{listen}\nbackend = \"back\""));
    let _app = App::start(&config);
    for address in [v4, v6] {
        let mut client = connect(address);
        client.say("hello");
        client.hears("hello");
    }
    until("both were carried", || (server.accepted() == 2).then_some(()));
}
