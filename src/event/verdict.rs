//! What a probe, or real traffic, says of a server.

use std::time::{Duration, SystemTime};

/// What is known of a server from one look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub state: Readiness,
    pub evidence: Evidence,
    pub source: VerdictSource,
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readiness {
    Ready,
    /// It answers, and says that it takes no new work.
    Draining,
    Down(DownCause),
}

/// Why a server counts as down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DownCause {
    /// The port answered with a reset.
    Refused,
    /// Nobody answered the SYN, or the network said so.
    Unreachable,
    /// The connection stood, the answer did not come in time.
    TimedOut,
    /// TLS failed.
    Tls,
    /// It answered something that the check does not accept.
    Unexpected,
    /// Its name has no address.
    Unresolved,
    /// This host has no way to its network.
    NoNetwork,
    /// The probe failed on our side: no descriptor, no port. It says nothing of the server.
    Local,
    /// An operator has said so.
    Ordered,
}

impl DownCause {
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Tls,
        Self::Unexpected,
        Self::Unresolved,
        Self::NoNetwork,
        Self::Local,
        Self::Ordered,
    ];

    /// Whether the host answered, whatever it said: that much proves the network.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Refused | Self::TimedOut | Self::Tls | Self::Unexpected)
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS failed",
            Self::Unexpected => "unexpected answer",
            Self::Unresolved => "name not resolved",
            Self::NoNetwork => "no network",
            Self::Local => "local error",
            Self::Ordered => "set by an operator",
        }
    }
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerdictSource {
    Probe,
    /// Real traffic: a dial.
    Passive,
    /// The operator, over a socket.
    Operator,
}

/// What was seen, in the form that HAProxy's columns and our pages share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub status: CheckStatus,
    /// In words, lower case, without the server's name: "connection refused", "handshake timed out after 1.5s".
    pub detail: String,
    /// From the start of the probe to the verdict.
    pub duration: Duration,
    /// HTTP status, if one came.
    pub code: Option<u16>,
    pub certificate: Option<Certificate>,
    /// What to know of a server though it passed the check.
    pub remark: Option<Remark>,
    pub at: SystemTime,
    /// HAProxy's own words for it, where it has more than the status says; empty otherwise.
    pub info: String,
}

impl Evidence {
    /// Of a look that took no time and saw nothing but this.
    pub fn of(status: CheckStatus, at: SystemTime) -> Self {
        Self {
            status,
            detail: String::new(),
            duration: Duration::ZERO,
            code: None,
            certificate: None,
            remark: None,
            at,
            info: String::new(),
        }
    }
}

/// Why a server that is alive does not say whether it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remark {
    /// It answers nobody whom it doesn't know, and the check has no credential.
    Anonymous,
    /// It doesn't know the check's credential.
    CredentialRefused,
    /// It knows the credential, which may not read that.
    CredentialTooWeak,
}

impl Remark {
    pub const ALL: [Self; 3] = [Self::Anonymous, Self::CredentialRefused, Self::CredentialTooWeak];

    pub fn words(self) -> &'static str {
        match self {
            Self::Anonymous => "readiness unknown: anonymous access is off",
            Self::CredentialRefused => "readiness unknown: the check's credential is refused",
            Self::CredentialTooWeak => "readiness unknown: the check's credential may not read /readyz",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Anonymous => {
                "Give the check a token file or a client certificate, or allow anonymous access to /readyz in the \
                 apiserver's AuthenticationConfiguration."
            }
            Self::CredentialRefused => {
                "See whether the token was revoked or has expired, or the client certificate is of another authority."
            }
            Self::CredentialTooWeak => "Bind its user to the cluster role system:public-info-viewer.",
        }
    }
}

/// HAProxy's result codes of checks (management guide, section 9.1, `check_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckStatus {
    /// Not checked yet.
    Ini,
    SockErr,
    L4Ok,
    L4Tout,
    L4Con,
    L6Ok,
    L6Tout,
    L6Rsp,
    L7Ok,
    /// Accepted, though not a plain success.
    L7Okc,
    L7Tout,
    L7Rsp,
    L7Sts,
    /// No probe: what real traffic has met.
    Hana,
}

impl CheckStatus {
    pub const ALL: [Self; 14] = [
        Self::Ini,
        Self::SockErr,
        Self::L4Ok,
        Self::L4Tout,
        Self::L4Con,
        Self::L6Ok,
        Self::L6Tout,
        Self::L6Rsp,
        Self::L7Ok,
        Self::L7Okc,
        Self::L7Tout,
        Self::L7Rsp,
        Self::L7Sts,
        Self::Hana,
    ];

    /// Whether the check was passed.
    pub fn is_passed(self) -> bool {
        matches!(self, Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::L7Okc)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ini => "INI",
            Self::SockErr => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Tout => "L4TOUT",
            Self::L4Con => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Tout => "L6TOUT",
            Self::L6Rsp => "L6RSP",
            Self::L7Ok => "L7OK",
            Self::L7Okc => "L7OKC",
            Self::L7Tout => "L7TOUT",
            Self::L7Rsp => "L7RSP",
            Self::L7Sts => "L7STS",
            Self::Hana => "HANA",
        }
    }

    /// HAProxy's words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ini => "Initializing",
            Self::SockErr => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Tout => "Layer4 timeout",
            Self::L4Con => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Tout => "Layer6 timeout",
            Self::L6Rsp => "Layer6 invalid response",
            Self::L7Ok => "Layer7 check passed",
            Self::L7Okc => "Layer7 check conditionally passed",
            Self::L7Tout => "Layer7 timeout",
            Self::L7Rsp => "Layer7 invalid response",
            Self::L7Sts => "Layer7 wrong status",
            Self::Hana => "Health analyze",
        }
    }
}

/// A server's certificate as a probe saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished names as text (RFC 4514 style).
    pub subject: String,
    pub issuer: String,
    pub not_after: SystemTime,
    /// Which key of its authority signed it, hexadecimal (RFC 5280, section 4.2.1.1): authorities of one name differ in it.
    pub authority_key_identifier: Option<String>,
}
