//! evenkeel.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Balancer, FRONT, File, SECOND, TAKEN};
use crate::harness::admin::Operator;
use crate::harness::app::BINARY;
use crate::harness::haproxy::first_line;
use crate::harness::program::{Program, output};
use crate::harness::wait::until;
use crate::servers::{self, NAMES};
use crate::watch::{Counters, SESSIONS};

pub struct Evenkeel {
    program: Program,
    file: PathBuf,
    socket: PathBuf,
    /// Lines of its log that have been looked at.
    told: usize,
}

/// The program, as cargo built it for tests, or another build of it.
fn binary() -> String {
    std::env::var("EVENKEEL_UNDER_LOAD").unwrap_or_else(|_| BINARY.to_owned())
}

impl Evenkeel {
    pub fn start(directory: &Path) -> Self {
        let (file, socket) = (directory.join("evenkeel.toml"), directory.join("admin.sock"));
        std::fs::write(&file, text(&socket, 0)).unwrap();
        let program = Program::start(Command::new(binary()).arg("run").arg("--config").arg(&file));
        let (told, ()) = program.find("serving", 0, |line| line.contains("\"serving\"").then_some(()));
        Self { program, file, socket, told }
    }

    fn operator(&self) -> Operator {
        Operator::at(&self.socket)
    }

    /// The command line, as an operator types it.
    fn command(&self, words: &[&str]) -> bool {
        let socket = self.socket.to_str().expect("a temporary directory's name is text");
        output(Command::new(binary()).args(words).args(["--socket", socket])).status.success()
    }
}

impl Balancer for Evenkeel {
    fn reload(&mut self, file: File) -> bool {
        match file {
            File::Good(number) => std::fs::write(&self.file, text(&self.socket, number)).unwrap(),
            File::Bad(mistake) => mistake.spoil(&self.file, &text(&self.socket, 0), &frontend("taken", TAKEN)),
        }
        signal(self.operator().get("/api/v1/status")["process"]["pid"].as_u64(), Signal::HUP);
        let word = |line: &str| match serde_json::from_str::<Value>(line).ok()?["message"].as_str()? {
            "reloaded" => Some(true),
            "not reloaded" => Some(false),
            _ => None,
        };
        let (told, done) = self.program.find("the outcome of a reload", self.told, word);
        self.told = told;
        done
    }

    fn upgrade(&mut self, number: usize) {
        std::fs::write(&self.file, text(&self.socket, number)).unwrap();
        let old = self.operator().get("/api/v1/status")["process"]["pid"].as_u64();
        signal(old, Signal::USR2);
        until("another process serves", || {
            (self.operator().get("/api/v1/status")["process"]["pid"].as_u64() != old).then_some(())
        });
    }

    fn drain(&mut self, server: char) -> bool {
        self.command(&["drain", &server.to_string(), "--over", "5s", "--wait"])
    }

    fn reader(&self) -> Box<dyn Fn() -> Option<Counters> + Send> {
        let operator = self.operator();
        Box::new(move || {
            let counts = operator.look("/api/v1/status")?["process"]["counts"].clone();
            let count = |name: &str| counts[name].as_u64();
            Some(Counters::from([
                (SESSIONS, count("sessions_total")?),
                ("bytes in", count("bytes_in")?),
                ("bytes out", count("bytes_out")?),
            ]))
        })
    }

    fn sessions(&self) -> Option<BTreeMap<SocketAddr, String>> {
        let named = |session: &Value| {
            let client = session["client"].as_str()?.parse().ok()?;
            Some((client, session["id"].as_str()?.to_owned()))
        };
        Some(self.operator().sessions("limit=100000").iter().filter_map(named).collect())
    }

    fn processes(&self) -> Vec<u32> {
        let pid = |line: &String| {
            let line: Value = serde_json::from_str(line).ok().filter(|line: &Value| line["message"] == "serving")?;
            u32::try_from(line["pid"].as_u64()?).ok()
        };
        let runs = |pid: &u32| {
            // One that nobody has waited for is no process any more.
            std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !status.contains("State:\tZ"))
        };
        self.program.printed().iter().filter_map(pid).filter(runs).collect()
    }

    fn version(&self) -> String {
        first_line(Command::new(binary()).arg("--version"))
    }
}

impl Drop for Evenkeel {
    fn drop(&mut self) {
        self.processes().into_iter().for_each(|pid| signal(Some(pid.into()), Signal::KILL));
    }
}

fn signal(pid: Option<u64>, signal: Signal) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).expect("a process number");
    let _ = kill_process(pid, signal);
}

/// A good configuration: each number has timeouts and weights of its own, every other one a second frontend.
fn text(socket: &Path, number: usize) -> String {
    let (hours, weight) = (24 + number, 1 + number % 2);
    let servers = NAMES.map(|name| {
        let weight = if name == 'c' { weight } else { 1 };
        format!("{{ name = \"{name}\", address = \"{}\", weight = {weight} }}", servers::address(name))
    });
    let second = if number % 2 == 1 { frontend("second", SECOND) } else { String::new() };
    format!(
        "[log]\nformat = \"json\"\n[admin]\nsocket = \"{}\"\n[timeouts]\nclient = \"{hours}h\"\nserver = \"{hours}h\"\n\
         {}{second}[[backend]]\nname = \"back\"\nbalance = \"leastconn\"\ncheck = {{ type = \"tcp\" }}\nservers = [{}]\n",
        socket.display(),
        frontend("front", FRONT.1),
        servers.join(", "),
    )
}

fn frontend(name: &str, port: u16) -> String {
    format!("[[frontend]]\nname = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\nbackend = \"back\"\n")
}
