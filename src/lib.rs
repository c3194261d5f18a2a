//! evenkeel: a TCP load balancer for highly available Kubernetes control planes.
//!
//! The modules, in the order in which a reader meets what they do. Imports go upwards in this list only.
//!
//! - [`model`], [`event`]: what is configured, what happens and what is, as plain values.
//! - [`observe`]: what is becomes metrics.
//! - [`admin`]: the stats page, JSON, metrics and health answers, over TCP and the admin socket.

#![deny(unsafe_code)]

pub mod admin;
pub mod clock;
pub mod event;
pub mod model;
pub mod observe;
