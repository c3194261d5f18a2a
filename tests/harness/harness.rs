//! What the tests that run the real program share: starting it, playing the peers around it, and waiting for events.

pub mod admin;
pub mod app;
pub mod haproxy;
pub mod http;
pub mod namespace;
pub mod pattern;
pub mod peers;
pub mod ports;
pub mod program;
pub mod runtime;
pub mod schema;
pub mod sockets;
pub mod speaker;
pub mod statistics;
pub mod tls;
pub mod wait;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process open as many files as it may at all: tests with thousands of sessions hold both ends of each.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}
