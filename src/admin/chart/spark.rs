//! The hour beside a server's name, as small as a word.

use askama::Template;

use super::{Unit, course_in_words, path};

/// Points that are told apart at its size.
const POINTS: usize = 60;

#[derive(Template)]
#[template(path = "sparkline.html")]
struct Sparkline {
    label: String,
    width: usize,
    path: String,
}

/// The course of a figure as a line; `what` says of what, and of which time: "sessions, last hour".
pub(in crate::admin) fn sparkline(what: &str, unit: Unit, values: &[Option<f32>]) -> String {
    let most = coarse(values);
    let top = most.iter().flatten().copied().fold(0.0, f32::max);
    let sparkline = Sparkline {
        label: format!("{what}: {}", course_in_words(unit, values)),
        width: most.len(),
        path: path(&most, if top > 0.0 { top } else { 1.0 }),
    };
    sparkline.render().expect("the template writes into a String and fails at nothing else")
}

/// The most of each few.
fn coarse(values: &[Option<f32>]) -> Vec<Option<f32>> {
    let few = values.len().div_ceil(POINTS).max(1);
    values.chunks(few).map(|values| values.iter().flatten().copied().reduce(f32::max)).collect()
}
