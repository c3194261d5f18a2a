//! Which paths there are, and what is at each: one row for each, in one table.

use super::action::{Order, Target};
use super::detail::Whose;
use super::page;
use super::pages::Place;
use super::query::decoded;
use super::refusal::Refusal;
use hyper::{Method, StatusCode};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// A page of the dashboard,
    Page(Place),
    /// and what changes of one.
    Follow,
    /// The table that people know from HAProxy.
    Classic,
    /// Events for an incident report.
    Markdown,
    Status,
    Sessions,
    Events,
    Metrics,
    /// HAProxy's families, as its exporter has them.
    HaproxyMetrics,
    Live,
    Ready,
    Asset(&'static page::Asset),
    /// Something to be done, which needs more rights than a look.
    Act(Order),
    /// Where people log in, and who they are logged in as.
    LoginForm,
    LogIn,
    LogOut,
    /// How one thing went.
    Series,
    /// One backend or server, as JSON.
    Detail(Whose),
}

/// What somebody must be for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody. What is there may say less to some ([`Sight`](super::sight::Sight)).
    Anybody,
    /// Known: it shows who the clients are.
    Known,
    /// Somebody with a credential, or at the admin socket: it changes something.
    Operator,
}

/// A route, and who may take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub access: Access,
    pub route: Route,
}

/// What a path is asked for with. HEAD is answered where GET is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// One row of the table. Parts of a template in braces stand for any one part of a path, and are handed on.
pub(super) struct Row {
    pub verb: Verb,
    pub template: &'static str,
    pub access: Access,
    route: fn(&[String]) -> Option<Route>,
}

/// All that is answered. docs/openapi.json describes the same.
pub(super) const ROWS: &[Row] = &[
    get("/", |_| Some(Route::Page(Place::Overview))),
    private("/sessions", |_| Some(Route::Page(Place::Sessions))),
    private("/events", |_| Some(Route::Page(Place::Events))),
    private("/events.md", |_| Some(Route::Markdown)),
    get("/classic", |_| Some(Route::Classic)),
    get("/live", |_| Some(Route::Follow)),
    get("/assets/{file}", |parts| Some(Route::Asset(page::asset(&format!("/assets/{}", parts[0]))?))),
    get("/livez", |_| Some(Route::Live)),
    get("/readyz", |_| Some(Route::Ready)),
    get("/metrics", |_| Some(Route::Metrics)),
    get("/metrics/evenkeel", |_| Some(Route::Metrics)),
    get("/metrics/haproxy", |_| Some(Route::HaproxyMetrics)),
    get("/api/v1/status", |_| Some(Route::Status)),
    private("/api/v1/sessions", |_| Some(Route::Sessions)),
    private("/api/v1/events", |_| Some(Route::Events)),
    post("/api/v1/servers/{backend}/{server}/state", |parts| Some(Route::Act(Order::State(target(parts))))),
    post("/api/v1/servers/{backend}/{server}/weight", |parts| Some(Route::Act(Order::Weight(target(parts))))),
    post("/api/v1/sessions/kill", |_| Some(Route::Act(Order::Kill))),
    post("/api/v1/debug", |_| Some(Route::Act(Order::Debug))),
    post("/api/v1/backends/{backend}/servers", |parts| Some(Route::Act(Order::AddServer(parts[0].clone())))),
    delete("/api/v1/servers/{backend}/{server}", |parts| Some(Route::Act(Order::RemoveServer(target(parts))))),
    post("/api/v1/reload", |_| Some(Route::Act(Order::Reload))),
    post("/api/v1/upgrade", |_| Some(Route::Act(Order::Upgrade))),
    get("/login", |_| Some(Route::LoginForm)),
    form("/login", |_| Some(Route::LogIn)),
    form("/logout", |_| Some(Route::LogOut)),
    get("/backends/{backend}", |parts| Some(Route::Page(Place::Detail(whose(parts))))),
    get("/servers/{backend}/{server}", |parts| Some(Route::Page(Place::Detail(whose(parts))))),
    get("/api/v1/series", |_| Some(Route::Series)),
    get("/api/v1/backends/{backend}", |parts| Some(Route::Detail(whose(parts)))),
    get("/api/v1/servers/{backend}/{server}", |parts| Some(Route::Detail(whose(parts)))),
];

const fn get(template: &'static str, route: fn(&[String]) -> Option<Route>) -> Row {
    Row { verb: Verb::Get, template, access: Access::Anybody, route }
}

