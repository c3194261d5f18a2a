//! HAProxy's `option tcplog` (configuration manual, section 8.2.2), and its messages on what becomes of servers.
//!
//! An early line of a session is as `option logasap` has it: a `+` stands before what still grows.

use std::io::{self, Write};
use std::time::Duration;

use super::message::{Message, Value};
use super::moment;
use crate::event::{CheckStatus, Concurrent, Phase, SessionRecord, SessionStage};
use crate::model::{LogLevel, Severity};

pub(super) fn session(stage: SessionStage, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    let more = if stage == SessionStage::End { "" } else { "+" };
    let [who, phase] = record.ending.letters();
    write!(out, "{}:{} ", record.client.ip(), record.client.port())?;
    write!(out, "[{}] {} {}/", moment::tcplog(record.accepted), record.frontend, backend(record))?;
    match &record.server {
        Some(server) => write!(out, "{server} ")?,
        None => write!(out, "<NOSRV> ")?,
    }
    let (waited, dialled) = (milliseconds(record.waited_for_a_server()), milliseconds(record.dialled));
    write!(out, "{waited}/{dialled}/{more}{} ", record.total.as_millis())?;
    write!(out, "{more}{} {who}{phase} ", record.bytes_out)?;
    write_counts(stage, record, out)
}

/// HAProxy names the frontend a second time until the backend is known.
fn backend(record: &SessionRecord) -> &str {
    match record.ending.phase {
        Phase::Request => record.frontend.as_str(),
        _ => record.backend.as_str(),
    }
}

/// -1 for what did not come about.
fn milliseconds(time: Option<Duration>) -> i128 {
    time.map_or(-1, |time| time.as_millis() as i128)
}

fn write_counts(stage: SessionStage, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    let Concurrent { process, frontend, backend, server, server_queue, backend_queue } = record.concurrent;
    // A session that has ended has left its backend and its server, and is still one of the frontend's.
    let own = u32::from(stage == SessionStage::End);
    let (backend, server) = (backend.saturating_sub(own), server.saturating_sub(own));
    let redispatched = if record.moves > 0 { "+" } else { "" };
    write!(out, "{process}/{frontend}/{backend}/{server}/{redispatched}{} ", record.retries)?;
    write!(out, "{server_queue}/{backend_queue}")
}

impl SessionRecord {
    /// What HAProxy prints as `Tw`: -1 also if the wait ended without a server.
    fn waited_for_a_server(&self) -> Option<Duration> {
        self.waited.filter(|_| self.server.is_some())
    }
}

/// A message: HAProxy's own where it has one, and otherwise the words and fields of the text format.
pub(super) fn message(message: &Message, out: &mut Vec<u8>) -> io::Result<()> {
    match Said::of(message) {
        Some(Said::Server { turn, change }) => change.write(turn, out),
        Some(Said::NobodyLeft { backend }) => write!(out, "backend {backend} has no server available!"),
        None => message.write_text(false, out),
    }
}

/// As HAProxy logs it; alarms are built on that.
pub(super) fn severity(message: &Message) -> Severity {
    match Said::of(message) {
        Some(Said::Server { turn: Turn::Down | Turn::Maintenance, .. }) => Severity::Alert,
        Some(Said::Server { .. }) => Severity::Notice,
        Some(Said::NobodyLeft { .. }) => Severity::Emergency,
        None if message.level == LogLevel::Error => Severity::Alert,
        None => Severity::of(message.level),
    }
}

/// What HAProxy has words for. A line's fields are an interface: they tell what it is about.
enum Said<'a> {
    Server { turn: Turn, change: ServerLine<'a> },
    NobodyLeft { backend: &'a Value },
}

#[derive(Clone, Copy)]
enum Turn {
    Up,
    Down,
    Stopping,
    Drain,
    Maintenance,
}

/// The fields of a server's change.
struct ServerLine<'a> {
    backend: &'a Value,
    server: &'a Value,
    status: String,
    detail: String,
    code: Option<&'a Value>,
    took: f64,
    sessions: &'a Value,
    active: &'a Value,
    backup: &'a Value,
}

impl<'a> Said<'a> {
    fn of(message: &'a Message) -> Option<Self> {
        let backend = message.field("backend")?;
        if message.field("usable_left").is_some() {
            return Some(Self::NobodyLeft { backend });
        }
        let turn = Turn::to(&message.field("to")?.to_string())?;
        let text = |name| message.field(name).map(ToString::to_string).unwrap_or_default();
        let change = ServerLine {
            backend,
            server: message.field("server")?,
            status: text("status"),
            detail: text("detail"),
            code: message.field("code"),
            took: if let Some(Value::Float(took)) = message.field("check_ms") { *took } else { 0.0 },
            sessions: message.field("sessions")?,
            active: message.field("active_left")?,
            backup: message.field("backup_left")?,
        };
        Some(Self::Server { turn, change })
    }
}

impl Turn {
    /// `None` for what only evenkeel knows, such as servers that are kept.
    fn to(state: &str) -> Option<Self> {
        match state {
            "ready" => Some(Self::Up),
            "down" => Some(Self::Down),
            "draining" => Some(Self::Stopping),
            "drain" => Some(Self::Drain),
            "maint" => Some(Self::Maintenance),
            _ => None,
        }
    }
}

