//! What the process says of itself: log lines and metrics.

pub mod access_log;
pub mod logging;
