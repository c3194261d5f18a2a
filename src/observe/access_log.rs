//! One line for each session, at its end.

use std::io::Write;
use std::time::Duration;

use super::logging::{Line, Lines, timestamp};
use crate::event::SessionRecord;
use crate::model::{LogFormat, LogLevel};

/// Where workers put the records of their sessions. Writing never waits: what the log can't take is counted.
#[derive(Debug, Clone)]
pub struct Records {
    lines: Lines,
    /// Sessions are news of the level `info`.
    wanted: bool,
}

impl Records {
    pub(super) fn new(lines: Lines, level: LogLevel) -> Self {
        Self { lines, wanted: !matches!(level, LogLevel::Error | LogLevel::Warn) }
    }

    pub fn write(&self, record: SessionRecord) {
        if self.wanted {
            self.lines.send(Line::Session(Box::new(record)));
        }
    }
}

/// Appends a session's line.
pub(super) fn format(record: &SessionRecord, format: LogFormat, out: &mut Vec<u8>) {
    // Writing into memory can't fail.
    let _ = match format {
        LogFormat::Text => text(record, out),
        LogFormat::Json => json(record, out),
    };
}

fn text(record: &SessionRecord, out: &mut Vec<u8>) -> std::io::Result<()> {
    let [who, phase] = record.ending.letters();
    write!(out, "{}  INFO session client={} frontend={}", timestamp(record.ended), record.client, record.frontend)?;
    match &record.server {
        Some(server) => write!(out, " server={}/{server}", record.backend)?,
        None => write!(out, " backend={} server=none", record.backend)?,
    }
    if let Some(source) = record.source {
        write!(out, " source={source}")?;
    }
    write!(out, " bytes_in={} bytes_out={}", record.bytes_in, record.bytes_out)?;
    for (name, time) in [("waited", record.waited.filter(|time| !time.is_zero())), ("dial", record.dialled)] {
        if let Some(time) = time {
            write!(out, " {name}={}", Short(time))?;
        }
    }
    write!(out, " total={}", Short(record.total))?;
    if record.retries > 0 {
        write!(out, " retries={} moves={}", record.retries, record.moves)?;
    }
    writeln!(
        out,
        " ended_by={} phase={} cause={:?} letters={who}{phase} id={}",
        record.ending.who.word(),
        record.ending.phase.word(),
        record.ending.cause.words(),
        record.id
    )
}

/// One JSON object. Names and addresses hold nothing that JSON would want escaped: see `model::check_name`.
fn json(record: &SessionRecord, out: &mut Vec<u8>) -> std::io::Result<()> {
    let [who, phase] = record.ending.letters();
    write!(
        out,
        r#"{{"timestamp":"{}","level":"INFO","message":"session","id":"{}","frontend":"{}","backend":"{}""#,
        timestamp(record.ended),
        record.id,
        record.frontend,
        record.backend
    )?;
    match &record.server {
        Some(server) => write!(out, r#","server":"{server}""#)?,
        None => write!(out, r#","server":null"#)?,
    }
    write!(out, r#","client":"{}","listener":"{}""#, record.client, record.listener)?;
    match record.source {
        Some(source) => write!(out, r#","source":"{source}""#)?,
        None => write!(out, r#","source":null"#)?,
    }
    for (name, time) in [("waited_ms", record.waited), ("dial_ms", record.dialled), ("total_ms", Some(record.total))] {
        match time {
            Some(time) => write!(out, r#","{name}":{:.3}"#, time.as_secs_f64() * 1000.0)?,
            None => write!(out, r#","{name}":null"#)?,
        }
    }
    writeln!(
        out,
        r#","bytes_in":{},"bytes_out":{},"retries":{},"moves":{},"ended_by":"{}","phase":"{}","cause":"{}","letters":"{who}{phase}"}}"#,
        record.bytes_in,
        record.bytes_out,
        record.retries,
        record.moves,
        record.ending.who.word(),
        record.ending.phase.word(),
        record.ending.cause.words()
    )
}

/// A duration with the digits that matter: 0.42ms, 12.3s, 5h3m.
struct Short(Duration);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{:.2}ms", self.0.as_secs_f64() * 1000.0),
            1..60 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            60..3600 => write!(f, "{}m{}s", seconds / 60, seconds % 60),
            _ => write!(f, "{}h{}m", seconds / 3600, seconds / 60 % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::event::{Cause, Concurrent, Ending, Phase, SessionId, Who};
    use crate::model::{BackendName, FrontendName, ServerName};

    fn record() -> SessionRecord {
        SessionRecord {
            id: SessionId { worker: 1, slot: 2, generation: 3 },
            frontend: FrontendName::new("kubeAPI").unwrap(),
            backend: BackendName::new("kubeAPI_backend").unwrap(),
            server: Some(ServerName::new("k0s-1").unwrap()),
            client: "192.0.2.7:40000".parse().unwrap(),
            listener: "[::]:6443".parse().unwrap(),
            source: Some("192.0.2.1:50000".parse().unwrap()),
            accepted: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH + Duration::from_millis(18_180_250),
            waited: Some(Duration::ZERO),
            dialled: Some(Duration::from_micros(420)),
            total: Duration::from_secs(18_180),
            bytes_in: 12,
            bytes_out: 34,
            retries: 1,
            moves: 1,
            ending: Ending::new(Who::Client, Phase::Data, Cause::Reset),
            concurrent: Concurrent::default(),
        }
    }

    fn line(record: &SessionRecord, of: LogFormat) -> String {
        let mut out = Vec::new();
        format(record, of, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_says_it_in_one_line() {
        let line = line(&record(), LogFormat::Text);
        let (timestamp, rest) = line.split_once("  ").unwrap();
        assert_eq!(timestamp, "1970-01-01T05:03:00.250Z", "when it ended, however late it is written");
        assert_eq!(
            rest,
            "INFO session client=192.0.2.7:40000 frontend=kubeAPI server=kubeAPI_backend/k0s-1 source=192.0.2.1:50000 \
             bytes_in=12 bytes_out=34 dial=0.42ms total=5h3m retries=1 moves=1 ended_by=client phase=data \
             cause=\"reset\" letters=CD id=1-2-3\n"
        );
    }

    #[test]
    fn json_is_json_with_and_without_a_server() {
        let full: serde_json::Value = serde_json::from_str(&line(&record(), LogFormat::Json)).unwrap();
        assert_eq!(full["timestamp"], "1970-01-01T05:03:00.250Z");
        assert_eq!(full["source"], "192.0.2.1:50000");
        assert_eq!(full["dial_ms"], 0.42);
        let nobody = SessionRecord { server: None, source: None, dialled: None, ..record() };
        let nobody: serde_json::Value = serde_json::from_str(&line(&nobody, LogFormat::Json)).unwrap();
        assert!(nobody["server"].is_null() && nobody["source"].is_null() && nobody["dial_ms"].is_null());
    }
}
