//! How things went, step by step: the last hour and the last day of every frontend, backend and server.
//!
//! Whoever has a [`Snapshot`](crate::event::Snapshot)'s parts at hand tells of them once a second ([`Series::note`]); pages
//! and JSON ask for the course of one thing ([`Series::course`]). Steps are counted on a clock that nobody sets, and are
//! called by the wall's time at their end: a wall clock that jumps moves names, never figures. What was not seen is a gap:
//! time in which the process slept, and all that was before a thing was first there.
//!
//! Nothing of it outlives the process.

mod track;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::track::{Sample, Track};
use crate::event::{BackendSnapshot, FrontendSnapshot};
use crate::model::{BackendName, FrontendName, ServerName};

/// The courses of everything that is served.
#[derive(Debug, Default)]
pub struct Series {
    book: Mutex<Option<Book>>,
}

/// How far back, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// 360 steps of ten seconds.
    Hour,
    /// 288 steps of five minutes.
    Day,
}

/// What a course has a line of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// The most that were seen open, looked at once a second.
    Sessions,
    /// Begun, per second.
    NewSessions,
    /// Bytes per second from clients to servers.
    BytesIn,
    /// And back.
    BytesOut,
    /// Seconds until a connection to the server stood: the mean of those of the step.
    DialTime,
    /// Seconds that a probe took: likewise.
    ProbeTime,
    /// Of a server: dials that failed, and sessions that it ended by an error before its first byte. Of a backend the same
    /// of its sessions, of a frontend clients that left or sent something unreadable. A number for each step.
    Errors,
    /// Probes that failed: a number for each step.
    FailedProbes,
}

/// The figures of one step, in the order of [`Figure::ALL`]; what is not known is not a number.
type Point = [f32; Figure::ALL.len()];

/// Whose course it is. Its name is all that it is known by, so that a reload which leaves the name leaves the course.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Frontend(FrontendName),
    Backend(BackendName),
    Server(BackendName, ServerName),
}

/// How one thing went: as many steps as its span has, the last one last.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    pub span: Span,
    /// When each step ended.
    pub times: Vec<SystemTime>,
    points: Vec<Point>,
}

/// How long it may be since the last look for the figures in between to be told from a sleep.
const LATE: Duration = Span::Hour.step();

impl Span {
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    pub const fn step(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(10),
            Self::Day => Duration::from_secs(5 * 60),
        }
    }

    /// How many steps are kept.
    pub const fn length(self) -> usize {
        match self {
            Self::Hour => 360,
            Self::Day => 288,
        }
    }

    pub fn whole(self) -> Duration {
        self.step() * u32::try_from(self.length()).expect("a few hundred")
    }

    /// The word for it in requests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.word() == word)
    }
}

impl Figure {
    pub const ALL: [Self; 8] = [
        Self::Sessions,
        Self::NewSessions,
        Self::BytesIn,
        Self::BytesOut,
        Self::DialTime,
        Self::ProbeTime,
        Self::Errors,
        Self::FailedProbes,
    ];

    /// Its name, with its unit, in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::NewSessions => "new_sessions_per_second",
            Self::BytesIn => "bytes_in_per_second",
            Self::BytesOut => "bytes_out_per_second",
            Self::DialTime => "dial_time_seconds",
            Self::ProbeTime => "probe_time_seconds",
            Self::Errors => "errors",
            Self::FailedProbes => "failed_probes",
        }
    }
}

impl Subject {
    /// What there is to know of it.
    pub fn figures(&self) -> &'static [Figure] {
        const OF_BACKENDS: [Figure; 6] = [
            Figure::Sessions,
            Figure::NewSessions,
            Figure::BytesIn,
            Figure::BytesOut,
            Figure::DialTime,
            Figure::Errors,
        ];
        const OF_FRONTENDS: [Figure; 5] =
            [Figure::Sessions, Figure::NewSessions, Figure::BytesIn, Figure::BytesOut, Figure::Errors];
        match self {
            Self::Frontend(_) => &OF_FRONTENDS,
            Self::Backend(_) => &OF_BACKENDS,
            Self::Server(..) => &Figure::ALL,
        }
    }
}

impl Course {
    /// One figure of every step; `None` where it is not known.
    pub fn of(&self, figure: Figure) -> Vec<Option<f32>> {
        let known = |point: &Point| Some(point[figure as usize]).filter(|value| value.is_finite());
        self.points.iter().map(known).collect()
    }
}

impl Series {
    /// Things whose courses are kept: frontends, then backends, then servers, in file order.
    pub const MOST: usize = 512;

    /// What each of them takes, in bytes.
    pub const BYTES_EACH: usize = (Span::Hour.length() + Span::Day.length()) * size_of::<Point>();

    /// Notes how everything is now, and forgets what is no longer there.
    pub fn note(&self, now: Instant, wall: SystemTime, frontends: &[FrontendSnapshot], backends: &[BackendSnapshot]) {
        self.lock().get_or_insert_with(|| Book::begun(now, wall)).note(now, wall, &samples(frontends, backends));
    }

