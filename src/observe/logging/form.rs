//! How a line is written for a target: its format, and what the target wants around it.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use super::message::level_word;
use super::syslog::Header;
use super::{News, journal, syslog, tcplog, timestamp};
use crate::model::{LogFormat, LogLevel, LogLines, LogPlace, LogTarget, Severities, Severity};
use crate::observe::access_log;

#[derive(Debug)]
pub(super) struct Form {
    pub(super) format: LogFormat,
    /// Whether it is for whoever expects HAProxy's lines, and no others.
    pub(super) lines: LogLines,
    severities: Severities,
    frame: Frame,
}

/// What the target wants around what a line says.
#[derive(Debug)]
enum Frame {
    /// Time and level before it, and the line's end behind it.
    Stream {
        colours: bool,
    },
    /// The same after the line's priority, as sd-daemon(3) has it.
    Prefixed,
    Syslog(Header),
    Journal {
        tag: String,
    },
}

impl Form {
    pub(super) fn of(target: &LogTarget) -> Self {
        let frame = match &target.place {
            LogPlace::Stdout if is_journal(&io::stdout()) => Frame::Prefixed,
            LogPlace::Stdout => Frame::Stream { colours: io::stdout().is_terminal() },
            LogPlace::Journald { tag, .. } => Frame::Journal { tag: tag.clone() },
            LogPlace::Syslog(syslog) => Frame::Syslog(Header::of(syslog)),
        };
        Self { format: target.format, lines: target.lines, severities: target.severities, frame }
    }

    /// Plain lines.
    pub(super) fn stream(format: LogFormat) -> Self {
        let frame = Frame::Stream { colours: false };
        Self { format, lines: LogLines::All, severities: Severities::ALL, frame }
    }

    /// Appends one line of a stream, or one whole datagram.
    pub(super) fn write(&self, news: &News, out: &mut Vec<u8>) {
        // Writing into memory can't fail.
        let _ = match &self.frame {
            Frame::Stream { colours } => self.line(news, *colours, out),
            Frame::Prefixed => {
                write!(out, "<{}>", self.severity(news).code()).and_then(|()| self.line(news, false, out))
            }
            Frame::Syslog(header) => syslog::write(header, self, news, out),
            Frame::Journal { tag } => journal::write(tag, self, news, out),
        };
    }

    fn line(&self, news: &News, colours: bool, out: &mut Vec<u8>) -> io::Result<()> {
        if self.format == LogFormat::Text {
            let (at, level) = (timestamp(news.at()), level_word(news.level()));
            match colour(news.level()).filter(|_| colours) {
                Some(colour) => write!(out, "\x1b[2m{at}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m ")?,
                None => write!(out, "{at} {level:>5} ")?,
            }
        }
        self.say(news, colours, out)?;
        out.push(b'\n');
        Ok(())
    }

    /// What a line says, without what the target knows otherwise.
    pub(super) fn body(&self, news: &News, out: &mut Vec<u8>) -> io::Result<()> {
        self.say(news, false, out)
    }

    fn say(&self, news: &News, colours: bool, out: &mut Vec<u8>) -> io::Result<()> {
        match (self.format, news) {
            (LogFormat::Text, News::Message(message)) => message.write_text(colours, out),
            (LogFormat::Text, News::Session(stage, record)) => access_log::text(*stage, record, out),
            (LogFormat::Json, News::Message(message)) => message.write_json(out),
            (LogFormat::Json, News::Session(stage, record)) => access_log::json(*stage, record, out),
            (LogFormat::Tcplog, News::Message(message)) => tcplog::message(message, out),
            (LogFormat::Tcplog, News::Session(stage, record)) => tcplog::session(*stage, record, out),
        }
    }

    /// What the target is to take a line as.
    pub(super) fn severity(&self, news: &News) -> Severity {
        let severity = severity(self.format, news);
        self.severities.of(severity).unwrap_or(severity)
    }
}

/// How grave a line of this format is.
pub(super) fn severity(format: LogFormat, news: &News) -> Severity {
    match (format, news) {
        (LogFormat::Tcplog, News::Message(message)) => tcplog::severity(message),
        (LogFormat::Tcplog, News::Session(_, record)) => tcplog::session_severity(record),
        _ => Severity::of(news.level()),
    }
}

/// A level's colour on a terminal (ECMA-48, SGR).
fn colour(level: LogLevel) -> Option<u8> {
    Some(match level {
        LogLevel::Error => 31,
        LogLevel::Warn => 33,
        LogLevel::Info => 32,
        LogLevel::Debug => 34,
        LogLevel::Trace => 35,
    })
}

/// Whether the journal reads this output as a stream (systemd.exec(5), `$JOURNAL_STREAM`).
fn is_journal(output: &impl AsFd) -> bool {
    let (Ok(stream), Ok(stat)) = (env::var("JOURNAL_STREAM"), rustix::fs::fstat(output)) else { return false };
    names(&stream, stat.st_dev, stat.st_ino)
}

/// Whether `stream` is this device and inode. The variable is inherited also by whoever's output was sent elsewhere.
fn names(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(first, second)| first.parse() == Ok(device) && second.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_stream_is_the_one_that_the_variable_names() {
        assert!(names("9:41873", 9, 41873));
        for other in ["9:41874", "8:41873", "9", "", "9:", "9:41873:1", "a:41873"] {
            assert!(!names(other, 9, 41873), "{other}");
        }
    }
}
