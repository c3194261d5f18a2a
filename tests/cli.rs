//! The command line, as a person or a script meets it.

#![expect(clippy::unwrap_used, reason = "where a test can't go on, the line says why")]

#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/fake.rs"]
mod fake;
#[path = "cli/haproxy.rs"]
mod haproxy;
#[path = "cli/operate.rs"]
mod operate;
#[path = "cli/terminal.rs"]
#[allow(dead_code, reason = "the command line is not typed to; programs of other tests are")]
mod terminal;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Every command, with something that its own page must name.
const PAGES: [(&str, &str); 26] = [
    ("run", "config"),
    ("haproxy", "OPTION"),
    ("check", "config"),
    ("show", "config"),
    ("demo", "port\\-offset"),
    ("probe", "timeout"),
    ("doctor", "config"),
    ("import", "lenient"),
    ("export", "haproxy"),
    ("status", "watch"),
    ("sessions", "sort"),
    ("events", "follow"),
    ("debug", "NETWORK"),
    ("healthz", "url"),
    ("drain", "over"),
    ("ready", "SERVER"),
    ("maint", "SERVER"),
    ("weight", "WEIGHT"),
    ("kill", "SESSION"),
    ("add-server", "backup"),
    ("remove-server", "save"),
    ("reload", "dry\\-run"),
    ("upgrade", "socket"),
    ("hash-password", "help"),
    ("completions", "SHELL"),
    ("man", "COMMAND"),
];

const COMMANDS: [&str; 26] = {
    let mut names = [""; 26];
    let mut place = 0;
    while place < names.len() {
        names[place] = PAGES[place].0;
        place += 1;
    }
    names
};

/// Far more than a start takes.
const SOON: Duration = Duration::from_secs(20);

/// Runs evenkeel with these words to its end.
fn evenkeel(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(words).current_dir(REPOSITORY).stdin(Stdio::null()).env("COLUMNS", "80").output().unwrap()
}

/// Where everything that is written fails, as on a full disk.
fn full() -> std::fs::File {
    std::fs::File::options().write(true).open("/dev/full").unwrap()
}

/// Runs it, expects this exit code, and gives standard output and standard error.
fn ends(words: &[&str], code: i32) -> (String, String) {
    let output = evenkeel(words);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{out}\n{err}");
    (out, err)
}

/// A file with this text, gone when it is dropped.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn help_fits_a_screen_and_has_examples() {
    for (words, most) in [(["--help"], 56), (["-h"], 42)] {
        let (help, _) = ends(&words, 0);
        assert!(help.lines().count() <= most, "{} lines:\n{help}", help.lines().count());
        let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns:\n{help}");
        for command in COMMANDS {
            assert!(help.contains(&format!("\n  {command} ")), "{command} in\n{help}");
        }
    }
    assert!(ends(&["--help"], 0).0.contains("Examples"), "the long help has examples");
}

#[test]
fn every_command_has_help_with_its_options() {
    for (command, named) in
        [("run", "--config"), ("check", "--config"), ("show", "--config"), ("demo", "--port-offset")]
    {
        let (help, _) = ends(&[command, "--help"], 0);
        assert!(help.contains(named), "{command}: {help}");
    }
}

