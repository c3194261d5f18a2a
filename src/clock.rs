//! The one place where wall time comes from. Waiting is `tokio::time`'s business, which tests can pause.

use std::time::SystemTime;

/// Wall time, for people: log lines, pages, certificates. Never used to measure.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
