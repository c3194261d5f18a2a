//! What a probe saw, step by step, and what that means for the server.

use std::time::Duration;

use super::http::AskError;
use super::http2::Greeting;
use super::{Farewell, TlsFacts};
use crate::event::{Certificate, CheckStatus, DownCause, Readiness, Remark};
use crate::net::DialError;
use crate::net::tls::{Established, Failure};

/// A verdict in the making.
#[derive(Debug)]
pub(super) struct Seen {
    pub state: Readiness,
    pub status: CheckStatus,
    pub detail: String,
    pub code: Option<u16>,
    pub certificate: Option<Certificate>,
    pub remark: Option<Remark>,
    pub tls: Option<TlsFacts>,
    pub farewell: Option<Farewell>,
    /// HAProxy's words for it.
    pub info: String,
}

impl Seen {
    pub fn new(state: Readiness, status: CheckStatus, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            state,
            status,
            detail,
            code: None,
            certificate: None,
            remark: None,
            tls: None,
            farewell: None,
            info: String::new(),
        }
    }

    pub fn down(cause: DownCause, status: CheckStatus, detail: impl Into<String>) -> Self {
        Self::new(Readiness::Down(cause), status, detail)
    }

    /// No connection.
    pub fn not_dialled(error: &DialError) -> Self {
        let (cause, status) = match error {
            DialError::Refused => (DownCause::Refused, CheckStatus::L4Con),
            DialError::Unreachable => (DownCause::Unreachable, CheckStatus::L4Con),
            DialError::TimedOut => (DownCause::Unreachable, CheckStatus::L4Tout),
            DialError::NoNetwork => (DownCause::NoNetwork, CheckStatus::L4Con),
            DialError::Local(_) => (DownCause::Local, CheckStatus::SockErr),
        };
        let info = match error {
            DialError::Refused => "Connection refused".to_owned(),
            DialError::Unreachable => "No route to host".to_owned(),
            DialError::NoNetwork => "Network is unreachable".to_owned(),
            DialError::TimedOut => String::new(),
            DialError::Local(error) => error.to_string(),
        };
        Self { info, ..Self::down(cause, status, error.to_string()) }
    }

    /// A connection, but no TLS over it.
    pub fn no_handshake(failure: &Failure) -> Self {
        let seen = match failure {
            Failure::Tls(words) => Self::down(DownCause::Tls, CheckStatus::L6Rsp, words.clone()),
            Failure::Reset | Failure::Closed => {
                Self::down(DownCause::Tls, CheckStatus::L6Rsp, format!("{failure} during the handshake"))
            }
            Failure::Io(error) if crate::net::is_timeout(error) => {
                Self::down(DownCause::TimedOut, CheckStatus::L6Tout, failure.to_string())
            }
            Failure::Io(_) => Self::down(DownCause::Local, CheckStatus::SockErr, failure.to_string()),
        };
        let info = if seen.status == CheckStatus::L6Rsp { "SSL handshake failure" } else { "" };
        Self { info: info.to_owned(), ..seen }
    }

    /// TLS, but no answer over it.
    pub fn no_answer(error: &AskError, too_late: String) -> Self {
        match error {
            AskError::TimedOut => Self::down(DownCause::TimedOut, CheckStatus::L7Tout, too_late),
            AskError::Unreadable(words) => Self::down(DownCause::Unexpected, CheckStatus::L7Rsp, words.clone()),
            // In TLS 1.3 a server refuses a client without a certificate only after the client's handshake is complete.
            AskError::Failed(Failure::Tls(words)) => Self::down(DownCause::Tls, CheckStatus::L6Rsp, words.clone()),
            AskError::Failed(failure @ (Failure::Reset | Failure::Closed)) => {
                Self::down(DownCause::Unexpected, CheckStatus::L7Rsp, format!("{failure} before an answer"))
            }
            AskError::Failed(Failure::Io(error)) if crate::net::is_timeout(error) => {
                Self::down(DownCause::TimedOut, CheckStatus::L7Tout, error.to_string())
            }
            AskError::Failed(Failure::Io(error)) => {
                Self::down(DownCause::Local, CheckStatus::SockErr, error.to_string())
            }
        }
    }

    /// A word of HTTP/2.
    pub fn greeted(greeting: Greeting, took: Duration) -> Self {
        match greeting {
            Greeting::Welcome => {
                Self::new(Readiness::Ready, CheckStatus::L7Ok, format!("HTTP/2 in {}", in_words(took)))
            }
            Greeting::Leaving(words) => Self::new(Readiness::Draining, CheckStatus::L7Rsp, words),
        }
    }

    /// Adds what the handshake showed, and keeps the connection for a clean end.
    pub fn over(self, established: Established, answer_left: bool) -> Self {
        let Established { stream, version, alpn, certificate } = established;
        Self {
            certificate,
            tls: Some(TlsFacts { version, alpn }),
            farewell: Some(Farewell { stream, answer_left }),
            ..self
        }
    }
}

/// A short time for people: "0.4 ms", "12 ms".
pub(super) fn in_words(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 { format!("{milliseconds:.1} ms") } else { format!("{milliseconds:.0} ms") }
}
