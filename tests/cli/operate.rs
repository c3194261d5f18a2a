//! The commands that ask a running process, before a stand-in for one.

use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fake::{Fake, over_tcp, status, status_with};
use super::terminal::Terminal;

fn command(socket: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(line.split_whitespace()).env("EVENKEEL_SOCKET", socket).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Runs a command at a socket, expects this exit code, and gives both outputs.
fn ends(socket: &Path, line: &str, code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = command(socket, line).output().unwrap();
    let (out, err) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(code), "{line}\n{out}\n{err}");
    (out, err)
}

// ---- looking ----

#[test]
fn status_is_a_table_that_tells_who_is_down_and_why() {
    let fake = Fake::always(200, &status());
    let (out, _) = ends(&fake.socket(), "status", 0);
    insta::assert_snapshot!("status", out);
    assert_eq!(fake.lines(), ["GET /api/v1/status"]);
}

#[test]
fn status_on_a_terminal_has_colours_and_fits_it() {
    let fake = Fake::always(200, &status());
    for (columns, colour, coloured) in [(100, "", true), (100, "1", false), (80, "1", false)] {
        let mut command = command(&fake.socket(), "status");
        let terminal = Terminal::start(command.env("NO_COLOR", colour), columns);
        let shown = terminal.shows("services are not");
        assert_eq!(shown.contains("\x1b["), coloured, "{shown}");
        if !coloured {
            let widest = shown.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
            assert!(widest <= columns.into(), "{widest} columns:\n{shown}");
            assert!(shown.contains('…'), "the reason is cut:\n{shown}");
        }
    }
}

#[test]
fn status_as_json_is_the_document_as_it_is() {
    let document = "{\"process\":  1, \"of another version\": null}\n".to_owned();
    let expected = document.clone();
    let fake = Fake::answering(move |_| (200, document.clone()));
    assert_eq!(ends(&fake.socket(), "status --json", 0).0, expected);
}

#[test]
fn watching_repaints_and_outlives_the_process() {
    let turn = AtomicUsize::new(0);
    let fake = Fake::answering(move |_| match turn.fetch_add(1, SeqCst) {
        1 => (503, json!({ "error": "not just now" }).to_string()),
        turn => (200, status_with(7_000 + turn as u32, "ready").to_string()),
    });
    let terminal = Terminal::start(&mut command(&fake.socket(), "status --watch"), 120);
    let shown = terminal.shows("7,002");
    assert!(shown.contains("\x1b[2J") && shown.contains("7,000") && shown.contains("not just now"), "{shown}");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
}

fn sessions() -> Value {
    let session = |id: &str, client: &str, server: Value, age: f64| {
        json!({ "id": id, "frontend": "kubeAPI", "backend": "kubeAPI_backend", "server": server, "client": client,
                "source": "10.10.0.5:40112", "age_seconds": age, "idle_seconds": 0.2, "bytes_in": 812,
                "bytes_out": 4_509_715_661_u64, "state": if server.is_null() { "connecting" } else { "open" } })
    };
    json!({ "at": "2026-11-22T03:20:15.000Z", "total": 480, "sessions": [
        session("0-3-7", "10.20.0.9:51234", json!("k0s-ch-sion-1"), 11_520.0),
        session("1-12-4", "[fd00:10:20::9]:51234", Value::Null, 0.4),
    ] })
}

#[test]
fn sessions_are_a_table_and_filters_are_asked_for() {
    let fake = Fake::always(200, &sessions());
    let (out, _) = ends(&fake.socket(), "sessions", 0);
    insta::assert_snapshot!("sessions", out);
    let filtered = "sessions --source fd00::/8 --server kubeAPI_backend/k0s-ch-sion-1 --frontend a --backend b \
                    --sort bytes_out --limit 2 --json";
    assert_eq!(ends(&fake.socket(), filtered, 0).0, sessions().to_string());
    assert_eq!(
        fake.lines(),
        [
            "GET /api/v1/sessions?sort=age&limit=1000",
            "GET /api/v1/sessions?sort=bytes_out&limit=2&source=fd00::/8&server=kubeAPI_backend/k0s-ch-sion-1&frontend=a\
             &backend=b"
        ]
    );
}

