//! The configuration from the outside: files in, a `Config` or a report out.

#[path = "config/expansion.rs"]
mod expansion;
#[path = "config/reports.rs"]
mod reports;
#[path = "config/shipped.rs"]
mod shipped;
