//! What the process says of itself, as plain values, and as text and JSON.

use std::error::Error;
use std::fmt::{self, Debug};
use std::io::{self, Write};
use std::time::SystemTime;

use tracing::Event;
use tracing::field::{Field, Visit};

use super::tcplog::Haproxys;
use super::timestamp;
use crate::clock;
use crate::model::{LogLevel, Severity};

/// Bytes of a text at most: a message quotes what peers say, and they may say much.
const TEXT: usize = 2048;

/// One message, with its fields in the order in which they were named.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::observe) struct Message {
    pub(super) at: SystemTime,
    pub(super) level: LogLevel,
    pub(super) text: String,
    pub(super) fields: Vec<(&'static str, Value)>,
    /// What HAProxy writes of the same.
    pub(super) haproxys: Option<Haproxys>,
}

/// The fields of an event that are no fields of the message: what HAProxy writes of it, and how gravely.
pub(super) const HAPROXYS_TEXT: &str = "haproxys_text";
pub(super) const HAPROXYS_SEVERITY: &str = "haproxys_severity";

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text, which stands in quotation marks where only they show its end.
    Quoted(String),
    /// A name, an address or the like, which shows its end by itself.
    Plain(String),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Flag(bool),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Quoted(cut(text.to_owned()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quoted(text) | Self::Plain(text) => f.write_str(text),
            Self::Signed(number) => write!(f, "{number}"),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

impl Message {
    /// One of now, without fields.
    pub(super) fn new(level: LogLevel, text: &str) -> Self {
        Self { at: clock::wall(), level, text: text.to_owned(), fields: Vec::new(), haproxys: None }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// What an event of `tracing` says.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut message = Self::new(level(*event.metadata().level()), "");
        event.record(&mut message);
        message
    }

    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The message and its fields: `server is down backend=kubeAPI_backend server=k0s-1 detail="connection refused"`.
    pub(super) fn write_text(&self, colours: bool, out: &mut Vec<u8>) -> io::Result<()> {
        let (italic, plain) = if colours { ("\x1b[3m", "\x1b[0m") } else { ("", "") };
        write_escaped(&self.text, out)?;
        for (name, value) in &self.fields {
            write!(out, " {italic}{name}{plain}=")?;
            match value {
                // Quoting escapes whatever would end a line.
                Value::Quoted(text) => write!(out, "{text:?}")?,
                Value::Plain(text) => write_escaped(text, out)?,
                other => write!(out, "{other}")?,
            }
        }
        Ok(())
    }

    /// One JSON object.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, r#"{{"timestamp":"{}","level":"{}","message":"#, timestamp(self.at), level_word(self.level))?;
        write_json_string(&self.text, out)?;
        for (name, value) in &self.fields {
            out.push(b',');
            write_json_string(name, out)?;
            out.push(b':');
            match value {
                Value::Quoted(text) | Value::Plain(text) => write_json_string(text, out)?,
                // JSON has no word for what is not a number.
                Value::Float(number) if !number.is_finite() => write!(out, "null")?,
                other => write!(out, "{other}")?,
            }
        }
        write!(out, "}}")
    }

    fn haproxys_mut(&mut self) -> &mut Haproxys {
        self.haproxys.get_or_insert_with(|| Haproxys { severity: Severity::Notice, text: String::new() })
    }

    fn note(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (HAPROXYS_TEXT, Value::Quoted(text) | Value::Plain(text)) => self.haproxys_mut().text = text,
            (HAPROXYS_SEVERITY, Value::Unsigned(code)) => self.haproxys_mut().severity = Severity::from_code(code),
            ("message", Value::Quoted(text) | Value::Plain(text)) => self.text = text,
            (name, value) => self.fields.push((name.trim_start_matches("r#"), value)),
        }
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.note(field, Value::Plain(cut(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, Value::Flag(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.note(field, Value::Plain(cut(value.to_string())));
    }
}

fn level(level: tracing::Level) -> LogLevel {
    match level {
        tracing::Level::ERROR => LogLevel::Error,
        tracing::Level::WARN => LogLevel::Warn,
        tracing::Level::INFO => LogLevel::Info,
        tracing::Level::DEBUG => LogLevel::Debug,
        tracing::Level::TRACE => LogLevel::Trace,
    }
}

/// The word for a level in lines.
pub(super) fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    }
}

/// At most [`TEXT`] bytes of a text, and how many are missing.
fn cut(mut text: String) -> String {
    if text.len() > TEXT {
        let kept = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let missing = text.len() - kept;
        text.truncate(kept);
        text.push_str(&format!("... ({missing} bytes cut)"));
    }
    text
}

/// Appends a text; what would end a line or steer a terminal is written as Rust would write it.
pub(super) fn write_escaped(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    for part in text.split_inclusive(char::is_control) {
        match part.chars().next_back().filter(|last| last.is_control()) {
            Some(control) => write!(out, "{}{}", &part[..part.len() - control.len_utf8()], control.escape_default())?,
            None => out.extend_from_slice(part.as_bytes()),
        }
    }
    Ok(())
}

/// Appends a JSON string (RFC 8259, section 7).
fn write_json_string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            '\n' => out.extend_from_slice(b"\\n"),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => write!(out, "{c}")?,
        }
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &Message) -> String {
        let mut out = Vec::new();
        message.write_text(false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// As an event has it whose peer tries to write lines of its own.
    fn hostile() -> Message {
        let mut message = Message::new(LogLevel::Warn, "odd\nlevel=ERROR");
        message.fields.push(("detail", Value::Plain("a\r\nb\u{1b}[2J\u{85}c".to_owned())));
        message.with("said", "\"x\"\n")
    }

    #[test]
    fn no_text_can_end_its_line() {
        // Tried: writing `Value::Plain` as it is lets the second line through.
        let text = text(&hostile());
        assert_eq!(text, r#"odd\nlevel=ERROR detail=a\r\nb\u{1b}[2J\u{85}c said="\"x\"\n""#);
    }

    #[test]
    fn json_keeps_what_was_said() {
        let mut out = Vec::new();
        hostile().with("lines", 7).write_json(&mut out).unwrap();
        assert!(!out.contains(&b'\n'));
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["message"], "odd\nlevel=ERROR");
        assert_eq!(json["detail"], "a\r\nb\u{1b}[2J\u{85}c");
        assert_eq!((&json["said"], &json["lines"], &json["level"]), (&"\"x\"\n".into(), &7.into(), &"WARN".into()));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let Value::Quoted(text) = Value::from(format!("x{}", "ä".repeat(TEXT)).as_str()) else { panic!("a text") };
        assert_eq!(text.len(), TEXT - 1 + "... (2050 bytes cut)".len());
        assert!(text.ends_with("ä... (2050 bytes cut)"), "{text}");
    }
}
