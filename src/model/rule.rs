//! What a frontend does with a client before it has a server: rules that let it in or not, and routes to other backends.

use super::{BackendName, Condition, Track};

/// What becomes of a client of whom something holds. The first rule of a stage that decides is the last one asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub stage: RuleStage,
    pub when: Condition,
    pub verdict: RuleVerdict,
}

/// When a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleStage {
    /// As soon as the client has connected, before a PROXY protocol header is read: its address is the connection's.
    Connection,
    /// When the client's own address is known.
    Session,
    /// When the client has sent something, or has had [`inspect_delay`](super::Frontend::inspect_delay) for it.
    Content,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleVerdict {
    /// No more rules of this stage are asked.
    Accept,
    /// The client is closed.
    Reject,
    /// A PROXY protocol header is wanted from it, and the next rule is asked. Of the connection's stage only.
    ExpectProxy,
    /// Its source is counted, and the next rule is asked.
    Track(Track),
}

/// Another backend for sessions of which something holds. The first route that does counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub when: Condition,
    pub backend: BackendName,
}

/// What becomes of a client that has not said in time what rules or routes ask of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSilence {
    /// It is closed.
    Close,
    /// It is judged by what is known: that it asks for nothing (HAProxy's way).
    Judge,
}
