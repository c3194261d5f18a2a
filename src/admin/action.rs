//! What an operator may have done, from a request's body to its answer. The app does it.

mod answer;
mod serving;
mod tuning;

use std::net::IpAddr;
use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::tuning::Tuning;
use super::refusal::Refusal;
use super::sessions::network;
use crate::event::{AdminState, ForcedHealth, FrontendState, SessionId};
use crate::model::{BackendName, Check, Endpoint, Network, ServerName, TableName, Weight};

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Sets the admin state of a server; with `over`, a drain closes its sessions evenly over that time.
    SetState {
        target: Target,
        state: AdminState,
        over: Option<Duration>,
    },
    SetWeight {
        target: Target,
        weight: Weight,
    },
    /// Closes sessions.
    Kill {
        ids: Vec<SessionId>,
    },
    /// Has the sessions of a source logged step by step for a while.
    Debug {
        source: Network,
        time: Duration,
    },
    /// Reads the configuration again, and goes over to it,
    Reload,
    /// or says only what that would change.
    Plan,
    /// Has the program that is installed now take over.
    Upgrade,
    /// Both hold until the next reload.
    AddServer(NewServer),
    RemoveServer(Target),
    /// Says how a server is, until its probes say otherwise.
    SetHealth {
        target: Target,
        health: ForcedHealth,
    },
    /// Has a server probed, or no longer.
    SetChecks {
        target: Target,
        on: bool,
    },
    /// Has a server's agent count as having said so.
    SetAgent {
        target: Target,
        up: bool,
    },
    /// Has a server's agent asked, or no longer.
    AskAgent {
        target: Target,
        on: bool,
    },
    /// Counts anew: the maxima, or everything.
    ClearCounters {
        all: bool,
    },
    Tune(Tuning),
    /// Lets clients in at a frontend, or no longer.
    SwitchFrontend {
        frontend: String,
        to: FrontendState,
    },
    /// Has a table forget sources that no session tracks.
    ClearTable {
        table: TableName,
        sources: Vec<IpAddr>,
    },
}

/// A server that a backend is to get.
#[derive(Debug, Clone, PartialEq)]
pub struct NewServer {
    pub backend: String,
    pub name: ServerName,
    pub address: Endpoint,
    pub weight: Weight,
    pub backup: bool,
    pub max_sessions: Option<u32>,
    /// Begins in maintenance.
    pub disabled: bool,
    pub check: NewCheck,
}

/// How a new server is probed.
#[derive(Debug, Clone, PartialEq)]
pub enum NewCheck {
    /// As its backend says.
    OfBackend,
    Off,
    /// So, and not before an operator wants it.
    Later(Box<Check>),
}

/// The servers of this name, in one backend or in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `None` for all.
    pub backend: Option<String>,
    pub server: String,
}

/// What has been done, in words, and in numbers for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    pub text: String,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Changed(Vec<Changed>),
    /// How many were told to end, and those that there are not.
    Killed {
        killed: usize,
        unknown: Vec<SessionId>,
    },
    /// A reload's plan, a line for each change, and whether it is in force now.
    Planned {
        plan: Vec<String>,
        changed: bool,
        /// Of the file, a line each.
        warnings: Vec<String>,
    },
    /// The process that serves now.
    Upgraded {
        pid: u32,
    },
    /// There is nothing more to say.
    Told,
}

/// One server to which something was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub backend: BackendName,
    pub server: ServerName,
    pub setting: Setting,
    /// Its open sessions.
    pub sessions: u32,
}

/// What was set: before and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    State(AdminState, AdminState),
    Weight(Weight, Weight),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It speaks of something that is not there.
    Unknown(String),
    /// It can't be done as things are.
    Conflict(String),
    /// The configuration is no good: all that is wrong with it, each in its place.
    Refused { error: String, report: String },
    /// It was tried and failed.
    Failed(String),
}

/// Which action a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    State(Target),
    Weight(Target),
    Kill,
    Debug,
    Reload,
    Upgrade,
    /// To the backend of this name.
    AddServer(String),
    RemoveServer(Target),
}

/// Longest time that a drain is spread over, and that a source is followed, in seconds.
const LONGEST_DRAIN: f64 = 24.0 * 60.0 * 60.0;
const LONGEST_DEBUG: f64 = 60.0 * 60.0;

/// How long a source is followed unless another time is asked for, in seconds.
const DEBUG: f64 = 60.0;

