//! Lines as HAProxy writes them: of sessions as its frontend has them (configuration manual, section 8.2), and of what
//! becomes of servers.

mod custom;
mod request;
mod server;

use std::io::{self, Write};
use std::time::Duration;

pub(super) use self::request::of_request;
pub(super) use self::server::{Haproxys, of_check, of_nobody_left, of_server};
use super::message::Message;
use super::moment;
use crate::event::{Cause, Concurrent, Doorstep, Phase, SessionRecord, SessionStage, Who};
use crate::model::{LogLevel, SessionLine, Severity};

pub(super) fn session(stage: SessionStage, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    if let Some(doorstep) = &record.doorstep {
        return unknown_client(doorstep, record, out);
    }
    match &record.log.line {
        SessionLine::Tcplog => tcplog(stage, record, out),
        SessionLine::Connect => connect(record, out),
        SessionLine::Custom(format) => custom::write(format, stage, record, out),
    }
}

/// How grave a session's line is: an error's own level only where the frontend wants it so.
pub(super) fn session_severity(record: &SessionRecord) -> Severity {
    if record.log.separate_errors && record.is_error() { Severity::Error } else { Severity::Info }
}

/// A client that has not said for whom it stands, which HAProxy tells of in a form of its own.
fn unknown_client(doorstep: &Doorstep, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    let why = match (record.ending.cause, record.ending.who) {
        (Cause::BadProxyHeader, _) => "Received something which does not look like a PROXY protocol header",
        (Cause::Reset, _) => "Connection error while waiting for PROXY protocol header",
        _ if doorstep.heard => "Truncated PROXY protocol header received",
        (_, Who::ClientTimeout) => "Timeout while waiting for PROXY protocol header",
        _ => "Connection closed while waiting for PROXY protocol header",
    };
    let (host, port) = record.client.parts();
    write!(out, "{host}:{port} ")?;
    write!(out, "[{}] {}/{}: {why}", moment::tcplog(record.accepted), record.frontend, doorstep.door)
}

/// What HAProxy writes where its file asks for no format: who has come, and where to.
fn connect(record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    let ((host, port), (to, at)) = (record.client.parts(), record.listener.parts());
    write!(out, "Connect from {host}:{port} to {to}:{at}")?;
    write!(out, " ({}/TCP)", record.frontend)
}

/// HAProxy's `option tcplog`.
fn tcplog(stage: SessionStage, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    let grows = growing(stage, record);
    let [who, phase] = record.ending.letters();
    let (host, port) = record.client.parts();
    write!(out, "{host}:{port} ")?;
    write!(out, "[{}] {} {}/{} ", moment::tcplog(record.accepted), record.frontend, backend(record), server(record))?;
    let (waited, dialled) = (milliseconds(waited(record)), milliseconds(record.dialled));
    write!(out, "{waited}/{dialled}/{grows}{} ", record.total.as_millis())?;
    write!(out, "{grows}{} {who}{phase} ", record.bytes_out)?;
    let Concurrent { process, frontend, backend, server, server_queue, backend_queue } = concurrent(stage, record);
    write!(out, "{process}/{frontend}/{backend}/{server}/{}{} ", moved(record), record.retries)?;
    write!(out, "{server_queue}/{backend_queue}")
}

/// Stands before what still grows: in lines before the end, and in all of a frontend whose lines come before it.
fn growing(stage: SessionStage, record: &SessionRecord) -> &'static str {
    if stage == SessionStage::End && !record.log.asap { "" } else { "+" }
}

/// HAProxy names the frontend a second time until the backend is known.
fn backend(record: &SessionRecord) -> &str {
    match record.ending.phase {
        Phase::Request => record.frontend.as_str(),
        _ => record.backend.as_str(),
    }
}

fn server(record: &SessionRecord) -> &str {
    record.server.as_ref().map_or("<NOSRV>", |server| server.as_str())
}

/// What HAProxy prints as `Tw`: -1 for a session that never waited and had no server.
fn waited(record: &SessionRecord) -> Option<Duration> {
    record.waited.filter(|_| record.server.is_some() || record.ending.phase == Phase::Queue)
}

/// -1 for what did not come about.
fn milliseconds(time: Option<Duration>) -> i128 {
    time.map_or(-1, |time| time.as_millis() as i128)
}

/// A session that has ended has left its backend and its server, and is still one of the frontend's.
fn concurrent(stage: SessionStage, record: &SessionRecord) -> Concurrent {
    let own = u32::from(stage == SessionStage::End);
    let Concurrent { backend, server, .. } = record.concurrent;
    Concurrent { backend: backend.saturating_sub(own), server: server.saturating_sub(own), ..record.concurrent }
}

/// Stands before the retries of one that went to another server.
fn moved(record: &SessionRecord) -> &'static str {
    if record.moves > 0 { "+" } else { "" }
}

/// A message: HAProxy's own where it has one, and otherwise the words and fields of the text format.
pub(super) fn message(message: &Message, out: &mut Vec<u8>) -> io::Result<()> {
    match &message.haproxys {
        Some(haproxys) => out.write_all(haproxys.text.as_bytes()),
        None => message.write_text(false, out),
    }
}

