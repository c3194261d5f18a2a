//! Reloads, and servers that come and go, as operators ask for them: each is done in its turn, and told of.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::admin::talking;
use crate::harness::admin::{ACTION, Operator, post_to};
use crate::harness::app::{App, BINARY, Config};
use crate::harness::http::{self, Response};
use crate::harness::peers::{Manual, Peer, Server, connect};
use crate::harness::schema;
use crate::harness::wait::until;

const RELOAD: &str = "/api/v1/reload";
const SERVERS: &str = "/api/v1/backends/back/servers";
const DRY_RUN: &str = r#"{"dry_run":true}"#;

/// An app with an admin socket, which stays in its configuration.
struct Scene {
    app: App,
    operator: Operator,
    directory: TempDir,
}

impl Scene {
    fn start(config: &Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let app = App::start(&with_socket(config, &directory, "admin.sock"));
        let operator = Operator::at(&directory.path().join("admin.sock"));
        Self { app, operator, directory }
    }

    fn writes(&self, config: &Config) {
        let text = with_socket(config, &self.directory, "admin.sock").text();
        std::fs::write(self.app.file(), text).unwrap();
    }

    /// A reload to this configuration, which must be done.
    fn reloads(&self, config: &Config) -> Value {
        self.writes(config);
        let answer = self.operator.does(RELOAD, "{}");
        schema::fits(&answer, "Reloaded");
        answer
    }

    /// What a reload to it would change.
    fn plans(&self, config: &Config) -> Value {
        self.writes(config);
        let answer = self.operator.does(RELOAD, DRY_RUN);
        schema::fits(&answer, "Reloaded");
        answer
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let events = self.operator.get("/api/v1/events?after=0&limit=4096");
        schema::fits(&events, "Events");
        events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).cloned().collect()
    }

    fn adds(&self, name: &str, address: SocketAddr) -> Response {
        self.operator.post(SERVERS, &json!({ "name": name, "address": address.to_string() }).to_string())
    }

    fn lines(&self, message: &str) -> Vec<Value> {
        self.app.lines().into_iter().filter(|line| line["message"] == message).collect()
    }
}

fn with_socket(config: &Config, directory: &TempDir, name: &str) -> Config {
    config.clone().more(&format!("[admin]\nsocket = \"{}\"", directory.path().join(name).display()))
}

fn me() -> String {
    format!("uid {}, pid {}", rustix::process::getuid().as_raw(), std::process::id())
}

fn error(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.body);
    answer.json()["error"].as_str().unwrap().to_owned()
}

// ---- reload ----

// Seen to fail with a line of the log beside that of the event.
#[test]
fn a_reload_says_what_it_did_to_who_asked_to_the_log_and_to_the_events() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let config = Config::to(&[a.address()]);
    let scene = Scene::start(&config);
    let two = Config::to(&[a.address(), b.address()]).at(&config).timeouts("connect = \"3s\"");
    let answer = scene.reloads(&two);
    assert_eq!((&answer["text"], &answer["changed"]), (&"reloaded: 2 changes, 0 sessions closed".into(), &true.into()));
    let added = format!("+ server back/b (address {})", b.address());
    assert_eq!(answer["plan"], json!(["~ timeouts.connect: 10s → 3s", added, "0 sessions closed"]));
    assert_eq!(scene.app.server("b")["state"], "ready");
    let again = scene.reloads(&two);
    assert_eq!((&again["text"], &again["plan"]), (&"reloaded: nothing has changed".into(), &json!([])));
    assert_eq!(again["changed"], false);

    scene.app.signal(Signal::HUP);
    let events = until("all three are told", || Some(scene.events("reload")).filter(|events| events.len() == 3));
    assert_eq!((&events[0]["text"], &events[0]["level"]), (&answer["text"], &"info".into()));
    assert!(events[0]["by"].as_str().unwrap().contains(&me()), "{events:?}");
    assert_eq!(events[2]["by"], "SIGHUP");
    let lines = until("each has its line", || Some(scene.lines("reloaded")).filter(|lines| lines.len() >= 3));
    assert_eq!(lines.len(), 3, "{lines:?}");
    let of_first = (&lines[0]["changes"], &lines[0]["closing"], &lines[0]["by"]);
    assert_eq!(of_first, (&2.into(), &0.into(), &events[0]["by"]));
    assert_eq!(scene.app.metric("evenkeel_actions_total", &[]), 2.0, "a signal is no operator's action");
}

