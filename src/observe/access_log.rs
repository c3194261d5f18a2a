//! The lines of sessions: one for each at its end, and on request when it is connected and while it lives on.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::time::Duration;

use super::logging::{Lines, News, timestamp};
use crate::event::{SessionRecord, SessionStage};
use crate::model::LogLevel;

/// Where workers put the records of their sessions. Writing never waits: what the log can't take is counted.
#[derive(Debug, Clone)]
pub struct Records {
    lines: Lines,
    /// Sessions are news of the level `info`.
    wanted: bool,
    open: bool,
    progress: Option<Duration>,
}

impl Records {
    pub(super) fn new(lines: Lines, level: LogLevel, open: bool, progress: Option<Duration>) -> Self {
        let wanted = level >= LogLevel::Info;
        Self { lines, wanted, open: open && wanted, progress: progress.filter(|_| wanted) }
    }

    /// Writes what has become of a session.
    pub fn write(&self, record: SessionRecord) {
        self.write_stage(SessionStage::End, || record);
    }

    /// Writes how it stands with a session.
    pub fn write_stage(&self, stage: SessionStage, record: impl FnOnce() -> SessionRecord) {
        if self.wanted {
            self.lines.send(News::Session(stage, Box::new(record())));
        }
    }

    /// Whether a session has a line when it is connected.
    pub fn opens(&self) -> bool {
        self.open
    }

    /// How often a session that lives on has a line; `None` for never.
    pub fn progress(&self) -> Option<Duration> {
        self.progress
    }
}

/// What a line calls itself.
fn title(stage: SessionStage) -> &'static str {
    match stage {
        SessionStage::Open => "session open",
        SessionStage::Progress => "session progress",
        SessionStage::End => "session",
    }
}

/// Appends a session's line for people, without its time and level.
pub(super) fn text(stage: SessionStage, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    write!(out, "{} client={} frontend={}", title(stage), record.client, record.frontend)?;
    match &record.server {
        Some(server) => write!(out, " server={}/{server}", record.backend)?,
        None => write!(out, " backend={} server=none", record.backend)?,
    }
    if let Some(source) = record.source {
        write!(out, " source={source}")?;
    }
    if stage != SessionStage::Open {
        write!(out, " bytes_in={} bytes_out={}", record.bytes_in, record.bytes_out)?;
    }
    for (name, time) in [("waited", record.waited.filter(|time| !time.is_zero())), ("dial", record.dialled)] {
        if let Some(time) = time {
            write!(out, " {name}={}", Short(time))?;
        }
    }
    match stage {
        SessionStage::Open => {}
        SessionStage::Progress => write!(out, " age={}", Short(record.total))?,
        SessionStage::End => write!(out, " total={}", Short(record.total))?,
    }
    if record.retries > 0 {
        write!(out, " retries={} moves={}", record.retries, record.moves)?;
    }
    if stage == SessionStage::End {
        let [who, phase] = record.ending.letters();
        let (by, during) = (record.ending.who.word(), record.ending.phase.word());
        write!(out, " ended_by={by} phase={during} cause={:?} letters={who}{phase}", record.ending.cause.words())?;
    }
    write!(out, " id={}", record.id)
}

