//! Which page is at which path, and what all readers of pages share.

use std::sync::Arc;

use hyper::Response;

use super::live::{self, Remembered};
use super::page::{self, EventFilter, SessionTable, View};
use super::query::Query;
use super::rates::Looks;
use super::refusal::Refusal;
use super::router::{Answer, html};
use super::{Leaving, Views};

/// What is remembered from one look to the next, for all who look.
#[derive(Debug, Default)]
pub struct Readers {
    pub(super) remembered: Remembered,
    pub(super) looks: Looks,
}

/// One of the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Sessions,
    Events,
}

/// Makes a page as it is now.
fn view(place: &Place, query: Option<&str>, views: &Views) -> Result<View, Refusal> {
    let snapshot = || (views.snapshot)();
    match place {
        Place::Overview => {
            let snapshot = snapshot();
            Ok(page::overview(&snapshot, Some(page::lately(&views.history, snapshot.at))))
        }
        Place::Sessions => {
            let names = (views.names)();
            let table = SessionTable::of(query, &names)?;
            let sessions = (views.sessions)();
            let rates = views.readers.looks.look(&sessions);
            Ok(table.view(sessions, &rates, &names))
        }
        Place::Events => Ok(page::events(&EventFilter::of(query)?, &views.history, crate::clock::wall())),
    }
}

/// The whole page at a path and query.
pub(super) fn show(place: &Place, target: &str, views: &Views) -> Result<Response<Answer>, Refusal> {
    let query = target.split_once('?').map(|(_, query)| query);
    let view = view(place, query, views)?;
    Ok(html(page::document(&view, target, &(views.snapshot)())))
}

/// What changes of the page that `page` of the query names.
pub(super) fn follow(query: Option<&str>, views: Arc<Views>, leaving: Leaving) -> Result<Response<Answer>, Refusal> {
    let query = Query::of(query, &["page"])?;
    let target = query.value("page").ok_or_else(|| Refusal::bad("`page` must say which page is to be followed"))?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
    let place = super::route::page_at(path)
        .ok_or_else(|| Refusal::bad(format!("`page` is {path:?}: there is no page that could be followed")))?;
    let make = move |views: &Views| view(&place, query.as_deref(), views);
    live::follow(target.to_owned(), Box::new(make), views, leaving)
}

/// The events that a query asks for, as Markdown.
pub(super) fn markdown(query: Option<&str>, views: &Views) -> Result<String, Refusal> {
    let filter = EventFilter::of(query)?;
    Ok(page::markdown(&filter, &views.history, &(views.snapshot)().process.node))
}
