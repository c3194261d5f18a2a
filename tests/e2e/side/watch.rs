//! What can be looked at of a load balancer beside what it does to sessions: single figures, its files, its sockets.
//!
//! ```text
//! cell be/cp1 weight                        a cell of `show stat`
//! figure Maxconn                            a line of `show info`
//! file /run/haproxy/admin.sock              whose it is, and what others may do with it
//! status /stats at 9000                     an answer's; `… as user:password`
//! field refresh of / at 9000                one of the answer's head
//! page / at 9000 says "text"                whether; `… as user:password`
//! form "s=s1&action=drain&b=l" to / at 9000 where it leads; `… as user:password`
//! backlog at 6443                           how many connections may wait there
//! page / at 9000 tells its version          whether
//! socket at 6443 has device v6only          options of the listener
//! socket to c1 has keepalive idle           of a client's session, on its side
//! socket behind c1 has user-timeout         and on the server's
//! ```
//!
//! A socket may have device, transparent, v6only, keepalive, idle, interval, count and user-timeout.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::Socket;

use crate::harness::program::{command, run};
use crate::script::target;

/// One look at it.
#[derive(Debug)]
pub enum Watch {
    Cell { row: String, column: String },
    Figure(String),
    File(String),
    Status(Page),
    Field { name: String, page: Page },
    Says { text: String, page: Page },
    Version(Page),
    Form { text: String, page: Page },
    Backlog(u16),
    Socket { of: Side, options: Vec<String> },
}

/// Something that is served over HTTP.
#[derive(Debug)]
pub struct Page {
    pub path: String,
    pub to: SocketAddr,
    pub login: Option<String>,
}

/// Which of its sockets.
#[derive(Debug)]
pub enum Side {
    Listener(u16),
    Client(String),
    Server(String),
}

/// A line of a script that is one; `None` if it is something else.
pub fn read(words: &[&str]) -> Result<Option<Watch>, String> {
    let owned = |word: &&str| (*word).to_owned();
    Ok(Some(match words {
        ["cell", row, column] => Watch::Cell { row: owned(row), column: owned(column) },
        ["figure", name] => Watch::Figure(owned(name)),
        ["file", path] => Watch::File(owned(path)),
        ["status", path, "at", to, rest @ ..] => Watch::Status(page(path, to, rest)?),
        ["field", name, "of", path, "at", to, rest @ ..] => {
            Watch::Field { name: owned(name), page: page(path, to, rest)? }
        }
        ["page", path, "at", to, "says", text, rest @ ..] => {
            Watch::Says { text: owned(text), page: page(path, to, rest)? }
        }
        ["page", path, "at", to, "tells", "its", "version", rest @ ..] => Watch::Version(page(path, to, rest)?),
        ["form", text, "to", path, "at", to, rest @ ..] => {
            Watch::Form { text: owned(text), page: page(path, to, rest)? }
        }
        ["backlog", "at", port] => Watch::Backlog(self::port(port)?),
        ["socket", place, of, "has", options @ ..] if !options.is_empty() => {
            let of = match *place {
                "at" => Side::Listener(port(of)?),
                "to" => Side::Client(owned(of)),
                "behind" => Side::Server(owned(of)),
                other => return Err(format!("a socket is at, to or behind something, and not {other:?}")),
            };
            Watch::Socket { of, options: options.iter().map(owned).collect() }
        }
        _ => return Ok(None),
    }))
}

fn port(word: &str) -> Result<u16, String> {
    word.parse().map_err(|_| format!("{word:?} is no port"))
}

fn page(path: &str, to: &str, rest: &[&str]) -> Result<Page, String> {
    let login = match rest {
        [] => None,
        ["as", login] => Some((*login).to_owned()),
        other => return Err(format!("nobody knows what {:?} means here", other.join(" "))),
    };
    Ok(Page { path: path.to_owned(), to: target(to)?, login })
}

/// The lines of `show info` that begin with this name.
pub fn figure(info: &str, name: &str) -> String {
    let of = |line: &&str| line.split_once(':').is_some_and(|(own, _)| own == name);
    info.lines().find(of).unwrap_or("there is no such figure").trim_end().to_owned()
}

/// The status of an answer.
pub fn status(answer: &str) -> String {
    answer.split(' ').nth(1).unwrap_or("no answer").to_owned()
}

