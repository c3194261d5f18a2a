//! Health checks: who is probed when, and what a probe sees.

pub mod probe;

mod once;

pub use once::{Report, TargetError, probe_once};
pub async fn watch(_pools: Vec<std::sync::Arc<crate::pool::Pool>>) {}
