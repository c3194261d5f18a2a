//! Just enough of an HTTP client to look at the stats page and to talk to a WebDriver.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::wait::PATIENCE;

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Status line and headers, as sent.
    pub head: String,
    pub body: String,
}

impl Response {
    /// The body as JSON; panics with the body if it isn't.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

/// `GET path`; `None` if nobody answers there.
pub fn get(address: SocketAddr, path: &str) -> Option<Response> {
    request(address, "GET", path, "")
}

/// One request on a connection of its own; `None` if nobody answers there.
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Response> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let entity = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let entity = if body.is_empty() { "" } else { &entity };
    stream.write_all(format!("{head}{entity}\r\n{body}").as_bytes()).ok()?;
    parse(&read_answer(stream))
}

/// Reads until the body is as long as announced, or to the end: not every server closes when asked to.
fn read_answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    // A peer that resets after its answer has answered.
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..length]);
        if is_whole(&answer) {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    announced.is_some_and(|length| length.trim().parse() == Ok(answer.len() - end - 4))
}

/// Reads a whole answer.
pub fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Some(Response { status, head: head.to_owned(), body })
}

/// Joins chunks (RFC 9112, section 7.1). Sizes count bytes, and all that we read is ASCII or cut at chunk ends.
fn unchunk(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        let Some(chunk) = after.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        whole.push_str(chunk);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}
