//! The runtime API from the side of its clients, and a site of which HAProxy and evenkeel are asked the same.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::peers::Server;
use super::ports;
use super::wait::{PATIENCE, until};

/// What HAProxy says is kept here; `tests/e2e/runtime.rs` writes it anew.
pub const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/haproxy-3.2/runtime.txt");

/// A runtime socket.
#[derive(Debug, Clone)]
pub struct Runtime {
    socket: PathBuf,
}

impl Runtime {
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// A connection of its own.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends it as it is, shuts the sending side at once, and gives all that comes back.
    pub fn sends(&self, text: &str) -> String {
        let mut stream = self.connect();
        // Who is refused may be so before the end.
        let _refused = stream.write_all(text.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
        rest(&mut stream)
    }

    /// The answer to one command, without the empty line that ends it.
    pub fn ask(&self, command: &str) -> String {
        let answer = self.sends(&format!("{command}\n"));
        answer.strip_suffix('\n').unwrap_or_else(|| panic!("no empty line ends {answer:?}")).to_owned()
    }

    /// Has something done, which is answered by nothing.
    pub fn does(&self, command: &str) {
        assert_eq!(self.ask(command), "", "{command}");
    }
}

/// All that still comes.
pub fn rest(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// A site with a server of each kind, whose checks are far apart once they have told what they see.
pub struct Scene {
    echo: Server,
    other: Server,
    front: SocketAddr,
    join: SocketAddr,
}

impl Scene {
    pub fn set() -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        Self { echo: Server::echo(), other: Server::echo(), front: address(), join: address() }
    }

    /// The site's haproxy.cfg, with the sockets where `directory` is for whoever reads it.
    pub fn config(&self, directory: &Path) -> String {
        let (echo, other, front, join) = (self.echo.address(), self.other.address(), self.front, self.join);
        let at = directory.display();
        format!(
            "\
global
    maxconn 1000
    stats socket {at}/admin.sock level admin
    stats socket {at}/operator.sock
    stats socket {at}/user.sock level user
defaults
    mode tcp
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    default-server inter 1h fastinter 100ms
frontend api
    bind {front}
    maxconn 100
    default_backend api_backend
frontend join
    bind {join}
    default_backend join_backend
backend api_backend
    balance roundrobin
    server one {echo} check
    server two {other} check weight 3
    server spare {echo} backup
backend join_backend
    balance leastconn
    server one {echo}
    server off {other} disabled
"
        )
    }

    /// Waits until each check has told what it sees.
    pub fn settle(&self, admin: &Runtime) {
        until("all checks have told", || {
            let state = admin.ask("show servers state api_backend");
            let passed =
                |name: &str| state.lines().any(|row| row.contains(&format!(" {name} ")) && row.contains(" 6 3 4 6 "));
            (passed("one") && passed("two")).then_some(())
        });
    }

    /// What is asked and answered, one after another, with what chance and time decide taken out.
    pub fn play(&self, directory: &Path) -> String {
        let mut text = String::new();
        for line in SCRIPT.lines().filter(|line| !line.is_empty()) {
            let (level, command) = line.split_once(' ').unwrap();
            // In the script `\n` is a newline, and everything else is itself.
            let command = command.replace("\\n", "\n").replace("PORT", &self.other.address().port().to_string());
            let answer = Runtime::at(&directory.join(format!("{level}.sock"))).sends(&format!("{command}\n"));
            text += &format!("{line}\n{}", self.plain(&answer));
        }
        text
    }

    fn plain(&self, answer: &str) -> String {
        let ports = [
            (self.echo.address(), "ECHO"),
            (self.other.address(), "OTHER"),
            (self.front, "FRONT"),
            (self.join, "JOIN"),
        ];
        let mut text = String::new();
        for line in answer.lines() {
            let named =
                ports.iter().fold(line.to_owned(), |line, (at, name)| line.replace(&at.port().to_string(), name));
            text += &format!("| {}\n", timeless(&named));
            // The rest is a list of commands, of which HAProxy has others.
            if line.starts_with("Unknown command") {
                break;
            }
        }
        text
    }
}

/// Without the times that it tells.
fn timeless(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    if words.len() == 25 && words[0].parse::<u32>().is_ok() {
        words[9] = "SECONDS";
        // Without a check (its bit is in the next column) the counter says only where it once stood.
        if words[13].parse().is_ok_and(|bits: u8| bits & 2 == 0) {
            words[12] = "-";
        }
    }
    if let Some(date) = words.iter_mut().find(|word| word.starts_with('[') && word.contains('/')) {
        *date = "DATE";
    }
    words.join(" ")
}

/// The level, and what is sent.
const SCRIPT: &str = include_str!("runtime.script");
