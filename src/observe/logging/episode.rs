//! Whether a target takes lines, and who is told when it does not: once for each time that it lasts.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::form::Form;
use super::message::Message;
use super::{Lines, News, Tally};
use crate::model::{LogFormat, LogLevel};

/// How long a target must have taken all its lines until it counts as back. Over UDP a refusal comes late or not at all,
/// and every second line seems to be taken.
const CALM: Duration = Duration::from_secs(3);

pub(super) struct Episode {
    tally: Arc<Tally>,
    /// The other targets.
    others: Lines,
    /// The last failure of an episode that is not over.
    failed: Option<Instant>,
}

impl Episode {
    pub(super) fn new(tally: Arc<Tally>, others: Lines) -> Self {
        Self { tally, others, failed: None }
    }

    /// The target did not take what was written to it.
    pub(super) fn failed(&mut self, error: &io::Error) {
        if self.failed.replace(Instant::now()).is_some() {
            return;
        }
        self.tally.away.store(true, Relaxed);
        let message = Message::new(LogLevel::Warn, "a log target takes no lines");
        self.tell(message.with("target", self.tally.name.as_str()).with("error", reason(error).as_str()));
    }

    /// The target took what was written to it.
    pub(super) fn delivered(&mut self) {
        if self.failed.is_some_and(|failed| failed.elapsed() >= CALM) {
            self.failed = None;
            self.tally.away.store(false, Relaxed);
            let message = Message::new(LogLevel::Info, "the log target takes lines again");
            self.tell(message.with("target", self.tally.name.as_str()).with("dropped", self.tally.dropped()));
        }
    }

    /// Tells the other targets, or standard error if none wants it.
    fn tell(&self, message: Message) {
        let news = News::Message(Box::new(message));
        if !self.others.send(news.clone()) {
            let mut line = Vec::new();
            Form::stream(LogFormat::Text).write(&news, &mut line);
            // Where that can't take it either, nobody can be told.
            let _ = io::stderr().write_all(&line);
        }
    }
}

/// Why, in an operator's words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "its receiver does not read".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => error.to_string(),
    }
}
