//! What the process says of itself: log lines, events and metrics. It reads events and snapshots, and knows nothing of where
//! they come from.

pub mod access_log;
pub mod history;
pub mod logging;
pub mod metrics;
pub mod series;
