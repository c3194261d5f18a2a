//! `/api/v1/series`: how one thing went, step by step.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Serialize;

use super::Views;
use super::changes::StateChange;
use super::figures::rfc3339;
use super::names::unknown;
use super::past::{Past, span};
use super::query::Query;
use super::refusal::Refusal;
use crate::clock;
use crate::event::Names;
use crate::model::{BackendName, FrontendName, ServerName};
use crate::observe::series::{Course, Series, Span, Subject};

const KEYS: [&str; 4] = ["frontend", "backend", "server", "span"];

/// Whose course is wanted, and how far back.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    subject: Subject,
    span: Span,
}

impl Wanted {
    pub fn of(query: Option<&str>, names: &Names) -> Result<Self, Refusal> {
        let query = Query::of(query, &KEYS)?;
        let subject = match (query.value("frontend"), query.value("backend"), query.value("server")) {
            (Some(frontend), None, None) => Subject::Frontend(frontend_of(names, frontend)?),
            (None, Some(backend), None) => Subject::Backend(backend_of(names, backend)?.0.clone()),
            (None, Some(backend), Some(server)) => {
                let (backend, servers) = backend_of(names, backend)?;
                Subject::Server(backend.clone(), server_of(servers, server)?)
            }
            _ => return Err(Refusal::bad("say whose: `frontend`, `backend`, or `backend` and `server`")),
        };
        Ok(Self { subject, span: span(&query)? })
    }

    pub fn render(&self, views: &Views) -> Result<String, Refusal> {
        let now = clock::wall();
        let past = Past::of(views, &self.subject, self.span, now);
        let Some(course) = &past.course else {
            let words = format!(
                "nothing is kept of it: it has only just come, or is beyond the {} things whose course is kept",
                Series::MOST
            );
            return Err(Refusal::new(StatusCode::NOT_FOUND, words));
        };
        let document = Document::of(&self.subject, course, &past.changes, rfc3339(now));
        Ok(serde_json::to_string(&document).expect("structs of strings and numbers have a form") + "\n")
    }
}

fn frontend_of(names: &Names, wanted: &str) -> Result<FrontendName, Refusal> {
    let found = names.frontends.iter().find(|name| name.as_str() == wanted).cloned();
    let known = names.frontends.iter().map(FrontendName::as_str);
    found.ok_or_else(|| Refusal::bad(unknown("frontend", wanted, known)))
}

fn backend_of<'a>(names: &'a Names, wanted: &str) -> Result<&'a (BackendName, Vec<ServerName>), Refusal> {
    let known = names.backends.iter().map(|(name, _)| name.as_str());
    let found = names.backends.iter().find(|(name, _)| name.as_str() == wanted);
    found.ok_or_else(|| Refusal::bad(unknown("backend", wanted, known)))
}

fn server_of(servers: &[ServerName], wanted: &str) -> Result<ServerName, Refusal> {
    let found = servers.iter().find(|name| name.as_str() == wanted).cloned();
    found.ok_or_else(|| Refusal::bad(unknown("server", wanted, servers.iter().map(ServerName::as_str))))
}

#[derive(Serialize)]
struct Document<'a> {
    at: String,
    frontend: Option<&'a str>,
    backend: Option<&'a str>,
    server: Option<&'a str>,
    span: &'static str,
    step_seconds: u64,
    /// When each step ended.
    times: Vec<String>,
    /// As many values as there are times; `null` where nothing is known.
    series: BTreeMap<&'static str, Vec<Option<f32>>>,
    changes: Vec<Changed<'a>>,
}

impl<'a> Document<'a> {
    fn of(subject: &'a Subject, course: &Course, changes: &'a [StateChange], at: String) -> Self {
        let (frontend, backend, server) = match subject {
            Subject::Frontend(frontend) => (Some(frontend.as_str()), None, None),
            Subject::Backend(backend) => (None, Some(backend.as_str()), None),
            Subject::Server(backend, server) => (None, Some(backend.as_str()), Some(server.as_str())),
        };
        Self {
            at,
            frontend,
            backend,
            server,
            span: course.span.word(),
            step_seconds: course.span.step().as_secs(),
            times: course.times.iter().copied().map(rfc3339).collect(),
            series: subject.figures().iter().map(|figure| (figure.name(), course.of(*figure))).collect(),
            changes: changes.iter().map(Changed::of).collect(),
        }
    }
}

