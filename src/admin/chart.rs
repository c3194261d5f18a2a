//! Charts as SVG: how a figure went over an hour or a day. Pure: values in, markup out; colours and strokes are the
//! stylesheet's.
//!
//! A chart is as wide as its place: lines are drawn in a view of their own that is stretched, words beside it keep their
//! size.

mod axis;
mod line;
mod spark;
mod unit;

use std::time::SystemTime;

use askama::Template;

use self::axis::{TimeTick, ValueTick};
use self::line::path;
pub(super) use self::spark::sparkline;
pub(super) use self::unit::Unit;
use super::changes::StateChange;
use super::figures::{clock_time, date_time, rfc3339};
use super::headline::Tone;
use crate::event::ServerState;
use crate::observe::series::Span;

/// Steps that a pointer finds together.
const TOGETHER: usize = 6;

/// Where lines are drawn, in pixels from the top; the rest is for the times beneath.
const TOP: f64 = 14.0;
const HEIGHT: f64 = 110.0;

/// Lines of one unit over the steps of a span.
#[derive(Template)]
#[template(path = "chart.html")]
pub(super) struct Chart {
    title: &'static str,
    /// The whole in words, for those who don't see it.
    label: String,
    /// As many as there are steps.
    width: usize,
    lines: Vec<Line>,
    values: Vec<ValueTick>,
    times: Vec<TimeTick>,
    bands: Vec<Band>,
    marks: Vec<Mark>,
    columns: Vec<Column>,
}

/// What a chart is to show.
pub(super) struct Wanted<'a> {
    pub title: &'static str,
    pub unit: Unit,
    pub span: Span,
    /// When each step ended.
    pub times: &'a [SystemTime],
    /// One, two or three lines, each with its name and as many values as there are times.
    pub lines: Vec<(&'static str, Vec<Option<f32>>)>,
    /// The changes of state within the span, the oldest first.
    pub changes: &'a [StateChange],
    /// The state since the last of them, if the chart is of one server: what is not well gets its colour behind the lines.
    pub state: Option<ServerState>,
}

/// A line and its place in the legend.
struct Line {
    /// Of the stylesheet: `one`, `two`, `three`.
    class: &'static str,
    name: &'static str,
    /// Its last value.
    now: String,
    path: String,
}

/// A time in which a server was not well.
#[derive(Debug, PartialEq)]
struct Band {
    from: f64,
    width: f64,
    class: &'static str,
    title: String,
}

/// A change of state.
#[derive(Debug, PartialEq)]
struct Mark {
    at: f64,
    class: &'static str,
    title: String,
}

/// What a pointer is told.
struct Column {
    from: f64,
    width: usize,
    title: String,
}

impl Chart {
    pub fn of(wanted: &Wanted<'_>) -> Self {
        let Wanted { title, unit, span, times, ref lines, changes, state } = *wanted;
        let most = lines.iter().flat_map(|(_, values)| values).flatten().copied().fold(0.0, f32::max);
        let scale = axis::Scale::to(most, unit);
        Self {
            title,
            label: label(title, unit, span, lines),
            width: times.len(),
            lines: drawn(lines, unit, scale.top as f32),
            values: scale.ticks(unit, TOP, HEIGHT),
            times: axis::times(times, span),
            bands: bands(times, changes, state),
            marks: changes.iter().map(|change| Mark::of(change, times)).collect(),
            columns: columns(times, lines, unit),
        }
    }

    fn top(&self) -> f64 {
        TOP
    }

    fn height(&self) -> f64 {
        HEIGHT
    }

    /// The line that the times stand on.
    fn foot(&self) -> f64 {
        TOP + HEIGHT + 15.0
    }
}

/// `Bytes, last hour: in 0 B/s to 1.2 MB/s, now 3 kB/s; out …`.
fn label(title: &str, unit: Unit, span: Span, lines: &[(&str, Vec<Option<f32>>)]) -> String {
    let several = lines.len() > 1;
    let told = lines.iter().map(|(name, values)| {
        let name = if several { format!("{name} ") } else { String::new() };
        format!("{name}{}", course_in_words(unit, values))
    });
    format!("{title}, last {}: {}", span.word(), told.collect::<Vec<_>>().join("; "))
}

