//! What the process tells the world about itself: metrics now, logs beside them.
//!
//! It reads events and snapshots and knows nothing of where they come from.

pub mod metrics;