#[test]
fn the_version_is_cargos() {
    assert_eq!(ends(&["--version"], 0).0.trim(), concat!("evenkeel ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_command_is_a_mistake_of_usage() {
    let (out, err) = ends(&["balance"], 2);
    assert!(out.is_empty() && err.contains("Usage"), "{err}");
}

#[test]
fn check_accepts_every_configuration_that_we_ship() {
    let files = std::fs::read_dir(format!("{REPOSITORY}/config")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        ends(&["check", file.to_str().unwrap()], 0);
        ends(&["check", "--config", file.to_str().unwrap()], 0);
    }
}

#[test]
fn check_and_run_refuse_a_file_with_all_its_mistakes_and_code_2() {
    let wrong = file("prefer = 1\n[[frontend]]\nname = \"a b\"\nlisten = \":0\"\nbackend = \"nowhere\"\n");
    for command in ["check", "run", "show"] {
        let (_, err) = ends(&[command, path(&wrong)], 2);
        for mistake in ["prefer", "a b", ":0", "nowhere"] {
            assert!(err.contains(mistake), "{command}: {mistake} in\n{err}");
        }
        assert!(err.contains(":5:"), "{command} says the line: {err}");
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    for command in ["check", "run", "show"] {
        let (_, err) = ends(&[command, "/nowhere/evenkeel.toml"], 2);
        assert!(err.contains("/nowhere/evenkeel.toml"), "{command}: {err}");
    }
}

#[test]
fn show_prints_what_a_file_expands_to_and_it_loads() {
    let (shown, _) = ends(&["show", "config/minimal.toml"], 0);
    for name in ["kubeAPI_backend", "konnectivity_backend", "controllerJoinAPI_backend", "leastconn"] {
        assert!(shown.contains(name), "{name} in\n{shown}");
    }
    let again = file(&shown);
    ends(&["check", path(&again)], 0);
}

#[test]
fn a_taken_port_is_one_line_and_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = file(&format!(
        "[stats]\nlisten = \"off\"\n[[frontend]]\nname = \"f\"\nlisten = \"{address}\"\nbackend = \"b\"\n\
         [[backend]]\nname = \"b\"\nservers = [\"127.0.0.1:9\"]\n"
    ));
    let (out, err) = ends(&["run", path(&config)], 1);
    let naming: Vec<&str> = out.lines().chain(err.lines()).filter(|line| line.contains(&address.to_string())).collect();
    assert_eq!(naming.len(), 1, "{out}\n{err}");
}

#[test]
fn completions_are_made_for_the_common_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let (script, _) = ends(&["completions", shell], 0);
        assert!(script.contains("EVENKEEL_COMPLETE") && script.contains(env!("CARGO_BIN_EXE_evenkeel")), "{script}");
    }
    ends(&["completions", "cobol"], 2);
}

#[test]
fn the_manual_page_is_one() {
    let (page, _) = ends(&["man"], 0);
    assert!(page.contains(".TH evenkeel 1") || page.contains(".TH evenkeel"), "{page}");
    assert!(page.contains("run") && page.contains("SYNOPSIS"));
}

#[test]
fn every_page_that_the_manual_names_can_be_printed() {
    let (main, _) = ends(&["man"], 0);
    let named: Vec<&str> =
        main.lines().filter_map(|line| line.strip_prefix("evenkeel\\-")?.strip_suffix("(1)")).collect();
    let named: Vec<String> = named.into_iter().map(|name| name.replace("\\-", "-")).collect();
    assert_eq!(named, COMMANDS);
    for (command, option) in PAGES {
        let (help, _) = ends(&[command, "--help"], 0);
        let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{widest} columns:\n{help}");
        let (page, _) = ends(&["man", command], 0);
        assert!(page.contains(&format!(".TH evenkeel-{command} 1")), "{page}");
        assert!(page.contains("OPTIONS") && page.contains(option), "{option} in\n{page}");
    }
    let (_, err) = ends(&["man", "balance"], 2);
    assert!(err.contains("possible values: run, haproxy, check"), "{err}");
}

#[test]
fn the_default_configuration_is_in_help_and_manual() {
    for command in ["run", "check", "show"] {
        for words in [&[command, "--help"][..], &[command, "-h"], &["man", command]] {
            let (text, _) = ends(words, 0);
            assert!(text.contains("/etc/evenkeel/evenkeel.toml"), "{words:?}: {text}");
        }
    }
}

#[test]
fn probe_tells_what_it_saw() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = server.local_addr().unwrap().to_string();
    drop(server);
    let (out, err) = ends(&["probe", &refusing], 1);
    assert!(format!("{out}{err}").contains("refused"), "{out}\n{err}");
}

#[test]
fn a_target_that_cannot_be_probed_is_a_mistake_of_usage() {
    for target in ["127.0.21.1", "http://127.0.21.1/", "host:0", "host:65536", "tcp://host:1/path", "https://a b/", ""]
    {
        let (out, err) = ends(&["probe", target], 2);
        assert!(out.is_empty() && err.contains("<TARGET>"), "{target:?}: {err}");
        let services = ["kube-apiserver://host[:port]", "konnectivity://host[:port]", "k0s-join://host[:port]"];
        for form in ["host:port", "https://host[:port]/path", "tcp://host:port"].iter().chain(&services) {
            assert!(err.contains(form), "{target:?}: {form} in\n{err}");
        }
    }
}

