//! All is bound before anything is served, or nothing is.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server};
use crate::harness::wait::PATIENCE;

/// Starts, expects a refusal with exit code 1, and gives what was printed.
fn refused(config: &Config) -> Vec<String> {
    let mut app = App::launch(config);
    assert_eq!(app.ended().code(), Some(1));
    app.program().printed()
}

fn one_line_names(printed: &[String], port: u16) {
    let naming = printed.iter().filter(|line| line.contains(&port.to_string())).count();
    assert_eq!(naming, 1, "one line is to name port {port}: {printed:#?}");
    assert!(!printed.iter().any(|line| line.contains("panicked")), "{printed:#?}");
}

#[test]
fn a_second_instance_on_the_same_port_is_refused_and_the_first_unharmed() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let app = App::start(&config);
    let second = Config::to(&[server.address()]).listen(&config.front().to_string(), config.front());
    one_line_names(&refused(&second), config.front().port());
    assert!(TcpStream::connect(second.stats()).is_err(), "nothing of the second one is left running");
    for _ in 0..20 {
        let mut client = app.connect();
        client.say("all of them mine");
        client.hears("all of them mine");
    }
}

#[test]
fn a_taken_stats_port_is_refused() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let _holder = TcpListener::bind(config.stats()).unwrap();
    one_line_names(&refused(&config), config.stats().port());
}

#[test]
fn one_taken_port_of_several_leaves_nothing_served() {
    let server = Server::echo();
    let free = Config::to(&[server.address()]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let more = format!("[[frontend]]\nname = \"last\"\nlisten = \"127.0.0.1:{port}\"\nbackend = \"back\"\n");
    one_line_names(&refused(&free.clone().more(&more)), port);
    assert!(TcpStream::connect(free.front()).is_err(), "nothing is left running");
}

#[test]
fn an_address_that_the_host_lacks_is_bound_on_request() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let listen = format!("192.0.2.1:{}", config.front().port());
    let elsewhere = config.clone().listen(&listen, config.front());
    let mut app = App::launch(&elsewhere);
    assert_eq!(app.ended().code(), Some(1));
    App::start(&elsewhere.frontend("freebind = true"));
}

#[test]
fn the_service_manager_is_told_when_it_serves_and_when_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hears = |wanted: &str| {
        let mut message = [0; 4096];
        // Other words may come in between: a status, a sign of life.
        while !String::from_utf8_lossy(&message).lines().any(|line| line.trim_end_matches('\0') == wanted) {
            message.fill(0);
            manager.recv(&mut message).unwrap_or_else(|error| panic!("instead of {wanted}: {error}"));
        }
    };
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut app = App::launch_with(&config, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    hears("READY=1");
    let mut client = app.connect();
    client.say("at once");
    client.hears("at once");
    drop(client);
    app.signal(Signal::TERM);
    hears("STOPPING=1");
    assert_eq!(app.ended().code(), Some(0));
}