/// As HAProxy logs it; alarms are built on that.
pub(super) fn severity(message: &Message) -> Severity {
    match &message.haproxys {
        Some(haproxys) => haproxys.severity,
        None if message.level == LogLevel::Error => Severity::Alert,
        None => Severity::of(message.level),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Ending;
    use crate::model::{FrontendLog, LineFormat};
    use crate::observe::access_log::tests::record;

    fn line(stage: SessionStage, record: &SessionRecord) -> String {
        let mut out = Vec::new();
        session(stage, record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Of a hundred bytes, alone.
    fn plain() -> SessionRecord {
        SessionRecord {
            retries: 0,
            moves: 0,
            bytes_out: 100,
            concurrent: Concurrent { process: 1, frontend: 1, backend: 1, server: 1, ..Concurrent::default() },
            ending: Ending::NORMAL,
            total: Duration::from_millis(12),
            ..record()
        }
    }

    fn logged(log: FrontendLog) -> SessionRecord {
        SessionRecord { log: Arc::new(log), ..plain() }
    }

    /// What HAProxy 3.2 wrote of such sessions, but for the times.
    #[test]
    fn sessions_are_told_as_haproxy_tells_them() {
        let plain = plain();
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
            concurrent: Concurrent { server: 0, ..plain.concurrent },
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

    /// With `option logasap` HAProxy marks what grows also where the session has ended without a server.
    #[test]
    fn a_frontend_whose_lines_come_early_marks_what_grows() {
        let early = logged(FrontendLog { asap: true, ..FrontendLog::default() });
        assert!(line(SessionStage::End, &early).contains(" 0/0/+12 +100 -- 1/1/0/0/0 0/0"));
    }

    #[test]
    fn a_frontend_without_a_format_says_who_has_connected() {
        let connect = logged(FrontendLog { line: SessionLine::Connect, ..FrontendLog::default() });
        let connect = SessionRecord { listener: "10.0.0.5:6443".parse().unwrap(), ..connect };
        assert_eq!(line(SessionStage::Open, &connect), "Connect from 192.0.2.7:40000 to 10.0.0.5:6443 (kubeAPI/TCP)");
    }

    /// Lines of HAProxy 3.2.26.
    #[test]
    fn a_client_without_a_proxy_header_is_told_of_in_a_form_of_its_own() {
        let of = |heard, who, cause| {
            let doorstep = Some(Doorstep { door: "door".to_owned(), heard });
            line(
                SessionStage::End,
                &SessionRecord { doorstep, ending: Ending::new(who, Phase::Request, cause), ..plain() },
            )
        };
        let begin = format!("192.0.2.7:40000 [{}] kubeAPI/door: ", moment::tcplog(plain().accepted));
        let garbage = of(true, Who::Client, Cause::BadProxyHeader);
        assert_eq!(garbage, format!("{begin}Received something which does not look like a PROXY protocol header"));
        let half = of(true, Who::Client, Cause::NoProxyHeader);
        assert_eq!(half, format!("{begin}Truncated PROXY protocol header received"));
        let late = of(false, Who::ClientTimeout, Cause::NoProxyHeader);
        assert_eq!(late, format!("{begin}Timeout while waiting for PROXY protocol header"));
        let gone = of(false, Who::Client, Cause::NoProxyHeader);
        assert_eq!(gone, format!("{begin}Connection closed while waiting for PROXY protocol header"));
    }

    #[test]
    fn a_format_of_its_own_is_followed() {
        let format = r#"%ci:%cp %{+Q}b/%s "%ts" %Tw/%Tc/%Tt %B/%U %ac/%fc/%bc/%sc/%rc %sq/%bq %bi:%bp %Ts.%ms"#;
        let custom = logged(FrontendLog {
            line: SessionLine::Custom(LineFormat::parse(format).unwrap()),
            ..FrontendLog::default()
        });
        assert_eq!(
            line(SessionStage::End, &custom),
            r#"192.0.2.7:40000 "kubeAPI_backend"/k0s-1 "--" 0/0/12 100/12 1/1/0/0/0 0/0 192.0.2.1:50000 0.000"#
        );
        // What is not there is a hyphen, or -1.
        let nobody = SessionRecord { source: None, dialled: None, server: None, ..custom };
        assert_eq!(
            line(SessionStage::End, &nobody),
            r#"192.0.2.7:40000 "kubeAPI_backend"/<NOSRV> "--" -1/-1/12 100/12 1/1/0/0/0 0/0 -:- 0.000"#
        );
    }

    #[test]
    fn an_error_has_its_own_level_where_that_is_wanted() {
        let separate = logged(FrontendLog { separate_errors: true, ..FrontendLog::default() });
        assert_eq!(session_severity(&separate), Severity::Info);
        let reset = Ending::new(Who::Server, Phase::Data, Cause::Reset);
        assert_eq!(session_severity(&SessionRecord { ending: reset, ..separate.clone() }), Severity::Error);
        assert_eq!(session_severity(&SessionRecord { retries: 1, ..separate }), Severity::Error, "put right");
        assert_eq!(session_severity(&SessionRecord { ending: reset, ..plain() }), Severity::Info, "not wanted");
    }

    #[test]
    fn other_messages_are_told_as_text() {
        let said = Message::new(LogLevel::Info, "listening").with("frontend", "kubeAPI");
        let mut out = Vec::new();
        message(&said, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "listening frontend=\"kubeAPI\"");
        assert_eq!(severity(&said), Severity::Info);
    }
}
