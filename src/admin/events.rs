//! `/api/v1/events`: what happened lately, and the next that happens for those who wait.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;

use super::figures::rfc3339;
use super::query::Query;
use super::refusal::Refusal;
use crate::event::{Change, Evidence};
use crate::observe::history::{Event, History, Page};

/// Events that are given unless another number is asked for.
const LIMIT: usize = 100;

/// Longest wait for the next event, in seconds.
const LONGEST_WAIT: f64 = 30.0;

/// Who may wait at a time; others are answered at once, so that those who wait leave room for those who look.
static WAITING: Semaphore = Semaphore::const_new(16);

/// Which events are wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    after: Option<u64>,
    limit: usize,
    wait: Option<Duration>,
}

impl Wanted {
    pub fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let query = Query::of(query, &["after", "limit", "wait"])?;
        Ok(Self {
            after: query.number("after", 0, u64::MAX)?,
            limit: query.number("limit", 1, History::MOST)?.unwrap_or(LIMIT),
            wait: query.number("wait", 0.0, LONGEST_WAIT)?.map(Duration::from_secs_f64),
        })
    }

    /// The document; waits for the next event if there is none and that is wanted.
    pub async fn render(&self, history: &History) -> String {
        let mut page = history.after(self.after, self.limit);
        if let (Some(wait), true, Ok(_place)) = (self.wait, page.events.is_empty(), WAITING.try_acquire()) {
            let after = self.after.unwrap_or(page.last).min(page.last);
            // When the time is up there is nothing new, and that is the answer.
            let _ = tokio::time::timeout(wait, history.newer(after)).await;
            page = history.after(Some(after), self.limit);
        }
        let Page { last, events } = page;
        let events = events.iter().map(|event| Told::of(event)).collect();
        serde_json::to_string(&Document { last, events }).expect("structs of strings and numbers have a form") + "\n"
    }
}

#[derive(Serialize)]
struct Document<'a> {
    last: u64,
    events: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    seq: u64,
    at: String,
    kind: &'static str,
    level: &'static str,
    text: String,
    /// The server that it is about, if it is one.
    backend: Option<&'a str>,
    server: Option<&'a str>,
    /// Who did it, if it is an action, a reload or an upgrade.
    by: Option<String>,
    /// What the probes saw, the newest last, if they decided it.
    evidence: Vec<Seen<'a>>,
}

impl<'a> Told<'a> {
    fn of(event: &'a Event) -> Self {
        let change = &event.change;
        let (backend, server) = match change.servers()[..] {
            [(backend, server)] => (Some(backend.as_str()), Some(server.as_str())),
            _ => (None, None),
        };
        Self {
            seq: event.seq,
            at: rfc3339(change.at()),
            kind: change.kind(),
            level: change.gravity().word(),
            text: change.text(),
            backend,
            server,
            by: by(change),
            evidence: evidence(change).map(Seen::of).collect(),
        }
    }
}

/// Who did it, if it is an action, a reload or an upgrade.
pub(super) fn by(change: &Change) -> Option<String> {
    match change {
        Change::Action(action) => Some(action.by.to_string()),
        Change::Reload(reload) => Some(reload.by.to_string()),
        Change::Upgrade(upgrade) => Some(upgrade.by.clone()),
        _ => None,
    }
}

/// What the last probes saw, and what decided it if that was no probe.
pub(super) fn evidence(change: &Change) -> impl Iterator<Item = &Evidence> {
    let change = if let Change::Server(change) = change { Some(change) } else { None };
    let recent = change.map_or(&[][..], |change| &change.recent);
    let is_known = move |decided: &&Evidence| recent.iter().any(|seen| seen.at == decided.at);
    let decided = change.and_then(|change| change.evidence.as_ref()).filter(move |decided| !is_known(decided));
    recent.iter().chain(decided)
}

#[derive(Serialize)]
struct Seen<'a> {
    status: &'static str,
    detail: &'a str,
    at: String,
    duration_seconds: f64,
}

