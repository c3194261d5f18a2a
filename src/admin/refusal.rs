//! Why a request is not answered, in words that say what to do.

use hyper::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::router::{Answer, TEXT, plain};

/// The scheme that no browser has a window for.
pub(super) const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"evenkeel\"");

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    words: String,
    report: Option<Box<str>>,
    header: Option<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Box<str>>,
}

impl Refusal {
    pub fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), report: None, header: None }
    }

    /// For a configuration that is no good, with all that is wrong with it.
    pub fn with_report(words: String, report: String) -> Self {
        Self { report: Some(report.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, words) }
    }

    /// For what can't be meant as it is sent.
    pub fn bad(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }

    /// For a path that has other methods than that.
    pub fn method(allowed: &str) -> Self {
        let words = format!("only {allowed}");
        let allowed = HeaderValue::from_str(allowed).expect("methods are visible ASCII");
        Self { header: Some((ALLOW, allowed)), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, words) }
    }

    /// For who has to show a credential of these schemes.
    pub fn unauthorized(words: impl Into<String>, schemes: &'static str) -> Self {
        let header = Some((WWW_AUTHENTICATE, HeaderValue::from_static(schemes)));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, words) }
    }

    /// For what a page of another site may have sent.
    pub fn foreign() -> Self {
        Self::new(StatusCode::FORBIDDEN, "this was sent by a page of another site: open this one, and do it there")
    }

    /// For who should ask again in a second.
    pub fn busy(words: impl Into<String>) -> Self {
        let header = Some((RETRY_AFTER, HeaderValue::from_static("1")));
        Self { header, ..Self::new(StatusCode::TOO_MANY_REQUESTS, words) }
    }

    /// The same, asking for no credential that a browser would open a window of its own for.
    pub fn without_a_window(self) -> Self {
        match self.header {
            Some((WWW_AUTHENTICATE, _)) => Self { header: Some((WWW_AUTHENTICATE, BEARER)), ..self },
            _ => self,
        }
    }

    /// Whether there is no such path at all.
    pub fn is_of_no_path(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn words(&self) -> &str {
        &self.words
    }

    /// Closes the connection too: the request may have a body that nobody reads. Programs (`json`) get an object.
    pub fn response(self, json: bool) -> Response<Answer> {
        let Self { status, words, report, header } = self;
        let mut response = match json {
            true => {
                let body = serde_json::to_string(&Refused { error: &words, report }).expect("a string has a form");
                plain(status, "application/json", body + "\n")
            }
            false => plain(status, TEXT, words + "\n"),
        };
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