#[test]
fn a_filter_that_the_process_refuses_is_a_mistake_of_usage() {
    let fake = Fake::always(400, &json!({ "error": "`source`: 10.0.0.300 is neither an address nor a network" }));
    let (_, err) = ends(&fake.socket(), "sessions --source 10.0.0.300", 2);
    assert_eq!(err, "error: `source`: 10.0.0.300 is neither an address nor a network\n");
}

fn event(seq: u64, at: &str) -> Value {
    json!({ "seq": seq, "at": at, "kind": "server", "level": "warn", "by": null, "backend": "api", "server": "k0s-1",
            "text": format!("api/k0s-1 is down (refused), was ready; number {seq}"),
            "evidence": [{ "status": "L4CON", "detail": "connection refused", "at": at, "duration_seconds": 0.001 }] })
}

#[test]
fn events_are_told_with_their_evidence_page_by_page() {
    let fake = Fake::answering(|request| {
        let events = match request.line.contains("after=0") {
            true => json!([event(1, "2026-11-22T03:12:07.120Z"), event(2, "2026-11-22T03:12:08.000Z")]),
            false => {
                let mut action = event(3, "2026-11-22T03:13:00.000Z");
                (action["kind"], action["level"], action["by"]) =
                    ("action".into(), "info".into(), "ann (uid 1000)".into());
                action["evidence"] = json!([]);
                json!([action])
            }
        };
        (200, json!({ "last": 3, "events": events }).to_string())
    });
    let (out, _) = ends(&fake.socket(), "events", 0);
    insta::assert_snapshot!("events", out);
    assert_eq!(fake.lines(), ["GET /api/v1/events?after=0&limit=1000", "GET /api/v1/events?after=2&limit=1000"]);
    let (out, _) = ends(&fake.socket(), "events --json --since 2026-11-22T03:12:08Z", 0);
    let seqs: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone()).collect();
    assert_eq!(seqs, [2, 3]);
    assert!(ends(&fake.socket(), "events --since yesterday", 2).1.contains("10m"));
}

#[test]
fn following_events_outlives_a_process_that_counts_anew() {
    let fake = Fake::answering(|request| {
        let (last, events) = match request.line.as_str() {
            line if line.contains("after=0") && !line.contains("wait") => {
                (7, json!([event(7, "2026-11-22T03:12:07Z")]))
            }
            // It has been started anew.
            line if line.contains("after=7") => (1, json!([])),
            line if line.contains("after=0") => (1, json!([event(1, "2026-11-22T03:20:07Z")])),
            _ => return (503, json!({ "error": "that is all" }).to_string()),
        };
        (200, json!({ "last": last, "events": events }).to_string())
    });
    let (out, err) = ends(&fake.socket(), "events --follow", 1);
    assert!(out.contains("number 7") && out.contains("number 1\n"), "{out}");
    assert_eq!(err, "error: that is all\n");
}

// ---- acting ----

/// Answers a change of `k0s-ch-sion-1` in both backends, and the status by `sessions`, one after the other.
fn draining(sessions: &'static [u32], admin_state: &'static str) -> Fake {
    let turn = AtomicUsize::new(0);
    Fake::answering(move |request| {
        if request.line.starts_with("GET") {
            let turn = turn.fetch_add(1, SeqCst).min(sessions.len() - 1);
            return (200, status_with(sessions[turn], admin_state).to_string());
        }
        let change = |backend: &str| json!({ "backend": backend, "server": "k0s-ch-sion-1", "from": "ready", "to": "drain", "sessions": 3 });
        let changed = json!({ "text": "k0s-ch-sion-1 is in drain in 2 backends; it has 6 sessions",
                              "changed": [change("kubeAPI_backend"), change("konnectivity_backend")] });
        (200, changed.to_string())
    })
}