impl<'a> Seen<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        Self {
            status: evidence.status.name(),
            detail: &evidence.detail,
            at: rfc3339(evidence.at),
            duration_seconds: evidence.duration.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::clock;
    use crate::event::{ActionTaken, Actor, CheckStatus, DownCause, IsolationChange, ServerChange, ServerState};
    use crate::model::{BackendName, ServerName};

    fn seen(detail: &str, seconds: u64) -> Evidence {
        Evidence {
            status: CheckStatus::L4Con,
            detail: detail.into(),
            duration: Duration::from_millis(1),
            code: None,
            certificate: None,
            remark: None,
            at: clock::wall() + Duration::from_secs(seconds),
            info: String::new(),
        }
    }

    async fn document(query: &str, history: &History) -> Value {
        serde_json::from_str(&Wanted::of(Some(query)).unwrap().render(history).await).unwrap()
    }

    #[tokio::test]
    async fn a_servers_change_is_told_with_its_evidence_and_an_action_with_who_did_it() {
        let history = History::default();
        let (backend, server) = (BackendName::new("api").unwrap(), ServerName::new("sion").unwrap());
        history.note(Change::Server(ServerChange {
            backend: backend.clone(),
            server: server.clone(),
            from: ServerState::Ready,
            to: ServerState::Down(DownCause::Refused),
            evidence: Some(seen("a dial was refused", 9)),
            recent: vec![seen("fine", 1), seen("connection refused", 2)],
            sessions: 2,
            active_left: 0,
            backup_left: 0,
            at: clock::wall(),
            backup: false,
            reported: false,
            via: None,
            is_listen: false,
            forced: None,
        }));
        history.note(Change::Action(ActionTaken {
            by: Actor::Local { pid: Some(1), uid: 0, user: Some("root".into()) },
            action: "state",
            text: "api/sion: ready → drain".into(),
            servers: vec![(backend.clone(), server.clone()), (backend, server)],
            at: clock::wall(),
        }));
        let document = document("after=0", &history).await;
        let [down, action] = [&document["events"][0], &document["events"][1]];
        assert_eq!((&down["kind"], &down["level"]), (&"server".into(), &"error".into()));
        assert_eq!(
            down["text"],
            "api/sion is down (refused), was ready: a dial was refused; it has 2 sessions; api has no usable server left"
        );
        assert_eq!((&down["backend"], &down["server"], &down["by"]), (&"api".into(), &"sion".into(), &Value::Null));
        let details: Vec<_> = down["evidence"].as_array().unwrap().iter().map(|seen| &seen["detail"]).collect();
        assert_eq!(json!(details), json!(["fine", "connection refused", "a dial was refused"]));
        assert_eq!((&action["kind"], &action["by"]), (&"action".into(), &"root (uid 0, pid 1)".into()));
        assert_eq!((&action["server"], &action["evidence"]), (&Value::Null, &json!([])));
        assert_eq!(document["last"], 2);
    }

    // Seen to fail without the wait.
    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_next_event_or_nothing_when_the_time_is_up() {
        let history = Arc::new(History::default());
        let begun = tokio::time::Instant::now();
        assert_eq!(document("after=0&wait=30", &history).await, json!({"last": 0, "events": []}));
        assert_eq!(begun.elapsed().as_secs(), 30);
        let later = Arc::clone(&history);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            later.note(Change::Isolation(IsolationChange { isolated: None, at: clock::wall() }));
        });
        let document = document("after=0&wait=30", &history).await;
        assert_eq!((&document["events"][0]["seq"], begun.elapsed().as_secs()), (&1.into(), 33));
    }

    #[test]
    fn a_wait_has_its_bounds() {
        for query in ["wait=31", "wait=-1", "wait=NaN", "limit=0", "limit=5000", "after=-1", "since=1"] {
            assert!(Wanted::of(Some(query)).is_err(), "{query}");
        }
    }
}
