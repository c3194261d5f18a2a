//! HAProxy 3.2 in master-worker mode, reloaded over the master's socket.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Balancer, FRONT, File, SECOND, TAKEN};
use crate::harness::program::Program;
use crate::harness::wait::{PATIENCE, until_within};
use crate::harness::{haproxy, http, wait};
use crate::servers::{self, NAMES};
use crate::watch::{Counters, SESSIONS};

/// Where its statistics are.
const STATS: ([u8; 4], u16) = ([127, 0, 0, 1], 7900);

pub struct Haproxy {
    program: Program,
    file: PathBuf,
    socket: PathBuf,
}

impl Haproxy {
    pub fn start() -> Self {
        let name = format!("operations-{}", std::process::id());
        let inside = |suffix: &str| format!("/run/{name}.{suffix}");
        let outside = |suffix: &str| PathBuf::from(format!("{}{}", haproxy::ROOT, inside(suffix)));
        let (file, socket) = (outside("cfg"), outside("sock"));
        std::fs::write(&file, text(0)).unwrap();
        let arguments = ["-W", "-S", &inside("sock"), "-f", &inside("cfg")];
        let program = Program::start(haproxy::haproxy(&Command::new("chroot")).args(arguments));
        let it = Self { program, file, socket };
        wait::until("it serves", || http::get(STATS.into(), "/;csv"));
        it
    }

    /// What the master, or a worker of it, says to a command.
    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        if command != "reload" {
            // A worker waits for more; the master answers once, when it is through.
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let mut answer = String::new();
        // A master that starts itself anew may end the connection as it likes.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// Sessions that the worker that serves now has at a server.
    fn sessions_of(server: char) -> Option<u64> {
        table()?.iter().find(|row| row["svname"] == server.to_string())?["scur"].parse().ok()
    }
}

impl Balancer for Haproxy {
    fn reload(&mut self, file: File) -> bool {
        match file {
            File::Good(number) => std::fs::write(&self.file, text(number)).unwrap(),
            File::Bad(mistake) => mistake.spoil(&self.file, &text(0), &frontend("taken", TAKEN)),
        }
        self.ask("reload").contains("Success=1")
    }

    /// The master executes its binary anew at each reload.
    fn upgrade(&mut self, number: usize) {
        assert!(self.reload(File::Good(number)));
    }

    /// As its manual has it; only the worker that serves now is asked.
    fn drain(&mut self, server: char) -> bool {
        self.ask(&format!("@1 set server back/{server} state drain"));
        self.ask(&format!("@1 shutdown sessions server back/{server}"));
        until_within(Duration::from_secs(20), "the server has no sessions", || {
            (Self::sessions_of(server) == Some(0)).then_some(true)
        })
    }

    fn reader(&self) -> Box<dyn Fn() -> Option<Counters> + Send> {
        Box::new(|| {
            let table = table()?;
            let front = table.iter().find(|row| row["svname"] == "FRONTEND" && row["pxname"] == "front")?;
            let count = |name: &str| front[name].parse().ok();
            Some(Counters::from([
                (SESSIONS, count("stot")?),
                ("bytes in", count("bin")?),
                ("bytes out", count("bout")?),
            ]))
        })
    }

    /// Its names for sessions are addresses of memory.
    fn sessions(&self) -> Option<BTreeMap<SocketAddr, String>> {
        None
    }

    fn processes(&self) -> Vec<u32> {
        let master = self.program.pid();
        // A master that has ended has none.
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        let workers = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(master).chain(workers).collect()
    }

    fn version(&self) -> String {
        haproxy::version()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        for pid in self.processes().into_iter().rev() {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process number");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = std::fs::remove_file(&self.file);
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// The rows of its statistics, by the names of the columns.
fn table() -> Option<Vec<BTreeMap<String, String>>> {
    let text = http::get(STATS.into(), "/;csv")?.body;
    let mut lines = text.lines();
    let names: Vec<_> = lines.next()?.trim_start_matches("# ").split(',').map(str::to_owned).collect();
    let row = |line: &str| names.iter().cloned().zip(line.split(',').map(str::to_owned)).collect();
    Some(lines.map(row).collect())
}

/// The same as evenkeel's, in its words.
fn text(number: usize) -> String {
    let (hours, weight) = (24 + number, 1 + number % 2);
    let servers = NAMES.map(|name| {
        let weight = if name == 'c' { weight } else { 1 };
        format!("    server {name} {} check weight {weight}\n", servers::address(name))
    });
    let second = if number % 2 == 1 { frontend("second", SECOND) } else { String::new() };
    format!(
        "global\n    maxconn 4000\ndefaults\n    mode tcp\n    timeout connect 10s\n    timeout client {hours}h\n    \
         timeout server {hours}h\n    timeout tunnel {hours}h\nfrontend stats\n    mode http\n    bind 127.0.0.1:{}\n    \
         stats enable\n    stats uri /\n{}{second}backend back\n    balance leastconn\n{}",
        STATS.1,
        frontend("front", FRONT.1),
        servers.concat(),
    )
}

fn frontend(name: &str, port: u16) -> String {
    format!("frontend {name}\n    bind 127.0.0.1:{port}\n    default_backend back\n")
}