// Seen to fail with a plan that is carried out.
#[test]
fn a_dry_run_says_all_that_a_reload_would_do_and_does_nothing() {
    let (gone, stays) = (Manual::listen(), Server::named("b"));
    let closing = "on_removed = \"close\"\nbalance = \"first\"";
    let config = Config::to(&[gone.address(), stays.address()]).backend(closing);
    let scene = Scene::start(&config);
    let mut session = talking(&scene.app, &gone);
    let (loaded, last) =
        (scene.app.status()["process"]["config"].clone(), scene.operator.get("/api/v1/events")["last"].clone());
    let next = Config::to(&[stays.address()]).on_stats(config.stats()).backend(closing).process("workers = 7");
    let answer = scene.plans(&next);
    let text = answer["text"].as_str().unwrap();
    assert!(text.contains(&format!("whether {} can be bound shows when it is tried", next.front())), "{text}");
    let plan: Vec<_> = answer["plan"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for line in [
        &format!("~ frontend front listen: {} → {}", config.front(), next.front()),
        &format!("- server back/a (address {})", gone.address()),
        "process.workers waits for the next start or upgrade",
        "1 session closed",
    ] {
        assert!(plan.contains(&line), "{line} in {plan:?}");
    }
    assert_eq!(answer["changed"], false);
    // Nobody listens there but us, and all is as before.
    drop(TcpListener::bind(next.front()).unwrap());
    session.0.say("still here");
    session.1.hears("still here");
    assert_eq!(scene.app.server("a")["state"], "ready");
    assert_eq!(scene.app.status()["process"]["config"], loaded);
    assert_eq!(scene.operator.get("/api/v1/events")["last"], last);
    let done = scene.reloads(&next);
    assert_eq!(done["plan"], answer["plan"], "what was said is what is done");
    session.0.sees_fin();
    connect(next.front()).hears("b");
}

#[test]
fn a_preset_written_out_is_an_empty_plan() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    let shown = Command::new(BINARY).arg("show").arg(scene.app.file()).output().unwrap();
    std::fs::write(scene.app.file(), shown.stdout).unwrap();
    let answer = scene.operator.does(RELOAD, DRY_RUN);
    assert_eq!((&answer["plan"], &answer["text"]), (&json!([]), &"nothing would change".into()));
}

// Seen to fail with a page that forgets it, and with one that doesn't forget it after the next.
#[test]
fn a_refused_reload_is_told_in_place_and_stays_on_the_page_until_another_succeeds() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    let page = || http::get(scene.app.stats(), "/").unwrap().body;
    let successful = || scene.app.metric("evenkeel_config_last_reload_successful", &[]);
    let since = || scene.app.metric("evenkeel_config_last_reload_success_timestamp_seconds", &[]);
    let at_start = since();
    assert_eq!((successful(), page().contains("A reload was refused")), (1.0, false));

    scene.writes(&config.clone().timeouts("conect = \"1s\"").more("[nonsense]"));
    let plan = scene.operator.post(RELOAD, DRY_RUN);
    assert_eq!(plan.status, 422, "{}", plan.body);
    assert_eq!((successful(), scene.events("reload").len()), (1.0, 0), "a dry run is nobody's failure");
    let answer = scene.operator.post(RELOAD, "{}");
    assert_eq!(answer.status, 422, "{}", answer.body);
    schema::fits(&answer.json(), "RefusedConfiguration");
    assert_eq!(answer.json()["report"], plan.json()["report"]);
    let report = answer.json()["report"].as_str().unwrap().to_owned();
    assert!(report.contains("evenkeel.toml:") && report.contains("nonsense"), "{report}");

    let events = scene.events("reload");
    let told = events[0]["text"].as_str().unwrap();
    assert!(told.starts_with("not reloaded: ") && told.contains("evenkeel.toml:"), "{told}");
    assert_eq!((events.len(), &events[0]["level"]), (1, &"error".into()));
    let refused = scene.app.status()["process"]["config"]["refused"].clone();
    schema::fits(&scene.app.status(), "Status");
    assert_eq!(refused["by"], events[0]["by"]);
    let reason = refused["reason"].as_str().unwrap();
    let place = reason.split(" error:").next().unwrap();
    assert!(place.ends_with(':') && place.rsplit(':').nth(1).unwrap().parse::<u32>().is_ok(), "{reason}");
    assert!(page().contains("A reload was refused") && page().contains(place), "{}", page());
    assert_eq!((successful(), since()), (0.0, at_start));

    scene.reloads(&config);
    assert!(!page().contains("A reload was refused"));
    assert_eq!(successful(), 1.0);
    assert!(since() > at_start);
    until("each has its line", || (scene.lines("reloaded").len() == 1).then_some(()));
    assert_eq!(scene.lines("not reloaded").len(), 1);
}

