//! evenkeel: a TCP load balancer for highly available Kubernetes control planes.
//!
//! The modules, in the order in which a reader meets what they do. Imports go upwards in this list only.
//!
//! - [`model`], [`event`]: what is configured, what happens and what is, as plain values.
//! - [`config`]: from a file to a [`model::Config`], or to every mistake in it.

#![deny(unsafe_code)]

pub mod clock;
pub mod config;
pub mod event;
pub mod model;
