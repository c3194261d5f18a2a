//! Rights that root has and that are given up: shown to work before, and to be refused after.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{App, BINARY, Config};
use crate::harness::namespace::Host;
use crate::harness::peers::{Peer, Server};
use crate::harness::program::Program;

/// What a program must be able to do still, sandbox or not.
const NEEDED: [&str; 2] = ["read the configuration", "run itself"];

/// What is refused by the lack of capabilities as well, and so without the sandbox, too.
const ROOTS: [&str; 2] = ["read another process's environment", "unshare"];

/// A kernel without modules says that it has none before it looks at capabilities, and any other refuses.
const AS_THE_KERNEL_HAS_IT: &str = "load a module";

/// What an intruder tries, and what that came to before rights were given up, and after.
type Attempt = (String, String, String);

fn attempts(security: &str) -> Vec<Attempt> {
    let server = Server::echo();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = elsewhere.local_addr().unwrap();
    let name = std::os::unix::net::SocketAddr::from_abstract_name(address.to_string()).unwrap();
    let _abstract = UnixListener::bind_addr(&name).unwrap();
    let config = Config::to(&[server.address()]).more(&format!("[security]\n{security}"));
    let mut app = App::launch_with(&config, |command| {
        command.env("EVENKEEL_ATTEMPTS", address.to_string());
    });
    app.program().wait_for("serving");
    let lines = app.program().printed();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    let attempted = lines.filter(|line| line["message"] == "attempted");
    let attempts: Vec<_> =
        attempted.map(|line| (text(&line, "attempt"), text(&line, "before"), text(&line, "after"))).collect();
    assert!(attempts.len() >= 25, "{attempts:#?}");
    attempts
}

/// Mutations seen to fail, each by the attempts that it is about: no Landlock and no seccomp; files allowed without their
/// directories.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn an_intruder_is_refused_everything() {
    let attempts = attempts("connect = \"servers\"");
    let wanted = |attempt: &str| if NEEDED.contains(&attempt) { "done" } else { "refused" };
    // Nothing is shown by what never worked.
    let wrong = attempts.iter().filter(|(attempt, before, after)| before == "refused" || after != wanted(attempt));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&Attempt>::new());
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn without_the_sandbox_only_capabilities_are_missing() {
    let attempts = attempts("sandbox = false");
    for (attempt, before, after) in attempts.into_iter().filter(|attempt| attempt.0 != AS_THE_KERNEL_HAS_IT) {
        match ROOTS.contains(&attempt.as_str()) {
            true => assert_eq!(after, "refused", "{attempt}, which was {before} before"),
            false => assert_ne!(after, "refused", "{attempt}, which was {before} before"),
        }
    }
}

/// A field of each thread of a process.
fn of_all_threads(pid: u32, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let value = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    statuses.map(value).collect()
}

/// That every thread of a process has this in a field.
fn all_have(pid: u32, field: &str, wanted: &str) {
    let found = of_all_threads(pid, field);
    assert!(found.len() >= 3 && found.iter().all(|value| value == wanted), "{field}: {found:?} instead of {wanted}");
}

const NOBODY: u32 = 65_534;

/// A directory that everyone may look into, as a temporary one is not.
fn open_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Port 443 and a socket in root's directory: both take root, and are there before it is given up. Mutation seen to fail:
/// the user changed before anything is bound.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn root_binds_and_somebody_else_serves() {
    let host = Host::new("low");
    let directory = open_directory();
    let socket = directory.path().join("admin.sock");
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, 443));
    host.on(|| {
        let server = Server::echo();
        let config = Config::to(&[server.address()])
            .listen("127.0.0.1:443", front)
            .process("user = \"nobody\"\ngroup = \"nogroup\"\n")
            .more(&format!("[admin]\nsocket = \"{}\"", socket.display()));
        let mut app = App::start(&config);
        let pid = app.program().pid();
        for field in ["Uid", "Gid"] {
            all_have(pid, field, &[NOBODY.to_string().as_str(); 4].join(" "));
        }
        all_have(pid, "Groups", &NOBODY.to_string());
        // CAP_NET_BIND_SERVICE is number 10; an upgrade inherits it.
        for field in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
            all_have(pid, field, "0000000000000400");
        }
        let file = fs::metadata(&socket).unwrap();
        assert_eq!((file.uid(), file.gid()), (NOBODY, NOBODY));
        let mut client = app.connect();
        client.say("to port 443");
        client.hears("to port 443");
        // Its directory is root's: the file stays, which is said.
        app.next_line("what stays behind", |line| line["socket"] == socket.display().to_string().as_str());
        app.signal(Signal::TERM);
        assert_eq!(app.ended().code(), Some(0));
    });
}

