//! The command line, as a person or a script meets it.

#![expect(clippy::unwrap_used, reason = "where a test can't go on, the line says why")]

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Runs evenkeel with these words to its end.
fn evenkeel(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(words).current_dir(REPOSITORY).stdin(Stdio::null()).env("COLUMNS", "80").output().unwrap()
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
    for words in [["--help"], ["-h"]] {
        let (help, _) = ends(&words, 0);
        assert!(help.lines().count() <= 40, "{} lines:\n{help}", help.lines().count());
        let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns:\n{help}");
        for command in ["run", "check", "show", "demo", "probe", "completions", "man"] {
            assert!(help.contains(command), "{command} in\n{help}");
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
        assert!(script.contains("evenkeel") && script.contains("port-offset"), "{shell}");
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
        for form in ["host:port", "https://host[:port]/path", "tcp://host:port"] {
            assert!(err.contains(form), "{target:?}: {form} in\n{err}");
        }
    }
}
