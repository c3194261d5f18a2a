//! The first page: whether all is well, in a sentence; then what is wrong, who serves what, and each backend with its
//! servers, what is wrong first.

mod backend;
mod matrix;
mod problem;
mod side_by_side;

use std::time::SystemTime;

use askama::Template;

use self::backend::Section;
use self::matrix::Matrix;
use self::problem::Problem;
use self::side_by_side::SideBySide;
use super::super::figures::count;
use super::super::headline::{Headline, controllers, headline};
use super::event_list::Line;
use super::facts::{Fact, facts};
use super::time::{Sentence, sentence};
use super::{Guest, View};
use crate::event::Snapshot;
use crate::observe::series::Series;

/// Events beneath the sentence.
pub(in crate::admin) const LATELY: usize = 5;

/// The page. `lately` are the last events, the newest first, for those who may see any.
pub(in crate::admin) fn overview(
    snapshot: &Snapshot,
    series: &Series,
    lately: Option<Vec<Line>>,
    guest: &Guest,
) -> View {
    let headline = headline(snapshot);
    let controllers = controllers(snapshot);
    let page = Overview {
        now: snapshot.at,
        headline: &headline,
        problems: controllers.iter().filter_map(|controller| Problem::of(controller, snapshot)).collect(),
        matrix: Matrix::of(&controllers, snapshot),
        sessions: match snapshot.process.sessions {
            1 => "One session.".to_owned(),
            n => format!("{} sessions.", count(n.into())),
        },
        facts: facts(&snapshot.process, snapshot.at),
        backends: snapshot.backends.iter().map(|backend| Section::of(backend, series, snapshot)).collect(),
        side_by_side: SideBySide::of(snapshot),
        lately,
        acts: guest.acts(),
    };
    let main = page.render().expect("the template writes into a String and fails at nothing else");
    View { title: headline.text, tone: headline.tone, main, place: "/" }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    now: SystemTime,
    headline: &'a Headline,
    problems: Vec<Problem>,
    matrix: Matrix,
    /// How many there are, in a sentence.
    sessions: String,
    facts: Vec<Fact>,
    backends: Vec<Section>,
    side_by_side: Option<SideBySide>,
    lately: Option<Vec<Line>>,
    acts: bool,
}

impl Overview<'_> {
    fn sentence<'t>(&self, text: &'t str) -> Sentence<'t> {
        sentence(text, self.now)
    }
}

#[cfg(test)]
mod tests;
