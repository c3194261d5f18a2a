//! What HAProxy itself answers where no server does: a status, and a line for whoever sees it in a browser.

use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Response, StatusCode};

use super::super::router::{Answer, plain};
use super::told::Told;
use super::uri::Wanted;
use crate::model::StatsPage;

const HTML: &str = "text/html";

/// To a monitor: clients may be sent here.
pub fn ready() -> Response<Answer> {
    page(StatusCode::OK, "200 OK", "Service ready.")
}

/// To a monitor whose condition says no; or to anybody, where nothing is.
pub fn unavailable() -> Response<Answer> {
    page(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable", "No server is available to handle this request.")
}

/// To whoever doesn't show a name and a password.
pub fn unauthorized(realm: &str) -> Response<Answer> {
    let words = "You need a valid user and password to access this content.";
    let mut response = page(StatusCode::UNAUTHORIZED, "401 Unauthorized", words);
    // What can't stand in a header is left out of the realm; it still asks.
    let scheme = HeaderValue::from_str(&format!("Basic realm=\"{realm}\""));
    let scheme = scheme.unwrap_or(HeaderValue::from_static("Basic realm=\"\""));
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

/// To whoever asks for what there is no such thing of.
pub fn bad_request() -> Response<Answer> {
    page(StatusCode::BAD_REQUEST, "400 Bad request", "Your browser sent an invalid request.")
}

/// To whoever has sent a form: back to the page, with what became of it, and as it was looked at.
pub fn back(page: &StatsPage, told: Told, wanted: &Wanted) -> Response<Answer> {
    let up = if wanted.filter.up { ";up" } else { "" };
    let no_refresh = if wanted.no_refresh && page.refresh.is_some() { ";norefresh" } else { "" };
    let scope = wanted.filter.containing.as_ref().map(|part| format!("?scope={part}")).unwrap_or_default();
    let place = format!("{};st={}{up}{no_refresh}{scope}", page.uri, told.code());
    let mut response = uncached(plain(StatusCode::SEE_OTHER, "text/plain", ""));
    let place = HeaderValue::from_str(&place).expect("a URI and a part of a name are visible ASCII");
    response.headers_mut().insert(LOCATION, place);
    response
}

fn page(status: StatusCode, title: &str, words: &str) -> Response<Answer> {
    let body = format!("<html><body><h1>{title}</h1>\n{words}\n</body></html>\n");
    let mut headers = HeaderMap::new();
    // First, as HAProxy has it.
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    with_headers(headers, plain(status, HTML, body))
}

/// An answer that is to be asked for anew each time.
pub fn uncached(response: Response<Answer>) -> Response<Answer> {
    with_headers(HeaderMap::new(), response)
}

/// Its headers in HAProxy's order: these, that it is not to be kept, and its own.
fn with_headers(mut headers: HeaderMap, mut response: Response<Answer>) -> Response<Answer> {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.extend(response.headers_mut().drain());
    *response.headers_mut() = headers;
    response
}
