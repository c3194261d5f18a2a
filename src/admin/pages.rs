//! Which page is at which path, who looks at it, and what all who look share.

use std::cell::LazyCell;
use std::ops::Deref;
use std::sync::Arc;

use hyper::{HeaderMap, Response};

use super::caller::Caller;
use super::detail::Whose;
use super::door::Door;
use super::live::{self, Remembered};
use super::page::{self, EventFilter, Guest, SessionTable, View};
use super::query::Query;
use super::rates::Looks;
use super::refusal::Refusal;
use super::route::{self, Access};
use super::router::{Answer, html};
use super::sight::Sight;
use super::unread::Unread;
use super::{Leaving, Views};
use crate::event::Snapshot;

/// What is remembered from one look to the next, for all who look.
#[derive(Debug, Default)]
pub struct Readers {
    pub(super) remembered: Remembered,
    pub(super) looks: Looks,
    pub(super) unread: Unread,
}

/// One of the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Sessions,
    Events,
    /// A backend or a server.
    Detail(Whose),
}

/// Who looks at a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reader {
    pub sight: Sight,
    pub guest: Guest,
}

impl Reader {
    /// Who asks for what has this access. A password is hashed for the look that has let them in, and for no second one.
    pub async fn of(access: Access, caller: &Caller, door: &Door, headers: &HeaderMap) -> Self {
        let sight = match access {
            Access::Anybody => caller.sees(door, headers).await,
            Access::Known | Access::Operator => Sight::Everything,
        };
        let guest = match (caller, door.recognise(headers).await, door.takes()) {
            (Caller::Local { .. }, ..) => Guest::Operator(None),
            (_, Some(credential), _) => Guest::Operator(Some(credential.to_string())),
            (_, None, (false, false)) => Guest::Nobody,
            (_, None, _) => Guest::Unknown,
        };
        Self { sight, guest }
    }

    /// What they see of how things are, taken once somebody asks for it.
    fn looks(&self, views: &Views) -> impl Deref<Target = Snapshot> {
        LazyCell::new(|| self.sight.of((views.snapshot)()))
    }
}

/// Makes a page as it is now.
fn view(
    place: &Place,
    query: Option<&str>,
    reader: &Reader,
    snapshot: &impl Deref<Target = Snapshot>,
    views: &Views,
) -> Result<View, Refusal> {
    match place {
        Place::Overview => {
            let lately = reader.sight.is_everything().then(|| page::lately(&views.history, snapshot.at));
            Ok(page::overview(snapshot, &views.series, lately, &reader.guest))
        }
        Place::Sessions => {
            let names = (views.names)();
            let table = SessionTable::of(query, &names)?;
            let sessions = (views.sessions)();
            let rates = views.readers.looks.look(&sessions);
            Ok(table.view(sessions, &rates, &names))
        }
        Place::Events => Ok(page::events(&EventFilter::of(query)?, &views.history, crate::clock::wall())),
        Place::Detail(whose) => whose.page(query, snapshot, views, reader),
    }
}

/// The whole page at a path and query.
pub(super) fn show(place: &Place, target: &str, reader: &Reader, views: &Views) -> Result<Response<Answer>, Refusal> {
    let query = target.split_once('?').map(|(_, query)| query);
    let snapshot = reader.looks(views);
    let view = view(place, query, reader, &snapshot, views)?;
    Ok(html(page::document(&view, target, &snapshot, &reader.guest)))
}

/// What changes of the page that `page` of the query names.
pub(super) fn follow(
    query: Option<&str>,
    reader: Reader,
    views: Arc<Views>,
    leaving: Leaving,
) -> Result<Response<Answer>, Refusal> {
    let query = Query::of(query, &["page"])?;
    let target = query.value("page").ok_or_else(|| Refusal::bad("`page` must say which page is to be followed"))?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
    let (place, access) = route::page_at(path)
        .ok_or_else(|| Refusal::bad(format!("`page` is {path:?}: there is no page that could be followed")))?;
    if access != Access::Anybody && !reader.sight.is_everything() {
        return Err(views.door.unseen());
    }
    // What a query doesn't change is made once, whatever readers put there.
    let shown = if place == Place::Overview { path } else { target };
    let key = format!("{reader:?} {shown}");
    let make = move |views: &Views| view(&place, query.as_deref(), &reader, &reader.looks(views), views);
    live::follow(key, Box::new(make), views, leaving)
}

/// The events that a query asks for, as Markdown.
pub(super) fn markdown(query: Option<&str>, views: &Views) -> Result<String, Refusal> {
    let filter = EventFilter::of(query)?;
    Ok(page::markdown(&filter, &views.history, &(views.snapshot)().process.node))
}
