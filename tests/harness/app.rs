//! evenkeel itself: the real program, started with a configuration that the test states in part.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::peers::Peer;
use super::program::Program;
use super::wait::until;
use super::{http, peers, ports};

/// The program under test, as cargo built it.
pub const BINARY: &str = env!("CARGO_BIN_EXE_evenkeel");

/// A configuration with one frontend (`front`) and one backend (`back`, with the servers `a`, `b`, …), plus what a
/// test adds. Parts are lines of TOML, as in a file.
#[derive(Debug, Clone)]
pub struct Config {
    front: SocketAddr,
    stats: SocketAddr,
    listen: String,
    servers: Vec<(SocketAddr, String)>,
    sections: [(&'static str, String); 6],
    stats_lines: String,
    more: String,
}

impl Config {
    /// The frontend leads to these servers. Nothing is checked unless the test says so.
    pub fn to(servers: &[SocketAddr]) -> Self {
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let stats = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let sections = ["[log]", "[process]", "[limits]", "[timeouts]", "[[frontend]]", "[[backend]]"];
        Self {
            front,
            stats,
            listen: front.to_string(),
            servers: servers.iter().map(|address| (*address, String::new())).collect(),
            sections: sections.map(|name| (name, String::new())),
            stats_lines: String::new(),
            more: String::new(),
        }
    }

    pub fn log(self, line: &str) -> Self {
        self.add(0, line)
    }

    pub fn process(self, line: &str) -> Self {
        self.add(1, line)
    }

    pub fn limits(self, line: &str) -> Self {
        self.add(2, line)
    }

    pub fn timeouts(self, line: &str) -> Self {
        self.add(3, line)
    }

    pub fn frontend(self, line: &str) -> Self {
        self.add(4, line)
    }

    pub fn backend(self, line: &str) -> Self {
        self.add(5, line)
    }

    /// Lines of `[stats]` beside where it listens.
    pub fn stats_lines(mut self, lines: &str) -> Self {
        let _ = writeln!(self.stats_lines, "{lines}");
        self
    }

    /// Adds keys to the server of this number, such as `weight = 2`.
    pub fn server(mut self, number: usize, keys: &str) -> Self {
        let _ = write!(self.servers[number].1, ", {keys}");
        self
    }

    /// Whole sections behind all others.
    pub fn more(mut self, text: &str) -> Self {
        let _ = writeln!(self.more, "{text}");
        self
    }

    /// Where the frontend listens, as the file says it, and where clients reach it then.
    pub fn listen(mut self, listen: &str, front: SocketAddr) -> Self {
        (self.listen, self.front) = (listen.to_owned(), front);
        self
    }

    /// With the addresses of another one.
    pub fn at(mut self, other: &Self) -> Self {
        (self.front, self.stats) = (other.front, other.stats);
        self.listen.clone_from(&other.listen);
        self
    }

    /// Where the stats page is, for a configuration that takes the place of another.
    pub fn on_stats(self, stats: SocketAddr) -> Self {
        Self { stats, ..self }
    }

    pub fn front(&self) -> SocketAddr {
        self.front
    }

    pub fn stats(&self) -> SocketAddr {
        self.stats
    }

    fn add(mut self, section: usize, line: &str) -> Self {
        let _ = writeln!(self.sections[section].1, "{line}");
        self
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = format!("[stats]\nlisten = \"{}\"\n{}", self.stats, self.stats_lines);
        for (name, lines) in &self.sections {
            let fixed = match *name {
                "[log]" => "format = \"json\"\n".to_owned(),
                "[[frontend]]" => format!("name = \"front\"\nlisten = \"{}\"\nbackend = \"back\"\n", self.listen),
                "[[backend]]" => self.backend_lines(lines),
                _ => String::new(),
            };
            let _ = write!(text, "{name}\n{fixed}{lines}");
        }
        text + &self.more
    }

    /// The backend's fixed part; a probe is a connection like any other, and would be mistaken for a session.
    fn backend_lines(&self, stated: &str) -> String {
        let check = if stated.contains("check = ") { "" } else { "check = \"off\"\n" };
        format!("name = \"back\"\n{check}servers = [\n{}]\n", self.server_lines())
    }

    fn server_lines(&self) -> String {
        let mut lines = String::new();
        for ((address, keys), name) in self.servers.iter().zip('a'..) {
            let _ = writeln!(lines, "  {{ name = \"{name}\", address = \"{address}\"{keys} }},");
        }
        lines
    }
}

/// A running evenkeel. It ends with the test.
pub struct App {
    program: Program,
    front: SocketAddr,
    stats: SocketAddr,
    /// Lines of the log that [`App::next_line`] has passed.
    read: usize,
    /// Holds the configuration file.
    directory: TempDir,
}

impl App {
    /// Starts it and waits until it serves.
    pub fn start(config: &Config) -> Self {
        let app = Self::launch(config);
        app.program.wait_for("serving");
        app
    }

    /// As [`App::start`], with this text in place of the configuration's own.
    pub fn start_text(config: &Config, text: &str) -> Self {
        let app = Self::launch_text(Path::new(BINARY), config, text, |_| ());
        app.program.wait_for("serving");
        app
    }

    /// Starts it and waits for nothing.
    pub fn launch(config: &Config) -> Self {
        Self::launch_with(config, |_| ())
    }

    /// As [`App::launch`], with an environment of the test's making.
    pub fn launch_with(config: &Config, prepare: impl FnOnce(&mut Command)) -> Self {
        Self::launch_program(Path::new(BINARY), config, prepare)
    }

    /// As [`App::start`], of a copy of the program, which the test may exchange for another one.
    pub fn start_copy(copy: &Path, config: &Config) -> Self {
        std::fs::copy(BINARY, copy).unwrap();
        Self::start_of(copy, config)
    }

    /// As [`App::start`], by this path to the program.
    pub fn start_of(program: &Path, config: &Config) -> Self {
        let app = Self::launch_program(program, config, |_| ());
        app.program.wait_for("serving");
        app
    }

    fn launch_program(program: &Path, config: &Config, prepare: impl FnOnce(&mut Command)) -> Self {
        Self::launch_text(program, config, &config.text(), prepare)
    }

    fn launch_text(program: &Path, config: &Config, text: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("evenkeel.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        prepare(command.arg("run").arg(&file));
        let program = Program::start(&mut command);
        Self { program, front: config.front, stats: config.stats, read: 0, directory }
    }

    /// A file of the configuration's directory, for what a test needs beside it.
    pub fn directory(&self) -> &TempDir {
        &self.directory
    }

    /// Where clients connect.
    pub fn front(&self) -> SocketAddr {
        self.front
    }

    pub fn stats(&self) -> SocketAddr {
        self.stats
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// A new client.
    pub fn connect(&self) -> TcpStream {
        peers::connect(self.front)
    }

    /// A new client that is to be reset, which may happen before it knows that it is connected.
    pub fn resets_a_client(&self) {
        match TcpStream::connect(self.front) {
            Ok(mut client) => client.sees_reset(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }

    /// A session whose both ends the test plays: the client's, and the server's.
    pub fn session(&self, server: &peers::Manual) -> (TcpStream, TcpStream) {
        (self.connect(), server.accept())
    }

    /// The next line of the log that `wanted` agrees to; lines before it are passed over for good.
    pub fn next_line(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (read, line) = self.program.find(what, self.read, |line| {
            serde_json::from_str::<Value>(line).ok().filter(|line| line.is_object() && wanted(line))
        });
        self.read = read;
        line
    }

    /// The next session's line.
    pub fn next_session(&mut self) -> Value {
        self.next_line("a session's line", |line| line["message"] == "session")
    }

    /// The lines of all sessions that have ended so far.
    pub fn sessions(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["message"] == "session").collect()
    }

    /// All lines of the log so far.
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.program.printed();
        lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(Value::is_object).collect()
    }

    /// `/api/v1/status`, now.
    pub fn status(&self) -> Value {
        http::get(self.stats, "/api/v1/status").expect("the stats page answers").json()
    }

    /// A server's part of the status.
    pub fn server(&self, name: &str) -> Value {
        let status = self.status();
        let backends = status["backends"].as_array().expect("a list of backends");
        let servers = backends.iter().flat_map(|backend| backend["servers"].as_array().expect("a list of servers"));
        servers
            .into_iter()
            .find(|server| server["name"] == name)
            .unwrap_or_else(|| panic!("{name} in {status}"))
            .clone()
    }

    /// Sessions that are open at a server.
    pub fn server_sessions(&self, name: &str) -> u64 {
        self.server(name)["counts"]["sessions"].as_u64().expect("a count")
    }

    /// Waits until a server is in this state.
    pub fn server_is(&self, name: &str, state: &str) {
        until(&format!("{name} is {state}"), || (self.server(name)["state"] == state).then_some(()));
    }

    /// Waits until the process has so many sessions open.
    pub fn has_sessions(&self, count: u64) {
        until(&format!("{count} sessions"), || (self.status()["process"]["counts"]["sessions"] == count).then_some(()));
    }

    /// The HTTP status of a path of the stats page.
    pub fn http_status(&self, path: &str) -> u16 {
        http::get(self.stats, path).expect("the stats page answers").status
    }

    /// A metric's value: the first sample of this name that has all these labels, each written `name="value"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = http::get(self.stats, "/metrics").expect("the stats page answers").body;
        let sample = page.lines().find(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        let sample = sample.unwrap_or_else(|| panic!("{name} {labels:?} in\n{page}"));
        sample.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }

    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Where its configuration is.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("evenkeel.toml")
    }

    /// Writes another configuration, and waits until it is in force.
    pub fn reload(&mut self, config: &Config) -> Value {
        std::fs::write(self.file(), config.text()).unwrap();
        self.signal(Signal::HUP);
        let line = self.next_line("what became of the reload", is_about_reload);
        assert_eq!(line["message"], "reloaded");
        self.front = config.front;
        self.stats = config.stats;
        line
    }

    /// Writes another text in place of its configuration, and waits until it is refused; all mistakes that the log names.
    pub fn refuses(&mut self, text: &str) -> Vec<String> {
        std::fs::write(self.file(), text).unwrap();
        self.refuses_what_is_there()
    }

    /// As [`App::refuses`], of what the file has become.
    pub fn refuses_what_is_there(&mut self) -> Vec<String> {
        let from = self.read;
        self.signal(Signal::HUP);
        let line = self.next_line("what became of the reload", is_about_reload);
        assert_eq!(line["message"], "not reloaded");
        let lines = self.program.printed();
        let lines = lines[from..self.read].iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let errors = lines.filter(|line| line["level"] == "ERROR");
        errors.map(|line| format!("{} {}", line["message"], line["error"])).collect()
    }

    pub fn ended(&mut self) -> ExitStatus {
        self.program.ended()
    }
}

fn is_about_reload(line: &Value) -> bool {
    line["message"] == "reloaded" || line["message"] == "not reloaded"
}
