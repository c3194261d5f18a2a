//! evenkeel among real programs: etcd, OpenSSL, curl, a browser, and hosts of their own.
//!
//! `tests/run` installs what these tests need and runs them; `cargo test` alone leaves them out and says so.

#![expect(clippy::unwrap_used, reason = "where a test can't go on, the line says why")]

#[path = "../harness/harness.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod harness;

mod browser;
mod certificates;
mod container;
mod demo;
mod etcd;
mod export;
mod hosts;
mod logs;
mod migration;
mod monitoring;
mod openssl;
mod privileges;
mod runtime;
mod silence;
mod statistics;
mod systemd;
mod tools;
