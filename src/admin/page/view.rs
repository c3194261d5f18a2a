//! What all pages have around them, and what each hands in.

use askama::Template;

use super::super::headline::Tone;
use super::assets;
use super::guest::Guest;
use super::time::{Time, time};
use crate::event::Snapshot;

/// One page without its frame.
///
/// `main` is what stands in the page's `<main>`. Each element of it that may change while the page is open is a part: it
/// has an id, and stands between `<!--part-->` and `<!--/part-->` in its template. Parts don't contain each other. What
/// is outside of them is as it is until the page is another one, such as when a server is added.
#[derive(Debug)]
pub(in crate::admin) struct View {
    /// Of the browser's tab.
    pub title: String,
    /// Which icon the tab has.
    pub tone: Tone,
    pub main: String,
    /// Which of the pages it is, as the navigation has it.
    pub place: &'static str,
}

/// The pages that every page leads to.
const PLACES: [(&str, &str); 4] =
    [("/", "Overview"), ("/sessions", "Sessions"), ("/events", "Events"), ("/classic", "Table")];

/// The whole document. `target` is the path and query that it was asked for with.
pub(in crate::admin) fn document(view: &View, target: &str, snapshot: &Snapshot, guest: &Guest) -> String {
    let frame = Frame {
        view,
        target,
        node: &snapshot.process.node,
        version: snapshot.process.version,
        at: time(snapshot.at, snapshot.at),
        icon: assets::icon(view.tone),
        stylesheet: assets::stylesheet(),
        script: assets::script(),
        release: assets::release(),
        places: &PLACES,
        guest,
        login: format!("/login{}", super::query_of(&[("next", Some(target.to_owned()))])),
    };
    frame.render().expect("the template writes into a String and fails at nothing else")
}

#[derive(Template)]
#[template(path = "layout.html")]
struct Frame<'a> {
    view: &'a View,
    target: &'a str,
    node: &'a str,
    version: &'a str,
    at: Time,
    icon: &'static str,
    stylesheet: &'static str,
    script: &'static str,
    release: &'static str,
    places: &'static [(&'static str, &'static str)],
    guest: &'a Guest,
    login: String,
}
