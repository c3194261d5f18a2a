//! Everything that can be wrong with a configuration, in the operator's words.

use std::io;
use std::path::Path;

use thiserror::Error;

use super::read::Span;
use super::value::{AddressError, DurationError, NetworkError};
use super::when::WhenError;
use crate::model::{LineFormatError, NameError, PasswordHashError};

mod hint;

/// Whether a mistake keeps the configuration from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    /// It works, but hardly as it was meant.
    Warning,
    /// Nothing is wrong; who asks for everything is told.
    Note,
}

/// One thing that is wrong, without its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mistake {
    #[error("there is no such file")]
    NotFound,
    #[error("the file can't be read: {0}")]
    Unreadable(String),
    #[error("the file is larger than 8 MiB, more than any configuration needs")]
    TooLarge,
    #[error("the file is not text: line {line} is not UTF-8")]
    NotUtf8 { line: usize, utf16: bool },
    #[error("the file says nothing")]
    Empty,
    #[error("this is not TOML: {message}")]
    Syntax { message: String, hint: Option<String> },
    #[error("this is {format}, not TOML")]
    OtherFormat { format: &'static str, hint: &'static str },
    #[error("a text stands in quotation marks: {text}")]
    Unquoted { text: String },
    #[error("unknown key `{key}` in {place}")]
    UnknownKey { key: String, place: &'static str, known: &'static [&'static str] },
    #[error("`{key}` must be {wanted}, not {found}")]
    WrongType { key: String, wanted: String, found: &'static str, hint: Option<String> },
    #[error("{place} has no `{key}`")]
    MissingKey { key: &'static str, place: String, hint: Option<String> },
    #[error("`{word}` is unknown as `{key}`")]
    UnknownWord { key: String, word: String, known: Vec<&'static str> },
    #[error("`{key}` is {found}; it must be from {low} to {high}")]
    OutOfRange { key: String, found: String, low: String, high: String, or_off: bool },
    #[error("`{key}` has a duration that can't be read, {text:?}: {error}")]
    BadDuration { key: String, text: String, error: DurationError },
    #[error("`{key}` is in whole seconds; {found} is not")]
    NotWholeSeconds { key: String, found: String },
    #[error("{text:?} is not an address: {error}")]
    BadAddress { text: String, error: AddressError },
    #[error("{text:?} is not a network: {error}")]
    BadNetwork { text: String, error: NetworkError },
    #[error("{text:?} is not a name: {error}")]
    BadName { text: String, error: NameError },
    #[error("`{key}` can't be {text:?}: {reason}")]
    BadText { key: String, text: String, reason: &'static str },
    #[error("{text:?} is no line of a log: {error}")]
    BadLogLine { text: String, error: LineFormatError },
    #[error("`{key}` is empty")]
    EmptyList { key: String },
    #[error("there is no backend `{name}`")]
    UnknownBackend { name: String, known: Vec<String> },
    #[error("there is no frontend or backend `{name}`")]
    UnknownProxy { name: String, known: Vec<String> },
    #[error("two {things} are called `{name}`")]
    DuplicateName { things: &'static str, name: String },
    #[error("two servers of backend `{backend}` have the address {address}")]
    DuplicateAddress { backend: String, address: String },
    #[error("two controllers have the address {address}")]
    DuplicateController { address: String },
    #[error("no server of backend `{backend}` takes sessions: each has weight 0 or is disabled")]
    NobodyServes { backend: String },
    #[error("backend `{backend}` has no server")]
    NoServer { backend: String },
    #[error("the dial timeout of {dial} is never reached: `connect` ends all tries after {connect}")]
    DialOverConnect { dial: String, connect: String },
    #[error("`{balance}` leads each agent of konnectivity to one server of backend `{backend}` only")]
    OneServerForAgents { backend: String, balance: &'static str },
    #[error("backend `{backend}` has a slow start, and its clients all need the server that has just come back")]
    SlowStartForAgents { backend: String, spread: bool },
    #[error(
        "the servers of backend `{backend}` have different weights, and each of its clients needs every one of them"
    )]
    UnequalWeights { backend: String, spread: bool },
    #[error("two listeners on one address: {second} ({owner}) and {first} ({first_owner})")]
    ListenersCollide { first: String, first_owner: String, second: String, owner: String },
    #[error("{server} is evenkeel itself: {owner} listens on {listener}, which takes connections to {address}")]
    LeadsToItself { server: String, address: String, listener: String, owner: String },
    #[error("this route does not say whom it is for")]
    RouteForNobody,
    #[error("{text:?} is not a condition: {error}")]
    BadCondition { text: String, error: WhenError },
    #[error("`when` stands alone in a route, and this one has `{other}` as well")]
    WhenAlone { other: &'static str },
    #[error("a rule of the stage `{stage}` can't {what}")]
    NotOfThisStage { stage: &'static str, what: &'static str },
    #[error("no frontend leads to backend `{name}`")]
    UnusedBackend { name: String },
    #[error("`preset` needs `controllers`")]
    PresetWithoutControllers,
    #[error("`controllers` needs a `preset`")]
    ControllersWithoutPreset,
    #[error("there is nothing to serve: no frontend")]
    NothingToServe,
    #[error("`{key}` does not belong to a check of type `{kind}`")]
    NotOfThisCheck { key: &'static str, kind: &'static str, belongs_to: String },
    #[error("`{key}` does not belong to a listener {}", if *is_unix { "with a file" } else { "without a file" })]
    NotOfThisListener { key: &'static str, is_unix: bool },
    #[error("a check of type `{kind}` must say whom it believes")]
    VerifyUnstated { kind: &'static str },
    #[error("`verify` needs a `ca_file`, unless it is \"none\"")]
    VerifyWithoutAuthority,
    #[error("`verify = \"none\"` makes no use of a `ca_file`")]
    AuthorityWithoutVerify,
    #[error("the check's timeout of {timeout} is longer than its interval of {interval}")]
    TimeoutOverInterval { timeout: String, interval: String },
    #[error("the CA file {path} can't be used: {reason}")]
    CaFile { path: String, reason: String },
    #[error("a check of type `script` needs `steps`")]
    ScriptWithoutSteps,
    #[error("a check has at most {most} steps")]
    ManySteps { most: usize },
    #[error("{name} can't be tracked: there is no such server, or it tracks this one")]
    UnknownTracked { name: String },
    #[error("a server that tracks another has no check of its own")]
    TracksAndChecks,
    #[error("`observe` needs a check: a server that dials take down is brought up by its probes")]
    ObservesUnchecked,
    #[error("an `agent` needs a `port`")]
    AgentWithoutPort,
    #[error("nobody waits for one server alone where `on_full` is \"next\"")]
    QueueForNobody,
    #[error("`min_sessions` is {least}, and `max_sessions`, up to which that limit grows, is not above it")]
    LimitWithoutRoom { least: u32 },
    #[error("the source is of another family than the server's address {address}")]
    OtherFamily { address: String },
    #[error("the status {status} is both in `accept` and in `draining`")]
    StatusTwice { status: u16 },
    #[error("`{stated}` needs a `{missing}`")]
    HalfIdentity { stated: &'static str, missing: &'static str },
    #[error("`{stated}` is only half of a login: `{missing}` is missing")]
    HalfLogin { stated: &'static str, missing: &'static str },
    #[error("who may act is said for two stats sections, and is the same at all of them")]
    TwoAccesses,
    #[error("`{key}` can't be used: {error}")]
    BadSecret { key: String, error: PasswordHashError },
    #[error("`token_file` and `client_certificate` are two ways to say who asks")]
    TwoCredentials,
    #[error("the token file {path} can't be used: {reason}")]
    TokenFile { path: String, reason: String },
    #[error("the client certificate {path} can't be used: {reason}")]
    ClientCertificate { path: String, reason: String },
    #[error("the client's key {path} can't be used: {reason}")]
    ClientKey { path: String, reason: String },
    #[error("`{key}` does not belong to a log target of type `{kind}`")]
    NotOfThisTarget { key: &'static str, kind: &'static str, belongs_to: String },
    #[error("two log targets are the same place: {place}")]
    DuplicateTarget { place: String },
    #[error("the token is sent to whoever answers: with `verify = \"none\"` nobody is asked who they are")]
    TokenToAnyone,
    #[error("unknown keyword '{word}' in '{place}' section")]
    UnknownDirective { word: String, place: &'static str, near: Option<&'static str> },
    #[error("'{word}' can't stand in a '{place}' section")]
    DirectiveElsewhere { word: String, place: &'static str, sections: String },
    #[error("'{word}' does nothing in a '{place}' section")]
    DirectiveIdle { word: String, place: &'static str, sections: String },
    #[error("`{word}` can't be honoured: {why}")]
    DirectiveRefused { word: String, why: &'static str, instead: &'static str },
    #[error("`{word}` is not needed: {why}")]
    DirectiveNoted { word: String, why: &'static str },
    #[error("left out: {why}")]
    LeftOut { why: String },
    #[error("{what}")]
    BadLine { what: String, hint: String },
    #[error("an empty word ends the line: what follows it is not read")]
    EmptyWord,
    #[error("the file says: {text}")]
    Said { text: String },
    #[error("{what}")]
    Finding { id: &'static str, what: String, fix: String },
    #[error("the page's certificate {path} can't be used: {reason}")]
    PageCertificate { path: String, reason: String },
    #[error("the page's key {path} can't be used: {reason}")]
    PageKey { path: String, reason: String },
    #[error("the page's certificate {path} is not valid {when}")]
    PageCertificateDate { path: String, when: &'static str },
    #[error("{found} peers are more than {most}")]
    ManyPeers { found: usize, most: usize },
    #[error("the peer {url} stands there twice")]
    DuplicatePeer { url: String },
    #[error("`peers_ca` is of no use: no peer is at https://")]
    NoTlsPeer,
    #[error("there is no table `{name}`")]
    UnknownTable { name: String, known: Vec<String> },
    #[error("table `{table}` does not store `{count}`")]
    NotStored { table: String, count: &'static str },
    #[error("`{count}` is stored twice")]
    StoredTwice { count: &'static str },
    #[error("`{key}` is for rules with `verdict = \"track\"` alone")]
    NotOfThisVerdict { key: &'static str },
    #[error("a condition of a stats section can't ask for what is counted of a source")]
    CountForPage,
}

/// Lists the kinds once, so that a variant without a kind doesn't compile and a test can ask for a case of each.
macro_rules! kinds {
    ($($variant:ident = $kind:literal,)*) => {
        /// A stable word for each kind of mistake, in the order in which a reader meets them.
        pub const KINDS: &[&str] = &[$($kind),*];

        impl Mistake {
            /// The mistake's kind, one of [`KINDS`], or the id of a finding.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Finding { id, .. } => id,
                    $(Self::$variant { .. } => $kind,)*
                }
            }
        }
    };
}

kinds! {
    NotFound = "not-found",
    Unreadable = "unreadable",
    TooLarge = "too-large",
    NotUtf8 = "not-utf8",
    Empty = "empty",
    Syntax = "syntax",
    OtherFormat = "other-format",
    Unquoted = "unquoted",
    UnknownKey = "unknown-key",
    WrongType = "wrong-type",
    MissingKey = "missing-key",
    UnknownWord = "unknown-word",
    OutOfRange = "out-of-range",
    BadDuration = "bad-duration",
    NotWholeSeconds = "not-whole-seconds",
    BadAddress = "bad-address",
    BadNetwork = "bad-network",
    BadName = "bad-name",
    BadText = "bad-text",
    BadLogLine = "bad-log-line",
    EmptyList = "empty-list",
    UnknownBackend = "unknown-backend",
    UnknownProxy = "unknown-proxy",
    DuplicateName = "duplicate-name",
    DuplicateAddress = "duplicate-address",
    DuplicateController = "duplicate-controller",
    NobodyServes = "nobody-serves",
    NoServer = "no-server",
    DialOverConnect = "dial-over-connect",
    OneServerForAgents = "one-server-for-agents",
    SlowStartForAgents = "slow-start-for-agents",
    UnequalWeights = "unequal-weights",
    ListenersCollide = "listeners-collide",
    LeadsToItself = "leads-to-itself",
    RouteForNobody = "route-for-nobody",
    BadCondition = "bad-condition",
    WhenAlone = "when-alone",
    NotOfThisStage = "not-of-this-stage",
    UnusedBackend = "unused-backend",
    PresetWithoutControllers = "preset-without-controllers",
    ControllersWithoutPreset = "controllers-without-preset",
    NothingToServe = "nothing-to-serve",
    NotOfThisCheck = "not-of-this-check",
    NotOfThisListener = "not-of-this-listener",
    VerifyUnstated = "verify-unstated",
    VerifyWithoutAuthority = "verify-without-authority",
    AuthorityWithoutVerify = "authority-without-verify",
    TimeoutOverInterval = "timeout-over-interval",
    CaFile = "ca-file",
    StatusTwice = "status-twice",
    HalfIdentity = "half-identity",
    HalfLogin = "half-login",
    TwoAccesses = "two-accesses",
    BadSecret = "bad-secret",
    TwoCredentials = "two-credentials",
    TokenFile = "token-file",
    ClientCertificate = "client-certificate",
    ClientKey = "client-key",
    TokenToAnyone = "token-to-anyone",
    NotOfThisTarget = "not-of-this-target",
    DuplicateTarget = "duplicate-target",
    UnknownDirective = "unknown-directive",
    DirectiveElsewhere = "directive-elsewhere",
    DirectiveIdle = "directive-idle",
    DirectiveRefused = "directive-refused",
    DirectiveNoted = "directive-noted",
    LeftOut = "left-out",
    BadLine = "bad-line",
    EmptyWord = "empty-word",
    Said = "said",
    ScriptWithoutSteps = "script-without-steps",
    ManySteps = "many-steps",
    UnknownTracked = "unknown-tracked",
    TracksAndChecks = "tracks-and-checks",
    ObservesUnchecked = "observes-unchecked",
    AgentWithoutPort = "agent-without-port",
    QueueForNobody = "queue-for-nobody",
    LimitWithoutRoom = "limit-without-room",
    OtherFamily = "other-family",
    PageCertificate = "page-certificate",
    PageKey = "page-key",
    PageCertificateDate = "page-certificate-date",
    ManyPeers = "many-peers",
    DuplicatePeer = "duplicate-peer",
    NoTlsPeer = "no-tls-peer",
    UnknownTable = "unknown-table",
    NotStored = "not-stored",
    StoredTwice = "stored-twice",
    NotOfThisVerdict = "not-of-this-verdict",
    CountForPage = "count-for-page",
}

impl Mistake {
    /// What an error on opening or reading the file means.
    pub fn unreadable(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::IsADirectory => Self::Unreadable("it is a directory".to_owned()),
            io::ErrorKind::PermissionDenied => Self::Unreadable("permission denied".to_owned()),
            _ => Self::Unreadable(error.to_string()),
        }
    }

    /// The other file that could not be used.
    pub fn other_file(&self) -> Option<&Path> {
        match self {
            Self::CaFile { path, .. }
            | Self::TokenFile { path, .. }
            | Self::ClientCertificate { path, .. }
            | Self::ClientKey { path, .. }
            | Self::PageCertificate { path, .. }
            | Self::PageKey { path, .. } => Some(Path::new(path)),
            _ => None,
        }
    }

    /// Whether it keeps the file from being used.
    pub fn severity(&self) -> Severity {
        match self {
            Self::DirectiveNoted { .. } | Self::Said { .. } => Severity::Note,
            Self::LeftOut { .. }
            | Self::Finding { .. }
            | Self::EmptyWord
            | Self::UnusedBackend { .. }
            | Self::DuplicateAddress { .. }
            | Self::NobodyServes { .. }
            | Self::NoServer { .. }
            | Self::DirectiveIdle { .. }
            | Self::DialOverConnect { .. }
            | Self::TokenToAnyone
            | Self::OneServerForAgents { .. }
            | Self::SlowStartForAgents { .. }
            | Self::UnequalWeights { .. }
            | Self::PageCertificateDate { .. } => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Whether something is missing, which may be the consequence of another mistake.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::MissingKey { .. } | Self::EmptyList { .. } | Self::Empty | Self::NothingToServe)
    }
}

/// A mistake in its place.
#[derive(Debug, Clone)]
pub struct Found {
    pub mistake: Mistake,
    /// `None` for what is wrong with the file as a whole.
    pub at: Option<Span>,
    /// Another place that has to do with it, and what is there.
    pub also: Option<(Span, &'static str)>,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<Found>);

impl Mistakes {
    /// One that concerns one place, or the file as a whole.
    pub fn push(&mut self, at: Option<Span>, mistake: Mistake) {
        self.0.push(Found { mistake, at, also: None });
    }

    /// One that keeps the file from being used; or, if that is wanted, what is left out for it.
    pub fn refuse(&mut self, at: Span, mistake: Mistake, left_out: bool) {
        let mistake = if left_out { Mistake::LeftOut { why: mistake.to_string() } } else { mistake };
        self.push(Some(at), mistake);
    }

    /// One that concerns two places, of which either may be outside the file.
    pub fn push_pair(&mut self, at: Option<Span>, also: Option<Span>, label: &'static str, mistake: Mistake) {
        let (at, also) = if at.is_none() { (also, None) } else { (at, also.map(|span| (span, label))) };
        self.0.push(Found { mistake, at, also });
    }

    /// The places of all, in another text.
    pub fn moved(mut self, origin: impl Fn(Span) -> Option<Span>) -> Self {
        for found in &mut self.0 {
            found.at = found.at.and_then(&origin);
            found.also = found.also.and_then(|(span, label)| Some((origin(span)?, label)));
        }
        self
    }

    /// Each of them, as they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.0.iter()
    }

    /// Adds others to these.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Only those of which this is true.
    pub fn retain(&mut self, is_kept: impl Fn(&Mistake) -> bool) {
        self.0.retain(|found| is_kept(&found.mistake));
    }

    /// Whether anything keeps the file from being used.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|found| found.mistake.severity() == Severity::Error)
    }

    /// In file order, each once: what several parts inherit is wrong once.
    pub fn in_order(mut self) -> Vec<Found> {
        self.0.sort_by_key(|found| found.at.map(|span| (span.start, span.end)));
        self.0.dedup_by(|a, b| a.at.is_some() && a.at == b.at && a.mistake == b.mistake);
        self.0
    }
}
