//! The page with the form of a login.

use askama::Template;

use super::assets;
use crate::admin::headline::Tone;

/// What the form has.
#[derive(Template)]
#[template(path = "login.html")]
pub(in crate::admin) struct Form<'a> {
    /// Where it leads to.
    pub next: &'a str,
    /// What went wrong before.
    pub words: String,
    /// Who has logged in already.
    pub who: Option<String>,
    pub by_token: bool,
    pub by_name: bool,
    /// Whether what is typed can be read on the way.
    pub overheard: bool,
}

impl Form<'_> {
    /// As HTML.
    pub fn text(&self) -> String {
        self.render().expect("the template writes into a String and fails at nothing else")
    }

    fn stylesheet(&self) -> &'static str {
        assets::stylesheet()
    }

    fn icon(&self) -> &'static str {
        assets::icon(Tone::Notice)
    }
}
