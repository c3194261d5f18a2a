//! Which path shows what, and what every answer carries.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::{FitnessFuture, Rights, Views, json, page};
use crate::event::Fitness;
use crate::observe::metrics;

/// How long `/livez` and `/readyz` wait for the views behind them.
const FITNESS_TIMEOUT: Duration = Duration::from_secs(2);

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers one request. Query strings are ignored; a body is refused.
pub(super) async fn answer<B: Body>(
    request: Request<B>,
    rights: Rights,
    views: Arc<Views>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = match admit(&request, rights) {
        Ok(route) => show(route, &views).await,
        Err(refusal) => refusal.response(),
    };
    guard(&mut response);
    Ok(response)
}

/// A path that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Page,
    Status,
    Metrics,
    Live,
    Ready,
    Asset(&'static page::Asset),
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
            "/api/v1/status" => Self::Status,
            "/metrics" => Self::Metrics,
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            _ => Self::Asset(page::asset(path)?),
        })
    }

    /// What a listener must grant for it. Looking is all that any of them does.
    fn needs(self) -> Rights {
        Rights::Read
    }
}

/// Why a request is not answered.
enum Refusal {
    NotFound,
    Forbidden,
    Method,
    Body,
}

fn admit<B: Body>(request: &Request<B>, rights: Rights) -> Result<Route, Refusal> {
    let route = Route::of(request.uri().path()).ok_or(Refusal::NotFound)?;
    match () {
        () if rights < route.needs() => Err(Refusal::Forbidden),
        () if !matches!(*request.method(), Method::GET | Method::HEAD) => Err(Refusal::Method),
        () if !request.body().is_end_stream() => Err(Refusal::Body),
        () => Ok(route),
    }
}

impl Refusal {
    /// Closes the connection too: the request may have a body that nobody reads.
    fn response(self) -> Response<Full<Bytes>> {
        let (status, words) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not found\n"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "not on this listener\n"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
            Self::Body => (StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here\n"),
        };
        let mut response = plain(status, TEXT, words);
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

async fn show(route: Route, views: &Views) -> Response<Full<Bytes>> {
    match route {
        Route::Page => plain(StatusCode::OK, "text/html; charset=utf-8", page::render(&(views.snapshot)())),
        Route::Status => plain(StatusCode::OK, "application/json", json::render(&(views.snapshot)())),
        Route::Metrics => plain(StatusCode::OK, metrics::CONTENT_TYPE, metrics::encode(&(views.snapshot)())),
        Route::Live => fitness((views.live)()).await,
        Route::Ready => fitness((views.ready)()).await,
        Route::Asset(asset) => {
            let mut response = plain(StatusCode::OK, asset.kind, asset.text.as_str());
            // Its path changes with its content.
            let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(CACHE_CONTROL, forever);
            response
        }
    }
}

/// 200 and `ok`, or 503 and a reason a line.
async fn fitness(asked: FitnessFuture) -> Response<Full<Bytes>> {
    let fitness = tokio::time::timeout(FITNESS_TIMEOUT, asked).await.unwrap_or_else(|_elapsed| Fitness {
        reasons: vec!["no answer from within the process in two seconds".into()],
    });
    if fitness.is_ok() {
        return plain(StatusCode::OK, TEXT, "ok\n");
    }
    let mut lines = fitness.reasons.join("\n");
    lines.push('\n');
    plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines)
}

fn plain(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What a browser may do with any answer of ours: show it, with our stylesheet and our icon, and nothing else.
fn guard(response: &mut Response<Full<Bytes>>) {
    const HEADERS: [(&str, &str); 5] = [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests;