#[test]
fn an_action_is_json_with_a_header_that_no_web_page_can_send() {
    let fake = draining(&[0], "drain");
    ends(&fake.socket(), "drain k0s-ch-sion-1 --over 1m30s", 0);
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "POST /api/v1/servers/*/k0s-ch-sion-1/state");
    assert_eq!(asked.body, json!({ "state": "drain", "over_seconds": 90.0 }));
    for header in [("content-type", "application/json"), ("x-evenkeel-action", "1")] {
        assert!(asked.headers.iter().any(|(name, value)| (name.as_str(), value.as_str()) == header), "{asked:?}");
    }
}

#[test]
fn each_change_of_a_server_is_one_request() {
    let fake = draining(&[0], "drain");
    for (line, asked, body) in [
        ("drain a/b", "POST /api/v1/servers/a/b/state", json!({ "state": "drain" })),
        ("maint a/b", "POST /api/v1/servers/a/b/state", json!({ "state": "maint" })),
        ("ready b", "POST /api/v1/servers/*/b/state", json!({ "state": "ready" })),
        ("weight a/b 256", "POST /api/v1/servers/a/b/weight", json!({ "weight": 256 })),
        ("weight b 0", "POST /api/v1/servers/*/b/weight", json!({ "weight": 0 })),
    ] {
        let (out, _) = ends(&fake.socket(), line, 0);
        assert_eq!(out, "k0s-ch-sion-1 is in drain in 2 backends; it has 6 sessions\n", "{line}");
        let last = fake.asked().pop().unwrap();
        assert_eq!((last.line.as_str(), &last.body), (asked, &body), "{line}");
    }
    let before = fake.asked().len();
    for line in ["weight b 257", "weight b -1", "drain a/b/c", "drain", "drain b --over 60", "maint a*"] {
        ends(&fake.socket(), line, 2);
    }
    assert_eq!(fake.asked().len(), before, "a mistake of usage asks nobody");
}

#[test]
fn a_name_that_is_not_there_is_told_in_the_process_s_words() {
    let fake = Fake::always(404, &json!({ "error": "there is no server `k0s-9`; there are k0s-1 and k0s-2" }));
    let (_, err) = ends(&fake.socket(), "drain k0s-9", 1);
    assert_eq!(err, "error: there is no server `k0s-9`; there are k0s-1 and k0s-2\n");
}

#[test]
fn drain_waits_until_nobody_is_left_in_any_backend() {
    let fake = draining(&[3, 2, 1, 0], "drain");
    let (out, _) = ends(&fake.socket(), "drain k0s-ch-sion-1 --over 60s --wait", 0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[..2],
        ["k0s-ch-sion-1 is in drain in 2 backends; it has 6 sessions", "6 sessions left on k0s-ch-sion-1"]
    );
    assert!(lines.last().unwrap().starts_with("nobody is left on k0s-ch-sion-1 after "), "{out}");
    assert!(!out.contains('\x1b') && !out.contains('\r'), "no terminal, no bar: {out:?}");
    assert_eq!(fake.lines().iter().filter(|line| line.starts_with("GET")).count(), 4);
}

// Seen to fail with the sessions of replaced processes not counted.
#[test]
fn drain_waits_for_the_sessions_of_a_process_that_an_upgrade_has_replaced() {
    let turn = AtomicUsize::new(0);
    let fake = Fake::answering(move |request| {
        if !request.line.starts_with("GET") {
            let changed = json!([{ "backend": "kubeAPI_backend", "server": "k0s-ch-sion-1" }]);
            return (200, json!({ "text": "done", "changed": changed }).to_string());
        }
        let mut status = status_with(0, "drain");
        let left = [3, 2, 0][turn.fetch_add(1, SeqCst)];
        status["process"]["pid"] = 813.into();
        status["backends"][0]["servers"][0]["replaced_sessions"] = left.into();
        (200, status.to_string())
    });
    let (out, _) = ends(&fake.socket(), "drain kubeAPI_backend/k0s-ch-sion-1 --wait", 0);
    assert!(out.contains("3 sessions left on") && out.contains("nobody is left on"), "{out}");
    assert_eq!(fake.lines().iter().filter(|line| line.starts_with("GET")).count(), 3);
}

