//! HAProxy or evenkeel, with one file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::certificates::Certificates;
use crate::harness::app::BINARY;
use crate::harness::haproxy::ROOT;
use crate::harness::program::Program;
use crate::harness::sockets;
use crate::harness::wait::PATIENCE;
use crate::root::Root;
use crate::script::Script;
use crate::site::Site;
use crate::syslog::Receivers;

/// Which load balancer.
#[derive(Debug, Clone)]
pub enum Kind {
    /// HAProxy 3.2.
    Haproxy,
    Evenkeel,
    /// Another HAProxy of this host.
    Other(PathBuf),
}

impl Kind {
    pub fn name(&self) -> String {
        match self {
            Self::Haproxy => "HAProxy 3.2".to_owned(),
            Self::Evenkeel => "evenkeel".to_owned(),
            Self::Other(program) => program.display().to_string(),
        }
    }

    fn root(&self) -> Root {
        match self {
            Self::Haproxy => Root::with(Path::new("/usr/sbin/haproxy"), Path::new(ROOT)),
            Self::Evenkeel => Root::with(Path::new(BINARY), Path::new("/")),
            Self::Other(program) => Root::with(program, Path::new("/")),
        }
    }

    /// The words before the file's name. The command line is HAProxy's, and so are the signals.
    fn words(&self) -> &'static [&'static str] {
        match self {
            Self::Evenkeel => &["haproxy", "-db", "-f"],
            Self::Haproxy | Self::Other(_) => &["-db", "-f"],
        }
    }
}

/// Where the file is, for the program.
const FILE: &str = "/etc/haproxy/haproxy.cfg";

/// How long a socket that nobody listens on is waited for: a script may mean it so.
const LISTENING: Duration = Duration::from_secs(20);

pub struct Balancer {
    program: Program,
    root: Root,
    /// Its first `stats socket`.
    runtime: Option<String>,
    pub receivers: Receivers,
}

impl Balancer {
    /// Starts it and waits until it listens on all of the script's ports, or has ended.
    pub fn start(kind: &Kind, configuration: &str, script: &Script, site: &Site, certificates: &Certificates) -> Self {
        let root = kind.root();
        fs::write(root.path(FILE), configuration).unwrap();
        let files = [(&script.authority, &certificates.authority_pem), (&script.identity, &certificates.identity_pem)];
        for (file, pem) in files {
            if let Some(file) = file {
                fs::write(root.path(file), pem).unwrap();
            }
        }
        let receivers = Receivers::of(configuration, &root, &site.balancer);
        let mut command = root.command(&site.balancer);
        command.args(kind.words()).arg(FILE).args(&script.arguments);
        command.envs(script.environment.iter().map(|(name, value)| (name, value)));
        let program = Program::start(&mut command);
        let mut balancer = Self { program, root, runtime: runtime_socket(configuration), receivers };
        balancer.listens(&script.ports(), site.balancer.name());
        balancer
    }

    fn listens(&mut self, ports: &[u16], namespace: &str) {
        let deadline = Instant::now() + LISTENING;
        while self.program.runs() && Instant::now() < deadline {
            let sockets = sockets::tcp(Some(namespace));
            let listening = |port: &u16| sockets.iter().any(|s| s.state == "LISTEN" && s.local.port() == *port);
            if ports.iter().all(listening) && !sockets.is_empty() {
                return;
            }
            thread::park_timeout(Duration::from_millis(15));
        }
    }

    pub fn runs(&mut self) -> bool {
        self.program.runs()
    }

    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Where one of its files is for everybody else.
    pub fn path(&self, own: &str) -> PathBuf {
        self.root.path(own)
    }

    pub fn printed(&self) -> Vec<String> {
        self.program.printed()
    }

    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits for its end; `None` if it doesn't come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while self.program.runs() {
            if Instant::now() > deadline {
                return None;
            }
            thread::park_timeout(Duration::from_millis(15));
        }
        Some(self.program.ended())
    }

    /// Has the runtime API answer a command.
    pub fn runtime(&self, command: &str) -> String {
        let Some(path) = &self.runtime else { return "the file has no stats socket".to_owned() };
        let path = self.root.path(path);
        // A socket's path is short, and that to the root may be long.
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return "no such socket".to_owned() };
        let Ok(directory) = File::open(parent) else { return "no such socket".to_owned() };
        let short = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), name.to_string_lossy());
        match UnixStream::connect(short).and_then(|stream| asked(stream, &format!("{command}\n"))) {
            Ok(answer) => answer,
            Err(error) => format!("the runtime API doesn't answer: {error}"),
        }
    }

    /// A whole answer of HTTP, as it came.
    pub fn http(&self, site: &Site, to: SocketAddr, path: &str, login: Option<&str>) -> String {
        self.request(site, to, &format!("GET {path} HTTP/1.0\r\nHost: lb\r\n{}\r\n", authorization(login)))
    }

    /// The answer to a form.
    pub fn form(&self, site: &Site, to: SocketAddr, path: &str, login: Option<&str>, form: &str) -> String {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let head = format!("POST {path} HTTP/1.0\r\nHost: lb\r\n{kind}\r\n{}", authorization(login));
        self.request(site, to, &format!("{head}Content-Length: {}\r\n\r\n{form}", form.len()))
    }

    fn request(&self, site: &Site, to: SocketAddr, request: &str) -> String {
        let answer = site.world.on(|| {
            let stream = std::net::TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let (mut reading, mut writing) = (&stream, &stream);
            writing.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            reading.read_to_end(&mut answer).map(|_| String::from_utf8_lossy(&answer).into_owned())
        });
        answer.unwrap_or_else(|error: std::io::Error| format!("no answer: {error}"))
    }
}

fn authorization(login: Option<&str>) -> String {
    login.map(|login| format!("Authorization: Basic {}\r\n", base64(login))).unwrap_or_default()
}

fn asked(mut stream: UnixStream, command: &str) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(command.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

/// The path of the file's first `stats socket` that has one.
fn runtime_socket(configuration: &str) -> Option<String> {
    let path =
        |line: &str| line.trim().strip_prefix("stats socket ").and_then(|rest| rest.split(' ').next().map(Into::into));
    configuration.lines().filter_map(path).find(|path: &String| path.starts_with('/'))
}

fn base64(text: &str) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(text.as_bytes())
}
