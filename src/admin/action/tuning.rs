//! What operators set beside states and weights: limits, addresses and where a server is probed. It holds until the next
//! reload.

use std::net::IpAddr;

use super::Target;
use crate::model::Endpoint;

/// One setting that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tuning {
    /// Sessions of the whole process.
    ProcessSessions(u32),
    /// Sessions of a frontend; `None` for no limit of its own.
    FrontendSessions(String, Option<u32>),
    /// Sessions of a server.
    ServerSessions(Target, Option<u32>),
    /// Where a server is. It stays the same server.
    Address(Target, Endpoint),
    /// Where a server is probed.
    Check { target: Target, address: Option<IpAddr>, port: Option<u16> },
    /// Where a server's agent is asked, and how.
    Agent { target: Target, address: Option<IpAddr>, port: Option<u16>, send: Option<String> },
}
