//! One `GET` over a connection that is closed afterwards, read with bounds: a health check needs no more of HTTP.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::net::tls::Failure;

/// Longest status line, in bytes.
const STATUS_LINE: usize = 1024;

/// How much of a refusal is read, head and body, in bytes.
const REFUSAL: usize = 8 * 1024;

/// How long the rest of a refusal is waited for once its status is known.
const REFUSAL_WAIT: Duration = Duration::from_millis(250);

/// How much of a body is shown, in characters.
const SHOWN: usize = 100;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub code: u16,
    /// The body's beginning; empty where the status says all.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// Something came that is not what was asked for, in words.
    Unreadable(String),
    Failed(Failure),
    TimedOut,
}

/// Sends the request and reads the status; the body's beginning too unless the status is `enough`.
///
/// The status must have come by the deadline. A body that drips or never ends neither delays the verdict by more than a
/// moment nor changes it.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
    enough: impl Fn(u16) -> bool,
    deadline: Instant,
) -> Result<Answer, AskError> {
    let mut received = Vec::new();
    let code = timeout_at(deadline, status(stream, request, &mut received)).await.map_err(|_| AskError::TimedOut)??;
    if enough(code) {
        return Ok(Answer { code, body: Vec::new() });
    }
    let rest = async {
        while received.len() < REFUSAL
            && !is_whole(&received)
            && matches!(read_more(stream, &mut received).await, Ok(1..))
        {}
    };
    // What has come by then is shown.
    let _ = timeout_at(deadline.min(Instant::now() + REFUSAL_WAIT), rest).await;
    Ok(Answer { code, body: body_of(&received) })
}

/// Sends the request, and reads until the status is known.
async fn status<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
    received: &mut Vec<u8>,
) -> Result<u16, AskError> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    loop {
        if let Some(code) = status_code(received)? {
            return Ok(code);
        }
        if read_more(stream, received).await? == 0 {
            return Err(AskError::Failed(Failure::Closed));
        }
    }
}

pub(super) async fn read_more(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut piece = [0; 2048];
    let count = stream.read(&mut piece).await?;
    received.extend_from_slice(&piece[..count]);
    Ok(count)
}

/// The code of a status line (RFC 9112, section 4); `None` as long as more bytes may complete it.
pub(super) fn status_code(received: &[u8]) -> Result<Option<u16>, AskError> {
    let not_http = || AskError::Unreadable(format!("the answer is not HTTP: {:?}", printable(received)));
    let start = received.get(..7.min(received.len())).unwrap_or_default();
    if !b"HTTP/1.".starts_with(start) {
        return Err(not_http());
    }
    let Some(end) = received.iter().position(|&byte| byte == b'\n') else {
        return if received.len() < STATUS_LINE { Ok(None) } else { Err(not_http()) };
    };
    let line = std::str::from_utf8(&received[..end]).map_err(|_| not_http())?;
    let code = line.split_ascii_whitespace().nth(1).filter(|code| code.len() == 3);
    match code.and_then(|code| code.parse().ok()) {
        Some(code @ 100..=599) => Ok(Some(code)),
        _ => Err(not_http()),
    }
}

/// Head and body of what has come; `None` while the head is not whole.
fn parts(received: &[u8]) -> Option<(&[u8], &[u8])> {
    after(received, b"\r\n\r\n").map(|start| received.split_at(start))
}

/// Where the first such mark ends.
fn after(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark).map(|at| at + mark.len())
}

/// The value of a field of the head (RFC 9112, section 5).
fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = std::str::from_utf8(head).ok()?.lines();
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn is_chunked(head: &[u8]) -> bool {
    field(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

/// Whether the answer says that nothing follows (RFC 9112, section 6.3); one that doesn't say ends with the connection.
pub(super) fn is_whole(received: &[u8]) -> bool {
    let Some((head, body)) = parts(received) else { return false };
    if is_chunked(head) {
        return body.starts_with(b"0\r\n") || body.ends_with(b"\r\n0\r\n\r\n");
    }
    let length = field(head, "content-length").and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// What follows the head, as far as it came, without the sizes of its chunks (RFC 9112, section 7.1).
pub(super) fn body_of(received: &[u8]) -> Vec<u8> {
    let Some((head, body)) = parts(received) else { return Vec::new() };
    if !is_chunked(head) {
        return body.to_vec();
    }
    let (mut whole, mut rest) = (Vec::new(), body);
    while let Some(size_line) = after(rest, b"\r\n") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&rest[..digits]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size @ 1..) = size else { break };
        let data = &rest[size_line..];
        whole.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size.saturating_add(2)..).unwrap_or_default();
    }
    whole
}

/// The beginning of some bytes on one line, with nothing in it that a terminal or a page would obey.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
    let clean: String = text.chars().map(|c| if c.is_control() || c == '\u{fffd}' { ' ' } else { c }).collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

