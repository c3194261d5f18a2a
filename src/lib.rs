//! evenkeel: a TCP load balancer for highly available Kubernetes control planes.
//!
//! The modules, in the order in which a reader meets what they do. A module imports from the lines above its own only.
//!
//! - [`model`], [`event`], [`clock`]: what is configured, what happens and what is, as plain values.
//! - [`config`], [`balance`], [`net`], [`observe`]: files; whom to choose; sockets, names and TLS; logs and metrics. None knows another.
//! - [`pool`]: the live state of one backend, the only place where it is written.
//! - [`check`], [`proxy`]: probes, and the life of a session. They meet in the pool.
//! - [`admin`]: the stats page, JSON, metrics and health answers, over TCP and the admin socket.
//! - [`app`]: the process: bound, started, asked and stopped.
//! - [`cli`]: the command line.

#![deny(unsafe_code)]

pub mod admin;
pub mod app;
pub mod balance;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod event;
pub mod model;
pub mod net;
pub mod observe;
pub mod pool;
pub mod proxy;
