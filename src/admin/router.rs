//! From a request to its answer, and what every answer carries.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, IF_NONE_MATCH, REFERER,
};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use super::action::Order;
use super::caller::Caller;
use super::haproxy::acting;
use super::haproxy::answer as haproxy;
use super::haproxy::uri::{self, Place};
use super::page::classic;
use super::pages::Reader;
use super::refusal::Refusal;
use super::requests::AnsweredBy;
use super::route::{Access, Found, Route};
use super::sight::Sight;
use super::{
    FitnessFuture, Leaving, Site, Views, compress, events, json, login, origin, page, pages, series, sessions,
};
use crate::event::{Actor, Fitness, Snapshot};
use crate::observe::metrics;

/// How long `/livez` and `/readyz` wait for the views behind them.
const FITNESS_TIMEOUT: Duration = Duration::from_secs(2);

/// Largest body of an action, in bytes, and how long it may take to come.
const MAX_BODY: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What actions carry beside their type, because no page of another site can send it without being asked for leave
/// first, which nobody is given here (Fetch standard, CORS-preflight).
const ACTION: HeaderName = HeaderName::from_static("x-evenkeel-action");

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The body of an answer: there as a whole, or still to come.
pub(super) type Answer = Either<Full<Bytes>, Channel<Bytes>>;

/// Whether an answer has no end of its own.
pub(super) fn is_to_come(answer: &Response<Answer>) -> bool {
    matches!(answer.body(), Either::Right(_))
}

/// Answers one request.
pub(super) async fn answer<B>(
    request: Request<B>,
    caller: Caller,
    site: Arc<Site>,
    views: Arc<Views>,
    leaving: Leaving,
) -> Result<Response<Answer>, Infallible>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    site.tally.note_request();
    let for_programs = request.uri().path().starts_with("/api/");
    let takes_gzip = compress::is_taken(request.headers());
    let by_page = is_by_a_page(request.headers());
    let replied = reply(request, &caller, &site, &views, leaving).await;
    let replied = replied.map(|response| if takes_gzip { compress::compressed(response) } else { response });
    let kept = match replied {
        Ok(response) => views.readers.unread.keep(response).await,
        refused => refused,
    };
    let mut response = match kept {
        Ok(response) => response,
        Err(refusal) if by_page => refusal.without_a_window().response(for_programs),
        Err(refusal) => refusal.response(for_programs),
    };
    guard(&mut response);
    site.tally.note_answer(response.status());
    Ok(response)
}

/// Whether a page that is open has sent it, and neither a person nor a program.
fn is_by_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(REFERER) || headers.contains_key("sec-fetch-site")
}

/// Answers whoever speaks plain HTTP where TLS is spoken.
pub(super) async fn refuse_plain<B>(request: Request<B>, site: &Site) -> Result<Response<Answer>, Infallible> {
    site.tally.note_request();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let refusal = Refusal::bad(format!("this port speaks TLS: ask https://{host}"));
    let mut response = refusal.response(false);
    guard(&mut response);
    site.tally.note_answer(response.status());
    Ok(response)
}

/// What is asked for is at one of the site's own places, or one of ours.
async fn reply<B>(
    request: Request<B>,
    caller: &Caller,
    site: &Site,
    views: &Arc<Views>,
    leaving: Leaving,
) -> Result<Response<Answer>, Refusal>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    note_strange_form(request.uri())?;
    let found = Found::of(request.method(), request.uri().path());
    let is_ours = !found.as_ref().is_err_and(Refusal::is_of_no_path);
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
    let place = uri::place(&site.serves, &target, is_ours);
    if matches!(place, Place::Ours | Place::Statistics(..))
        && let Some(asked_to_log_in) = haproxy::asked_to_log_in(&site.serves, request.headers())
    {
        // Who shows none is asked at once, as browsers want it.
        if request.headers().contains_key(AUTHORIZATION) {
            views.door.hold_up(caller.address()).await?;
        }
        return Ok(asked_to_log_in);
    }
    match place {
        Place::Ours => ours(found?, request, caller, views, leaving).await,
        Place::Statistics(Some(page), wanted) if *request.method() == Method::POST => {
            let user = haproxy::user(page, request.headers());
            acting::take(request, (page, &wanted), caller, user, views).await
        }
        place => {
            let sight = sight(&place, caller, site, views, request.headers()).await;
            haproxy::answer(place, request.method(), caller.ends(), || sight.of((views.snapshot)()))
        }
    }
}

