//! The configuration from the outside: files in, a `Config` or a report out.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

#[path = "config/expansion.rs"]
mod expansion;
#[path = "config/findings.rs"]
mod findings;
#[path = "config/fuzz.rs"]
mod fuzz;
#[path = "config/reports.rs"]
mod reports;
#[path = "config/shipped.rs"]
mod shipped;
#[path = "config/sites.rs"]
mod sites;
#[path = "config/verdicts.rs"]
mod verdicts;
