//! The course of one thing: what is gathered of the steps that are open, and the points of those that are over.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Figure, Point, Span};
use crate::event::{BackendSnapshot, Counts, FrontendSnapshot, ProbeTotals, ServerSnapshot};

/// A step of which nothing is known.
pub(super) const GAP: Point = [f32::NAN; Figure::ALL.len()];

/// One thing at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    sessions: u32,
    totals: Totals,
}

/// What only grows, or begins anew at 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Totals {
    sessions: u64,
    bytes_in: u64,
    bytes_out: u64,
    dials: u64,
    dial_time: Duration,
    errors: u64,
    /// `None` if it is not probed.
    probes: Option<ProbeTotals>,
}

impl Sample {
    pub fn of_frontend(frontend: &FrontendSnapshot) -> Self {
        Self::of(&frontend.counts, frontend.counts.request_errors, None)
    }

    pub fn of_backend(backend: &BackendSnapshot) -> Self {
        Self::of(&backend.counts, backend.counts.connect_errors + backend.counts.response_errors, None)
    }

    pub fn of_server(server: &ServerSnapshot) -> Self {
        let errors = server.counts.connect_errors + server.counts.response_errors;
        Self::of(&server.counts, errors, server.check.as_ref().map(|check| check.probes))
    }

    fn of(counts: &Counts, errors: u64, probes: Option<ProbeTotals>) -> Self {
        let totals = Totals {
            sessions: counts.sessions_total,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
            dials: counts.dialled,
            dial_time: counts.dial_time,
            errors,
            probes,
        };
        Self { sessions: counts.sessions, totals }
    }
}

impl Totals {
    /// What has come since; of a count that has begun anew, all of it.
    fn since(&self, before: &Self) -> Self {
        let probes = self.probes.map(|now| {
            let before = before.probes.unwrap_or_default();
            ProbeTotals {
                ended: grown(now.ended, before.ended),
                failed: grown(now.failed, before.failed),
                time: now.time.checked_sub(before.time).unwrap_or(now.time),
            }
        });
        Self {
            sessions: grown(self.sessions, before.sessions),
            bytes_in: grown(self.bytes_in, before.bytes_in),
            bytes_out: grown(self.bytes_out, before.bytes_out),
            dials: grown(self.dials, before.dials),
            dial_time: self.dial_time.checked_sub(before.dial_time).unwrap_or(self.dial_time),
            errors: grown(self.errors, before.errors),
            probes,
        }
    }

    fn add(&mut self, more: &Self) {
        self.sessions += more.sessions;
        self.bytes_in += more.bytes_in;
        self.bytes_out += more.bytes_out;
        self.dials += more.dials;
        self.dial_time += more.dial_time;
        self.errors += more.errors;
        if let Some(more) = more.probes {
            let probes = self.probes.get_or_insert_default();
            probes.ended += more.ended;
            probes.failed += more.failed;
            probes.time += more.time;
        }
    }
}

fn grown(now: u64, before: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

/// The course of one thing, in each span.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// The last look that found it.
    seen: u64,
    before: Option<Totals>,
    /// In the order of [`Span::ALL`].
    courses: [Steps; Span::ALL.len()],
}

#[derive(Debug, Default)]
struct Steps {
    open: Gathered,
    /// Takes its whole memory with the first.
    points: VecDeque<Point>,
}

/// What has been seen of a step.
#[derive(Debug, Default)]
struct Gathered {
    most_sessions: Option<u32>,
    /// The time that the sums are of.
    known: Duration,
    sums: Totals,
}

impl Track {
    /// Notes how it is at a look; `passed` is the time since the look before, if the two belong together.
    pub fn note(&mut self, sample: Sample, passed: Option<Duration>, look: u64) {
        let grown = self.before.filter(|_| self.seen + 1 == look).map(|before| sample.totals.since(&before));
        for Steps { open, .. } in &mut self.courses {
            open.most_sessions = open.most_sessions.max(Some(sample.sessions));
            if let (Some(grown), Some(passed)) = (&grown, passed) {
                open.known += passed;
                open.sums.add(grown);
            }
        }
        self.before = Some(sample.totals);
        self.seen = look;
    }

    pub fn is_seen_at(&self, look: u64) -> bool {
        self.seen == look
    }

    /// Ends the step that is open in a span, and so many in all: nothing is known of those behind it.
    pub fn close(&mut self, place: usize, span: Span, over: u64) {
        let Steps { open, points } = &mut self.courses[place];
        if points.capacity() == 0 {
            points.reserve_exact(span.length());
        }
        let point = std::mem::take(open).point();
        let gaps = usize::try_from(over - 1).unwrap_or(usize::MAX).min(span.length());
        for point in std::iter::once(point).chain(std::iter::repeat_n(GAP, gaps)) {
            if points.len() == span.length() {
                points.pop_front();
            }
            points.push_back(point);
        }
    }

    /// The points of a span, the last one last.
    pub fn points(&self, place: usize) -> &VecDeque<Point> {
        &self.courses[place].points
    }
}

impl Gathered {
    fn point(&self) -> Point {
        let Totals { sessions, bytes_in, bytes_out, dials, dial_time, errors, probes } = self.sums;
        let known = self.known.as_secs_f64();
        let rate = |sum: u64| (sum as f64 / known) as f32;
        let number = |sum: u64| if known > 0.0 { sum as f32 } else { f32::NAN };
        // Without any, a mean is not a number, which is what it is called here.
        let mean = |time: Duration, of: u64| (time.as_secs_f64() / of as f64) as f32;
        let probes_seen = probes.unwrap_or_default();
        let value = |figure| match figure {
            Figure::Sessions => self.most_sessions.map_or(f32::NAN, |most| most as f32),
            Figure::NewSessions => rate(sessions),
            Figure::BytesIn => rate(bytes_in),
            Figure::BytesOut => rate(bytes_out),
            Figure::DialTime => mean(dial_time, dials),
            Figure::ProbeTime => mean(probes_seen.time, probes_seen.ended),
            Figure::Errors => number(errors),
            Figure::FailedProbes if probes.is_none() => f32::NAN,
            Figure::FailedProbes => number(probes_seen.failed),
        };
        Figure::ALL.map(value)
    }
}
