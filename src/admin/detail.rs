//! One backend or one server, as a page or as JSON.

use hyper::StatusCode;

use super::names::unknown;
use super::page::{View, backend_page, server_page};
use super::pages::Reader;
use super::past::{Past, span};
use super::query::Query;
use super::refusal::Refusal;
use super::sight::Sight;
use super::{Views, json};
use crate::event::{BackendSnapshot, ServerSnapshot, Snapshot};
use crate::observe::series::{Span, Subject};

/// What is asked for, by its names in the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    pub backend: String,
    /// `None` for the backend itself.
    pub server: Option<String>,
}

impl Whose {
    /// The page, of the span that the query asks for. Who doesn't see clients sees no source's address.
    pub fn page(
        &self,
        query: Option<&str>,
        snapshot: &Snapshot,
        views: &Views,
        reader: &Reader,
    ) -> Result<View, Refusal> {
        let span = span(&Query::of(query, &["span"])?)?;
        let backend = self.backend_in(snapshot)?;
        Ok(match self.server_in(backend)? {
            Some(server) => {
                let past = Past::of(views, &server_subject(backend, server), span, snapshot.at);
                let probes = (views.probes)(&backend.name, &server.name);
                server_page(snapshot, backend, server, &past, &probes, &reader.guest)
            }
            None => {
                let past = Past::of(views, &Subject::Backend(backend.name.clone()), span, snapshot.at);
                let sources = (views.sources)(&backend.name);
                backend_page(snapshot, backend, &past, &views.series, sources.as_ref(), reader.sight)
            }
        })
    }

    /// The JSON, with the changes of the last day.
    pub fn document(&self, snapshot: &Snapshot, views: &Views, sight: Sight) -> Result<String, Refusal> {
        let backend = self.backend_in(snapshot)?;
        Ok(match self.server_in(backend)? {
            Some(server) => {
                let past = Past::of(views, &server_subject(backend, server), Span::Day, snapshot.at);
                let probes = (views.probes)(&backend.name, &server.name);
                json::detail::server(snapshot, backend, server, &probes, &past.changes)
            }
            None => {
                let past = Past::of(views, &Subject::Backend(backend.name.clone()), Span::Day, snapshot.at);
                let sources = (views.sources)(&backend.name).filter(|_| sight.is_everything());
                json::detail::backend(snapshot, backend, sources.as_ref(), &past.changes)
            }
        })
    }

    fn backend_in<'a>(&self, snapshot: &'a Snapshot) -> Result<&'a BackendSnapshot, Refusal> {
        let found = snapshot.backends.iter().find(|backend| backend.name.as_str() == self.backend);
        let known = snapshot.backends.iter().map(|backend| backend.name.as_str());
        found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, unknown("backend", &self.backend, known)))
    }

    fn server_in<'a>(&self, backend: &'a BackendSnapshot) -> Result<Option<&'a ServerSnapshot>, Refusal> {
        let Some(wanted) = &self.server else { return Ok(None) };
        let found = backend.servers.iter().find(|server| server.name.as_str() == wanted);
        let known = backend.servers.iter().map(|server| server.name.as_str());
        let missing = || Refusal::new(StatusCode::NOT_FOUND, unknown("server", wanted, known));
        found.map(Some).ok_or_else(missing)
    }
}

fn server_subject(backend: &BackendSnapshot, server: &ServerSnapshot) -> Subject {
    Subject::Server(backend.name.clone(), server.name.clone())
}