/// `12 to 310, now 288`.
fn course_in_words(unit: Unit, values: &[Option<f32>]) -> String {
    let known = || values.iter().flatten().copied();
    let Some(first) = known().next() else { return "nothing is known".to_owned() };
    let (least, most) = known().fold((first, first), |(least, most), value| (least.min(value), most.max(value)));
    let range = match unit.text(least) == unit.text(most) {
        true => unit.text(most),
        false => format!("{} to {}", unit.text(least), unit.text(most)),
    };
    match values.last().copied().flatten() {
        Some(now) => format!("{range}, now {}", unit.text(now)),
        None => format!("{range}, now unknown"),
    }
}

fn drawn(lines: &[(&'static str, Vec<Option<f32>>)], unit: Unit, top: f32) -> Vec<Line> {
    const CLASSES: [&str; 3] = ["one", "two", "three"];
    let line = |(class, (name, values)): (&'static str, &(&'static str, Vec<Option<f32>>))| Line {
        class,
        name,
        now: values.last().copied().flatten().map_or_else(|| "unknown".to_owned(), |now| unit.text(now)),
        path: path(values, top),
    };
    CLASSES.into_iter().zip(lines).map(line).collect()
}

/// How far a time is into the steps: 0 at the begin of the first one, their number at the end of the last.
fn place(times: &[SystemTime], at: SystemTime) -> f64 {
    let Some(step) = times.iter().position(|end| *end >= at) else { return times.len() as f64 };
    let left = times[step].duration_since(at).unwrap_or_default().as_secs_f64();
    // The first one is as long as the next.
    let (from, to) = if step > 0 { (step - 1, step) } else { (0, 1) };
    let length = times.get(to).and_then(|to| to.duration_since(times[from]).ok()).unwrap_or_default();
    if length.is_zero() {
        return step as f64;
    }
    let length = length.as_secs_f64();
    rounded(step as f64 + (1.0 - left / length).clamp(0.0, 1.0))
}

/// Finer than a screen shows.
fn rounded(place: f64) -> f64 {
    (place * 100.0).round() / 100.0
}

impl Mark {
    fn of(change: &StateChange, times: &[SystemTime]) -> Self {
        let title = format!("{} UTC: {}", date_time(change.at), change.text);
        Self { at: place(times, change.at), class: Tone::of(change.to).class(), title }
    }
}

/// From change to change, where the state is not a good one.
fn bands(times: &[SystemTime], changes: &[StateChange], state: Option<ServerState>) -> Vec<Band> {
    let Some(state) = state else { return Vec::new() };
    let begins = std::iter::once(0.0).chain(changes.iter().map(|change| place(times, change.at)));
    let ends = changes.iter().map(|change| place(times, change.at)).chain([times.len() as f64]);
    let states = changes.iter().map(|change| change.from).chain([state]);
    let band = |((from, to), state): ((f64, f64), ServerState)| {
        let tone = Tone::of(state);
        (tone != Tone::Good && to > from).then(|| Band {
            from,
            width: rounded(to - from),
            class: tone.class(),
            title: state.word().to_owned(),
        })
    };
    begins.zip(ends).zip(states).filter_map(band).collect()
}

fn columns(times: &[SystemTime], lines: &[(&'static str, Vec<Option<f32>>)], unit: Unit) -> Vec<Column> {
    let steps = (0..times.len()).step_by(TOGETHER);
    steps
        .map(|from| {
            let to = (from + TOGETHER).min(times.len());
            let told = lines.iter().map(|(name, values)| format!("\n{name}: {}", range(&values[from..to], unit)));
            let title = format!("until {} UTC{}", clock_time(times[to - 1]), told.collect::<String>());
            Column { from: from as f64, width: to - from, title }
        })
        .collect()
}

/// `12 to 14`, or `unknown`.
fn range(values: &[Option<f32>], unit: Unit) -> String {
    let known = || values.iter().flatten().copied();
    let Some(most) = known().reduce(f32::max) else { return "unknown".to_owned() };
    let (least, most) = (unit.text(known().fold(most, f32::min)), unit.text(most));
    if least == most { most } else { format!("{least} to {most}") }
}

#[cfg(test)]
mod tests;