impl ServerLine<'_> {
    fn write(&self, turn: Turn, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "Server {}/{} ", self.backend, self.server)?;
        match turn {
            Turn::Up => write!(out, "is UP")?,
            Turn::Down => write!(out, "is DOWN")?,
            Turn::Stopping => write!(out, "is stopping")?,
            Turn::Drain => write!(out, "enters drain state")?,
            Turn::Maintenance => write!(out, "is going DOWN for maintenance")?,
        }
        if let Some(reason) = reason(&self.status) {
            self.write_evidence(turn, reason, out)?;
        }
        let (word, queue) = match turn {
            Turn::Up => ("online", "0 sessions requeued, 0 total in queue.".to_owned()),
            _ => ("left", format!("{} sessions active, 0 requeued, 0 remaining in queue.", self.sessions)),
        };
        write!(out, ". {} active and {} backup servers {word}. {queue}", self.active, self.backup)
    }

    fn write_evidence(&self, turn: Turn, reason: &str, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, ", reason: {reason}")?;
        if let Some(code) = self.code {
            write!(out, ", code: {code}")?;
        }
        if !matches!(turn, Turn::Up) {
            // Quoting escapes whatever would end the text or the line.
            write!(out, ", info: {:?}", self.detail)?;
        }
        write!(out, ", check duration: {}ms", self.took as u64)
    }
}

/// HAProxy's words for a check's result.
fn reason(status: &str) -> Option<&'static str> {
    let status = CheckStatus::ALL.into_iter().find(|known| known.name() == status);
    status.map(CheckStatus::words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, Ending, Who};
    use crate::observe::access_log::tests::record;

    fn line(stage: SessionStage, record: &SessionRecord) -> String {
        let mut out = Vec::new();
        session(stage, record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What HAProxy 2.6 wrote of such sessions, but for the times.
    #[test]
    fn sessions_are_told_as_haproxy_tells_them() {
        let alone = Concurrent { process: 1, frontend: 1, backend: 1, server: 1, ..Concurrent::default() };
        let plain = SessionRecord {
            retries: 0,
            moves: 0,
            bytes_out: 100,
            concurrent: alone,
            ending: Ending::NORMAL,
            total: Duration::from_millis(12),
            ..record()
        };
        let date = moment::tcplog(plain.accepted);
        let end = format!("192.0.2.7:40000 [{date}] kubeAPI kubeAPI_backend/k0s-1 0/0/12 100 -- 1/1/0/0/0 0/0");
        assert_eq!(line(SessionStage::End, &plain), end);
        let early = format!("192.0.2.7:40000 [{date}] kubeAPI kubeAPI_backend/k0s-1 0/0/+12 +100 -- 1/1/1/1/0 0/0");
        assert_eq!(line(SessionStage::Open, &plain), early);
        let nobody = SessionRecord {
            client: "[::1]:34006".parse().unwrap(),
            server: None,
            dialled: None,
            bytes_out: 0,
            concurrent: Concurrent { server: 0, ..alone },
            ending: Ending::new(Who::Server, Phase::Connect, Cause::NoServer),
            total: Duration::ZERO,
            ..plain.clone()
        };
        let of_nobody = format!("::1:34006 [{date}] kubeAPI kubeAPI_backend/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0");
        assert_eq!(line(SessionStage::End, &nobody), of_nobody);
        let denied = SessionRecord { ending: Ending::new(Who::Limit, Phase::Request, Cause::SourceDenied), ..nobody };
        assert!(line(SessionStage::End, &denied).contains(" kubeAPI kubeAPI/<NOSRV> -1/-1/0 0 PR "));
        let moved = SessionRecord { retries: 2, moves: 1, ..plain };
        assert!(line(SessionStage::End, &moved).ends_with(" 1/1/0/0/+2 0/0"), "redispatched");
    }

    fn change(to: &str, status: &str, detail: &str) -> Message {
        let mut message =
            Message::new(LogLevel::Warn, "server is something").with("backend", "back").with("server", "a");
        message = message.with("to", to).with("status", status).with("detail", detail);
        message.fields.push(("check_ms", Value::Float(0.31)));
        message.with("sessions", 3).with("active_left", 1).with("backup_left", 0)
    }

    fn said(told: &Message) -> String {
        let mut out = Vec::new();
        message(told, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn servers_are_told_of_in_haproxys_words_and_as_gravely() {
        let down = change("down", "L4CON", "Connection refused");
        assert_eq!(
            said(&down),
            "Server back/a is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: \
             0ms. 1 active and 0 backup servers left. 3 sessions active, 0 requeued, 0 remaining in queue."
        );
        assert_eq!(severity(&down), Severity::Alert);
        let up = change("ready", "L7OK", "status 200").with("code", 200);
        assert_eq!(
            said(&up),
            "Server back/a is UP, reason: Layer7 check passed, code: 200, check duration: 0ms. 1 active and 0 backup \
             servers online. 0 sessions requeued, 0 total in queue."
        );
        assert_eq!(severity(&up), Severity::Notice);
        let nobody = Message::new(LogLevel::Error, "no server").with("backend", "back").with("usable_left", 0);
        assert_eq!(said(&nobody), "backend back has no server available!");
        assert_eq!(severity(&nobody), Severity::Emergency);
    }

    #[test]
    fn other_messages_are_told_as_text() {
        let other = Message::new(LogLevel::Info, "listening").with("frontend", "kubeAPI");
        assert_eq!(said(&other), "listening frontend=\"kubeAPI\"");
        assert_eq!(severity(&other), Severity::Info);
        let kept = change("ready (slow)", "L6TOUT", "");
        assert!(said(&kept).starts_with("server is something "), "HAProxy has no word for it");
    }

    #[test]
    fn what_a_server_says_can_not_end_the_line() {
        assert!(!said(&change("down", "L7STS", "a\nb\"")).contains('\n'));
    }

    #[test]
    fn every_result_of_a_check_has_its_words() {
        for status in CheckStatus::ALL {
            assert!(reason(status.name()).is_some(), "{}", status.name());
        }
    }
}
