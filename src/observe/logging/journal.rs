//! The journal's native protocol: a datagram of fields (systemd's "Native Journal Protocol").

use std::io::{self, Write};

use super::form::Form;
use super::syslog::cut;
use super::{News, timestamp};
use crate::observe::access_log;

/// Bytes of a line's text at most. Nothing here writes so much, but a datagram that is larger than a socket's buffer
/// would be refused whole; handing it over in a file is not worth its while.
const LONGEST: usize = 16 * 1024;

/// Before the names of our own fields.
const PREFIX: &str = "EVENKEEL_";

pub(super) fn write(tag: &str, form: &Form, news: &News, out: &mut Vec<u8>) -> io::Result<()> {
    write_field("MESSAGE", out, |out| {
        let begin = out.len();
        form.body(news, out)?;
        cut(out, begin + LONGEST);
        Ok(())
    })?;
    write_text("PRIORITY", format_args!("{}", form.severity(news).code()), out)?;
    write_text("SYSLOG_IDENTIFIER", format_args!("{tag}"), out)?;
    write_own("event", format_args!("{}", news.kind()), out)?;
    write_own("timestamp", format_args!("{}", timestamp(news.at())), out)?;
    match news {
        News::Message(message) => {
            message.fields.iter().try_for_each(|(name, value)| write_own(name, format_args!("{value}"), out))
        }
        News::Session(stage, record) => {
            access_log::each_field(*stage, record, |name, value| write_own(name, value, out))
        }
    }
}

/// A field of ours: `bytes_in` is EVENKEEL_BYTES_IN.
fn write_own(name: &str, value: std::fmt::Arguments<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    // The journal takes capitals, digits and underscores (systemd.journal-fields(7)).
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = PREFIX.chars().chain(name.chars().map(allowed)).collect();
    write_text(&name, value, out)
}

fn write_text(name: &str, value: std::fmt::Arguments<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    write_field(name, out, |out| out.write_fmt(value))
}

/// `NAME=value`, or for a value of several lines its length in binary: nothing in it can pass for another field.
fn write_field(name: &str, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    let begin = out.len();
    write!(out, "{name}=")?;
    let value_begin = out.len();
    value(out)?;
    if out[value_begin..].contains(&b'\n') {
        let value = out.split_off(value_begin);
        out.truncate(begin);
        writeln!(out, "{name}")?;
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        out.extend_from_slice(&value);
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;
    use crate::event::SessionStage;
    use crate::model::{LogFormat, LogLevel};
    use crate::observe::access_log::tests::record;

    fn written(news: &News) -> Vec<u8> {
        let mut out = Vec::new();
        write("evenkeel", &Form::stream(LogFormat::Text), news, &mut out).unwrap();
        out
    }

    #[test]
    fn a_session_has_its_fields() {
        let text = String::from_utf8(written(&News::Session(SessionStage::End, Box::new(record())))).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("MESSAGE=session client=192.0.2.7:40000 frontend=kubeAPI "), "{}", lines[0]);
        for field in [
            "PRIORITY=6",
            "SYSLOG_IDENTIFIER=evenkeel",
            "EVENKEEL_EVENT=session",
            "EVENKEEL_TIMESTAMP=1970-01-01T05:03:00.250Z",
            "EVENKEEL_SERVER=k0s-1",
            "EVENKEEL_BYTES_OUT=34",
            "EVENKEEL_DIAL_MS=0.420",
            "EVENKEEL_CAUSE=reset",
        ] {
            assert!(lines.contains(&field), "{field} in\n{text}");
        }
        assert!(lines.iter().all(|line| line.contains('=')), "{text}");
    }

    /// The protocol's own example of a value of two lines.
    #[test]
    fn a_value_of_several_lines_has_its_length() {
        let mut out = Vec::new();
        write_text("BAR", format_args!("barvalue\nsecond"), &mut out).unwrap();
        assert_eq!(out, b"BAR\n\x0f\0\0\0\0\0\0\0barvalue\nsecond\n");
    }

    #[test]
    fn nobody_can_add_a_field() {
        let message = Message::new(LogLevel::Warn, "x\nPRIORITY=0").with("said", "y\n_UID=0\nPRIORITY=0");
        let bytes = written(&News::Message(Box::new(message)));
        let text = String::from_utf8_lossy(&bytes);
        let begins = text.lines().filter(|line| line.starts_with("PRIORITY=")).count();
        // The second is within the value, whose length stands before it.
        assert_eq!((begins, text.matches("EVENKEEL_SAID\n").count()), (2, 1), "{text}");
        assert!(text.starts_with("MESSAGE=x\\nPRIORITY=0 said=\"y\\n_UID=0"), "{text}");
    }
}
