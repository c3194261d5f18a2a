//! A conversation that a probe has: HAProxy's `option tcp-check` with `tcp-check connect`, `send` and `expect`.

use super::Pattern;

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Connects, after the end of the connection before; the first step if none is stated.
    Connect {
        /// `None` for the check's own.
        port: Option<u16>,
        /// Whether TLS is spoken over it.
        tls: bool,
    },
    Send(Vec<u8>),
    Expect {
        negated: bool,
        pattern: Pattern,
        /// As HAProxy words it where it fails.
        form: ExpectForm,
    },
    /// What the steps behind it are about, which is told with one that fails. It counts as a step.
    Comment(String),
}

/// How an expectation was stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectForm {
    String,
    Regex,
    /// In hexadecimal digits.
    Binary,
}

/// Steps of one conversation at most.
pub const STEPS_MAX: usize = 64;