    /// How one thing went; `None` if it has not been seen yet, or is one of too many.
    pub fn course(&self, subject: &Subject, span: Span) -> Option<Course> {
        self.lock().as_ref()?.course(subject, span)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Book>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that is looked at, those first that are kept first.
fn samples(frontends: &[FrontendSnapshot], backends: &[BackendSnapshot]) -> Vec<(Subject, Sample)> {
    let fronts = frontends.iter().map(|of| (Subject::Frontend(of.name.clone()), Sample::of_frontend(of)));
    let backs = backends.iter().map(|of| (Subject::Backend(of.name.clone()), Sample::of_backend(of)));
    let servers = backends.iter().flat_map(|backend| {
        let named = |server: &crate::event::ServerSnapshot| Subject::Server(backend.name.clone(), server.name.clone());
        backend.servers.iter().map(move |server| (named(server), Sample::of_server(server)))
    });
    fronts.chain(backs).chain(servers).collect()
}

/// The tracks, and the steps that all of them share.
#[derive(Debug)]
struct Book {
    begun: Instant,
    /// When it was last looked, and what time that was called.
    last: (Instant, SystemTime),
    /// How often it was looked.
    looks: u64,
    axes: [Axis; Span::ALL.len()],
    tracks: HashMap<Subject, Track>,
}

/// The steps of one span.
#[derive(Debug)]
struct Axis {
    span: Span,
    /// The number of the step that is open, since the beginning.
    open: u64,
    /// When those that are over ended, by the wall.
    ends: VecDeque<SystemTime>,
}

impl Book {
    fn begun(now: Instant, wall: SystemTime) -> Self {
        let axes = Span::ALL.map(|span| Axis { span, open: 0, ends: VecDeque::with_capacity(span.length()) });
        Self { begun: now, last: (now, wall), looks: 0, axes, tracks: HashMap::new() }
    }

    fn note(&mut self, now: Instant, wall: SystemTime, samples: &[(Subject, Sample)]) {
        let passed = now.saturating_duration_since(self.last.0);
        let slept = passed > LATE;
        if slept {
            // What came in between is of no step: the one that was open ends with what it had.
            self.close_steps(now, wall);
        }
        self.last = (now, wall);
        self.looks += 1;
        for (subject, sample) in samples {
            if !self.tracks.contains_key(subject) && self.tracks.len() < Series::MOST {
                self.tracks.insert(subject.clone(), Track::default());
            }
            if let Some(track) = self.tracks.get_mut(subject) {
                track.note(*sample, (!slept).then_some(passed), self.looks);
            }
        }
        self.tracks.retain(|_, track| track.is_seen_at(self.looks));
        self.close_steps(now, wall);
    }

    /// Closes every step that is over by now.
    fn close_steps(&mut self, now: Instant, wall: SystemTime) {
        let age = now.saturating_duration_since(self.begun);
        for (place, axis) in self.axes.iter_mut().enumerate() {
            let over = axis.turn(age, wall);
            if over > 0 {
                self.tracks.values_mut().for_each(|track| track.close(place, axis.span, over));
            }
        }
    }

    fn course(&self, subject: &Subject, span: Span) -> Option<Course> {
        let place = Span::ALL.iter().position(|known| *known == span)?;
        let known = self.tracks.get(subject)?.points(place);
        let missing = span.length() - known.len();
        let points = std::iter::repeat_n(track::GAP, missing).chain(known.iter().copied()).collect();
        Some(Course { span, times: self.axes[place].times(self.last.1), points })
    }
}

impl Axis {
    /// Goes on to the step of this age; how many are over.
    fn turn(&mut self, age: Duration, wall: SystemTime) -> u64 {
        let (step, length) = (self.span.step(), self.span.length());
        let open = age.as_secs() / step.as_secs();
        let over = open.saturating_sub(self.open);
        self.open = self.open.max(open);
        let since = Duration::from_secs(age.as_secs() % step.as_secs());
        for ago in (0..over.min(length as u64)).rev() {
            if self.ends.len() == length {
                self.ends.pop_front();
            }
            let ago = u32::try_from(ago).expect("no more than a span has steps");
            self.ends.push_back(before(wall, since + step * ago));
        }
        over
    }

    /// The ends of all steps of the span; those before the beginning are what they would have been.
    fn times(&self, wall: SystemTime) -> Vec<SystemTime> {
        let missing = u32::try_from(self.span.length() - self.ends.len()).expect("a few hundred");
        let first = self.ends.front().copied().unwrap_or_else(|| wall + self.span.step());
        let earlier = (1..=missing).rev().map(|ago| before(first, self.span.step() * ago));
        earlier.chain(self.ends.iter().copied()).collect()
    }
}

/// A wall clock may stand at its beginning.
fn before(wall: SystemTime, ago: Duration) -> SystemTime {
    wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
}