/// What HAProxy's places may show: figures have nobody's address in them, and who has shown the section's own password
/// (`stats auth`) is no stranger.
async fn sight(place: &Place<'_>, caller: &Caller, site: &Site, views: &Views, headers: &HeaderMap) -> Sight {
    match place {
        Place::Statistics(..) if site.serves.page.as_ref().is_some_and(|page| !page.users.is_empty()) => {
            Sight::Everything
        }
        Place::Statistics(..) => caller.sees(&views.door, headers).await,
        _ => Sight::Strangers,
    }
}

/// Refuses a host in place of a path, which only CONNECT may ask for (RFC 9112, section 3.2.3): it would be taken for `/`.
fn note_strange_form(uri: &Uri) -> Result<(), Refusal> {
    match (uri.scheme(), uri.authority()) {
        (None, Some(_)) => Err(Refusal::bad("a request asks for a path, which begins with `/`")),
        _ => Ok(()),
    }
}

async fn ours<B>(
    found: Found,
    request: Request<B>,
    caller: &Caller,
    views: &Arc<Views>,
    leaving: Leaving,
) -> Result<Response<Answer>, Refusal>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Found { access, route } = found;
    let (head, body) = request.into_parts();
    match route {
        Route::Act(order) => {
            note_forged(&head.headers)?;
            let actor = caller.actor(&views.door, &head.headers).await?;
            return act(order, body, actor, views).await;
        }
        Route::LogIn => {
            origin::note_foreign(&head.headers)?;
            return login::log_in(&read(body, login::MAX_FORM).await?, caller, &views.door).await;
        }
        Route::LogOut => {
            origin::note_foreign(&head.headers)?;
            return Ok(login::log_out(caller, &head.headers, &views.door));
        }
        _ if !body.is_end_stream() => {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here"));
        }
        Route::Follow => {
            let reader = Reader::of(access, caller, &views.door, &head.headers).await;
            return pages::follow(head.uri.query(), reader, Arc::clone(views), leaving);
        }
        _ => {}
    }
    if access == Access::Known
        && let Err(refusal) = caller.look_closely(&views.door, &head.headers).await
    {
        return login::instead(refusal, &head, caller, &views.door);
    }
    show(Found { access, route }, &head, caller, views).await
}

/// Refuses what a page of another site could have sent with the help of somebody's browser.
fn note_forged(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(ACTION).is_none_or(|value| value != "1") {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "actions carry the header `X-Evenkeel-Action: 1`"));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case(JSON) {
        let words = "actions are JSON: send `Content-Type: application/json`";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    // Those with a cookie have a browser, which says whose page it was.
    origin::note_foreign(headers)
}

async fn act<B>(order: Order, body: B, actor: Actor, views: &Views) -> Result<Response<Answer>, Refusal>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let action = order.read(&read(body, MAX_BODY).await?)?;
    let done = (views.act)(action, actor).await.map_err(super::action::Denied::refusal)?;
    Ok(plain(StatusCode::OK, JSON, done.render()))
}

/// The whole body of an action or a form.
pub(super) async fn read<B>(body: B, limit: usize) -> Result<Bytes, Refusal>
where
    B: Body + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large =
        || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} KiB", limit / 1024));
    if body.is_end_stream() {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "there is no body: actions are JSON objects"));
    }
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let collected = Limited::new(body, limit).collect();
    match tokio::time::timeout(BODY_TIMEOUT, Box::pin(collected)).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::bad(format!("the body ends too soon: {error}"))),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within five seconds")),
    }
}

