//! What a backend, a server or a frontend has behind it: its course, and the changes of state that go with it.

use std::time::SystemTime;

use super::Views;
use super::changes::{StateChange, changes};
use super::chart::{Unit, sparkline};
use super::query::Query;
use super::refusal::Refusal;
use crate::observe::series::{Course, Figure, Series, Span, Subject};

/// The hour or the day of one thing.
pub(super) struct Past {
    pub span: Span,
    /// `None` if nothing is kept of it: it is new, or one of too many.
    pub course: Option<Course>,
    /// Of a backend those of its servers. The oldest first.
    pub changes: Vec<StateChange>,
}

impl Past {
    pub fn of(views: &Views, subject: &Subject, span: Span, now: SystemTime) -> Self {
        let since = now.checked_sub(span.whole()).unwrap_or(SystemTime::UNIX_EPOCH);
        let changes = match subject {
            Subject::Frontend(_) => Vec::new(),
            Subject::Backend(backend) => changes(&views.history, since, backend, None),
            Subject::Server(backend, server) => changes(&views.history, since, backend, Some(server)),
        };
        Self { span, course: views.series.course(subject, span), changes }
    }
}

/// The sessions of the last hour as small as a word; empty if nothing is kept of it.
pub(super) fn sessions_sparkline(series: &Series, subject: &Subject) -> String {
    let course = series.course(subject, Span::Hour);
    course.map(|course| sparkline("Sessions, last hour", Unit::Count, &course.of(Figure::Sessions))).unwrap_or_default()
}

/// Which span a query asks for: the hour, unless it says something else.
pub(super) fn span(query: &Query<'_>) -> Result<Span, Refusal> {
    let Some(word) = query.value("span") else { return Ok(Span::Hour) };
    Span::read(word).ok_or_else(|| {
        let known = Span::ALL.map(Span::word).join(" or ");
        Refusal::bad(format!("`span` is {word:?}: it must be {known}"))
    })
}
