//! docs/failover.md.

/// Writes the page from what the last full run has left.
pub fn write() {}