impl Order {
    /// Reads the body of a request for it.
    pub fn read(self, body: &[u8]) -> Result<Action, Refusal> {
        match self {
            Self::State(target) => state(target, parse(body, r#"{"state": "ready", "drain" or "maint"}"#)?),
            Self::Weight(target) => weight(target, &parse(body, r#"{"weight": 0 to 256}"#)?),
            Self::Kill => kill(&parse(body, r#"{"ids": ["0-3-7", …]}"#)?),
            Self::Debug => debug(&parse(body, r#"{"source": "an address or a network", "seconds": 60}"#)?),
            Self::Reload => serving::reload(body),
            Self::Upgrade => serving::upgrade(body),
            Self::AddServer(backend) => serving::add_server(backend, body),
            Self::RemoveServer(target) => serving::remove_server(target, body),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8], form: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad(format!("the body can't be used: {error}; it must be JSON such as {form}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateBody {
    state: String,
    over_seconds: Option<f64>,
}

fn state(target: Target, body: StateBody) -> Result<Action, Refusal> {
    let state = AdminState::ALL.into_iter().find(|state| state.word() == body.state).ok_or_else(|| {
        Refusal::bad(format!("`state` is {:?}: it must be \"ready\", \"drain\" or \"maint\"", body.state))
    })?;
    let over = match body.over_seconds {
        None => None,
        Some(_) if state != AdminState::Drain => {
            return Err(Refusal::bad("`over_seconds` is for \"drain\" alone: leave it out"));
        }
        Some(seconds) => Some(time("over_seconds", seconds, 0.0, LONGEST_DRAIN)?),
    };
    Ok(Action::SetState { target, state, over })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightBody {
    weight: u32,
}

fn weight(target: Target, body: &WeightBody) -> Result<Action, Refusal> {
    Ok(Action::SetWeight { target, weight: weight_of(body.weight)? })
}

fn weight_of(number: u32) -> Result<Weight, Refusal> {
    let weight = u16::try_from(number).ok().and_then(Weight::new);
    weight.ok_or_else(|| Refusal::bad(format!("`weight` is {number}: it must be from 0 to {}", Weight::MAX)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KillBody {
    ids: Vec<String>,
}

fn kill(body: &KillBody) -> Result<Action, Refusal> {
    if body.ids.is_empty() {
        return Err(Refusal::bad("`ids` is empty: name the sessions to close, as /api/v1/sessions gives their ids"));
    }
    let id = |text: &String| {
        let wrong = || Refusal::bad(format!("`ids` has {text:?}: a session's id has three numbers, such as 0-3-7"));
        SessionId::read(text).ok_or_else(wrong)
    };
    Ok(Action::Kill { ids: body.ids.iter().map(id).collect::<Result<_, _>>()? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DebugBody {
    source: String,
    seconds: Option<f64>,
}

fn debug(body: &DebugBody) -> Result<Action, Refusal> {
    let time = time("seconds", body.seconds.unwrap_or(DEBUG), 1.0, LONGEST_DEBUG)?;
    Ok(Action::Debug { source: network("source", &body.source)?, time })
}

/// A time within a range, ends included, in seconds.
fn time(key: &str, seconds: f64, low: f64, high: f64) -> Result<Duration, Refusal> {
    match (low..=high).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => {
            Err(Refusal::bad(format!("`{key}` is {seconds}: it must be a number of seconds from {low} to {high}")))
        }
    }
}

impl Denied {
    /// Why, in words.
    pub fn words(self) -> String {
        match self {
            Self::Unknown(words) | Self::Conflict(words) | Self::Failed(words) => words,
            Self::Refused { error, .. } => error,
        }
    }

    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Unknown(words) => Refusal::new(StatusCode::NOT_FOUND, words),
            Self::Conflict(words) => Refusal::new(StatusCode::CONFLICT, words),
            Self::Refused { error, report } => Refusal::with_report(error, report),
            Self::Failed(words) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { backend: Some("api".into()), server: "sion".into() }
    }

    #[test]
    fn a_body_says_what_is_to_be_done() {
        let state = |body: &str| Order::State(target()).read(body.as_bytes()).unwrap();
        let set = |state, over| Action::SetState { target: target(), state, over };
        assert_eq!(state(r#"{"state":"maint"}"#), set(AdminState::Maint, None));
        let minute = Some(Duration::from_secs(60));
        assert_eq!(state(r#"{"over_seconds":60,"state":"drain"}"#), set(AdminState::Drain, minute));
        assert_eq!(state(r#"{"over_seconds":0,"state":"drain"}"#), set(AdminState::Drain, Some(Duration::ZERO)));
        let ids = [SessionId { worker: 0, slot: 3, generation: 7 }].to_vec();
        assert_eq!(Order::Kill.read(br#"{"ids":["0-3-7"]}"#).unwrap(), Action::Kill { ids });
        let Action::Debug { source, time } = Order::Debug.read(br#"{"source":"10.0.0.0/8"}"#).unwrap() else {
            panic!()
        };
        assert_eq!((source.to_string().as_str(), time), ("10.0.0.0/8", Duration::from_secs(60)));
    }

    // Seen to fail with a weight, and with a time, of any size.
    #[test]
    fn a_body_that_is_wrong_is_refused_with_the_field_and_what_it_must_be() {
        let state = || Order::State(target());
        let weight = || Order::Weight(target());
        for (order, body, words) in [
            (state(), "", "EOF while parsing"),
            (state(), "{", "EOF while parsing"),
            (state(), "state=drain", "it must be JSON such as {\"state\""),
            (state(), r#"{"state":"drain"}{}"#, "trailing characters"),
            (state(), r#"{"stat":"drain"}"#, "unknown field `stat`"),
            (state(), "{}", "missing field `state`"),
            (state(), r#"{"state":"down"}"#, "`state` is \"down\": it must be \"ready\""),
            (state(), r#"{"state":3}"#, "expected a string"),
            (state(), r#"{"state":"ready","over_seconds":3}"#, "`over_seconds` is for \"drain\" alone"),
            (state(), r#"{"state":"drain","over_seconds":-1}"#, "`over_seconds` is -1: it must be a number of seconds"),
            (state(), r#"{"state":"drain","over_seconds":1e300}"#, "from 0 to 86400"),
            (weight(), r#"{"weight":257}"#, "`weight` is 257: it must be from 0 to 256"),
            (weight(), r#"{"weight":-1}"#, "invalid value"),
            (weight(), r#"{"weight":1.5}"#, "invalid type"),
            (Order::Kill, r#"{"ids":[]}"#, "`ids` is empty"),
            (Order::Kill, r#"{"ids":["7"]}"#, "`ids` has \"7\""),
            (Order::Debug, r#"{"source":"ten"}"#, "`source` is \"ten\""),
            (Order::Debug, r#"{"source":"10.0.0.1","seconds":0}"#, "`seconds` is 0"),
        ] {
            let refusal = order.clone().read(body.as_bytes()).unwrap_err();
            assert!(refusal.words().contains(words), "{body}: {}", refusal.words());
        }
    }
}
