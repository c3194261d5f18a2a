//! The answers at the places of a haproxy.cfg's `mode http` sections, and at those where statistics are looked for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64ct::{Base64, Encoding};
use hyper::header::{AUTHORIZATION, HeaderValue, REFRESH};
use hyper::{HeaderMap, Method, Response, StatusCode};
use subtle::{Choice, ConstantTimeEq};

use super::super::page::classic::{self, Look};
use super::super::refusal::Refusal;
use super::super::requests::AnsweredBy;
use super::super::router::{Answer, html, plain};
use super::told::Told;
use super::uri::{Form, Place, Wanted};
use super::{acting, metrics, stat, words};
use crate::event::{Service, Snapshot};
use crate::model::condition::{Facts, Hello};
use crate::model::{BackendName, Condition, Secret, Serves, StatsPage};

const CSV: &str = "text/plain";
const JSON: &str = "application/json";

/// What is answered to who sends these headers, unless they may look at what a section shows to its users alone: its
/// statistics, and all that is evenkeel's own. A monitor's answer and metrics are for everybody, as HAProxy has it.
pub fn asked_to_log_in(serves: &Serves, headers: &HeaderMap) -> Option<Response<Answer>> {
    let page = serves.page.as_ref().filter(|page| !page.users.is_empty())?;
    (!is_user(&page.users, headers)).then(|| {
        let mut response = words::unauthorized(&page.realm);
        response.extensions_mut().insert(AnsweredBy::Service(Service::Statistics));
        response
    })
}

/// Who has logged in there, if it has users of its own.
pub fn user(page: &StatsPage, headers: &HeaderMap) -> Option<String> {
    let shown = if page.users.is_empty() { None } else { login(headers) }?;
    let name = shown.split(|byte| *byte == b':').next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Every user is compared whole, so that how long it takes tells nothing (RFC 7617, section 2).
fn is_user(users: &[(String, Secret<String>)], headers: &HeaderMap) -> bool {
    let Some(shown) = login(headers) else { return false };
    let is = |(user, password): &(String, Secret<String>)| {
        let login = format!("{user}:{}", password.0);
        login.as_bytes().ct_eq(&shown)
    };
    users.iter().map(is).fold(Choice::from(0), |known, one| known | one).into()
}

/// Name and password with a colon between them.
fn login(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| Base64::decode_vec(credential.trim()).ok())?
}

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    pub source: SocketAddr,
    /// `None` if the kernel doesn't say it.
    pub destination: Option<SocketAddr>,
}

/// What is at a place that isn't evenkeel's own.
pub fn answer(
    place: Place<'_>,
    method: &Method,
    ends: Ends,
    snapshot: impl Fn() -> Snapshot,
) -> Result<Response<Answer>, Refusal> {
    let by = answered_by(&place, method);
    let mut response = at(place, method, ends, snapshot)?;
    if let Some(by) = by {
        response.extensions_mut().insert(by);
    }
    Ok(response)
}

/// What answers there, in HAProxy's way; the page for people is evenkeel's own.
fn answered_by(place: &Place<'_>, method: &Method) -> Option<AnsweredBy> {
    Some(match place {
        Place::Monitor(_) => AnsweredBy::Monitor,
        Place::Metrics(_) => AnsweredBy::Service(Service::Exporter),
        Place::Statistics(..) if !looks(method) => AnsweredBy::Nobody,
        Place::Statistics(_, Wanted { form: Form::Page | Form::Schema, .. }) => return None,
        Place::Statistics(..) => AnsweredBy::Service(Service::Statistics),
        Place::Nowhere | Place::Ours => AnsweredBy::Nobody,
    })
}

