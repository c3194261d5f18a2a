//! evenkeel: a TCP load balancer for highly available Kubernetes control planes.
//!
//! The modules, in the order in which a reader meets what they do. A module imports from those of its own level's
//! predecessors only, never from a later line or a neighbour on the same line.
//!
//! - [`model`], [`event`], [`clock`]: what is configured, what happens and what is, as plain values.
//! - [`balance`], [`net`], [`observe`]: whom to choose; sockets; logs and metrics. None knows another.
//! - [`pool`]: the live state of one backend, the only place where it is written.
//! - [`proxy`]: the life of a session.

#![deny(unsafe_code)]

pub mod balance;
pub mod clock;
pub mod event;
pub mod model;
pub mod net;
pub mod observe;
pub mod pool;
pub mod proxy;
