//! Lines on their way: what they say, and the bounded queue of each target.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use super::form::severity;
use super::message::Message;
use crate::event::{Cause, LogTargetSnapshot, SessionRecord, SessionStage};
use crate::model::{LogFormat, LogLevel, LogLines, LogTarget, Severities};

/// What a line says.
#[derive(Debug, Clone)]
pub(in crate::observe) enum News {
    Message(Box<Message>),
    Session(SessionStage, Box<SessionRecord>),
}

impl News {
    pub(super) fn level(&self) -> LogLevel {
        match self {
            Self::Message(message) => message.level,
            Self::Session(..) => LogLevel::Info,
        }
    }

    /// Whether HAProxy would write it.
    fn is_haproxys(&self) -> bool {
        match self {
            Self::Message(message) => message.haproxys.is_some(),
            // What ends with the process ends there without a line.
            Self::Session(_, record) => record.ending.cause != Cause::Shutdown,
        }
    }

    /// The frontend or the backend that it is about.
    fn proxy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Message(message) => {
                let field = ["backend", "frontend"].into_iter().find_map(|name| message.field(name))?;
                Some(field.to_string().into())
            }
            Self::Session(_, record) => Some(record.frontend.as_str().into()),
        }
    }

    /// When it happened, however late it is written.
    pub(super) fn at(&self) -> SystemTime {
        match self {
            Self::Message(message) => message.at,
            Self::Session(_, record) => record.ended,
        }
    }

    /// The word for its kind, where a format has a place for that.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Session(SessionStage::Open, _) => "open",
            Self::Session(SessionStage::Progress, _) => "progress",
            Self::Session(SessionStage::End, _) => "session",
        }
    }
}

/// Which lines a target takes.
#[derive(Debug, Clone)]
pub(super) struct Wants {
    pub(super) level: LogLevel,
    pub(super) format: LogFormat,
    pub(super) lines: LogLines,
    pub(super) proxies: Option<Arc<BTreeSet<String>>>,
    pub(super) severities: Severities,
}

impl Wants {
    pub(super) fn of(target: &LogTarget) -> Self {
        Self {
            level: target.level,
            format: target.format,
            lines: target.lines,
            proxies: target.proxies.clone().map(Arc::new),
            severities: target.severities,
        }
    }

    /// Everything from a level on.
    pub(super) fn everything(format: LogFormat, level: LogLevel) -> Self {
        Self { level, format, lines: LogLines::All, proxies: None, severities: Severities::ALL }
    }

    fn takes(&self, news: &News) -> bool {
        self.level >= news.level()
            && (self.lines == LogLines::All || news.is_haproxys())
            && self.proxies.as_ref().is_none_or(|proxies| news.proxy().is_some_and(|name| proxies.contains(&*name)))
            && self.severities.of(severity(self.format, news)).is_some()
    }
}

/// One line on its way.
#[derive(Debug)]
pub(super) enum Line {
    News(News),
    /// The last one.
    End(SyncSender<()>),
}

/// The way into the queue of one target.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) queue: SyncSender<Line>,
    wants: Wants,
    pub(super) tally: Arc<Tally>,
}

impl Way {
    /// A way of so many places, and its end.
    pub(super) fn of(places: usize, name: String, wants: Wants) -> (Self, Receiver<Line>) {
        let (queue, arriving) = sync_channel(places);
        (Self { queue, wants, tally: Tally::new(name) }, arriving)
    }

    fn send(&self, news: News) {
        if self.queue.try_send(Line::News(news)).is_err() {
            self.tally.drop_lines(1);
        }
    }
}

/// The ways into the queues of all targets.
#[derive(Debug, Clone)]
pub(in crate::observe) struct Lines(pub(super) Arc<[Way]>);

impl Lines {
    /// Sends to each target that takes such lines; says whether there is one. A single target costs no copy.
    pub(in crate::observe) fn send(&self, news: News) -> bool {
        let mut taken = self.0.iter().filter(|way| way.wants.takes(&news)).peekable();
        while let Some(way) = taken.next() {
            if taken.peek().is_none() {
                drop(taken);
                way.send(news);
                return true;
            }
            way.send(news.clone());
        }
        false
    }

    /// The least grave level that any target wants.
    pub(super) fn level(&self) -> LogLevel {
        self.0.iter().map(|way| way.wants.level).max().unwrap_or(LogLevel::Error)
    }

    /// All but the one of this number.
    pub(super) fn without(&self, number: usize) -> Self {
        let others = self.0.iter().enumerate().filter(|(index, _)| *index != number);
        Self(others.map(|(_, way)| way.clone()).collect())
    }
}

/// How a target fares, readable from any thread.
#[derive(Debug)]
pub struct Tally {
    pub(super) name: String,
    dropped: AtomicU64,
    pub(super) away: AtomicBool,
}

impl Tally {
    fn new(name: String) -> Arc<Self> {
        Arc::new(Self { name, dropped: AtomicU64::new(0), away: AtomicBool::new(false) })
    }

    pub(super) fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub fn snapshot(&self) -> LogTargetSnapshot {
        LogTargetSnapshot { name: self.name.clone(), dropped: self.dropped(), reached: !self.away.load(Relaxed) }
    }
}