#[test]
fn drain_shows_a_bar_on_a_terminal() {
    let fake = draining(&[4, 1, 1, 0], "drain");
    let mut terminal = Terminal::start(&mut command(&fake.socket(), "drain k0s-ch-sion-1 --over 60s --wait"), 100);
    let shown = terminal.shows("nobody is left on k0s-ch-sion-1");
    assert!(shown.contains(&("░".repeat(30) + "  8 of 8 sessions left, ")), "{shown}");
    assert!(shown.contains(&("█".repeat(22) + &"░".repeat(8) + "  2 of 8 sessions left, ")), "{shown}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}

// Seen to fail with each of the two not looked at: the first exits with 0, the other waits for ever.
#[test]
fn waiting_ends_in_failure_when_it_can_not_be_told_who_is_left() {
    let with = |change: fn(&mut Value)| {
        let turn = AtomicUsize::new(0);
        Fake::answering(move |request| {
            if !request.line.starts_with("GET") {
                let changed = json!([{ "backend": "kubeAPI_backend", "server": "k0s-ch-sion-1" }]);
                return (200, json!({ "text": "done", "changed": changed }).to_string());
            }
            let mut status = status_with(3, "drain");
            if turn.fetch_add(1, SeqCst) > 0 {
                status = status_with(0, "drain");
                change(&mut status);
            }
            (200, status.to_string())
        })
    };
    for (change, said) in [
        (
            (|status| status["backends"][0]["servers"] = json!([])) as fn(&mut Value),
            "kubeAPI_backend/k0s-ch-sion-1 is no longer there",
        ),
        (|status| *status = status_with(3, "ready"), "kubeAPI_backend/k0s-ch-sion-1 is in use again"),
    ] {
        let fake = with(change);
        let (out, err) = ends(&fake.socket(), "drain kubeAPI_backend/k0s-ch-sion-1 --wait", 1);
        assert!(err.contains(said) && !out.contains("nobody is left"), "{out}\n{err}");
    }
}

#[test]
fn an_interrupt_ends_the_waiting_and_says_how_to_undo() {
    let (waiting, waits) = channel();
    let turn = AtomicUsize::new(0);
    let fake = Fake::answering(move |request| {
        if !request.line.starts_with("GET") {
            let changed = json!([{ "backend": "kubeAPI_backend", "server": "k0s-ch-sion-1" }]);
            return (200, json!({ "text": "done", "changed": changed }).to_string());
        }
        if turn.fetch_add(1, SeqCst) == 0 {
            waiting.send(()).unwrap();
        }
        (200, status_with(3, "drain").to_string())
    });
    let mut command = command(&fake.socket(), "drain k0s-ch-sion-1 --over 60s --wait");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    waits.recv_timeout(Duration::from_secs(30)).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let err = text(&stderr);
    assert_eq!(status.code(), Some(1), "{err}");
    assert!(err.contains("k0s-ch-sion-1 stays in drain") && err.contains("`evenkeel ready k0s-ch-sion-1`"), "{err}");
}

#[test]
fn killing_sessions_that_are_gone_is_said() {
    let fake = Fake::always(200, &json!({ "text": "1 session is closed", "killed": 1, "unknown": ["9-9-9"] }));
    let (out, err) = ends(&fake.socket(), "kill 0-3-7 9-9-9", 1);
    assert_eq!((out.as_str(), err.as_str()), ("1 session is closed\n", "error: 1 session had ended already: 9-9-9\n"));
    assert_eq!(fake.asked()[0].body, json!({ "ids": ["0-3-7", "9-9-9"] }));
    ends(&fake.socket(), "kill", 2);
}

#[test]
fn a_server_is_added_and_removed_until_the_next_reload_and_never_saved() {
    let fake = Fake::always(200, &json!({ "text": "it is done" }));
    let (out, _) = ends(&fake.socket(), "add-server b k0s-2 10.0.0.2:6443 --weight 5 --backup", 0);
    let line = "{ name = \"k0s-2\", address = \"10.0.0.2:6443\", weight = 5, backup = true },";
    assert!(out.starts_with("it is done\nuntil the next reload") && out.contains(line), "{out}");
    let (out, _) = ends(&fake.socket(), "remove-server b/k0s-2", 0);
    assert!(out.contains("until the next reload") && out.contains("remove the line of k0s-2"), "{out}");
    let asked: Vec<_> = fake.asked().into_iter().map(|request| (request.line, request.body)).collect();
    let added = json!({ "name": "k0s-2", "address": "10.0.0.2:6443", "weight": 5, "backup": true });
    let expected = [
        ("POST /api/v1/backends/b/servers".to_owned(), added),
        ("DELETE /api/v1/servers/b/k0s-2".to_owned(), json!({})),
    ];
    assert_eq!(asked, expected);
    let (_, err) = ends(&fake.socket(), "add-server b k0s-2 10.0.0.2:6443 --save", 2);
    assert!(
        err.contains("nothing was done") && err.contains("{ name = \"k0s-2\", address = \"10.0.0.2:6443\" },"),
        "{err}"
    );
    let (_, err) = ends(&fake.socket(), "remove-server k0s-2 --save", 2);
    assert!(err.contains("nothing was done") && err.contains("each [[backend]]"), "{err}");
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn a_reload_tells_its_plan_or_the_file_s_mistakes() {
    let plan = json!({ "text": "2 changes would be made", "plan": ["+ server x", "timeouts.connect 10s -> 2s"],
                       "changed": false, "warnings": ["warning: nobody uses `c`\n"] });
    let fake = Fake::always(200, &plan);
    let (out, err) = ends(&fake.socket(), "reload --dry-run", 0);
    assert_eq!(out, "2 changes would be made\n  + server x\n  timeouts.connect 10s -> 2s\n");
    assert_eq!(err, "warning: nobody uses `c`\n");
    ends(&fake.socket(), "reload", 0);
    let bodies: Vec<Value> = fake.asked().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [json!({ "dry_run": true }), json!({ "dry_run": false })]);

    let report = "error: unknown key `prefer`\n --> evenkeel.toml:1:1\n";
    let fake = Fake::always(422, &json!({ "error": "the configuration was refused", "report": report }));
    let (_, err) = ends(&fake.socket(), "reload", 2);
    assert_eq!(err, format!("{report}error: the configuration was refused\n"));
    let fake = Fake::always(409, &json!({ "error": "a reload is under way" }));
    assert_eq!(ends(&fake.socket(), "reload", 1).1, "error: a reload is under way\n");
}

#[test]
fn an_upgrade_tells_who_serves_now_or_that_nothing_changed() {
    let fake = Fake::always(200, &json!({ "text": "version 0.2.0 serves", "pid": 900 }));
    assert_eq!(ends(&fake.socket(), "upgrade", 0).0, "version 0.2.0 serves (pid 900)\n");
    assert_eq!((fake.lines(), &fake.asked()[0].body), (vec!["POST /api/v1/upgrade".to_owned()], &json!({})));
    let fake = Fake::always(500, &json!({ "error": "the new process did not start: exit code 2" }));
    assert!(ends(&fake.socket(), "upgrade", 1).1.contains("exit code 2"));
}

#[test]
fn a_source_is_followed_for_its_time() {
    let fake = Fake::answering(|request| match request.line.starts_with("POST") {
        true => (200, json!({ "text": "sessions of 10.20.0.9 are logged step by step for 1 s" }).to_string()),
        false => (200, sessions().to_string()),
    });
    let begun = Instant::now();
    let (out, _) = ends(&fake.socket(), "debug 10.20.0.9 --for 1s", 0);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(fake.asked()[0].body, json!({ "source": "10.20.0.9", "seconds": 1.0 }));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[1],
        "0-3-7      open       10.20.0.9:51234 through kubeAPI to kubeAPI_backend/k0s-ch-sion-1, 3h12m old, 812 B in, 4.2 GiB out"
    );
    assert_eq!(lines.len(), 3, "each session once: {out}");
}

// ---- health ----

#[test]
fn healthz_is_an_exit_code_and_says_why_not() {
    let fake = Fake::answering(|_| (200, "ok\n".into()));
    for (line, path) in [("healthz", "GET /livez"), ("healthz --ready", "GET /readyz")] {
        assert_eq!(ends(&fake.socket(), line, 0), (String::new(), String::new()));
        assert_eq!(fake.lines().pop().as_deref(), Some(path));
    }
    let fake = Fake::answering(|_| (503, "the process is stopping\n".into()));
    assert_eq!(ends(&fake.socket(), "healthz", 1), (String::new(), "the process is stopping\n".into()));
}

#[test]
fn healthz_does_without_an_admin_socket() {
    let nowhere = Path::new("/nowhere/admin.sock");
    let url = |address| format!("healthz --url http://{address}");
    ends(nowhere, &url(over_tcp(1, (200, "ok\n".into()))), 0);
    ends(nowhere, &url(over_tcp(1, (503, "stopping\n".into()))), 1);
    let gone = over_tcp(0, (200, String::new()));
    assert!(ends(nowhere, &url(gone), 1).1.contains("nobody answers at"));
    ends(nowhere, "healthz --url ftp://127.0.0.1:9000", 2);
    ends(nowhere, "healthz --url http://127.0.0.1:9000 --socket /a.sock", 2);
}

#[test]
fn a_process_that_hangs_is_not_live() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let _silent = UnixListener::bind(&socket).unwrap();
    let begun = Instant::now();
    let (_, err) = ends(&socket, "healthz", 1);
    assert!(err.contains("no answer within 3 s") && begun.elapsed() < Duration::from_secs(20), "{err}");
}

