//! A change in the results of a server's check, where the configuration wants to hear of each (HAProxy's
//! `option log-health-checks`).

use std::time::SystemTime;

use super::Evidence;
use crate::model::{BackendName, ServerName};

/// What a probe said that another one before it had not.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    pub backend: BackendName,
    pub server: ServerName,
    /// What the server is to its backend.
    pub backup: bool,
    /// Whether its agent said so.
    pub agent: bool,
    pub outcome: Outcome,
    pub evidence: Evidence,
    /// Where its health counter is on its side, and how far that goes: HAProxy's `3/3 UP`, `1/2 DOWN`.
    pub count: u16,
    pub of: u16,
    pub up: bool,
    /// Up, with a weight of 0.
    pub drained: bool,
    pub at: SystemTime,
}

/// How a probe went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Passed,
    /// It is alive and takes no new work.
    Conditional,
    Failed,
}

impl Outcome {
    /// HAProxy's words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Passed => "succeeded",
            Self::Conditional => "conditionally succeeded",
            Self::Failed => "failed",
        }
    }
}

impl CheckReport {
    /// In a sentence: "Health check for server b/s failed, reason: …".
    pub fn text(&self) -> String {
        let Self { backend, server, evidence, count, of, .. } = self;
        let (whose, backup) = (if self.agent { "Agent" } else { "Health" }, if self.backup { "backup " } else { "" });
        let side = match (self.up, self.drained) {
            (true, false) => "UP",
            (true, true) => "DRAIN",
            (false, _) => "DOWN",
        };
        format!(
            "{whose} check for {backup}server {backend}/{server} {}{}, status: {count}/{of} {side}",
            self.outcome.words(),
            evidence.in_haproxys_words(),
        )
    }
}

impl Evidence {
    /// As HAProxy appends it to a line: ", reason: Layer4 connection problem, info: "…", check duration: 0ms".
    pub fn in_haproxys_words(&self) -> String {
        let mut text = format!(", reason: {}", self.status.words());
        if let Some(code) = self.code {
            text += &format!(", code: {code}");
        }
        if !self.info.is_empty() {
            text += &format!(", info: \"{}\"", escaped(&self.info));
        }
        if self.status != super::CheckStatus::Hana {
            text += &format!(", check duration: {}ms", self.duration.as_millis());
        }
        text
    }
}

/// A text between quotation marks: those, backslashes and what is not ASCII to be read are escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'\'' => escaped.push('\''),
            byte => escaped.extend(byte.escape_ascii().map(char::from)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::CheckStatus;
    use super::*;

    fn report(outcome: Outcome, evidence: Evidence) -> CheckReport {
        CheckReport {
            backend: BackendName::new("f").unwrap(),
            server: ServerName::new("a").unwrap(),
            backup: false,
            agent: false,
            outcome,
            evidence,
            count: 3,
            of: 3,
            up: true,
            drained: false,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    /// The lines of HAProxy 3.2.26, but for their last full stop.
    #[test]
    fn a_report_is_worded_as_haproxys() {
        let seen = |status| Evidence::of(status, SystemTime::UNIX_EPOCH);
        let passed = Evidence { duration: Duration::from_millis(3), ..seen(CheckStatus::L6Ok) };
        assert_eq!(
            report(Outcome::Passed, passed).text(),
            "Health check for server f/a succeeded, reason: Layer6 check passed, check duration: 3ms, status: 3/3 UP"
        );
        let wrong = Evidence { code: Some(503), info: "Service Unavailable".into(), ..seen(CheckStatus::L7Sts) };
        let failed = CheckReport { count: 0, of: 2, up: false, backup: true, ..report(Outcome::Failed, wrong) };
        assert_eq!(
            failed.text(),
            "Health check for backup server f/a failed, reason: Layer7 wrong status, code: 503, \
             info: \"Service Unavailable\", check duration: 0ms, status: 0/2 DOWN"
        );
        let gone = Evidence { code: Some(404), ..seen(CheckStatus::L7Okc) };
        let conditional = CheckReport { of: 2, count: 2, drained: true, ..report(Outcome::Conditional, gone) };
        assert_eq!(
            conditional.text(),
            "Health check for server f/a conditionally succeeded, reason: Layer7 check conditionally passed, code: 404, \
             check duration: 0ms, status: 2/2 DRAIN"
        );
        let traffic = Evidence { info: "Detected 2 consecutive errors".into(), ..seen(CheckStatus::Hana) };
        assert!(!report(Outcome::Failed, traffic).text().contains("duration"));
    }
}
