//! The part of a page that looks back: charts of an hour or a day, and the changes of state that they mark.

use std::time::SystemTime;

use askama::Template;

use super::super::changes::StateChange;
use super::super::chart::{self, Chart, Unit};
use super::super::headline::Tone;
use super::super::past::Past;
use super::state::mark;
use super::time::{Time, time};
use crate::event::ServerState;
use crate::observe::series::{Course, Figure, Series, Span, Subject};

/// Changes that are told beneath the charts; all of them are marked in these.
const TOLD: usize = 20;

#[derive(Template)]
#[template(path = "charts.html")]
pub(super) struct Charts {
    spans: Vec<SpanLink>,
    charts: Vec<Chart>,
    /// The newest first.
    changes: Vec<Told>,
    /// Changes that are not told.
    more: usize,
    most: usize,
}

struct SpanLink {
    word: &'static str,
    name: &'static str,
    is_shown: bool,
}

/// A change in the list.
struct Told {
    at: Time,
    tone: &'static str,
    mark: &'static str,
    word: &'static str,
    text: String,
}

impl Charts {
    /// `state` is a server's present one; charts of a backend have none behind their lines.
    pub fn of(subject: &Subject, past: &Past, state: Option<ServerState>, now: SystemTime) -> Self {
        let charts = past.course.as_ref().map(|course| drawn(subject, course, &past.changes, state));
        Self {
            spans: Span::ALL.map(|span| SpanLink::of(span, past.span)).into(),
            charts: charts.unwrap_or_default(),
            changes: past.changes.iter().rev().take(TOLD).map(|change| Told::of(change, now)).collect(),
            more: past.changes.len().saturating_sub(TOLD),
            most: Series::MOST,
        }
    }
}

impl SpanLink {
    fn of(span: Span, shown: Span) -> Self {
        let name = match span {
            Span::Hour => "Last hour",
            Span::Day => "Last 24 hours",
        };
        Self { word: span.word(), name, is_shown: span == shown }
    }
}

impl Told {
    fn of(change: &StateChange, now: SystemTime) -> Self {
        let tone = Tone::of(change.to).class();
        Self { at: time(change.at, now), tone, mark: mark(tone), word: change.to.word(), text: change.text.clone() }
    }
}

/// Each chart with its unit and its lines.
type Plan = (&'static str, Unit, &'static [(&'static str, Figure)]);

const PLANS: [Plan; 5] = [
    ("Sessions", Unit::Count, &[("open", Figure::Sessions)]),
    ("New sessions", Unit::PerSecond, &[("begun", Figure::NewSessions)]),
    ("Bytes", Unit::BytesPerSecond, &[("in", Figure::BytesIn), ("out", Figure::BytesOut)]),
    ("Time", Unit::Seconds, &[("to connect", Figure::DialTime), ("of a probe", Figure::ProbeTime)]),
    ("Errors in a step", Unit::Count, &[("of sessions", Figure::Errors), ("of probes", Figure::FailedProbes)]),
];

fn drawn(subject: &Subject, course: &Course, changes: &[StateChange], state: Option<ServerState>) -> Vec<Chart> {
    let has = subject.figures();
    let chart = |(title, unit, lines): Plan| {
        let lines = lines.iter().filter(|(_, figure)| has.contains(figure));
        Chart::of(&chart::Wanted {
            title,
            unit,
            span: course.span,
            times: &course.times,
            lines: lines.map(|(name, figure)| (*name, course.of(*figure))).collect(),
            changes,
            state,
        })
    };
    PLANS.into_iter().map(chart).collect()
}
