//! Tables of sources: who is rejected by what has been counted, and what becomes of the counts.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use tempfile::TempDir;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server, connect_from, is_reset_from};
use crate::harness::ports;
use crate::harness::runtime::Runtime;
use crate::harness::wait::until;

const SOURCE: [u8; 4] = [127, 0, 9, 1];
const OTHER: [u8; 4] = [127, 0, 9, 2];

/// What guides write that protect an API server, with these limits: tracked, then asked.
fn rules(when: &str) -> String {
    format!(
        "[[frontend.rule]]\nstage = \"connection\"\nverdict = \"track\"\ntable = \"clients\"\n\
         [[frontend.rule]]\nstage = \"connection\"\nwhen = \"{when}\"\nverdict = \"reject\""
    )
}

/// A frontend with a table, two workers behind it.
fn counting(server: &Server, when: &str, directory: &TempDir) -> Config {
    let port = ports::free();
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = directory.path().join("runtime.sock");
    let table = format!(
        "[[table]]\nname = \"clients\"\nkey = \"ip\"\nstore = [\"conn_cur\", \"conn_cnt\", \"conn_rate(1h)\", \"sess_cnt\"]\n\
         [[runtime]]\nlisten = \"unix:{}\"\nlevel = \"admin\"",
        socket.display()
    );
    let config = Config::to(&[server.address()]).listen(&format!(":{port}"), front);
    config.frontend(&rules(when)).process("workers = 2").more(&table)
}

fn runtime(directory: &TempDir) -> Runtime {
    Runtime::at(&directory.path().join("runtime.sock"))
}

/// A client of this address that is served.
fn served(app: &App, source: [u8; 4]) -> TcpStream {
    let mut client = connect_from(source.into(), app.front());
    client.say("hello");
    client.hears("hello");
    client
}

/// What the table shows of a source, from its counts on.
fn counts(directory: &TempDir, source: [u8; 4]) -> String {
    let answer = runtime(directory).ask(&format!("show table clients key {}", Ipv4Addr::from(source)));
    let line = answer.lines().nth(1).unwrap_or_default();
    line.split_once("shard=0 ").map(|(_, counts)| counts.to_owned()).unwrap_or_default()
}

#[test]
fn a_source_has_so_many_connections_whichever_workers_they_are_on() {
    let (server, directory) = (Server::echo(), tempfile::tempdir().unwrap());
    let app = App::start(&counting(&server, "tracked_count 0 conn_cur > 12", &directory));
    let mut clients: Vec<TcpStream> = (0..12).map(|_| served(&app, SOURCE)).collect();
    assert!(is_reset_from(SOURCE.into(), app.front()) && is_reset_from(SOURCE.into(), app.front()));
    let _other = served(&app, OTHER);
    until("the rejected are gone", || {
        (counts(&directory, SOURCE) == "conn_cnt=14 conn_rate(3600000)=14 conn_cur=12 sess_cnt=12").then_some(())
    });
    clients.pop();
    until("room for another", || counts(&directory, SOURCE).contains("conn_cur=11").then_some(()));
    drop(served(&app, SOURCE));
}

#[test]
fn a_source_begins_so_many_connections_and_itself_counts() {
    let (server, directory) = (Server::echo(), tempfile::tempdir().unwrap());
    let mut app = App::start(&counting(&server, "source_count clients conn_rate >= 4", &directory));
    for _ in 0..3 {
        drop(served(&app, SOURCE));
    }
    assert!(is_reset_from(SOURCE.into(), app.front()));
    drop(served(&app, OTHER));
    until("nobody is connected", || counts(&directory, SOURCE).contains("conn_cur=0").then_some(()));
    assert_eq!(runtime(&directory).ask(&format!("clear table clients key {}", Ipv4Addr::from(SOURCE))), "");
    assert_eq!(counts(&directory, SOURCE), "");
    drop(served(&app, SOURCE));
    app.next_line("what an operator has done", |line| line.to_string().contains("table clients: one source forgotten"));
}

#[test]
fn a_reload_leaves_what_is_counted() {
    let (server, directory) = (Server::echo(), tempfile::tempdir().unwrap());
    let config = counting(&server, "tracked_count 0 conn_cur > 2", &directory);
    let mut app = App::start(&config);
    let (first, second) = (served(&app, SOURCE), served(&app, SOURCE));
    let other_limit = counting(&server, "tracked_count 0 conn_cur > 3", &directory).at(&config);
    app.reload(&other_limit);
    let third = served(&app, SOURCE);
    assert!(is_reset_from(SOURCE.into(), app.front()));
    drop((first, second, third));
    until("sessions of both configurations are gone", || {
        counts(&directory, SOURCE).contains("conn_cnt=4 conn_rate(3600000)=4 conn_cur=0").then_some(())
    });
}
