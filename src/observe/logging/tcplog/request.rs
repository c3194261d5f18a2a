//! Requests to a place where the process is watched, as HAProxy tells of them: `option httplog` (configuration manual,
//! section 8.2.3), `option tcplog`, or who has connected.

use std::fmt::Write;

use super::server::Haproxys;
use super::{milliseconds, moment};
use crate::event::{RequestFate, RequestRecord};
use crate::model::{RequestLine, Severity};

/// What stands for a request that was none.
const BAD_REQUEST: &str = "<BADREQ>";

pub(in crate::observe) fn of_request(record: &RequestRecord) -> Haproxys {
    let mut text = String::new();
    // A string takes whatever is written.
    let _ = match record.log.line {
        RequestLine::Httplog => httplog(record, &mut text),
        RequestLine::Tcplog => tcplog(record, &mut text),
        RequestLine::Connect => connect(record, &mut text),
    };
    let is_told_as_error = record.log.separate_errors && record.fate.is_error();
    Haproxys { severity: if is_told_as_error { Severity::Error } else { Severity::Info }, text }
}

fn httplog(record: &RequestRecord, out: &mut String) -> std::fmt::Result {
    let (grows, status, [who, phase]) = (growing(record), record.fate.status(), record.fate.letters());
    head(record, out)?;
    let (answered, dialled) = match record.fate {
        RequestFate::Answered { .. } => (0, 0),
        _ => (-1, -1),
    };
    write!(out, "{}/{answered}/{dialled}/{answered}/{grows}{} ", asking(record), record.total.as_millis())?;
    write!(out, "{status} {grows}{} - - {who}{phase}-- {} ", record.bytes, open(record))?;
    let asked = record.asked.as_ref().map_or(BAD_REQUEST.to_owned(), |asked| encoded(&asked.line));
    write!(out, "\"{asked}\"")
}

fn tcplog(record: &RequestRecord, out: &mut String) -> std::fmt::Result {
    let (grows, [who, phase]) = (growing(record), record.fate.letters());
    head(record, out)?;
    let waited = if let RequestFate::Answered { .. } = record.fate { 0 } else { -1 };
    write!(out, "{waited}/{waited}/{grows}{} ", record.total.as_millis())?;
    write!(out, "{grows}{} {who}{phase} {}", record.bytes, open(record))
}

fn connect(record: &RequestRecord, out: &mut String) -> std::fmt::Result {
    let (client, to) = (record.client, record.listener);
    write!(out, "Connect from {}:{} to {}:{}", client.ip(), client.port(), to.ip(), to.port())?;
    write!(out, " ({}/HTTP)", record.site)
}

/// Who asks, since when, where, and what has answered.
fn head(record: &RequestRecord, out: &mut String) -> std::fmt::Result {
    let by = match record.fate {
        RequestFate::Answered { by, .. } => by.name(),
        _ => "<NOSRV>",
    };
    let (client, site) = (record.client, &record.site);
    write!(out, "{}:{} [{}] {site} {site}/{by} ", client.ip(), client.port(), moment::tcplog(record.begun))
}

/// How long it took to ask; -1 where HAProxy doesn't come to that: of what was no request, or has no backend.
fn asking(record: &RequestRecord) -> i128 {
    let reached = record.is_listen || !record.fate.is_error();
    milliseconds(record.asked.as_ref().filter(|_| reached).map(|asked| asked.took))
}

fn growing(record: &RequestRecord) -> &'static str {
    if record.log.asap { "+" } else { "" }
}

/// Connections; nobody dials, retries or waits.
fn open(record: &RequestRecord) -> String {
    let (process, site) = record.open;
    format!("{process}/{site}/0/0/0 0/0")
}

