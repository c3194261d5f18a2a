//! From a request to its answer, and what every answer carries.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};

use super::action::Order;
use super::caller::Caller;
use super::haproxy::answer as haproxy;
use super::haproxy::uri::{self, Place};
use super::page::classic;
use super::refusal::Refusal;
use super::route::Route;
use super::{FitnessFuture, Leaving, Site, Views, compress, events, json, page, pages, sessions};
use crate::event::{Actor, Fitness};
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
    let mut response = match reply(request, &caller, &site, &views, leaving).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(for_programs),
    };
    guard(&mut response);
    site.tally.note_answer(response.status());
    Ok(if takes_gzip { compress::compressed(response) } else { response })
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
    let route = Route::of(request.method(), request.uri().path());
    let is_ours = !route.as_ref().is_err_and(Refusal::is_of_no_path);
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let place = uri::place(&site.serves, target, is_ours);
    if matches!(place, Place::Ours | Place::Statistics(..))
        && let Some(asked_to_log_in) = haproxy::asked_to_log_in(&site.serves, request.headers())
    {
        return Ok(asked_to_log_in);
    }
    match place {
        Place::Ours => ours(route?, request, caller, views, leaving).await,
        place => haproxy::answer(place, request.method(), caller.ends(), || (views.snapshot)()),
    }
}

async fn ours<B>(
    route: Route,
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
    match route {
        Route::Act(order) => {
            let (head, body) = request.into_parts();
            note_forged(&head.headers)?;
            let actor = caller.actor(&views.door, &head.headers).await?;
            act(order, body, actor, views).await
        }
        _ if !request.body().is_end_stream() => {
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here"))
        }
        Route::Follow => pages::follow(request.uri().query(), Arc::clone(views), leaving),
        Route::Asset(asset) => Ok(file(asset, request.headers())),
        route => show(route, request.uri(), views).await,
    }
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
    Ok(())
}

async fn act<B>(order: Order, body: B, actor: Actor, views: &Views) -> Result<Response<Answer>, Refusal>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let action = order.read(&read(body).await?)?;
    let done = (views.act)(action, actor).await.map_err(super::action::Denied::refusal)?;
    Ok(plain(StatusCode::OK, JSON, done.render()))
}

/// The whole body of an action.
async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB");
    if body.is_end_stream() {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "there is no body: actions are JSON objects"));
    }
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    let collected = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, Box::pin(collected)).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::bad(format!("the body ends too soon: {error}"))),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within five seconds")),
    }
}

/// What is at a path, for a look; a query that means nothing there is ignored.
async fn show(route: Route, uri: &Uri, views: &Views) -> Result<Response<Answer>, Refusal> {
    let query = uri.query();
    Ok(match route {
        Route::Page(place) => pages::show(&place, uri.path_and_query().map_or("/", PathAndQuery::as_str), views)?,
        Route::Classic => html(classic::render(&(views.snapshot)())),
        Route::Markdown => plain(StatusCode::OK, "text/markdown; charset=utf-8", pages::markdown(query, views)?),
        Route::Status => plain(StatusCode::OK, JSON, json::render(&(views.snapshot)())),
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
        Route::Follow | Route::Asset(_) | Route::Act(_) => return Err(Refusal::method("POST")),
    })
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

/// What a browser may do with any answer of ours: show it, with what is ours, and nothing else.
fn guard(response: &mut Response<Answer>) {
    const HEADERS: [(&str, &str); 5] = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
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
