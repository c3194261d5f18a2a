//! An operator at the admin socket: requests over a unix socket, and actions over either listener.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::http::{self, Response};
use super::wait::PATIENCE;

/// The headers that an action carries.
pub const ACTION: &str = "Content-Type: application/json\r\nX-Evenkeel-Action: 1\r\n";

/// An admin socket.
#[derive(Debug, Clone)]
pub struct Operator {
    socket: PathBuf,
}

impl Operator {
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// A connection of its own, for what no client should do.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends this text as it is, and gives what comes back.
    pub fn sends(&self, text: &[u8]) -> Option<Response> {
        let mut stream = self.connect();
        // Who refuses what is sent may close before all of it is.
        let _refused = stream.write_all(text);
        answer(&mut stream)
    }

    /// What is at a path; `None` if nobody answers.
    pub fn look(&self, path: &str) -> Option<Value> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.write_all(get(path).as_bytes()).ok()?;
        Some(answer(&mut stream)?.json())
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.sends(get(path).as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub fn post(&self, path: &str, body: &str) -> Response {
        self.sends(post(path, ACTION, body).as_bytes()).expect("an answer")
    }

    pub fn delete(&self, path: &str) -> Response {
        let text = post(path, ACTION, "{}").replacen("POST", "DELETE", 1);
        self.sends(text.as_bytes()).expect("an answer")
    }

    /// An action that must be done; its answer.
    pub fn does(&self, path: &str, body: &str) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        answer.json()
    }

    /// The sessions that fit a query.
    pub fn sessions(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/api/v1/sessions?{query}"))["sessions"].as_array().expect("a list").clone()
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        self.get("/api/v1/events?after=0&limit=4096")["events"].as_array().expect("a list").clone()
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: evenkeel\r\nConnection: close\r\n\r\n")
}

/// The text of an action with these headers, each with its line's end.
pub fn post(path: &str, headers: &str, body: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nHost: evenkeel\r\nConnection: close\r\n{headers}");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// An action over the stats listener.
pub fn post_to(stats: SocketAddr, path: &str, headers: &str, body: &str) -> Response {
    let mut stream = super::peers::connect(stats);
    stream.write_all(post(path, headers, body).as_bytes()).unwrap();
    answer(&mut stream).expect("an answer")
}

/// What comes until the end; an end by reset counts as one.
fn answer(stream: &mut impl Read) -> Option<Response> {
    let mut bytes = Vec::new();
    let _reset = stream.read_to_end(&mut bytes);
    http::parse(&String::from_utf8_lossy(&bytes))
}
