//! What the process says of itself: log lines and metrics. It reads events and snapshots, and knows nothing of where
//! they come from.

pub mod access_log;
pub mod logging;
pub mod metrics;
