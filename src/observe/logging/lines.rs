//! Lines on their way: what they say, and the bounded queue of each target.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use super::message::Message;
use crate::event::{LogTargetSnapshot, SessionRecord, SessionStage};
use crate::model::LogLevel;

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
    level: LogLevel,
    pub(super) tally: Arc<Tally>,
}

impl Way {
    /// A way of so many places, and its end.
    pub(super) fn of(places: usize, name: String, level: LogLevel) -> (Self, Receiver<Line>) {
        let (queue, arriving) = sync_channel(places);
        (Self { queue, level, tally: Tally::new(name) }, arriving)
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
    /// Sends to each target that wants lines of this level; says whether there is one. A single target costs no copy.
    pub(in crate::observe) fn send(&self, news: News) -> bool {
        let level = news.level();
        let mut wanting = self.0.iter().filter(|way| way.level >= level);
        let Some(mut way) = wanting.next() else { return false };
        for next in wanting {
            way.send(news.clone());
            way = next;
        }
        way.send(news);
        true
    }

    /// The least grave level that any target wants.
    pub(super) fn level(&self) -> LogLevel {
        self.0.iter().map(|way| way.level).max().unwrap_or(LogLevel::Error)
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
