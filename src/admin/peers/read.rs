//! A peer's `/api/v1/status`, read as a stranger's: of all that is in it, what is compared, cut to a length.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{PeerAnswer, PeerServer};

/// Longest text that is taken over, in characters, and the most servers.
const MAX_TEXT: usize = 128;
const MAX_SERVERS: usize = 4_096;

#[derive(Deserialize)]
struct Status {
    at: String,
    process: Process,
    backends: Vec<Backend>,
}

#[derive(Deserialize)]
struct Process {
    node: String,
    version: String,
    pid: u32,
    started: String,
}

#[derive(Deserialize)]
struct Backend {
    name: String,
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct Server {
    name: String,
    address: String,
    state: String,
    since: String,
}

/// What a peer has answered; otherwise why it can't be read, in words.
pub fn read_answer(body: &[u8]) -> Result<PeerAnswer, String> {
    let status: Status = serde_json::from_slice(body)
        .map_err(|error| bounded(&format!("it does not answer as evenkeel does: {error}")))?;
    let at = time(&status.at);
    let servers = status.backends.into_iter().flat_map(|Backend { name, servers }| {
        servers.into_iter().map(move |server| PeerServer {
            backend: bounded(&name),
            name: bounded(&server.name),
            address: bounded(&server.address),
            state: bounded(&server.state),
            held: held(time(&server.since), at),
        })
    });
    let Process { node, version, pid, started } = status.process;
    Ok(PeerAnswer {
        node: bounded(&node),
        version: bounded(&version),
        pid,
        started: bounded(&started),
        servers: servers.take(MAX_SERVERS).collect(),
    })
}

/// A stranger's words, as they may stand in a sentence.
pub fn bounded(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MAX_TEXT).map(shown).collect()
}

/// By the peer's own clock, which may be another than ours.
fn held(since: Option<SystemTime>, at: Option<SystemTime>) -> Duration {
    at.zip(since).and_then(|(at, since)| at.duration_since(since).ok()).unwrap_or_default()
}

fn time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::json;
    use crate::event::fixture;

    #[test]
    fn what_one_says_another_reads() {
        let mut snapshot = fixture::cluster();
        snapshot.take_down("k0s-at-vie-1");
        let answer = read_answer(json::render(&snapshot).as_bytes()).unwrap();
        assert_eq!((answer.node.as_str(), answer.pid), (snapshot.process.node.as_str(), snapshot.process.pid));
        let expected = PeerServer {
            backend: "kubeAPI_backend".into(),
            name: "k0s-at-vie-1".into(),
            address: "10.10.1.2:6443".into(),
            state: "down".into(),
            held: Duration::from_secs(488),
        };
        assert_eq!((&answer.servers[1], answer.servers.len()), (&expected, 9));
    }

    // Seen to fail with texts of any length.
    #[test]
    fn a_stranger_is_not_believed_more_than_a_line() {
        let server = format!(
            r#"{{"name":"{}","address":"<b>","state":"\u001b[31mready","since":"yesterday"}}"#,
            "x".repeat(10_000)
        );
        let servers = vec![server; MAX_SERVERS + 5].join(",");
        let body = format!(
            r#"{{"at":"2026-11-22T03:20:15.000Z","process":{{"node":"n","version":"v","pid":1,"started":""}},
               "backends":[{{"name":"b","servers":[{servers}],"more":[[[{{}}]]]}}]}}"#
        );
        let answer = read_answer(body.as_bytes()).unwrap();
        assert_eq!(answer.servers.len(), MAX_SERVERS);
        let first = &answer.servers[0];
        assert_eq!((first.name.len(), first.state.as_str()), (MAX_TEXT, "\u{fffd}[31mready"));
        assert_eq!(first.held, Duration::ZERO, "nothing that could have settled");
        for body in ["", "null", "[]", "{\"at\":1}", "<html>", &"[".repeat(100_000)] {
            assert!(read_answer(body.as_bytes()).is_err(), "{body:.20}");
        }
    }
}
