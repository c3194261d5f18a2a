//! Syslog messages: RFC 3164, as HAProxy writes it, and RFC 5424.

use std::io::{self, Write};

use super::form::Form;
use super::message::write_escaped;
use super::{News, moment, timestamp};
use crate::model::{Facility, LogFormat, LogLines, Severity, Syslog, SyslogProtocol};
use crate::observe::access_log;

/// Names our structured data. No number is registered for evenkeel: this is the one for examples (RFC 5612).
const STRUCTURE: &str = "evenkeel@32473";

/// What every message of a target begins with.
#[derive(Debug)]
pub(super) struct Header {
    protocol: SyslogProtocol,
    facility: Facility,
    tag: String,
    host: String,
    process: u32,
    longest: usize,
}

impl Header {
    pub(super) fn of(syslog: &Syslog) -> Self {
        Self {
            protocol: syslog.protocol,
            facility: syslog.facility,
            tag: syslog.tag.clone(),
            host: host_name(&rustix::system::uname().nodename().to_string_lossy()),
            process: std::process::id(),
            longest: syslog.length,
        }
    }

    /// PRI (RFC 5424, section 6.2.1).
    fn priority(&self, severity: Severity) -> u8 {
        self.facility as u8 * 8 + severity.code()
    }
}

/// A host's name as a header takes it: printable ASCII, or `-` (RFC 5424, section 6.2.4).
fn host_name(name: &str) -> String {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// Appends a whole message, cut to what receivers take.
pub(super) fn write(header: &Header, form: &Form, news: &News, out: &mut Vec<u8>) -> io::Result<()> {
    let begin = out.len();
    let priority = header.priority(form.severity(news));
    match header.protocol {
        SyslogProtocol::Rfc3164 => {
            write!(out, "<{priority}>{} {}[{}]: ", moment::rfc3164(news.at()), header.tag, header.process)?;
        }
        SyslogProtocol::Rfc5424 => {
            // HAProxy leaves its host to the receiver, unless `log-send-hostname` says otherwise.
            let host = if form.lines == LogLines::Haproxys { "-" } else { &header.host };
            write!(out, "<{priority}>1 {} {host} ", timestamp(news.at()))?;
            write!(out, "{} {} ", header.tag, header.process)?;
            write_fields(header, form, news, out)?;
        }
    }
    form.body(news, out)?;
    if form.lines == LogLines::Haproxys {
        // HAProxy says less than the receiver takes, and ends each message as a line.
        out.truncate(begin + header.longest - 1);
        out.push(b'\n');
    } else {
        cut(out, begin + header.longest);
    }
    Ok(())
}

/// MSGID and the fields; HAProxy has neither.
fn write_fields(header: &Header, form: &Form, news: &News, out: &mut Vec<u8>) -> io::Result<()> {
    if form.lines == LogLines::Haproxys {
        return write!(out, "- - ");
    }
    write!(out, "{} ", news.kind())?;
    write_structure(header.longest, form.format, news, out)?;
    out.push(b' ');
    Ok(())
}

/// The line's fields as structured data (RFC 5424, section 6.3); `-` if the message has them as JSON, or if they would
/// leave it too little room.
fn write_structure(longest: usize, format: LogFormat, news: &News, out: &mut Vec<u8>) -> io::Result<()> {
    let begin = out.len();
    if format != LogFormat::Json {
        write!(out, "[{STRUCTURE}")?;
        match news {
            News::Message(message) => {
                for (name, value) in &message.fields {
                    write_parameter(name, &value.to_string(), out)?;
                }
            }
            News::Session(stage, record) => {
                access_log::each_field(*stage, record, |name, value| write_parameter(name, &value.to_string(), out))?;
            }
        }
        out.push(b']');
    }
    let empty = out.len() - begin <= STRUCTURE.len() + 2;
    if empty || out.len() - begin > longest / 2 {
        out.truncate(begin);
        out.push(b'-');
    }
    Ok(())
}

/// One parameter; `"`, `\` and `]` are escaped (section 6.3.3), and so is what would end a line.
fn write_parameter(name: &str, value: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let mut text = Vec::new();
    write_escaped(value, &mut text)?;
    write!(out, " {name}=\"")?;
    for byte in text {
        if matches!(byte, b'"' | b'\\' | b']') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}

/// Cuts what is longer than `longest`, between characters, and says so at its end.
pub(super) fn cut(out: &mut Vec<u8>, longest: usize) {
    if out.len() <= longest {
        return;
    }
    let note = format!("... ({} bytes cut)", out.len() - longest);
    let mut end = longest.saturating_sub(note.len());
    // A byte of this form goes on with a character (RFC 3629, section 3).
    while end > 0 && out[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    out.truncate(end);
    out.extend_from_slice(note.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::message::Message;
    use super::*;
    use crate::event::SessionStage;
    use crate::model::{DatagramAddress, LogLevel, LogPlace, LogTarget};
    use crate::observe::access_log::tests::record;

    fn header(protocol: SyslogProtocol, facility: Facility) -> Header {
        let host = "mymachine.example.com".to_owned();
        let longest = Syslog::usual_length(protocol);
        Header { protocol, facility, tag: "su".to_owned(), host, process: 230, longest }
    }

    fn form(format: LogFormat) -> Form {
        Form::stream(format)
    }

    fn written(header: &Header, format: LogFormat, news: &News) -> String {
        let mut out = Vec::new();
        write(header, &form(format), news, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn message(at: u64, text: &str) -> Message {
        Message { at: SystemTime::UNIX_EPOCH + Duration::from_millis(at), ..Message::new(LogLevel::Error, text) }
    }

    /// RFC 5424, section 6.5: the first examples' priorities and time; 34 is auth and critical, here error.
    #[test]
    fn a_header_is_as_in_the_rfcs_examples() {
        let lonvick = message(1_065_910_455_003, "'su root' failed for lonvick on /dev/pts/8");
        let news = News::Message(Box::new(lonvick));
        assert_eq!(
            written(&header(SyslogProtocol::Rfc5424, Facility::Auth), LogFormat::Text, &news),
            "<35>1 2003-10-11T22:14:15.003Z mymachine.example.com su 230 message - 'su root' failed for lonvick on \
             /dev/pts/8"
        );
        // RFC 3164, section 5.4, example 1, as HAProxy has it: without the host, with the process.
        let local = moment::rfc3164(news.at());
        assert_eq!(
            written(&header(SyslogProtocol::Rfc3164, Facility::Auth), LogFormat::Text, &news),
            format!("<35>{local} su[230]: 'su root' failed for lonvick on /dev/pts/8")
        );
    }

    #[test]
    fn a_priority_is_eight_times_the_facility_and_the_severity() {
        let of = |facility, severity| header(SyslogProtocol::Rfc3164, facility).priority(severity);
        // RFC 5424, section 6.2.1: kernel and emergency; local use 4 and notice.
        assert_eq!((of(Facility::Kern, Severity::Emergency), of(Facility::Local4, Severity::Notice)), (0, 165));
        // What HAProxy writes with `local2` for sessions, and of servers that are down.
        assert_eq!((of(Facility::Local2, Severity::Info), of(Facility::Local2, Severity::Alert)), (150, 145));
    }

    /// RFC 5424, section 6.3.5, example 1, has these parameters.
    #[test]
    fn fields_are_structured_data_with_its_escapes() {
        let fields = message(0, "x").with("iut", "3").with("eventSource", "Application").with("eventID", "1011");
        let mut out = Vec::new();
        write_structure(2048, LogFormat::Text, &News::Message(Box::new(fields)), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"[evenkeel@32473 iut="3" eventSource="Application" eventID="1011"]"#);
        // Tried: without the escape of `]` the data would end within the value.
        let mut out = Vec::new();
        write_parameter("said", "a\"b\\c]d\ne", &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#" said="a\"b\\c\]d\\ne""#);
    }

    #[test]
    fn a_session_has_its_fields_in_structured_data_and_json_has_them_once() {
        let news = News::Session(SessionStage::End, Box::new(record()));
        let header = header(SyslogProtocol::Rfc5424, Facility::Local2);
        let text = written(&header, LogFormat::Tcplog, &news);
        assert!(text.starts_with("<150>1 1970-01-01T05:03:00.250Z mymachine.example.com su 230 session "), "{text}");
        for field in [r#"client="192.0.2.7:40000""#, r#"server="k0s-1""#, r#"cause="reset""#, r#"letters="CD""#] {
            assert!(text.contains(field), "{field} in {text}");
        }
        assert!(text.contains("] 192.0.2.7:40000 ["), "{text}");
        let json = written(&header, LogFormat::Json, &news);
        assert!(json.contains(" session - {\"timestamp\""), "{json}");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        for (protocol, longest) in [(SyslogProtocol::Rfc3164, 1024), (SyslogProtocol::Rfc5424, 2048)] {
            let long = message(0, &"ä".repeat(2000)).with("detail", "y".repeat(1500).as_str());
            let header = header(protocol, Facility::Daemon);
            let text = written(&header, LogFormat::Text, &News::Message(Box::new(long)));
            assert!(text.len() <= longest && text.len() > longest - 2, "{} bytes", text.len());
            assert!(text.ends_with(" bytes cut)"), "{text}");
        }
    }

    #[test]
    fn a_host_name_is_printable_or_left_out() {
        assert_eq!((host_name("lb-1"), host_name("l b\n"), host_name("")), ("lb-1".into(), "lb".into(), "-".into()));
    }

    #[test]
    fn a_target_of_syslog_has_no_line_end() {
        let place = LogPlace::Syslog(Syslog {
            address: DatagramAddress::Unix("/dev/log".into()),
            protocol: SyslogProtocol::Rfc3164,
            facility: Facility::Local2,
            tag: "evenkeel".to_owned(),
            length: 1024,
        });
        let form = Form::of(&LogTarget::everything(place, LogFormat::Text));
        let mut out = Vec::new();
        form.write(&News::Message(Box::new(message(0, "stopped"))), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with(&format!(" evenkeel[{}]: stopped", std::process::id())), "{text:?}");
    }

    /// Seen of HAProxy 3.2.26: a datagram ends as a line does, also one that was cut, of whose end nothing is said.
    #[test]
    fn whoever_waits_for_haproxys_lines_has_them_with_their_ends() {
        let target = |protocol, length| {
            let address = DatagramAddress::Unix("/dev/log".into());
            let (facility, tag) = (Facility::Local0, "haproxy".to_owned());
            let place = LogPlace::Syslog(Syslog { address, protocol, facility, tag, length });
            Form::of(&LogTarget { lines: LogLines::Haproxys, ..LogTarget::everything(place, LogFormat::Tcplog) })
        };
        let written = |form: &Form| {
            let mut out = Vec::new();
            form.write(&News::Session(SessionStage::End, Box::new(record())), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert!(written(&target(SyslogProtocol::Rfc3164, 1024)).ends_with(" CD 0/0/0/0/+1 0/0\n"));
        let rfc5424 = written(&target(SyslogProtocol::Rfc5424, 1024));
        assert!(rfc5424.contains(&format!(" - haproxy {} - - 192.0.2.7:40000 [", std::process::id())), "{rfc5424}");
        let cut = written(&target(SyslogProtocol::Rfc3164, 80));
        assert!(cut.len() == 80 && cut.ends_with('\n'), "{cut:?}");
    }
}