/// What shows who the clients are.
const fn private(template: &'static str, route: fn(&[String]) -> Option<Route>) -> Row {
    Row { access: Access::Known, ..get(template, route) }
}

const fn post(template: &'static str, route: fn(&[String]) -> Option<Route>) -> Row {
    Row { verb: Verb::Post, template, access: Access::Operator, route }
}

const fn delete(template: &'static str, route: fn(&[String]) -> Option<Route>) -> Row {
    Row { verb: Verb::Delete, ..post(template, route) }
}

/// What people send who may be nobody yet; it changes nothing but who they are.
const fn form(template: &'static str, route: fn(&[String]) -> Option<Route>) -> Row {
    Row { access: Access::Anybody, ..post(template, route) }
}

/// `*` in place of a backend stands for all of them.
fn target(parts: &[String]) -> Target {
    let backend = Some(parts[0].clone()).filter(|backend| backend != "*");
    Target { backend, server: parts[1].clone() }
}

fn whose(parts: &[String]) -> Whose {
    Whose { backend: parts[0].clone(), server: parts.get(1).cloned() }
}

impl Found {
    /// What is asked for.
    pub fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let at_path = |row: &Row| {
            let route = (row.route)(&parts(row.template, path)?)?;
            Some((row.verb, Self { access: row.access, route }))
        };
        let found: Vec<(Verb, Self)> = ROWS.iter().filter_map(at_path).collect();
        if found.is_empty() {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "not found"));
        }
        let allowed: Vec<&str> = found.iter().map(|(verb, _)| verb.methods()).collect();
        let wanted = Verb::of(method);
        let route = found.into_iter().find(|(verb, _)| Some(*verb) == wanted).map(|(_, found)| found);
        route.ok_or_else(|| Refusal::method(&allowed.join(", ")))
    }
}

/// The page at a path, if it is one of the dashboard's, and what somebody must be to see it.
pub(super) fn page_at(path: &str) -> Option<(Place, Access)> {
    match Found::of(&Method::GET, path) {
        Ok(Found { route: Route::Page(place), access }) => Some((place, access)),
        _ => None,
    }
}

/// The parts of a path that stand in a template's braces; `None` if it is another path.
fn parts(template: &str, path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return Some(parts),
            (Some(name), Some(part)) if name.starts_with('{') && !part.is_empty() => {
                parts.push(decoded(part).into_owned());
            }
            (Some(wanted), Some(part)) if wanted == part => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_servers_name_is_a_part_of_its_path() {
        let order = |path: &str| match Found::of(&Method::POST, path) {
            Ok(Found { route: Route::Act(Order::State(target)), access: Access::Operator }) => target,
            other => panic!("{path}: {other:?}"),
        };
        let target = |backend: Option<&str>| Target { backend: backend.map(str::to_owned), server: "10.0.0.2".into() };
        assert_eq!(order("/api/v1/servers/api/10.0.0.2/state"), target(Some("api")));
        assert_eq!(order("/api/v1/servers/%2A/10%2E0.0.2/state"), target(None));
        let removal = Found::of(&Method::DELETE, "/api/v1/servers/*/a").unwrap();
        assert_eq!(removal.route, Route::Act(Order::RemoveServer(Target { backend: None, server: "a".into() })));
        for path in ["/api/v1/servers//a/state", "/api/v1/servers/a/state", "/api/v1/servers/a/b/c/state"] {
            assert!(Found::of(&Method::POST, path).is_err(), "{path}");
        }
    }

    // Seen to fail with events that are for anybody.
    #[test]
    fn nothing_but_a_login_is_sent_by_anybody() {
        let open = ROWS.iter().filter(|row| row.verb != Verb::Get && row.access != Access::Operator);
        assert_eq!(open.map(|row| row.template).collect::<Vec<_>>(), ["/login", "/logout"]);
        for row in ROWS.iter().filter(|row| row.template.contains("/sessions") || row.template.contains("/events")) {
            assert_ne!(row.access, Access::Anybody, "{}", row.template);
        }
    }

    #[test]
    fn the_description_has_every_path_and_method_and_no_other() {
        let description: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
        let paths = description["paths"].as_object().unwrap().iter();
        let described = paths.flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone()))
        });
        let described: BTreeSet<(String, String)> = described.filter(|(_, key)| key != "parameters").collect();
        let verb = |verb| match verb {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Delete => "delete",
        };
        let known = ROWS.iter().map(|row| (row.template.to_owned(), verb(row.verb).to_owned()));
        assert_eq!(described, known.collect());
    }
}