/// Mutations seen to fail: capabilities kept; a group kept.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn nothing_is_kept_for_ports_that_everyone_may_bind() {
    let server = Server::echo();
    let mut app = App::start(&Config::to(&[server.address()]).process("user = 65534\ngroup = 65534"));
    for field in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
        all_have(app.program().pid(), field, "0000000000000000");
    }
    let keep = Config::to(&[server.address()]).process("user = 65534\ngroup = 65534\nkeep_bind = true");
    let mut app = App::start(&keep);
    all_have(app.program().pid(), "CapEff", "0000000000000400");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_root_of_the_file_system_is_left() {
    let root = open_directory();
    let server = Server::echo();
    let process = format!("chroot = \"{}\"\nuser = 65534\ngroup = 65534", root.path().display());
    let mut app = App::start(&Config::to(&[server.address()]).process(&process));
    let pid = app.program().pid();
    for link in ["root", "cwd"] {
        assert_eq!(fs::read_link(format!("/proc/{pid}/{link}")).unwrap(), fs::canonicalize(root.path()).unwrap());
    }
    // The configuration is outside.
    app.next_line("the loss", |line| line["file"].as_str().is_some_and(|file| file.contains("evenkeel.toml")));
    let mut client = app.connect();
    client.say("from inside");
    client.hears("from inside");
    let errors = app.refuses_what_is_there();
    assert!(errors.iter().any(|error| error.contains("all that the process sees")), "{errors:?}");
    app.signal(Signal::USR2);
    let refused = app.next_line("why not", |line| line["message"] == "not upgraded");
    assert!(refused["error"].as_str().unwrap().contains("process.chroot"), "{refused}");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_new_root_without_the_service_managers_socket_is_refused() {
    let root = open_directory();
    let server = Server::echo();
    let process = format!("chroot = \"{}\"", root.path().display());
    let mut app = App::launch_with(&Config::to(&[server.address()]).process(&process), |command| {
        command.env("NOTIFY_SOCKET", "/run/systemd/notify");
    });
    assert_eq!(app.ended().code(), Some(1));
    let said = app.program().printed().join("\n");
    assert!(said.contains("process.chroot") && said.contains("RootDirectory="), "{said}");
}

/// evenkeel, started with what `prefix` makes of it.
fn started_by(prefix: &[&str], config: &Config) -> (Program, TempDir) {
    let directory = open_directory();
    let file = directory.path().join("evenkeel.toml");
    fs::write(&file, config.text()).unwrap();
    // Where cargo puts it, not everyone may look.
    let binary = directory.path().join("evenkeel");
    fs::copy(BINARY, &binary).unwrap();
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(&binary).arg("run").arg(&file);
    (Program::start(&mut command), directory)
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn who_is_not_root_can_not_become_somebody_else() {
    let server = Server::echo();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let config = Config::to(&[server.address()]).process("user = \"daemon\"");
    let (mut program, _directory) = started_by(&nobody, &config);
    assert_eq!(program.ended().code(), Some(1));
    let said = program.printed().join("\n");
    assert!(said.contains("start evenkeel as root") && said.contains("User="), "{said}");
    // Who it is already is no change.
    let config = Config::to(&[server.address()]).process("user = \"nobody\"\ngroup = \"nogroup\"");
    let (program, _directory) = started_by(&nobody, &config);
    program.wait_for("serving");
}

/// As a container's or a service manager's filter may have it: everything that the sandbox is made with is refused.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn where_there_can_be_no_sandbox_it_serves_and_says_so() {
    const REFUSING: &str = "
import ctypes, os, platform, struct, sys
CALLS = [444, 277 if platform.machine() == 'aarch64' else 317, 91 if platform.machine() == 'aarch64' else 126]
LOAD, EQUAL, RETURN, EPERM, ALLOW = 0x20, 0x15, 0x06, 0x00050001, 0x7fff0000
program = struct.pack('HBBI', LOAD, 0, 0, 0)
for index, call in enumerate(CALLS):
    program += struct.pack('HBBI', EQUAL, len(CALLS) - index, 0, call)
program += struct.pack('HBBI', RETURN, 0, 0, ALLOW) + struct.pack('HBBI', RETURN, 0, 0, EPERM)
held = ctypes.create_string_buffer(program, len(program))
filter = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(program) // 8, ctypes.addressof(held)), 16)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter) == 0
os.execv(sys.argv[1], sys.argv[1:])
";
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let (program, _directory) = started_by(&["/usr/bin/python3", "-c", REFUSING], &config);
    program.wait_for("serving");
    let line: Value = serde_json::from_str(&program.wait_for("confined")).unwrap();
    assert_eq!((&line["level"], &line["sandbox"]), (&"WARN".into(), &"no_new_privs".into()), "{line}");
    let missing = line["missing"].as_str().unwrap();
    for part in ["landlock: ", "seccomp: ", "capabilities that could not be given up: "] {
        assert!(missing.contains(part), "{missing}");
    }
    let mut client = crate::harness::peers::connect(config.front());
    client.say("all the same");
    client.hears("all the same");
}
