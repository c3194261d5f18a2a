//! Logging in and out with a browser: a form that needs no script, and a cookie.

use hyper::header::{HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Response, StatusCode};

use super::caller::Caller;
use super::door::{COOKIE, Door, Shown};
use super::page::{self, login::Form};
use super::query::Query;
use super::refusal::{BEARER, Refusal};
use super::router::{Answer, TEXT, plain};

/// Largest form of a login, in bytes: a token is as long as a request's head at most.
pub(super) const MAX_FORM: usize = 16 * 1024;

/// Longest path that a login leads to.
const MAX_NEXT: usize = 1_024;

/// Where a login leads to unless it is said otherwise.
const HOME: &str = "/";

/// The form; or, for who has logged in, as whom, and the way out.
pub(super) async fn form(head: &Parts, caller: &Caller, door: &Door) -> Result<Response<Answer>, Refusal> {
    let query = Query::of(head.uri.query(), &["next"])?;
    let who = door.recognise(&head.headers).await;
    let form = Form { who: who.map(|who| who.to_string()), ..blank(caller, door, local_path(query.value("next"))) };
    Ok(plain(StatusCode::OK, page::CONTENT_TYPE, form.text()))
}

/// What is answered to who may not see a page: to browsers the form, which leads back, to programs why.
pub(super) fn instead(
    refusal: Refusal,
    head: &Parts,
    caller: &Caller,
    door: &Door,
) -> Result<Response<Answer>, Refusal> {
    if head.uri.path().starts_with("/api/") {
        return Err(refusal);
    }
    let next = head.uri.path_and_query().map(PathAndQuery::as_str);
    let words = "This page shows who the clients are, and strangers are not shown that: log in.";
    Ok(again(refusal.status(), words, blank(caller, door, local_path(next))))
}

/// Logs in who sends the form with the right credential, and leads them on.
pub(super) async fn log_in(body: &[u8], caller: &Caller, door: &Door) -> Result<Response<Answer>, Refusal> {
    // A space is a plus in a form; a plus is written with a percent sign (URL standard, section 5.1).
    let text = std::str::from_utf8(body).map_err(|_| Refusal::bad("a form is text"))?.replace('+', " ");
    let form = Query::of(Some(&text), &["user", "password", "token", "next"])?;
    let next = local_path(form.value("next"));
    let Some(client) = caller.address() else { return Ok(lead_to(next)) };
    let shown = match (form.value("token"), form.value("user"), form.value("password")) {
        (Some(token), ..) => Shown::Token(token.to_owned()),
        (None, user, password) => Shown::Password {
            user: user.unwrap_or_default().to_owned(),
            password: password.unwrap_or_default().to_owned(),
        },
    };
    match door.log_in(client, shown).await {
        Ok(value) => Ok(with_cookie(lead_to(next), &value, "", caller)),
        Err(refusal) => {
            let words = match refusal.status() {
                StatusCode::UNAUTHORIZED => "That was not right.",
                _ => refusal.words(),
            };
            Ok(again(refusal.status(), words, blank(caller, door, next)))
        }
    }
}

/// Ends the login, and takes the cookie away.
pub(super) fn log_out(caller: &Caller, headers: &HeaderMap, door: &Door) -> Response<Answer> {
    door.log_out(caller.address(), headers);
    with_cookie(lead_to(HOME), "", "; Max-Age=0", caller)
}

fn blank<'a>(caller: &Caller, door: &Door, next: &'a str) -> Form<'a> {
    let (by_token, by_name) = door.takes();
    Form { next, words: String::new(), who: None, by_token, by_name, overheard: caller.is_overheard() }
}

/// The form once more, with why.
fn again(status: StatusCode, words: &str, form: Form<'_>) -> Response<Answer> {
    let form = Form { words: words.to_owned(), ..form };
    let mut response = plain(status, page::CONTENT_TYPE, form.text());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
    }
    response
}

/// A path of ours, and nothing that a browser could take for another host.
fn local_path(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        let mut bytes = path.bytes();
        bytes.next() == Some(b'/')
            && !matches!(bytes.next(), Some(b'/' | b'\\'))
            && path.len() <= MAX_NEXT
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_local).unwrap_or(HOME)
}

/// See there: with GET, whatever was sent here (RFC 9110, section 15.4.4).
fn lead_to(path: &str) -> Response<Answer> {
    let mut response = plain(StatusCode::SEE_OTHER, TEXT, format!("{path}\n"));
    let path = HeaderValue::from_str(path).expect("a local path is visible ASCII");
    response.headers_mut().insert(LOCATION, path);
    response
}

/// No script sees it, no other site's request carries it, and it ends with the browser.
fn with_cookie(mut response: Response<Answer>, value: &str, more: &str, caller: &Caller) -> Response<Answer> {
    let secure = if caller.is_secure() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    let cookie = HeaderValue::from_str(&cookie).expect("base64 is visible ASCII");
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

#[cfg(test)]
mod tests;
