//! What evenkeel says its version is where HAProxy's is asked for.

/// The HAProxy whose language this is, and what really runs.
pub const HAPROXY_VERSION: &str = concat!("3.2.0-evenkeel", env!("CARGO_PKG_VERSION"));

/// When that HAProxy was released, as HAProxy writes dates.
pub const HAPROXY_RELEASED: &str = "2025/05/28";
