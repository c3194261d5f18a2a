//! A stand-in for the running process: it answers at an admin socket as a test says, and notes what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A request, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// `GET /api/v1/status`
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

/// A status and a body.
pub type Answer = (u16, String);

pub struct Fake {
    directory: TempDir,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    /// Answers each request by what `answer` makes of it.
    pub fn answering(answer: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("admin.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, mut answer) = (Arc::clone(&asked), answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                serve(stream.try_clone().unwrap(), stream, &noted, &mut answer);
            }
        });
        Self { directory, asked }
    }

    /// Answers everything alike.
    pub fn always(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        Self::answering(move |_| (status, body.clone()))
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The lines alone.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|request| request.line).collect()
    }
}

/// The same over TCP, as the stats listener; it answers so many requests.
pub fn over_tcp(requests: usize, answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let stream = stream.unwrap();
            serve(stream.try_clone().unwrap(), stream, &Mutex::default(), &mut |_| answer.clone());
        }
    });
    address
}

fn serve(
    from: impl Read,
    mut to: impl Write,
    asked: &Mutex<Vec<Request>>,
    answer: &mut impl FnMut(&Request) -> Answer,
) {
    let Some(request) = read(from) else { return };
    asked.lock().unwrap().push(request.clone());
    let (status, body) = answer(&request);
    // Whoever has left needs no answer.
    let _ = write!(to, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
}

fn read(from: impl Read) -> Option<Request> {
    let mut from = BufReader::new(from);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let line = lines.first()?.strip_suffix(" HTTP/1.1")?.to_owned();
    Some(Request { line, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// A status document: two backends of two servers, one of which is down.
pub fn status() -> Value {
    let counts = |sessions: u32| json!({ "sessions": sessions, "session_rate": 12, "queued": 0, "bytes_in": 1_288, "bytes_out": 18_253_611_008_u64 });
    let check = |status: &str, passed: bool, detail: &str| {
        json!({ "type": "tls", "last": { "status": status, "passed": passed, "detail": detail, "duration_seconds": 0.0042,
                "remark": null, "advice": null } })
    };
    let server = |name: &str, host: &str, port: u16, state: &str, sessions: u32| {
        let down = state == "down";
        let check = match down {
            true => check("L4CON", false, "connection refused by the other side, at every one of its ports"),
            false => check("L6OK", true, "TLS 1.3"),
        };
        json!({ "name": name, "address": format!("{host}:{port}"), "state": state, "suspect": false,
                "cause": if down { json!("refused") } else { Value::Null }, "admin_state": "ready",
                "since": "2026-11-22T03:12:07.000Z", "weight": 1, "backup": false, "check": check, "counts": counts(sessions) })
    };
    let backend = |name: &str, port: u16| {
        json!({ "name": name, "balance": "leastconn", "up": true, "since": "2026-11-19T00:00:00.000Z", "weight": 1,
                "shared_source": null, "counts": counts(402),
                "servers": [server("k0s-ch-sion-1", "10.10.0.2", port, "ready", 402), server("k0s-at-vie-1", "10.10.1.2", port, "down", 0)] })
    };
    let frontend = |name: &str, port: u16| {
        json!({ "name": name, "listen": [format!(":{port}")], "backend": format!("{name}_backend"), "full": false,
                "sessions_limit": 3000, "counts": counts(402) })
    };
    json!({
        "at": "2026-11-22T03:20:15.000Z",
        "process": { "version": "0.1.0", "node": "lb-1", "pid": 812, "uptime_seconds": 273_843.0, "phase": "serving",
                     "isolated": false, "workers": 2, "sessions_limit": 16_384, "open_descriptors": 1_700,
                     "max_descriptors": 1_048_576, "resident_memory_bytes": 12_582_912, "log_lines_dropped": 0,
                     "counts": counts(804) },
        "frontends": [frontend("kubeAPI", 6443), frontend("konnectivity", 8132)],
        "backends": [backend("kubeAPI_backend", 6443), backend("konnectivity_backend", 8132)],
        "hosts": [{ "host": "10.10.0.2", "reading": null },
                  { "host": "10.10.1.2", "reading": "every port refuses: the host is up, its services are not" }],
    })
}

/// The same with so many sessions at k0s-ch-sion-1 in each backend, which is in this admin state.
pub fn status_with(sessions: u32, admin_state: &str) -> Value {
    let mut status = status();
    for backend in status["backends"].as_array_mut().unwrap() {
        backend["servers"][0]["counts"]["sessions"] = sessions.into();
        backend["servers"][0]["admin_state"] = admin_state.into();
    }
    status
}