/// Within quotation marks: what would end them, or the line, is told by its number.
fn encoded(line: &str) -> String {
    let letter = |byte: u8| match byte {
        b'"' | b'#' | ..b' ' | 0x7f.. => format!("#{byte:02X}"),
        plain => char::from(plain).to_string(),
    };
    line.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::event::{Asked, Service};
    use crate::model::{FrontendName, RequestLog};

    fn answered(line: RequestLine) -> RequestRecord {
        RequestRecord {
            site: FrontendName::new("stats").unwrap(),
            is_listen: true,
            client: "192.0.2.7:40000".parse().unwrap(),
            listener: "192.0.2.1:9000".parse().unwrap(),
            begun: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            total: Duration::from_millis(3),
            asked: Some(Asked { line: "GET /;csv HTTP/1.0".to_owned(), took: Duration::ZERO }),
            fate: RequestFate::Answered { by: Service::Statistics, status: 200 },
            bytes: 5655,
            open: (2, 1),
            log: RequestLog { line, silent_clients: true, normal_requests: true, asap: false, separate_errors: false },
        }
    }

    fn said(record: &RequestRecord) -> String {
        let begin = format!("192.0.2.7:40000 [{}] ", moment::tcplog(record.begun));
        of_request(record).text.strip_prefix(&begin).unwrap().to_owned()
    }

    /// Lines of HAProxy 3.2.26.
    #[test]
    fn requests_are_told_as_haproxy_tells_them() {
        let csv = answered(RequestLine::Httplog);
        assert_eq!(said(&csv), "stats stats/<STATS> 0/0/0/0/3 200 5655 - - LR-- 2/1/0/0/0 0/0 \"GET /;csv HTTP/1.0\"");
        let early = RequestRecord { log: RequestLog { asap: true, ..csv.log.clone() }, ..csv.clone() };
        assert!(said(&early).starts_with("stats stats/<STATS> 0/0/0/0/+3 200 +5655 - - LR-- "));
        let metrics = RequestFate::Answered { by: Service::Exporter, status: 200 };
        assert!(said(&RequestRecord { fate: metrics, ..csv.clone() }).starts_with("stats stats/<PROMEX> 0/0/0/0/3 "));
        let nowhere = RequestRecord { fate: RequestFate::Nowhere, bytes: 217, ..csv.clone() };
        assert!(said(&nowhere).starts_with("stats stats/<NOSRV> 0/-1/-1/-1/3 503 217 - - SC-- "));
        let of_a_frontend = RequestRecord { is_listen: false, ..nowhere };
        assert!(said(&of_a_frontend).starts_with("stats stats/<NOSRV> -1/-1/-1/-1/3 503 217 - - SC-- "));
        let silent = RequestRecord { asked: None, fate: RequestFate::Left, bytes: 0, ..csv };
        assert_eq!(said(&silent), "stats stats/<NOSRV> -1/-1/-1/-1/3 400 0 - - CR-- 2/1/0/0/0 0/0 \"<BADREQ>\"");
    }

    #[test]
    fn a_section_with_another_format_has_that() {
        let tcplog = answered(RequestLine::Tcplog);
        assert_eq!(said(&tcplog), "stats stats/<STATS> 0/0/3 5655 LR 2/1/0/0/0 0/0");
        let silent = RequestRecord { asked: None, fate: RequestFate::Left, bytes: 0, ..tcplog };
        assert_eq!(said(&silent), "stats stats/<NOSRV> -1/-1/3 0 CR 2/1/0/0/0 0/0");
        let connect = of_request(&answered(RequestLine::Connect)).text;
        assert_eq!(connect, "Connect from 192.0.2.7:40000 to 192.0.2.1:9000 (stats/HTTP)");
    }

    #[test]
    fn an_error_has_its_own_level_where_that_is_wanted() {
        let plain = answered(RequestLine::Httplog);
        let separate = RequestLog { separate_errors: true, ..plain.log.clone() };
        let severity = |fate, log| of_request(&RequestRecord { fate, log, ..plain.clone() }).severity;
        assert_eq!(severity(RequestFate::Nowhere, separate.clone()), Severity::Error);
        assert_eq!(severity(plain.fate, separate), Severity::Info);
        assert_eq!(severity(RequestFate::Nowhere, plain.log.clone()), Severity::Info);
    }

    #[test]
    fn what_is_asked_can_not_end_the_line() {
        let mut record = answered(RequestLine::Httplog);
        record.asked.as_mut().unwrap().line = "GET /\"\n#é HTTP/1.0".to_owned();
        assert!(said(&record).ends_with("\"GET /#22#0A#23#C3#A9 HTTP/1.0\""));
    }
}