#[test]
fn a_port_that_is_taken_is_a_conflict_and_says_which() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let moved = config.clone().listen(&taken.local_addr().unwrap().to_string(), config.front());
    scene.writes(&moved);
    let words = error(&scene.operator.post(RELOAD, "{}"), 409);
    assert!(words.contains("the port is taken") && words.contains("goes on by"), "{words}");
    assert!(scene.events("reload")[0]["text"].as_str().unwrap().contains("the port is taken"));
    scene.app.connect().hears("a");
}

// Seen to fail with connections that end with their listener.
#[test]
fn who_has_the_listener_moved_that_he_asks_on_gets_the_answer() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    std::fs::write(scene.app.file(), with_socket(&config, &scene.directory, "moved.sock").text()).unwrap();
    let answer = scene.operator.does(RELOAD, "{}");
    assert_eq!(answer["changed"], true, "{answer}");
    let moved = Operator::at(&scene.directory.path().join("moved.sock"));
    assert_eq!(moved.does(RELOAD, "{}")["changed"], false);
    assert!(!scene.directory.path().join("admin.sock").exists());
}

// ---- who may ----

// Seen to fail with credentials that a reload leaves as they are.
#[test]
fn a_reload_renews_who_may_act_over_the_stats_listener() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    let token = scene.app.directory().path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let stats = scene.app.stats();
    let asks = |credential: &str| post_to(stats, RELOAD, &format!("{ACTION}{credential}"), "{}");
    assert_eq!(asks("Authorization: Bearer s3cret\r\n").status, 403, "nobody may");
    let with_token = config.clone().stats_lines(&format!("token_file = \"{}\"", token.display()));
    scene.reloads(&with_token);
    assert_eq!(asks("").status, 401);
    assert_eq!(asks("Authorization: Bearer s3cret\r\n").status, 200);
    let by = scene.events("reload").last().unwrap()["by"].clone();
    assert!(by.as_str().unwrap().starts_with("the token's holder at 127.0.0.1:"), "{by}");
    scene.reloads(&config);
    assert_eq!(asks("Authorization: Bearer s3cret\r\n").status, 403);
}

// ---- servers that come and go ----

// Seen to fail with a server that the file's settings don't know of.
#[test]
fn a_server_that_is_added_serves_until_the_next_reload_which_names_it() {
    let (a, new) = (Server::named("a"), Server::named("n"));
    let config = Config::to(&[a.address()]).backend("balance = \"roundrobin\"");
    let scene = Scene::start(&config);
    let answer = scene.adds("new", new.address());
    assert_eq!(answer.status, 200, "{}", answer.body);
    schema::fits(&answer.json(), "Told");
    scene.app.connect().hears("a");
    scene.app.connect().hears("n");
    let action = scene.events("action").remove(0);
    assert_eq!((&action["text"], &action["server"]), (&answer.json()["text"], &"new".into()));
    assert!(action["by"].as_str().unwrap().contains(&me()), "{action}");
    let is_it = |line: &Value| line["action"] == "add-server";
    let line = until("it has its line", || scene.app.lines().into_iter().find(is_it));
    assert_eq!(line["message"], action["text"]);

    let gone = format!("- server back/new (address {}, added at run time)", new.address());
    assert_eq!(scene.plans(&config)["plan"], json!([gone, "0 sessions closed"]));
    let kept = Config::to(&[a.address()]).at(&config).backend("balance = \"first\"");
    assert!(scene.plans(&kept)["plan"].as_array().unwrap().contains(&gone.clone().into()));
    assert_eq!(scene.reloads(&config)["plan"], json!([gone, "0 sessions closed"]));
    assert_eq!(scene.app.status()["backends"][0]["servers"].as_array().unwrap().len(), 1);
    assert_eq!(scene.reloads(&config)["plan"], json!([]));
}

