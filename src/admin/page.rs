//! The dashboard: what people open when something is wrong. It answers in this order: is it up, since when and why, who
//! is affected, is it getting worse.
//!
//! A page is made here as HTML, and is whole without a script. What changes of it while it is open is made by the same
//! templates and sent after it ([`live`](super::live)); so there is one way to a sentence, and a script that only puts
//! it in its place.

mod actions;
mod assets;
mod backend;
mod certificate;
mod charts;
pub(super) mod classic;
mod event_list;
mod facts;
mod figure;
mod guest;
pub(super) mod login;
mod overview;
mod server;
mod server_line;
mod session_table;
mod state;
mod time;
mod view;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::SystemTime;

pub(super) use self::assets::{Asset, asset, icon, release};
pub(super) use self::backend::backend_page;
pub(super) use self::event_list::{Filter as EventFilter, events, markdown};
pub(super) use self::guest::Guest;
pub(super) use self::overview::overview;
pub(super) use self::server::server_page;
pub(super) use self::session_table::Table as SessionTable;
pub(super) use self::view::{View, document};
use crate::model::{BackendName, ServerName};
use crate::observe::history::History;

/// The media type of every page.
pub(super) const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// The last events, the newest first.
pub(super) fn lately(history: &History, now: SystemTime) -> Vec<event_list::Line> {
    let (events, _) = EventFilter::default().newest(history, overview::LATELY);
    events.iter().map(|event| event_list::Line::of(event, now)).collect()
}

/// Where a server's own page is. Names have no character that a path would have to escape.
fn server_path(backend: &BackendName, server: &ServerName) -> String {
    format!("/servers/{backend}/{server}")
}

fn backend_path(backend: &BackendName) -> String {
    format!("/backends/{backend}")
}

/// A query of those fields that have a value, with its question mark; empty without any.
fn query_of(fields: &[(&str, Option<String>)]) -> String {
    let mut query = String::new();
    for (key, value) in fields {
        if let Some(value) = value {
            let _ = write!(query, "{}{key}={}", if query.is_empty() { '?' } else { '&' }, encoded(value));
        }
    }
    query
}

/// With percent signs for all that could mean something in a query.
fn encoded(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(byte);
    if text.as_bytes().iter().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let byte = |byte: u8| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect::<String>().into()
}
