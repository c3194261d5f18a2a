//! `evenkeel doctor` on the host that the tests run on.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::fake::{Fake, status};
use super::{file, path};

/// Runs it on a configuration that listens at `address`; exit code and output.
fn examined(address: &str, socket: &str) -> (Option<i32>, String) {
    let config = file(&format!(
        "[stats]\nlisten = \"off\"\n[admin]\nsocket = \"{socket}\"\n[limits]\nmax_sessions = 100\n\
         [[frontend]]\nname = \"f\"\nlisten = \"{address}\"\nbackend = \"b\"\nbacklog = 16\n\
         [[backend]]\nname = \"b\"\nservers = [\"127.0.0.1:9\"]\n"
    ));
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let command = command.args(["doctor", path(&config)]).env_remove("EVENKEEL_SOCKET").stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn every_limit_has_a_line_and_a_small_configuration_fails_at_none() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, out) = examined(&free.to_string(), "/tmp/no-such-admin.sock");
    assert_eq!(code, Some(0), "{out}");
    for what in [
        "configuration",
        "process",
        "admin socket",
        "open files",
        "accept queue",
        "conntrack",
        "ports to dial from",
        "IPv6",
        "pipes",
        "congestion control",
        "clock",
        "listen address",
    ] {
        assert!(out.lines().any(|line| line.get(6..).is_some_and(|rest| rest.starts_with(what))), "{what} in\n{out}");
    }
    assert!(out.contains(&format!("{free} is free")) && out.ends_with(" 0 FAIL\n"), "{out}");
}

// Seen to fail with an address that is taken passed over.
#[test]
fn a_port_that_is_taken_fails_with_who_has_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, out) = examined(&address.to_string(), "/tmp/no-such-admin.sock");
    assert_eq!(code, Some(1), "{out}");
    let line = out.lines().find(|line| line.starts_with("FAIL")).expect("a failure");
    assert!(
        line.contains(&format!("{address} is taken by ")) && line.contains(&format!("(pid {})", std::process::id()))
    );
}

#[test]
fn the_running_process_has_its_ports_and_its_limits() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut running = status();
    running["process"]["pid"] = std::process::id().into();
    running["process"]["max_descriptors"] = Value::from(400);
    running["process"]["sessions_limit"] = Value::from(1_000);
    let fake = Fake::always(200, &running);
    let (code, out) = examined(&address, fake.socket().to_str().unwrap());
    assert!(out.contains(&format!("{address} is the running evenkeel's")), "{out}");
    assert!(out.contains("WARN  process") && out.contains("804 of 1,000 sessions (80 %)"), "{out}");
    assert!(code == Some(1) && out.contains("FAIL  open files") && out.contains("400 of the running process"), "{out}");
}

#[test]
fn a_configuration_with_mistakes_is_refused() {
    let wrong = file("prefer = 1\n");
    assert!(super::ends(&["doctor", path(&wrong)], 2).1.contains("prefer"));
}