/// What is at a path, for a look; a query that means nothing there is ignored.
async fn show(
    Found { access, route }: Found,
    head: &Parts,
    caller: &Caller,
    views: &Views,
) -> Result<Response<Answer>, Refusal> {
    let query = head.uri.query();
    Ok(match route {
        Route::Page(place) => {
            let reader = Reader::of(access, caller, &views.door, &head.headers).await;
            let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            pages::show(&place, target, &reader, views)?
        }
        Route::Classic => html(classic::render(&seen(head, caller, views).await)),
        Route::Markdown => plain(StatusCode::OK, "text/markdown; charset=utf-8", pages::markdown(query, views)?),
        Route::Status => plain(StatusCode::OK, JSON, json::render(&seen(head, caller, views).await)),
        Route::Sessions => {
            let wanted = sessions::Wanted::of(query, &(views.names)())?;
            let sessions = (views.sessions)();
            let rates = views.readers.looks.look(&sessions);
            plain(StatusCode::OK, JSON, wanted.render(sessions, &rates))
        }
        Route::Events => plain(StatusCode::OK, JSON, events::Wanted::of(query)?.render(&views.history).await),
        Route::Metrics => plain(StatusCode::OK, metrics::CONTENT_TYPE, metrics::encode(&(views.snapshot)())),
        Route::HaproxyMetrics => haproxy::metrics_for(query, &(views.snapshot)()),
        Route::Live => fitness((views.live)()).await,
        Route::Ready => fitness((views.ready)()).await,
        Route::LoginForm => login::form(head, caller, &views.door).await?,
        Route::Asset(asset) => file(asset, &head.headers),
        Route::Series => plain(StatusCode::OK, JSON, series::Wanted::of(query, &(views.names)())?.render(views)?),
        Route::Detail(whose) => {
            let sight = caller.sees(&views.door, &head.headers).await;
            plain(StatusCode::OK, JSON, whose.document(&sight.of((views.snapshot)()), views, sight)?)
        }
        Route::Follow | Route::Act(_) | Route::LogIn | Route::LogOut => return Err(Refusal::method("POST")),
    })
}

/// What is now, as much of it as whoever asks may see.
async fn seen(head: &Parts, caller: &Caller, views: &Views) -> Snapshot {
    caller.sees(&views.door, &head.headers).await.of((views.snapshot)())
}

/// A file that may be kept for ever, because its path changes with its content.
fn file(asset: &'static page::Asset, headers: &HeaderMap) -> Response<Answer> {
    let etag = asset.etag();
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = match is_known {
        true => plain(StatusCode::NOT_MODIFIED, asset.kind, ""),
        false => plain(StatusCode::OK, asset.kind, asset.text.as_str()),
    };
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, forever);
    response.headers_mut().insert(ETAG, HeaderValue::from_str(&etag).expect("a path is visible ASCII"));
    response
}

/// 200 and `ok`, or 503 and a reason a line.
async fn fitness(asked: FitnessFuture) -> Response<Answer> {
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

pub(super) fn plain(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(super) fn html(page: String) -> Response<Answer> {
    plain(StatusCode::OK, page::CONTENT_TYPE, page)
}

/// What a browser may do with any answer of ours: show it, with what is ours, send our forms back to us, and nothing
/// else. Other sites are told nothing of where somebody comes from; we are, because a form's `Origin` is kept back together
/// with it. What is answered as HAProxy does it is nothing that a
/// browser would run.
fn guard(response: &mut Response<Answer>) {
    if response.extensions().get::<AnsweredBy>().is_some() {
        return;
    }
    const HEADERS: [(&str, &str); 5] = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
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
