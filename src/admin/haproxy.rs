//! What those who watch HAProxy look for, answered as HAProxy 3.2 answers it: its statistics ([`stat`]) as CSV, typed
//! lines and JSON, over HTTP behind a statistics URI (`uri`) and over the runtime API; its Prometheus families
//! (`metrics`); its words where nothing is (`words`); and what is done over its page (`acting`).

pub(super) mod acting;
pub(super) mod answer;
mod form;
pub(super) mod metrics;
pub mod stat;
pub(super) mod tags;
pub(super) mod told;
pub(super) mod uri;
pub(super) mod words;
