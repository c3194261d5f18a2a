//! Whole conversations, over sockets that are none.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::admin::{Denied, Done, Outcome, leaving, tests};
use crate::model::{Config, RuntimeAddress, RuntimeLevel, Tracked};

/// A configuration with the fixture's servers.
fn config() -> Arc<Config> {
    Arc::new(crate::config::parse(include_str!("../../../config/evenkeel.toml"), "evenkeel.toml").unwrap())
}

/// Views of the fixture; what is done comes to nothing.
fn views() -> Views {
    let config = config();
    let done = || Done { text: "done".into(), outcome: Outcome::Told };
    Views {
        config: Box::new(move || Arc::clone(&config)),
        act: Box::new(move |_, _| Box::pin(async move { Ok(done()) })),
        ..Arc::into_inner(tests::views()).unwrap()
    }
}

fn spec(level: RuntimeLevel) -> RuntimeSocket {
    let listen = RuntimeAddress::Unix("/run/x.sock".into());
    RuntimeSocket { listen, level, mode: 0o600, user: None, group: None, timeout: RuntimeSocket::TIMEOUT }
}

fn by() -> Actor {
    Actor::Runtime(RuntimeClient::Remote("192.0.2.7:1".parse().unwrap()))
}

/// A client of this level, and what serves it.
fn client(level: RuntimeLevel, views: Views) -> DuplexStream {
    let (ours, theirs) = duplex(64);
    tokio::spawn(async move {
        let (_leave, leaving) = leaving();
        Connection::new(&spec(level), by(), Arc::new(views)).serve(theirs, leaving).await;
    });
    ours
}

/// Sends all of it, shuts the sending side, and reads all that comes.
async fn ask(level: RuntimeLevel, text: &str) -> String {
    let (mut reading, mut writing) = tokio::io::split(client(level, views()));
    let sending = async {
        // Who is refused may be so before the end.
        let _refused = writing.write_all(text.as_bytes()).await;
        let _refused = writing.shutdown().await;
    };
    let mut answer = String::new();
    let (_, read) = tokio::join!(sending, reading.read_to_string(&mut answer));
    read.unwrap();
    answer
}

async fn admin(text: &str) -> String {
    ask(RuntimeLevel::Admin, text).await
}

const VERSION: &str = concat!("3.2.0-evenkeel", env!("CARGO_PKG_VERSION"), "\n\n");