// Seen to fail with a check that is left out.
#[test]
fn a_server_that_is_added_is_checked_as_its_backend_says() {
    let (a, new) = (Server::echo(), crate::harness::peers::refusing());
    let check = "check = { type = \"tcp\", interval = \"100ms\", fast_interval = \"100ms\", fall = 1 }";
    let scene = Scene::start(&Config::to(&[a.address()]).backend(check));
    assert_eq!(scene.adds("new", new).status, 200);
    scene.app.server_is("new", "down");
    assert_eq!(scene.app.server("new")["check"]["type"], "tcp");
}

#[test]
fn a_server_that_is_removed_comes_back_with_the_next_reload() {
    let (gone, stays) = (Manual::listen(), Server::named("b"));
    let config = Config::to(&[gone.address(), stays.address()]).backend("balance = \"first\"\non_removed = \"close\"");
    let mut scene = Scene::start(&config);
    let mut session = talking(&scene.app, &gone);
    let answer = scene.operator.delete("/api/v1/servers/*/a");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["text"], "back/a removed, its session is closed");
    session.0.sees_fin();
    assert_eq!(scene.app.next_session()["cause"], "server was removed");
    scene.app.connect().hears("b");
    let back = format!("+ server back/a (address {}, removed at run time)", gone.address());
    assert_eq!(scene.reloads(&config)["plan"], json!([back, "0 sessions closed"]));
    let _session = talking(&scene.app, &gone);
}

#[test]
fn a_server_that_can_not_be_added_or_removed_is_refused_in_words() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    let at = server.address();
    let post = |path: &str, name: &str, address: &str| {
        scene.operator.post(path, &json!({ "name": name, "address": address }).to_string())
    };
    assert!(error(&post(SERVERS, "a", "127.0.0.1:1"), 409).contains("has a server a already"));
    assert!(error(&post(SERVERS, "x", &config.front().to_string()), 409).contains("where frontend front listens"));
    assert!(error(&post(SERVERS, "x", "127.0.0.1"), 400).contains("there is no port"));
    assert!(error(&post(SERVERS, "x y", &at.to_string()), 400).contains("`name`"));
    assert!(error(&post("/api/v1/backends/bakc/servers", "x", "127.0.0.1:1"), 404).contains("there are back"));
    assert!(error(&scene.operator.delete("/api/v1/servers/back/c"), 404).contains("there are a"));
    assert!(error(&scene.operator.delete("/api/v1/servers/back/a"), 409).contains("the last server of back"));
    assert_eq!(post_to(scene.app.stats(), SERVERS, ACTION, "{}").status, 403, "nobody may there");
    assert_eq!(scene.app.metric("evenkeel_actions_total", &[]), 0.0);
    assert_eq!(scene.events("action"), Vec::<Value>::new());
    scene.app.connect().hears("a");
}

// ---- bad input and faults ----

#[test]
fn reloads_during_reloads_are_all_done_and_answered() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    // Long enough that the others come while one is under way.
    let filler = "# a line that says nothing\n".repeat(20_000);
    scene.writes(&config.clone().frontend("max_sessions = 7").more(&filler));
    let mut client = scene.app.connect();
    let answers: Vec<Response> = thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.operator.post(RELOAD, "{}"))).collect();
        for _ in 0..100 {
            scene.app.signal(Signal::HUP);
        }
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let changed = answers.iter().filter(|answer| answer.json()["changed"] == true).count();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let of_signals = scene
        .events("reload")
        .iter()
        .filter(|event| event["text"] == "reloaded: 1 change, 0 sessions closed" && event["by"] == "SIGHUP")
        .count();
    assert_eq!(changed + of_signals, 1, "the first of them finds the change, whoever asked for it");
    assert_eq!(scene.app.status()["frontends"][0]["sessions_limit"], 7);
    client.say("undisturbed");
    client.hears("undisturbed");
}