/// A field of its head.
pub fn field(answer: &str, name: &str) -> String {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let of = |line: &str| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    head.lines().find_map(of).unwrap_or_else(|| "nothing".to_owned())
}

/// Whether evenkeel's own version is in it, or HAProxy's.
pub fn has_version(answer: &str) -> bool {
    [env!("CARGO_PKG_VERSION"), "3.2."].iter().any(|version| answer.contains(version))
}

/// A file's kind, rights and owners, numbers for the last two.
pub fn file(path: &Path) -> String {
    match fs::symlink_metadata(path) {
        Err(error) => error.kind().to_string(),
        Ok(it) => {
            let kind = if it.file_type().is_socket() { "a socket" } else { "a file" };
            format!("{kind}, {:04o}, of {} and {}", it.mode() & 0o7777, it.uid(), it.gid())
        }
    }
}

/// Ends of a connection as one of its sockets has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ends {
    pub own: Option<SocketAddr>,
    pub peer: Option<SocketAddr>,
}

/// Options of the program's socket with these ends, `option=value` each. A listener has no peer.
pub fn socket(pid: u32, ends: Ends, options: &[String]) -> String {
    let Some(socket) = sockets(pid).into_iter().find(|socket| is_between(socket, ends)) else {
        return "there is no such socket".to_owned();
    };
    let options: Vec<String> = options.iter().map(|name| format!("{name}={}", option(&socket, name))).collect();
    options.join(" ")
}

/// Duplicates of all sockets that a program has.
fn sockets(pid: u32) -> Vec<Socket> {
    let (Ok(entries), Some(process)) = (fs::read_dir(format!("/proc/{pid}/fd")), i32::try_from(pid).ok()) else {
        return Vec::new();
    };
    let process = Pid::from_raw(process).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let Some(process) = process else { return Vec::new() };
    let socket = |entry: fs::DirEntry| {
        fs::read_link(entry.path()).ok().filter(|target| target.to_string_lossy().starts_with("socket:"))?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok().map(Socket::from)
    };
    entries.flatten().filter_map(socket).collect()
}

fn is_between(socket: &Socket, ends: Ends) -> bool {
    let has = |wanted: Option<SocketAddr>, address: std::io::Result<socket2::SockAddr>| {
        wanted.is_none_or(|wanted| {
            let address = address.ok().and_then(|address| address.as_socket());
            // A listener has any address of its host.
            address.is_some_and(|is| {
                is.port() == wanted.port() && (wanted.ip().is_unspecified() || is.ip().to_canonical() == wanted.ip())
            })
        })
    };
    let is_listener = socket.is_listener().unwrap_or(false);
    is_listener == ends.peer.is_none()
        && has(ends.own, socket.local_addr())
        && (is_listener || has(ends.peer, socket.peer_addr()))
}

fn option(socket: &Socket, name: &str) -> String {
    let text = |result: std::io::Result<String>| result.unwrap_or_else(|error| error.kind().to_string());
    let seconds = |time: std::time::Duration| time.as_secs().to_string();
    match name {
        "keepalive" => text(socket.keepalive().map(|is| is.to_string())),
        "idle" => text(socket.tcp_keepalive_time().map(seconds)),
        "interval" => text(socket.tcp_keepalive_interval().map(seconds)),
        "count" => text(socket.tcp_keepalive_retries().map(|count| count.to_string())),
        "user-timeout" => text(socket.tcp_user_timeout().map(|time| format!("{time:?}"))),
        "device" => text(socket.device().map(|name| String::from_utf8_lossy(&name.unwrap_or_default()).into_owned())),
        "transparent" => text(socket.ip_transparent_v4().map(|is| is.to_string())),
        "v6only" => text(socket.only_v6().map(|is| is.to_string())),
        other => format!("nobody knows {other:?}"),
    }
}

/// How many connections may wait at a listener, by `ss`.
pub fn backlog(namespace: &str, port: u16) -> String {
    let table = run(&mut command(&format!("ip netns exec {namespace} ss --tcp --listening --numeric --no-header")));
    let of_port = |line: &&str| line.split_whitespace().nth(3).is_some_and(|own| own.ends_with(&format!(":{port}")));
    let line = table.lines().find(of_port);
    line.and_then(|line| line.split_whitespace().nth(2)).unwrap_or("nobody listens").to_owned()
}