// Seen to fail with a credential that is dropped where the target can't take it.
#[test]
fn a_credential_that_cannot_be_used_is_a_mistake_of_usage() {
    let (token, empty) = (file("abc\n"), file("\n"));
    let apiserver = "kube-apiserver://127.0.0.1:1";
    for (words, said) in [
        (&["probe", apiserver, "--token-file", "no-such-token"][..], "the token file no-such-token can't be used: "),
        (&["probe", apiserver, "--token-file", path(&empty)], "there is no token in it"),
        (
            &["probe", "konnectivity://127.0.0.1:1", "--token-file", path(&token)],
            "only a target such as kube-apiserver",
        ),
        (&["probe", apiserver, "--client-certificate", "client.crt"], "--client-key"),
        (
            &["probe", apiserver, "--client-certificate", "client.crt", "--client-key", "client.key"],
            "the client certificate client.crt can't be used: ",
        ),
    ] {
        let (out, err) = ends(words, 2);
        assert!(out.is_empty() && err.contains(said), "{words:?}: {err}");
    }
    let (_, err) = ends(&["probe", apiserver, "--token-file", path(&token)], 1);
    assert!(err.is_empty(), "{err}");
}

/// What it prints for a password on its standard input, and its exit code.
fn hash_of(password: &[u8]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let command = command.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn a_passwords_hash_can_be_put_into_the_configuration() {
    let (hash, errors, code) = hash_of(b"correct horse\n");
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    let config = file(&format!(
        "preset = \"k0s\"\ncontrollers = [\"10.10.0.2\"]\n[stats]\nuser = \"ops\"\npassword_hash = \"{}\"\n",
        hash.trim_end()
    ));
    ends(&["check", path(&config)], 0);
    for wrong in [&b""[..], b"\n", &[b'x'; 1025]] {
        let (out, err, code) = hash_of(wrong);
        assert_eq!((out.as_str(), code), ("", Some(2)));
        assert!(err.starts_with("error: the password is "), "{err}");
    }
}

#[test]
fn what_a_full_disk_does_not_take_is_one_line_and_code_1() {
    for words in [&["check", "config/minimal.toml"][..], &["show", "config/minimal.toml"], &["man"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        let output = command.args(words).current_dir(REPOSITORY).stdout(full()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.lines().count()), (Some(1), 1), "{words:?}: {err}");
        assert!(err.starts_with("error: ") && !err.contains("panicked"), "{words:?}: {err}");
    }
}

#[test]
fn a_mistake_that_nobody_can_be_told_keeps_its_code() {
    let wrong = file("prefer = 1\n");
    let (_taken, offset) = demo_page();
    for (words, code) in
        [(&["check", path(&wrong)][..], 2), (&["probe", "nowhere"], 2), (&["demo", "--port-offset", &offset], 1)]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        let status = command.args(words).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{words:?}");
    }
}

/// It serves all the same, and ends in good order.
#[test]
fn the_demo_does_without_a_stdout() {
    let (page, offset) = demo_page();
    let address = page.local_addr().unwrap();
    drop(page);
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let command = command.args(["demo", "--port-offset", &offset]).stdout(full()).stderr(Stdio::piped());
    let mut demo = command.spawn().unwrap();
    let begin = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) if begin.elapsed() < SOON && demo.try_wait().unwrap().is_none() => std::thread::yield_now(),
            Err(error) => panic!("{error}: {:?}", demo.try_wait()),
        }
    };
    // It is answered after the demo has said where everything is.
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&demo), rustix::process::Signal::TERM).unwrap();
    let output = demo.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !err.contains("panicked"), "{}: {err}", output.status);
}

/// Holds the port of the demo's page under an offset with which its other ports are free, below those that the kernel
/// gives to others.
fn demo_page() -> (TcpListener, String) {
    let held = |offset: u16| {
        let listeners = [9000, 6443, 8132, 9443].map(|port| TcpListener::bind(("127.0.0.1", port + offset)).ok());
        let [Some(page), Some(_), Some(_), Some(_)] = listeners else { return None };
        Some((page, offset.to_string()))
    };
    (10_000..22_000).step_by(1117).find_map(held).expect("there are free ports")
}