#[test]
fn a_reload_during_a_drain_leaves_the_drain_as_it_is() {
    let (drained, other) = (Manual::listen(), Server::named("b"));
    let config = Config::to(&[drained.address(), other.address()]).backend("balance = \"first\"");
    let scene = Scene::start(&config);
    let mut sessions = [talking(&scene.app, &drained), talking(&scene.app, &drained)];
    scene.operator.does("/api/v1/servers/back/a/state", r#"{"state":"drain","over_seconds":4}"#);
    let limited = config.clone().frontend("max_sessions = 100");
    assert_eq!(scene.reloads(&limited)["changed"], true);
    assert_eq!(scene.app.server("a")["state"], "drain");
    scene.app.connect().hears("b");
    for (client, served) in &mut sessions {
        client.sees_fin();
        served.sees_fin();
    }
    let drained = until("its end is told", || scene.events("drained").pop());
    assert!(drained["text"].as_str().unwrap().ends_with("2 of them closed for it"), "{drained}");
}

#[test]
fn a_file_of_a_hundred_thousand_lines_is_read_while_sessions_go_on() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let scene = Scene::start(&config);
    let mut client = scene.app.connect();
    let filler = "# a line that says nothing\n".repeat(100_000);
    let long = config.clone().more(&filler);
    scene.writes(&long.clone().more("[nonsense]"));
    let refused = thread::scope(|scope| {
        let asked = scope.spawn(|| scene.operator.post(RELOAD, "{}"));
        while !asked.is_finished() {
            client.say("x");
            client.hears("x");
            scene.app.http_status("/livez");
        }
        asked.join().unwrap()
    });
    assert_eq!(refused.status, 422, "{}", refused.body);
    let report = refused.json()["report"].as_str().unwrap().to_owned();
    let line = report.split("evenkeel.toml:").nth(1).and_then(|rest| rest.split(':').next()?.parse::<u32>().ok());
    assert!(line.is_some_and(|line| line > 100_000), "{report}");
    assert_eq!(scene.reloads(&long)["changed"], false);
    client.say("still here");
    client.hears("still here");
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    std::fs::write(&file, with_socket(&config, &directory, "admin.sock").text()).unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(BINARY);
    command.arg("run").arg(&file).stdin(Stdio::null()).stdout(full).stderr(Stdio::null());
    let _process = Killed(command.spawn().unwrap());
    let operator = Operator::at(&directory.path().join("admin.sock"));
    let mut client = until("it serves", || TcpStream::connect(config.front()).ok());
    client.say("hello");
    client.hears("hello");
    assert_eq!(operator.does(RELOAD, "{}")["changed"], false);
    // What an editor leaves behind that could not write: nothing.
    std::fs::write(&file, "").unwrap();
    assert_eq!(operator.post(RELOAD, "{}").status, 422);
    let lost = || http::get(config.stats(), "/api/v1/status").unwrap().json()["process"]["log_targets"][0].clone();
    until("lines are lost", || {
        (lost()["reached"] == false && lost()["lines_dropped"].as_u64() > Some(0)).then_some(())
    });
    client.say("still here");
    client.hears("still here");
    let texts: Vec<Value> = operator.events().into_iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(texts.iter().filter(|kind| **kind == "reload").count(), 2, "events need no disk: {texts:?}");
}

/// Ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_stops_takes_no_orders() {
    let server = Server::echo();
    let scene = Scene::start(&Config::to(&[server.address()]).process("shutdown_grace = \"10s\""));
    let mut client = scene.app.connect();
    client.say("x");
    client.hears("x");
    scene.app.signal(Signal::TERM);
    until("it stops", || (scene.app.http_status("/livez") == 503).then_some(()));
    for answer in [
        scene.operator.post(RELOAD, "{}"),
        scene.operator.post("/api/v1/upgrade", "{}"),
        scene.adds("x", server.address()),
        scene.operator.delete("/api/v1/servers/back/a"),
    ] {
        assert!(error(&answer, 409).starts_with("the process is stopping and does not "), "{}", answer.body);
    }
    client.say("still here");
    client.hears("still here");
}

// Seen to fail with an end that waits for the read, and with a stop that waits for its turn.
#[test]
fn a_file_that_is_read_without_end_holds_up_no_stop() {
    let server = Server::echo();
    let mut scene = Scene::start(&Config::to(&[server.address()]));
    let file = scene.app.file();
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let _writer = std::fs::File::options().read(true).write(true).open(&file).unwrap();
    let operator = scene.operator.clone();
    let asked = thread::spawn(move || operator.post(RELOAD, "{}"));
    let open = format!("/proc/{}/fd", scene.app.program().pid());
    until("it is being read", || {
        let mut links = std::fs::read_dir(&open).unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        links.any(|link| link == file).then_some(())
    });
    let mut client = scene.app.connect();
    client.say("meanwhile");
    client.hears("meanwhile");
    scene.app.signal(Signal::TERM);
    assert_eq!(asked.join().unwrap().status, 409);
    drop(client);
    assert_eq!(scene.app.ended().code(), Some(0));
}