// ---- nobody there, or somebody else ----

#[test]
fn without_a_process_the_path_is_named_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    for line in ["status", "sessions", "events", "drain a", "ready a", "kill 0-0-0", "reload", "upgrade", "healthz"] {
        let (out, err) = ends(&socket, line, 1);
        assert!(out.is_empty() && err.contains(socket.to_str().unwrap()), "{line}: {err}");
        assert!(
            err.contains("there is no such file") && err.contains("--socket PATH or EVENKEEL_SOCKET"),
            "{line}: {err}"
        );
    }
}

#[test]
fn the_socket_is_the_option_s_then_the_environment_s_then_the_default() {
    let fake = Fake::always(200, &status());
    let nowhere = Path::new("/nowhere/admin.sock");
    ends(nowhere, &format!("status --socket {}", fake.socket().display()), 0);
    assert!(ends(nowhere, "status", 1).1.contains("/nowhere/admin.sock"));
    // An empty variable is as good as none; whether somebody serves at the default isn't this test's affair.
    let Output { status, stderr, .. } = command(Path::new(""), "status").output().unwrap();
    assert!(status.success() || text(&stderr).contains("/run/evenkeel/admin.sock"), "{}", text(&stderr));
}

#[test]
fn what_is_no_evenkeel_or_an_older_one_is_told() {
    let fake = Fake::answering(|_| (404, "not found\n".into()));
    assert!(ends(&fake.socket(), "drain a", 1).1.contains("doesn't know /api/v1/servers/*/a/state: it is older"));
    let fake = Fake::answering(|_| (200, "<html>".into()));
    assert!(ends(&fake.socket(), "status", 1).1.contains("the answer can't be read"));
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let fake = Fake::always(200, &sessions());
    for line in ["sessions", "status --json --watch"] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let output =
            command(&fake.socket(), line).stdout(write).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
        let Output { status, stderr, .. } = output.unwrap();
        assert_eq!((status.code(), text(&stderr)), (Some(0), String::new()), "{line}");
    }
}

#[test]
fn a_service_manager_reloads_by_a_signal_where_there_is_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("admin.sock");
    let mut process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let (out, _) = ends(&nowhere, &format!("reload --pid {}", process.id()), 0);
    assert!(out.contains(&format!("sent SIGHUP to process {}", process.id())), "{out}");
    assert_eq!(process.wait().unwrap().signal(), Some(1), "SIGHUP");
    let (_, err) = ends(&nowhere, &format!("reload --pid {}", i32::MAX), 1);
    assert!(err.contains("admin.sock") && err.contains("can't be sent SIGHUP"), "{err}");
}
