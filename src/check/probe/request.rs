//! The probe that sends a request of the configuration's own: HAProxy's `option httpchk`, with its words for what came.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::http::{self, AskError};
use super::seen::{Seen, in_words};
use crate::event::{CheckStatus, DownCause, Readiness};
use crate::model::{Expectation, Expected, HttpProbe, HttpVersion, Pattern};
use crate::net::tls::Failure;

/// How much of an answer is read, head and body, in bytes: HAProxy's `tune.bufsize`.
const ANSWER: usize = 16 * 1024;

/// A request ready to be sent, and what its answer must be.
#[derive(Debug)]
pub(super) struct Request {
    text: String,
    expect: Vec<Expectation>,
    drains_on_404: bool,
}

/// An answer as far as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    code: u16,
    reason: String,
    body: Vec<u8>,
}

impl Request {
    pub fn of(probe: &HttpProbe) -> Self {
        Self { text: text(probe), expect: probe.expect.clone(), drains_on_404: probe.drains_on_404 }
    }

    /// Sends it, and reads what comes by the deadline as far as it bears on the verdict.
    pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        deadline: Instant,
    ) -> Result<Reply, AskError> {
        timeout_at(deadline, self.reply(stream)).await.map_err(|_| AskError::TimedOut)?
    }

    async fn reply<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> Result<Reply, AskError> {
        stream.write_all(self.text.as_bytes()).await?;
        stream.flush().await?;
        let reads_body = self.expect.iter().any(Expectation::reads_body);
        let mut received = Vec::new();
        loop {
            if let Some(code) = http::status_code(&received)? {
                let reply = Reply { code, reason: reason(&received), body: http::body_of(&received) };
                let enough = !reads_body || self.is_decided(&reply) || http::is_whole(&received);
                if enough || received.len() >= ANSWER {
                    return Ok(reply);
                }
            }
            if http::read_more(stream, &mut received).await? == 0 {
                let code = http::status_code(&received)?.ok_or(AskError::Failed(Failure::Closed))?;
                return Ok(Reply { code, reason: reason(&received), body: http::body_of(&received) });
            }
        }
    }

    /// Whether more of the body could not change what it says: everything that is looked for has been found.
    fn is_decided(&self, reply: &Reply) -> bool {
        let found = |pattern: &Pattern| !reply.body.is_empty() && pattern.is_in(&reply.body);
        self.expect.iter().all(|expect| match &expect.of {
            Expected::Body(pattern) => found(pattern),
            Expected::Status(_) | Expected::StatusPattern(_) => true,
        })
    }

    /// What an answer says that came after such a time.
    pub fn read(&self, reply: &Reply, took: Duration) -> Seen {
        let Reply { code, reason, body } = reply;
        if *code == 404 && self.drains_on_404 {
            let seen = Seen::new(Readiness::Draining, CheckStatus::L7Okc, "HTTP 404: it takes no new work");
            return Seen { code: Some(404), ..seen };
        }
        let failed = self.expect.iter().find(|expect| !expect.holds(*code, body));
        let passes = HttpProbe::PASSES.contains(code) || !self.expect.is_empty();
        match failed {
            None if passes => {
                let seen = Seen::new(Readiness::Ready, CheckStatus::L7Ok, format!("HTTP {code} in {}", in_words(took)));
                Seen { code: Some(*code), ..seen }
            }
            Some(Expectation { negated, of: Expected::Body(_) }) => wrong_body(*negated, body),
            None | Some(_) => {
                let detail = format!("HTTP {code} {reason}").trim_end().to_owned();
                let seen = Seen::down(DownCause::Unexpected, CheckStatus::L7Sts, detail);
                Seen { code: Some(*code), info: reason.clone(), ..seen }
            }
        }
    }

    /// Why there is no answer, as HAProxy sees it: whatever is no HTTP is an error of the socket.
    pub fn unanswered(error: &AskError, too_late: String) -> Seen {
        let seen = Seen::no_answer(error, too_late);
        let reset = matches!(error, AskError::Failed(Failure::Reset));
        let info = if reset { "ECONNRESET returned by OS (Connection reset by peer)" } else { "" };
        let status = match error {
            AskError::TimedOut => CheckStatus::L7Tout,
            AskError::Unreadable(_) | AskError::Failed(Failure::Reset | Failure::Closed) => CheckStatus::SockErr,
            AskError::Failed(_) => seen.status,
        };
        Seen { status, info: info.to_owned(), ..seen }
    }
}

fn wrong_body(negated: bool, body: &[u8]) -> Seen {
    let (detail, info) = match (negated, body.is_empty()) {
        (_, true) => ("the answer has no body", "HTTP content check could not find a response body"),
        (true, false) => ("the body is what it must not be", "HTTP check matched unwanted content"),
        (false, false) => ("the body is not as expected", "HTTP content check did not match"),
    };
    let seen = Seen::down(DownCause::Unexpected, CheckStatus::L7Rsp, detail);
    Seen { info: info.to_owned(), ..seen }
}

/// The request as HAProxy writes it: names of fields in lower case, and no more of them than it takes.
fn text(probe: &HttpProbe) -> String {
    let mut text = format!("{} {} {}\r\n", probe.method, probe.target, probe.version.word());
    for (name, value) in &probe.headers {
        let _ = write!(text, "{}: {value}\r\n", name.to_ascii_lowercase());
    }
    if !probe.body.is_empty() {
        let _ = write!(text, "content-length: {}\r\n", probe.body.len());
    }
    if probe.version == HttpVersion::Http11 {
        text += "connection: close\r\n";
    }
    text + "\r\n" + &probe.body
}