/// A change of a server's state.
#[derive(Serialize)]
pub(super) struct Changed<'a> {
    at: String,
    server: &'a str,
    from: &'static str,
    to: &'static str,
    text: &'a str,
}

impl<'a> Changed<'a> {
    pub fn of(change: &'a StateChange) -> Self {
        Self {
            at: rfc3339(change.at),
            server: change.server.as_str(),
            from: change.from.word(),
            to: change.to.word(),
            text: &change.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::*;
    use crate::admin::changes::tests::change;
    use crate::admin::tests;
    use crate::event::{ServerState, fixture};

    fn names() -> Names {
        let snapshot = fixture::cluster();
        let of = |backend: &crate::event::BackendSnapshot| {
            (backend.name.clone(), backend.servers.iter().map(|server| server.name.clone()).collect())
        };
        Names {
            frontends: snapshot.frontends.iter().map(|frontend| frontend.name.clone()).collect(),
            backends: snapshot.backends.iter().map(of).collect(),
        }
    }

    /// A cluster that has been looked at for so many seconds.
    fn views(seconds: u32) -> Arc<Views> {
        let (views, snapshot, begun) = (tests::views(), fixture::cluster(), Instant::now());
        for second in 0..=seconds {
            let passed = Duration::from_secs(second.into());
            views.series.note(begun + passed, clock::wall(), &snapshot.frontends, &snapshot.backends);
        }
        views
    }

    fn document(query: &str, views: &Views) -> Value {
        serde_json::from_str(&Wanted::of(Some(query), &names()).unwrap().render(views).unwrap()).unwrap()
    }

    #[test]
    fn a_server_has_every_figure_with_as_many_values_as_times() {
        let views = views(25);
        views.history.note(change("k0s-at-vie-1", ServerState::Ready, ServerState::Maint, 5));
        let document = document("backend=kubeAPI_backend&server=k0s-at-vie-1", &views);
        assert_eq!((&document["span"], &document["step_seconds"]), (&"hour".into(), &10.into()));
        assert_eq!(document["server"], "k0s-at-vie-1");
        let series = document["series"].as_object().unwrap();
        assert_eq!(series.len(), 8);
        for (name, values) in series {
            assert_eq!(values.as_array().unwrap().len(), 360, "{name}");
        }
        assert_eq!(document["times"].as_array().unwrap().len(), 360);
        assert_eq!(json!(series["sessions"].as_array().unwrap()[357..]), json!([null, 35.0, 35.0]));
        assert_eq!(document["changes"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&document["changes"][0]["from"], &document["changes"][0]["to"]),
            (&"ready".into(), &"maint".into())
        );
    }

    #[test]
    fn a_frontend_has_its_own_figures_and_a_day_has_fewer_steps() {
        let document = document("frontend=konnectivity&span=day", &views(1));
        assert_eq!(document["series"].as_object().unwrap().len(), 5);
        assert_eq!(document["times"].as_array().unwrap().len(), 288);
        assert_eq!((&document["frontend"], &document["backend"]), (&"konnectivity".into(), &Value::Null));
    }

    #[test]
    fn what_is_not_there_is_refused_in_words() {
        let words = |query| Wanted::of(Some(query), &names()).unwrap_err().words().to_owned();
        assert!(words("span=hour").starts_with("say whose"));
        assert!(words("server=k0s-at-vie-1").starts_with("say whose"));
        assert!(words("frontend=kubeAPI&backend=kubeAPI_backend").starts_with("say whose"));
        assert!(words("backend=x").contains("kubeAPI_backend"));
        assert!(words("backend=kubeAPI_backend&server=x").contains("k0s-at-vie-1"));
        assert_eq!(words("backend=kubeAPI_backend&span=week"), "`span` is \"week\": it must be hour or day");
        let new = Wanted::of(Some("backend=kubeAPI_backend"), &names()).unwrap();
        assert!(new.render(&tests::views()).unwrap_err().words().starts_with("nothing is kept"));
    }
}
