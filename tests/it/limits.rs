//! At a limit clients wait or are refused, as configured; nothing else suffers.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::app::{App, Config};
use crate::harness::http;
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::wait::{pause, until};

/// Checks that one client holds the only place, and that the next one is served as soon as the first has left.
fn second_waits_for_first(config: &Config, server: &Manual) {
    let mut app = App::start(config);
    let (mut first, mut served) = app.session(server);
    first.say("one");
    served.hears("one");
    let mut second = app.connect();
    second.say("two");
    app.next_line("that a limit is reached", is_limit_line);
    assert!(!server.is_called(), "the second client is not to be served yet");
    drop((first, served));
    server.accept().hears("two");
}

/// The line that is written once an episode.
fn is_limit_line(line: &serde_json::Value) -> bool {
    line["message"].as_str().is_some_and(|message| message.contains("limit"))
}

#[test]
fn at_the_process_limit_clients_wait_even_with_more_workers_than_places() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]).limits("max_sessions = 1").process("workers = 2");
    second_waits_for_first(&config, &server);
}

#[test]
fn at_a_frontends_limit_its_clients_wait() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]).frontend("max_sessions = 1").process("workers = 2");
    second_waits_for_first(&config, &server);
}

#[test]
fn a_frontend_at_its_limit_leaves_the_others_alone() {
    let server = Server::echo();
    let port = crate::harness::ports::free();
    let other = format!("[[frontend]]\nname = \"other\"\nlisten = \"127.0.0.1:{port}\"\nbackend = \"back\"\n");
    let config = Config::to(&[server.address()]).frontend("max_sessions = 1").more(&other);
    let app = App::start(&config);
    let mut holder = app.connect();
    holder.say("mine");
    holder.hears("mine");
    let mut elsewhere = crate::harness::peers::connect(([127, 0, 0, 1], port).into());
    elsewhere.say("not full here");
    elsewhere.hears("not full here");
}

#[test]
fn a_limit_that_resets_tells_the_client_at_once() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]).limits("max_sessions = 1\non_limit = \"reset\"");
    let app = App::start(&config);
    let (mut first, mut served) = app.session(&server);
    app.resets_a_client();
    first.say("undisturbed");
    served.hears("undisturbed");
}

#[test]
fn a_limit_is_counted_and_logged_once_an_episode() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).limits("max_sessions = 1").process("workers = 2"));
    let mut holder = app.connect();
    holder.say("mine");
    holder.hears("mine");
    let mut waiting: Vec<TcpStream> = (0..20).map(|_| app.connect()).collect();
    app.next_line("that the limit is reached", is_limit_line);
    assert_eq!(app.status()["process"]["sessions_limit_reached"], 1);
    drop(holder);
    waiting.iter_mut().for_each(|client| client.say("x"));
    for mut client in waiting {
        client.hears("x");
    }
}

#[test]
fn every_client_of_a_narrow_frontend_is_served_in_the_end() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]).limits("max_sessions = 2").process("workers = 2"));
    let front = app.front();
    let clients: Vec<_> = (0..60)
        .map(|number| {
            thread::spawn(move || {
                let mut client = crate::harness::peers::connect(front);
                let text = format!("client {number}");
                client.say(&text);
                client.hears(&text);
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    app.has_sessions(0);
}

#[test]
fn the_stats_page_answers_while_the_frontends_are_full() {
    let server = Server::echo();
    let app = App::start(&Config::to(&[server.address()]).limits("max_sessions = 1"));
    let mut holder = app.connect();
    holder.say("mine");
    holder.hears("mine");
    let _waiting: Vec<TcpStream> = (0..10).map(|_| app.connect()).collect();
    for path in ["/", "/api/v1/status", "/metrics", "/livez", "/readyz"] {
        assert_eq!(app.http_status(path), 200, "{path}");
    }
}

#[test]
fn a_full_server_makes_sessions_wait_for_its_place() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).server(0, "max_sessions = 1"));
    let (first, served) = app.session(&server);
    let mut second = app.connect();
    second.say("in line");
    until("one session in the queue", || (app.status()["backends"][0]["counts"]["queued"] == 1).then_some(()));
    assert!(!server.is_called());
    drop((first, served));
    let mut served = server.accept();
    served.hears("in line");
    drop((second, served));
    let record = app.next_line("the second session", |line| line["message"] == "session" && line["bytes_in"] == 7);
    assert!(record["waited_ms"].as_f64().unwrap() > 0.0, "{record}");
}

#[test]
fn a_session_that_waits_too_long_for_a_place_is_let_go() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]).server(0, "max_sessions = 1").timeouts("queue = \"300ms\"");
    let mut app = App::start(&config.log("null_sessions = true"));
    let (_first, _served) = app.session(&server);
    let mut second = app.connect();
    second.sees_reset();
    assert_eq!(app.next_session()["letters"], "sQ");
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]));
    // A session needs both, and the next client can't even be accepted.
    let before = leave_descriptors(&mut app, 2);
    let mut clients: Vec<TcpStream> = (0..8).map(|_| app.connect()).collect();
    // One whose session found no descriptor for its server has been reset already.
    clients.iter_mut().for_each(|client| drop(std::io::Write::write_all(client, b"patience")));
    app.next_line("that descriptors are short", |line| {
        line["message"].as_str().is_some_and(|message| message.contains("can't accept"))
    });
    prlimit(Some(pid_of(&mut app)), Resource::Nofile, before).unwrap();
    // Those whose session had begun when it ran out may have been let go; whoever still waited is served.
    let served = clients.iter_mut().filter_map(|client| std::io::Read::read(client, &mut [0; 8]).ok()).count();
    assert!(served > 0, "nobody was served after the limit was raised");
    let mut client = app.connect();
    client.say("back to normal");
    client.hears("back to normal");
    assert_eq!(http::get(app.stats(), "/livez").unwrap().status, 200);
}

#[test]
fn descriptors_that_are_short_again_and_again_are_one_episode() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("workers = 1"));
    let mut holder = app.connect();
    holder.say("mine");
    holder.hears("mine");
    // A client can be accepted, and has to be let go for want of a second descriptor.
    leave_descriptors(&mut app, 1);
    for _ in 0..10 {
        app.resets_a_client();
        // Long enough for accepting to be tried, and to go well, before the next one.
        pause(Duration::from_millis(150));
    }
    let told = app.program().printed().iter().filter(|line| line.contains("can't accept")).count();
    assert_eq!(told, 1, "it is the same shortage all the time");
}

/// Leaves the process so many descriptors that it may still open; gives the limit that was.
fn leave_descriptors(app: &mut App, more: usize) -> Rlimit {
    let pid = pid_of(app);
    let names = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap();
    let open: Vec<u64> = names.map(|name| name.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    // The limit is on a descriptor's number, and the kernel gives out the lowest that is free.
    let last = (0..).filter(|number| !open.contains(number)).nth(more - 1).expect("numbers go on");
    let hard = getrlimit(Resource::Nofile).maximum;
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(last + 1), maximum: hard }).unwrap()
}

fn pid_of(app: &mut App) -> Pid {
    Pid::from_raw(i32::try_from(app.program().pid()).unwrap()).unwrap()
}