/// The reason phrase of a status line that has come (RFC 9112, section 4), as much of it as a log bears.
fn reason(received: &[u8]) -> String {
    let line = received.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let words = line.splitn(3, |&byte| byte == b' ').nth(2).unwrap_or_default();
    http::printable(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Regex;

    fn status(negated: bool, first: u16, last: u16) -> Expectation {
        Expectation { negated, of: Expected::Status(vec![first..=last]) }
    }

    fn body(negated: bool, text: &str) -> Expectation {
        Expectation { negated, of: Expected::Body(Pattern::Text(text.into())) }
    }

    fn request(expect: Vec<Expectation>) -> Request {
        Request::of(&HttpProbe { expect, ..HttpProbe::default() })
    }

    /// What a probe makes of an answer: state, status, code and HAProxy's words.
    async fn answered(request: &Request, answer: &str) -> (Readiness, CheckStatus, Option<u16>, String) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let seen = match request.ask(&mut ours, Instant::now() + Duration::from_secs(9)).await {
            Ok(reply) => request.read(&reply, Duration::ZERO),
            Err(error) => Request::unanswered(&error, String::new()),
        };
        (seen.state, seen.status, seen.code, seen.info)
    }

    #[test]
    fn requests_are_written_as_haproxy_writes_them() {
        assert_eq!(text(&HttpProbe::default()), "OPTIONS / HTTP/1.0\r\n\r\n");
        let probe = HttpProbe {
            method: "POST".into(),
            target: "/y".into(),
            version: HttpVersion::Http11,
            headers: vec![("Host".into(), "a.b".into()), ("X-Y".into(), "z".into())],
            body: "hello".into(),
            ..HttpProbe::default()
        };
        assert_eq!(
            text(&probe),
            "POST /y HTTP/1.1\r\nhost: a.b\r\nx-y: z\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
        );
    }

    // Each line is what HAProxy 3.2.26 said of the same answer.
    #[tokio::test]
    async fn answers_are_judged_as_haproxy_judges_them() {
        const DOWN: Readiness = Readiness::Down(DownCause::Unexpected);
        let ok = |code| (Readiness::Ready, CheckStatus::L7Ok, Some(code), String::new());
        let wrong = |code, reason: &str| (DOWN, CheckStatus::L7Sts, Some(code), reason.to_owned());
        let odd = |words: &str| (DOWN, CheckStatus::L7Rsp, None, words.to_owned());
        let plain = request(Vec::new());
        assert_eq!(answered(&plain, "HTTP/1.0 200 OK\r\n\r\n").await, ok(200));
        assert_eq!(answered(&plain, "HTTP/1.1 301 Moved\r\n\r\n").await, ok(301));
        let unavailable = "HTTP/1.0 503 Service Unavailable\r\n\r\nbody here";
        assert_eq!(answered(&plain, unavailable).await, wrong(503, "Service Unavailable"));
        assert_eq!(
            answered(&request(vec![status(false, 200, 204)]), "HTTP/1.1 302 Found\r\n\r\n").await,
            wrong(302, "Found")
        );
        assert_eq!(
            answered(&request(vec![status(true, 500, 500)]), "HTTP/1.1 500 Oops\r\n\r\n").await,
            wrong(500, "Oops")
        );
        assert_eq!(answered(&request(vec![status(true, 500, 500)]), "HTTP/1.1 404 No\r\n\r\n").await, ok(404));
        let foo = "HTTP/1.1 500 X\r\nContent-Length: 3\r\n\r\nfoo";
        assert_eq!(answered(&request(vec![body(false, "foo")]), foo).await, ok(500));
        assert_eq!(answered(&request(vec![body(false, "hello")]), foo).await, odd("HTTP content check did not match"));
        assert_eq!(answered(&request(vec![body(true, "foo")]), foo).await, odd("HTTP check matched unwanted content"));
        let regex = Expected::Body(Pattern::Regex(Regex::new("^b.r").unwrap()));
        let regex = request(vec![Expectation { negated: false, of: regex }]);
        assert_eq!(answered(&regex, foo).await, odd("HTTP content check did not match"));
        let none = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let no_body = odd("HTTP content check could not find a response body");
        assert_eq!(answered(&request(vec![body(false, "foo")]), none).await, no_body);
        for garbage in ["SSH-2.0-x\r\n", ""] {
            let (state, status, code, info) = answered(&plain, garbage).await;
            assert_eq!((state, status, code, info.as_str()), (DOWN, CheckStatus::SockErr, None, ""), "{garbage:?}");
        }
    }

    // Seen to fail with 404 taken for draining wherever.
    #[tokio::test]
    async fn a_404_drains_where_it_is_to() {
        let gone = "HTTP/1.1 404 Not Found\r\n\r\n";
        assert_eq!(answered(&request(Vec::new()), gone).await.1, CheckStatus::L7Sts);
        let drains = Request { drains_on_404: true, ..request(Vec::new()) };
        let expected = (Readiness::Draining, CheckStatus::L7Okc, Some(404), String::new());
        assert_eq!(answered(&drains, gone).await, expected);
    }
}
