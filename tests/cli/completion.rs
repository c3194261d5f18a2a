//! Completion in a shell for real: bash, with the script that we print, before a stand-in for the running process.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::fake::{Fake, status};

/// What a press of Tab behind these words offers.
fn offered(socket: &Path, words: &[&str]) -> Vec<String> {
    let script = format!(
        "source <({program} completions bash)\n\
         COMP_WORDS=({words}); COMP_CWORD={last}; COMP_TYPE=9\n\
         _clap_complete_evenkeel evenkeel \"${{COMP_WORDS[COMP_CWORD]}}\" ''\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        program = env!("CARGO_BIN_EXE_evenkeel"),
        words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        last = words.len() - 1,
    );
    let mut bash = Command::new("bash");
    let bash = bash.args(["--norc", "-c", &script]).env("EVENKEEL_SOCKET", socket).stdin(Stdio::null());
    let Output { stdout, stderr, .. } = bash.output().expect("bash is everywhere");
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    // Completing outside of a terminal is all that bash may complain of.
    let complaints: Vec<&str> = err.lines().filter(|line| !line.contains("compopt")).collect();
    assert!(complaints.is_empty(), "{err}");
    out.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn bash_completes_the_names_that_the_process_has() {
    let fake = Fake::always(200, &status());
    let socket = fake.socket();
    assert_eq!(offered(&socket, &["evenkeel", "dr"]), ["drain"]);
    assert_eq!(offered(&socket, &["evenkeel", "drain", "k0s"]), ["k0s-at-vie-1", "k0s-ch-sion-1"]);
    assert_eq!(
        offered(&socket, &["evenkeel", "drain", "kubeAPI_backend/"]),
        ["kubeAPI_backend/k0s-ch-sion-1", "kubeAPI_backend/k0s-at-vie-1"]
    );
    assert_eq!(offered(&socket, &["evenkeel", "sessions", "--frontend", "konn"]), ["konnectivity"]);
    assert_eq!(offered(&socket, &["evenkeel", "add-server", "konn"]), ["konnectivity_backend"]);
}

#[test]
fn bash_completes_options_without_a_process_and_names_of_the_socket_that_is_named() {
    let nowhere = Path::new("/nowhere/admin.sock");
    assert_eq!(offered(nowhere, &["evenkeel", "drain", "--ov"]), ["--over"]);
    assert_eq!(offered(nowhere, &["evenkeel", "drain", "k0s"]), [""; 0]);
    let fake = Fake::always(200, &status());
    let socket = fake.socket();
    let words = ["evenkeel", "ready", "--socket", socket.to_str().unwrap(), "k0s-ch"];
    assert_eq!(offered(nowhere, &words), ["k0s-ch-sion-1"]);
}