impl From<std::io::Error> for AskError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(Failure::from(error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn status_lines_are_read_as_soon_as_they_are_whole() {
        assert!(matches!(status_code(b""), Ok(None)));
        assert!(matches!(status_code(b"HTTP/1.1 20"), Ok(None)));
        assert!(matches!(status_code(b"HTTP/1.1 200 OK\r\nContent-"), Ok(Some(200))));
        assert!(matches!(status_code(b"HTTP/1.0 503\r\n"), Ok(Some(503))));
        for garbage in
            [&b"SSH-2.0-x\r\n"[..], b"HTTP/2 200\r\n", b"HTTP/1.1 2000 OK\r\n", b"HTTP/1.1 abc\r\n", b"\x15\x03"]
        {
            assert!(matches!(status_code(garbage), Err(AskError::Unreadable(_))), "{garbage:?}");
        }
        assert!(status_code(&[&b"HTTP/1.1 "[..], &[b' '; STATUS_LINE]].concat()).is_err());
    }

    #[test]
    fn bodies_are_shown_on_one_harmless_line() {
        let answer = b"HTTP/1.1 500 x\r\nA: b\r\n\r\n[+]ping ok\n[-]etcd failed\x1b[31m\n";
        assert_eq!(printable(&body_of(answer)), "[+]ping ok [-]etcd failed [31m");
        assert_eq!(printable("ü".repeat(300).as_bytes()), "ü".repeat(100) + "…");
    }

    // Seen to fail with the first chunk alone, and with a chunk's own line end taken for data.
    #[test]
    fn a_body_in_chunks_is_put_together_as_far_as_it_came() {
        let body = |chunks: &str| {
            let answer = format!("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            String::from_utf8(body_of(answer.as_bytes())).unwrap()
        };
        assert_eq!(body("5\r\nhello\r\n0\r\n\r\n"), "hello");
        assert_eq!(body("5\r\n[-]et\r\nA;x=y\r\ncd failed\n\r\n"), "[-]etcd failed\n");
        assert_eq!(body("ff\r\nhel"), "hel");
        for nothing in ["", "5", "x\r\nhello", "ffffffffffffffffff\r\nhello", "0\r\n\r\n"] {
            assert_eq!(body(nothing), "", "{nothing:?}");
        }
    }

    #[test]
    fn an_answer_that_tells_its_length_is_whole_without_the_connections_end() {
        let answer = |rest: &str| is_whole(format!("HTTP/1.1 500 x\r\n{rest}").as_bytes());
        assert!(answer("Content-Length: 5\r\n\r\nhello"));
        assert!(answer("content-length:0\r\n\r\n"));
        assert!(answer("Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
        assert!(answer("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
        for part in [
            "Content-Length: 5\r\n\r\nhell",
            "Content-Length: 5\r\n",
            "A: b\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            assert!(!answer(part), "{part:?}");
        }
    }

    /// What comes of a server that says this after a while and then leaves the connection open, and how long it took.
    async fn ask_one_that_stays(
        after: Duration,
        answer: &str,
        limit: Duration,
    ) -> (Result<Answer, AskError>, Duration) {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        let begun = Instant::now();
        let speak = async {
            tokio::time::sleep(after).await;
            theirs.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            asked = ask(&mut ours, "GET / HTTP/1.1\r\n\r\n", |code| code == 200, begun + limit) => (asked, begun.elapsed()),
            () = speak => unreachable!("it stays"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_tells_its_length_is_not_waited_for_any_longer() {
        let limit = Duration::from_secs(9);
        for (length, waited) in [("Content-Length: 9\r\n", Duration::ZERO), ("", REFUSAL_WAIT)] {
            let answer = format!("HTTP/1.1 500 x\r\n{length}\r\nnot ready");
            let (asked, took) = ask_one_that_stays(Duration::ZERO, &answer, limit).await;
            assert_eq!(asked.unwrap(), Answer { code: 500, body: b"not ready".to_vec() });
            // The clock stands still but for what is waited for, to the millisecond.
            assert!(took - waited <= Duration::from_millis(1), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_that_came_in_time_counts_though_the_body_did_not() {
        let limit = REFUSAL_WAIT;
        let (asked, took) = ask_one_that_stays(limit - Duration::from_millis(9), "HTTP/1.1 500 x\r\n\r\n", limit).await;
        assert_eq!(asked.unwrap().code, 500);
        assert!(took <= limit + Duration::from_millis(1), "{took:?}");
        let (asked, _) = ask_one_that_stays(limit * 2, "HTTP/1.1 500 x\r\n\r\n", limit).await;
        assert!(matches!(asked, Err(AskError::TimedOut)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), http in any::<bool>()) {
            let chunked = &b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
            body_of(&[chunked, &bytes].concat());
            let bytes = if http { [b"HTTP/1.1 ", &bytes[..]].concat() } else { bytes };
            let _ = (status_code(&bytes), is_whole(&bytes));
            prop_assert!(printable(&body_of(&bytes)).chars().count() <= SHOWN + 1);
        }
    }
}