fn looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn at(
    place: Place<'_>,
    method: &Method,
    ends: Ends,
    snapshot: impl Fn() -> Snapshot,
) -> Result<Response<Answer>, Refusal> {
    match place {
        // Nobody should be sent here.
        Place::Monitor(monitor) if any_holds(&monitor.fail, ends, &snapshot) => Ok(words::unavailable()),
        Place::Monitor(_) => Ok(words::ready()),
        Place::Metrics(query) => Ok(words::uncached(metrics_for(query, &snapshot()))),
        Place::Statistics(Some(_), _) if !looks(method) => Ok(words::unavailable()),
        Place::Statistics(..) if !looks(method) => Err(Refusal::method("GET, HEAD")),
        Place::Statistics(page, wanted) => {
            let may_act = page.is_some_and(|page| any_holds(&page.admin, ends, &snapshot));
            statistics(page, wanted, may_act, snapshot())
        }
        Place::Nowhere | Place::Ours => Ok(words::unavailable()),
    }
}

/// Whether one of these holds for who comes from there. Conditions of TLS never do: this is HTTP.
pub fn any_holds(conditions: &[Condition], ends: Ends, snapshot: &dyn Fn() -> Snapshot) -> bool {
    if conditions.is_empty() {
        return false;
    }
    let snapshot = snapshot();
    let usable = |name: &BackendName| {
        let found = snapshot.backends.iter().find(|backend| backend.name == *name);
        found.map_or(0, stat::usable_servers)
    };
    let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let destination = ends.destination.unwrap_or(nowhere);
    let (source, destination) = (ends.source.into(), destination.into());
    let facts = Facts { source, destination, hello: Hello::No, usable: &usable, counted: &|_, _| None };
    conditions.iter().any(|condition| condition.holds(&facts))
}

/// HAProxy's families.
pub fn metrics_for(query: Option<&str>, snapshot: &Snapshot) -> Response<Answer> {
    match metrics::Wanted::of(query) {
        Some(wanted) => plain(StatusCode::OK, metrics::CONTENT_TYPE, metrics::encode(snapshot, &wanted)),
        None => words::bad_request(),
    }
}

fn statistics(
    page: Option<&StatsPage>,
    wanted: Wanted,
    may_act: bool,
    snapshot: Snapshot,
) -> Result<Response<Answer>, Refusal> {
    let Wanted { form, mut filter, no_refresh, told } = wanted;
    if let Some(page) = page {
        filter.proxies.clone_from(&page.scope);
        filter.legends = page.legends;
    }
    let write: fn(&[stat::Row<'_>]) -> String = match form {
        Form::Csv => stat::csv,
        Form::Typed => stat::typed,
        Form::Json => stat::json,
        Form::Page => {
            let choices = if may_act { acting::choices() } else { Vec::new() };
            let look = Look { choices, said: told.map(Told::said), ..look(page, no_refresh) };
            return Ok(for_people(page, look, snapshot));
        }
        Form::Schema => {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "there is no schema of the JSON here: HAProxy's describes it",
            ));
        }
    };
    let kind = if form == Form::Json { JSON } else { CSV };
    Ok(words::uncached(plain(StatusCode::OK, kind, write(&stat::rows(&snapshot, &filter)))))
}

fn look(page: Option<&StatsPage>, no_refresh: bool) -> Look<'_> {
    let Some(StatsPage { uri, refresh, hide_version, .. }) = page else { return Look::default() };
    Look { refresh: refresh.filter(|_| !no_refresh), hide_version: *hide_version, uri, ..Look::default() }
}

fn for_people(page: Option<&StatsPage>, look: Look<'_>, mut snapshot: Snapshot) -> Response<Answer> {
    if let Some(page) = page {
        snapshot.frontends.retain(|frontend| page.shows(frontend.name.as_str()));
        snapshot.backends.retain(|backend| page.shows(backend.name.as_str()));
    }
    let every = look.refresh.map(|every| HeaderValue::from(every.as_secs()));
    let mut answer = html(classic::render_as(&snapshot, look));
    if let Some(every) = every {
        // As HAProxy has it; browsers take it as they take the page's own word.
        answer.headers_mut().insert(REFRESH, every);
    }
    answer
}

#[cfg(test)]
mod tests;
