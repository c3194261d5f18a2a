//! Asking the running process: JSON over HTTP, one connection for each request.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::socket::{self, NoProcess, SocketOption};

/// Largest answer that is taken: the longest list of sessions has a third of it.
const MAX_ANSWER: usize = 96 << 20;

/// From the request to the end of an answer that the process doesn't have to wait for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Marks an action as meant: a page in a browser can't send it.
const ACTION_HEADER: (&str, &str) = ("x-evenkeel-action", "1");

/// The running process, as commands ask it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    socket: PathBuf,
    patience: Duration,
}

/// A status and a body, as they came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why a request has no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error(transparent)]
    NoProcess(#[from] NoProcess),
    #[error("no answer within {} s: the process is stopped or hangs; its log may say why", .0.as_secs())]
    Late(Duration),
    #[error("the answer is longer than {} MiB: ask for less, with filters or --limit", MAX_ANSWER >> 20)]
    TooLong,
    #[error("the connection broke before the answer was there: {0}")]
    Broken(hyper::Error),
    #[error("the answer can't be read: {0}; is it an evenkeel of another version?")]
    Unreadable(serde_json::Error),
    #[error("the running process doesn't know {path}: it is older than this command")]
    Unknown { path: String },
    #[error("{error}")]
    Refused { status: StatusCode, error: String, report: Option<String> },
}

impl Client {
    pub(super) fn new(socket: &SocketOption) -> Self {
        Self { socket: socket.path(), patience: ANSWER_TIMEOUT }
    }

    /// The same, for requests that are answered later, or that must be answered sooner.
    pub(super) fn patient(&self, patience: Duration) -> Self {
        Self { socket: self.socket.clone(), patience }
    }

    /// `GET path`, as a document.
    pub(super) async fn look<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unanswered> {
        read(&self.document(path).await?)
    }

    /// `GET path`, as the document's bytes.
    pub(super) async fn document(&self, path: &str) -> Result<Bytes, Unanswered> {
        accepted(path, self.get(path).await?)
    }

    /// `GET path`, whatever is answered.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Unanswered> {
        self.send(request(Method::GET, path).body(Full::default())).await
    }

    /// An action; the answer to it as a document.
    pub(super) async fn act<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, Unanswered> {
        let (header, value) = ACTION_HEADER;
        let request = request(method, path).header(CONTENT_TYPE, "application/json").header(header, value);
        let answer = self.send(request.body(Full::from(body.to_string()))).await?;
        read(&accepted(path, answer)?)
    }

    async fn send(&self, request: hyper::http::Result<Request<Full<Bytes>>>) -> Result<Answer, Unanswered> {
        let request = request.expect("paths are made of names that an address may have");
        let asked = async { exchange(socket::connect(&self.socket).await?, request).await };
        tokio::time::timeout(self.patience, asked).await.unwrap_or(Err(Unanswered::Late(self.patience)))
    }
}

fn request(method: Method, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header(HOST, "evenkeel")
}

/// One request on a connection that is used for nothing else.
pub(super) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Unanswered::Broken)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(Unanswered::Broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    driver.abort();
    match body {
        Ok(body) => Ok(Answer { status, body: body.to_bytes() }),
        Err(error) if error.is::<LengthLimitError>() => Err(Unanswered::TooLong),
        Err(error) => Err(Unanswered::Broken(*error.downcast().expect("a body fails by its limit or its connection"))),
    }
}

/// `GET` of a path of somebody's HTTP server.
pub(super) fn plain_get(host: &str, path: &str) -> hyper::http::Result<Request<Full<Bytes>>> {
    Request::builder().uri(path).header(HOST, host).body(Full::default())
}

/// What an error's body says.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    report: Option<String>,
}

fn accepted(path: &str, Answer { status, body }: Answer) -> Result<Bytes, Unanswered> {
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice(&body) {
        Ok(Refusal { error, report }) => Err(Unanswered::Refused { status, error, report }),
        // Text, as of paths that have never been there.
        Err(_) if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
            Err(Unanswered::Unknown { path: path.to_owned() })
        }
        Err(_) => {
            let error = format!("{status}: {}", String::from_utf8_lossy(&body).trim());
            Err(Unanswered::Refused { status, error, report: None })
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unanswered> {
    serde_json::from_slice(body).map_err(Unanswered::Unreadable)
}

impl Unanswered {
    /// Whether the process may be there again in a moment: it restarts, or hands over to another.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NoProcess(_) | Self::Late(_) | Self::Broken(_))
    }

    /// Whether it was the request that was wrong, and not what it asked for that couldn't be done.
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::BAD_REQUEST, .. })
    }
}

/// A value in a query string, with all that may not stand there escaped (RFC 3986, section 2.1).
pub(super) fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~/".contains(&byte);
    value.bytes().fold(String::new(), |text, byte| match plain(byte) {
        true => text + &char::from(byte).to_string(),
        false => text + &format!("%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_a_query_is_escaped() {
        assert_eq!(escaped("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(escaped("fd00::/8"), "fd00::/8");
        assert_eq!(escaped("a b&c=ä"), "a%20b%26c%3D%C3%A4");
    }

    #[test]
    fn an_error_is_told_in_its_own_words() {
        let answer = |status, body: &'static str| Answer { status, body: Bytes::from(body) };
        let told = |answer| accepted("/api/v1/x", answer).unwrap_err().to_string();
        assert_eq!(told(answer(StatusCode::CONFLICT, r#"{"error":"a reload is under way"}"#)), "a reload is under way");
        assert!(told(answer(StatusCode::NOT_FOUND, "not found\n")).contains("doesn't know /api/v1/x"));
        assert!(told(answer(StatusCode::BAD_GATEWAY, "oops\n")).contains("502 Bad Gateway: oops"));
    }
}