/// Appends one JSON object. Names and addresses hold nothing that JSON would want escaped: see `model::check_name`.
pub(super) fn json(stage: SessionStage, record: &SessionRecord, out: &mut Vec<u8>) -> io::Result<()> {
    write!(
        out,
        r#"{{"timestamp":"{}","level":"INFO","message":"{}","id":"{}","frontend":"{}","backend":"{}""#,
        timestamp(record.ended),
        title(stage),
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
    let total = total_name(stage);
    for (name, time) in [("waited_ms", record.waited), ("dial_ms", record.dialled), (total, Some(record.total))] {
        match time {
            Some(time) => write!(out, r#","{name}":{:.3}"#, time.as_secs_f64() * 1000.0)?,
            None => write!(out, r#","{name}":null"#)?,
        }
    }
    write!(
        out,
        r#","bytes_in":{},"bytes_out":{},"retries":{},"moves":{}"#,
        record.bytes_in, record.bytes_out, record.retries, record.moves
    )?;
    if stage == SessionStage::End {
        let [who, phase] = record.ending.letters();
        let (by, during, cause) = (record.ending.who.word(), record.ending.phase.word(), record.ending.cause.words());
        write!(out, r#","ended_by":"{by}","phase":"{during}","cause":"{cause}","letters":"{who}{phase}""#)?;
    }
    write!(out, "}}")
}

/// Gives each field that [`json`] has, with its value as text; those without a value are left out.
pub(super) fn each_field(
    stage: SessionStage,
    record: &SessionRecord,
    mut field: impl FnMut(&str, Arguments<'_>) -> io::Result<()>,
) -> io::Result<()> {
    field("id", format_args!("{}", record.id))?;
    field("frontend", format_args!("{}", record.frontend))?;
    field("backend", format_args!("{}", record.backend))?;
    if let Some(server) = &record.server {
        field("server", format_args!("{server}"))?;
    }
    field("client", format_args!("{}", record.client))?;
    field("listener", format_args!("{}", record.listener))?;
    if let Some(source) = record.source {
        field("source", format_args!("{source}"))?;
    }
    let total = total_name(stage);
    for (name, time) in [("waited_ms", record.waited), ("dial_ms", record.dialled), (total, Some(record.total))] {
        if let Some(time) = time {
            field(name, format_args!("{:.3}", time.as_secs_f64() * 1000.0))?;
        }
    }
    field("bytes_in", format_args!("{}", record.bytes_in))?;
    field("bytes_out", format_args!("{}", record.bytes_out))?;
    field("retries", format_args!("{}", record.retries))?;
    field("moves", format_args!("{}", record.moves))?;
    if stage == SessionStage::End {
        let [who, phase] = record.ending.letters();
        field("ended_by", format_args!("{}", record.ending.who.word()))?;
        field("phase", format_args!("{}", record.ending.phase.word()))?;
        field("cause", format_args!("{}", record.ending.cause.words()))?;
        field("letters", format_args!("{who}{phase}"))?;
    }
    Ok(())
}

/// What a session's time so far is called.
fn total_name(stage: SessionStage) -> &'static str {
    if stage == SessionStage::End { "total_ms" } else { "age_ms" }
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
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::event::{Cause, Concurrent, Ending, Phase, SessionId, Who};
    use crate::model::{BackendName, FrontendName, ServerName};

    pub fn record() -> SessionRecord {
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
            log: Arc::default(),
            doorstep: None,
        }
    }

    fn text_of(stage: SessionStage) -> String {
        let mut out = Vec::new();
        text(stage, &record(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json_of(stage: SessionStage, record: &SessionRecord) -> serde_json::Value {
        let mut out = Vec::new();
        json(stage, record, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn text_says_it_in_one_line() {
        assert_eq!(
            text_of(SessionStage::End),
            "session client=192.0.2.7:40000 frontend=kubeAPI server=kubeAPI_backend/k0s-1 source=192.0.2.1:50000 \
             bytes_in=12 bytes_out=34 dial=0.42ms total=5h3m retries=1 moves=1 ended_by=client phase=data \
             cause=\"reset\" letters=CD id=1-2-3"
        );
        assert_eq!(
            text_of(SessionStage::Open),
            "session open client=192.0.2.7:40000 frontend=kubeAPI server=kubeAPI_backend/k0s-1 source=192.0.2.1:50000 \
             dial=0.42ms retries=1 moves=1 id=1-2-3"
        );
        assert_eq!(
            text_of(SessionStage::Progress),
            "session progress client=192.0.2.7:40000 frontend=kubeAPI server=kubeAPI_backend/k0s-1 \
             source=192.0.2.1:50000 bytes_in=12 bytes_out=34 dial=0.42ms age=5h3m retries=1 moves=1 id=1-2-3"
        );
    }

    #[test]
    fn json_is_json_with_and_without_a_server() {
        let full = json_of(SessionStage::End, &record());
        assert_eq!(full["timestamp"], "1970-01-01T05:03:00.250Z", "when it ended, however late it is written");
        assert_eq!(full["source"], "192.0.2.1:50000");
        assert_eq!(full["dial_ms"], 0.42);
        let nobody = SessionRecord { server: None, source: None, dialled: None, ..record() };
        let nobody = json_of(SessionStage::End, &nobody);
        assert!(nobody["server"].is_null() && nobody["source"].is_null() && nobody["dial_ms"].is_null());
    }

    #[test]
    fn a_session_that_lives_on_has_an_age_and_no_ending() {
        let so_far = json_of(SessionStage::Progress, &record());
        assert_eq!((&so_far["message"], &so_far["age_ms"]), (&"session progress".into(), &18_180_000.0.into()));
        for key in ["total_ms", "ended_by", "phase", "cause", "letters"] {
            assert!(so_far.get(key).is_none(), "{key} in {so_far}");
        }
    }

    /// The fields are said in two ways, and are the same.
    #[test]
    fn fields_are_those_of_the_json() {
        for stage in [SessionStage::Open, SessionStage::Progress, SessionStage::End] {
            let json = json_of(stage, &record());
            let mut fields = 0;
            each_field(stage, &record(), |name, value| {
                let said = &json[name];
                let same = match said.as_f64() {
                    Some(number) => value.to_string().parse() == Ok(number),
                    None => said == value.to_string().as_str(),
                };
                assert!(same, "{name} is {value} and {said}");
                fields += 1;
                Ok(())
            })
            .unwrap();
            // Beside time, level and message.
            assert_eq!(fields, json.as_object().unwrap().len() - 3);
        }
    }
}