// Seen to fail with a second line that is done, too.
#[tokio::test(start_paused = true)]
async fn a_client_has_one_line_and_each_command_of_it_an_answer_that_an_empty_line_ends() {
    assert_eq!(admin("show version\nshow version\n").await, VERSION);
    assert_eq!(admin("show version;;show version\n").await, format!("{VERSION}\n{VERSION}"));
    assert_eq!(admin("\n").await, "\n");
    assert_eq!(admin("show version").await, "", "what has no end is no line");
    assert_eq!(admin("").await, "");
    assert_eq!(admin("show version;quit;show version\n").await, VERSION);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_keeps_the_client() {
    assert_eq!(
        admin("prompt\nshow version\n\nquit\n").await,
        format!("\n> {}\n> \n> ", VERSION.trim_end_matches('\n').to_owned() + "\n")
    );
    assert_eq!(
        admin("prompt;show version;show version\nquit\n").await,
        format!("\n{VERSION}{}\n> ", VERSION.trim_end_matches('\n').to_owned() + "\n")
    );
    assert_eq!(admin("prompt i\nshow version\nquit\n").await, format!("\n{VERSION}"));
    assert_eq!(admin("prompt timed\nquit\n").await, "\n[3:04:04:03]> ");
    assert_eq!(admin("prompt\nprompt\nshow version\n").await, "\n> \n");
    assert!(admin("prompt x\n").await.starts_with("Usage: prompt"));
}

#[tokio::test(start_paused = true)]
async fn a_level_is_what_the_socket_says_and_can_only_be_lowered() {
    let denied = "Permission denied\n\n";
    for (level, command) in [
        (RuntimeLevel::User, "show env"),
        (RuntimeLevel::User, "show sess"),
        (RuntimeLevel::User, "operator"),
        (RuntimeLevel::User, "clear counters"),
        (RuntimeLevel::Operator, "clear counters all"),
        (RuntimeLevel::Operator, "set server a/b foo"),
        (RuntimeLevel::Operator, "wait 1"),
        (RuntimeLevel::Operator, "shutdown session 0x1"),
    ] {
        assert_eq!(ask(level, &format!("{command}\n")).await, denied, "{command}");
    }
    assert_eq!(ask(RuntimeLevel::Operator, "clear counters\n").await, "\n");
    assert_eq!(
        admin("operator;show cli level;clear counters all;user;show cli level;operator\n").await,
        format!("\noperator\n\n{denied}\nuser\n\n{denied}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_that_does_not_end_and_one_of_too_many_words_are_refused() {
    let long = "x".repeat(20_000);
    assert!(admin(&long).await.starts_with("The command line is too big"));
    let many = "a ".repeat(70) + "\n";
    assert_eq!(admin(&many).await, "Too many arguments. Commands must have at most 64 arguments.\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_payload_is_read_and_left_alone() {
    assert_eq!(admin("show version <<\nfoo\nbar\n\n").await, VERSION);
    assert_eq!(admin("prompt i\nshow version <<END\n\nfoo\nEND\nquit\n").await, format!("\n{VERSION}"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_is_let_go() {
    let begun = tokio::time::Instant::now();
    let mut silent = client(RuntimeLevel::Admin, views());
    let mut answer = String::new();
    silent.read_to_string(&mut answer).await.unwrap();
    assert_eq!((answer.as_str(), begun.elapsed()), ("", RuntimeSocket::TIMEOUT));
    let mut patient = client(RuntimeLevel::Admin, views());
    patient.write_all(b"prompt i;set timeout cli 1m\n").await.unwrap();
    let begun = tokio::time::Instant::now();
    patient.read_to_string(&mut answer).await.unwrap();
    assert_eq!(begun.elapsed(), std::time::Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_time_or_with_the_client() {
    assert_eq!(admin("wait 5m\n").await, "Interrupted.\n\n", "it has shut its side");
    let mut client = client(RuntimeLevel::Admin, views());
    client.write_all(b"wait 5m\n").await.unwrap();
    let mut answer = String::new();
    let begun = tokio::time::Instant::now();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((answer.as_str(), begun.elapsed().as_secs()), ("Done.\n\n", 300));
    assert_eq!(admin("wait 10 srv-removable foo/s1\n").await, "Failed.\n\n");
}

#[tokio::test(start_paused = true)]
async fn servers_are_listed_in_haproxys_columns() {
    let state = admin("show servers state kubeAPI_backend\n").await;
    let mut lines = state.lines();
    assert_eq!(lines.next(), Some("1"));
    let columns = lines.next().unwrap().split(' ').count() - 1;
    assert_eq!(columns, 25);
    let rows: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.split(' ').count() == columns), "{rows:?}");
    assert!(rows[0].starts_with("5 kubeAPI_backend 1 k0s-ch-sion-1 10.10.0.2 2 0 1 1 "), "{}", rows[0]);
    assert!(rows[0].ends_with(" - 6443 - 0 0 - - 0"), "{}", rows[0]);
    assert_eq!(admin("show servers state x\n").await, "Can't find backend.\n\n");
    let backends = "# name\nkubeAPI_backend\nkonnectivity_backend\ncontrollerJoinAPI_backend\n\n";
    assert_eq!(admin("show backend\n").await, backends);
    assert_eq!(admin("show servers conn\n").await.lines().count(), 11);
}

/// What each does is the action's affair; here is who it is that is meant.
#[tokio::test(start_paused = true)]
async fn actions_are_those_that_the_words_mean() {
    let refusing = || Views {
        act: Box::new(|action, by| Box::pin(async move { Err(Denied::Conflict(format!("{by}: {action:?}"))) })),
        ..views()
    };
    let server = "kubeAPI_backend/k0s-at-vie-1";
    for (command, action) in [
        (
            format!("disable server {server}"),
            "SetState { target: Target { backend: Some(\"kubeAPI_backend\"), server: \"k0s-at-vie-1\" }, state: Maint, over: None }",
        ),
        (format!("set server {server} state drain"), "state: Drain"),
        (format!("set server {server} health stopping"), "health: Stopping"),
        (format!("set server {server} weight 50%"), "weight: Weight(0)"),
        (format!("set weight {server} 7"), "weight: Weight(7)"),
        (format!("set server {server} addr 10.9.9.9"), "Tune(Address("),
        (format!("set server {server} check-port 7"), "Tune(Check {"),
        (format!("disable health {server}"), "on: false"),
        (format!("enable health {server}"), "on: true"),
        ("disable frontend kubeAPI".into(), "SwitchFrontend { frontend: \"kubeAPI\", to: Paused }"),
        ("shutdown frontend kubeAPI".into(), "to: Stopped"),
        ("set maxconn frontend kubeAPI 9".into(), "Tune(FrontendSessions(\"kubeAPI\", Some(9)))"),
        (format!("set maxconn server {server} 0"), "None))"),
        ("set maxconn global 100".into(), "Tune(ProcessSessions(100))"),
        ("clear counters all".into(), "ClearCounters { all: true }"),
        ("add server kubeAPI_backend/x 10.0.0.1:1 check".into(), "check: Later("),
    ] {
        let mut client = client(RuntimeLevel::Admin, refusing());
        client.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("192.0.2.7:1 over the runtime API: ") && answer.contains(action), "{answer}");
    }
}

// Seen to fail with every server in use that is told to be put into maintenance first.
#[tokio::test]
async fn a_server_that_another_one_tracks_can_not_be_removed_in_whatever_state() {
    let mut config = Config::clone(&config());
    let (tracked, server) = (config.backends[0].name.clone(), config.backends[0].servers[0].name.clone());
    let name = format!("{tracked}/{server}");
    config.backends[1].servers[0].track = Some(Tracked { backend: tracked, server });
    let config = Arc::new(config);
    let mut client = client(RuntimeLevel::Admin, Views { config: Box::new(move || Arc::clone(&config)), ..views() });
    client.write_all(format!("del server {name}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("due to other configuration elements pointing to it."), "{answer}");
}

// Seen to fail with clients that are sent away before their line has come.
#[tokio::test(start_paused = true)]
async fn whoever_is_told_to_leave_is_answered_if_the_line_is_on_its_way_and_leaves() {
    let (mut ours, theirs) = duplex(64 * 1024);
    let (leave, leaving) = leaving();
    let served =
        tokio::spawn(Connection::new(&spec(RuntimeLevel::User), by(), Arc::new(views())).serve(theirs, leaving));
    let left = tokio::spawn(leave.left());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    ours.write_all(b"show version\n").await.unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(env!("CARGO_PKG_VERSION")), "{answer}");
    left.await.unwrap();
    served.await.unwrap();
    let (_silent, theirs) = duplex(64);
    let (leave, leaving) = crate::admin::leaving();
    let connection = Connection::new(&spec(RuntimeLevel::User), by(), Arc::new(views()));
    let served = tokio::spawn(connection.serve(theirs, leaving));
    leave.left().await;
    served.await.unwrap();
}
