use std::time::Duration;

use super::*;
use crate::clock;
use crate::event::{ActionTaken, Actor, CheckStatus, DownCause, Evidence, IsolationChange, ServerChange, ServerState};
use crate::model::{BackendName, ServerName};

const HOSTILE: &str = "<script>alert(1)</script>";

fn history() -> History {
    let history = History::default();
    let (backend, server) = (BackendName::new("api").unwrap(), ServerName::new("vie").unwrap());
    let evidence = Evidence {
        status: CheckStatus::L4Con,
        detail: HOSTILE.into(),
        duration: Duration::from_millis(1),
        code: None,
        certificate: None,
        remark: None,
        at: clock::wall(),
        info: String::new(),
    };
    history.note(Change::Server(ServerChange {
        backend: backend.clone(),
        server: server.clone(),
        from: ServerState::Ready,
        to: ServerState::Down(DownCause::Refused),
        evidence: Some(evidence),
        recent: Vec::new(),
        sessions: 0,
        active_left: 2,
        backup_left: 0,
        at: clock::wall(),
        backup: false,
        reported: false,
        via: None,
        is_listen: false,
        forced: None,
    }));
    history.note(Change::Action(ActionTaken {
        by: Actor::Signal("SIGHUP"),
        action: "state",
        text: "drained *all*".into(),
        servers: vec![(backend, server)],
        at: clock::wall(),
    }));
    history.note(Change::Isolation(IsolationChange { isolated: None, at: clock::wall() }));
    history
}

fn numbers(query: &str) -> Vec<u64> {
    let (events, _) = Filter::of(Some(query)).unwrap().newest(&history(), SHOWN);
    events.iter().map(|event| event.seq).collect()
}

// Seen to fail with each of the conditions left out.
#[test]
fn events_are_those_that_were_asked_for_the_newest_first() {
    assert_eq!(numbers(""), [3, 2, 1]);
    assert_eq!(numbers("kind=action"), [2]);
    assert_eq!(numbers("server=vie"), [2, 1]);
    assert_eq!(numbers("server=api%2Fvie&kind=server"), [1]);
    assert_eq!(numbers("server=other%2Fvie"), [0; 0]);
    assert_eq!(numbers("q=DRAINED+%2Aall"), [2]);
    assert_eq!(numbers("before=3"), [2, 1]);
    assert!(!numbers("level=warn").contains(&2) && numbers("level=warn").contains(&1));
    let refused = Filter::of(Some("level=loud")).unwrap_err();
    assert_eq!(refused.words(), "`level` is \"loud\": it must be one of info, warn, error");
}

// Seen to fail with the text put into the page as it is.
#[test]
fn what_servers_say_is_text_in_the_page_and_in_markdown() {
    let (history, filter) = (history(), Filter::default());
    let main = events(&filter, &history, clock::wall()).main;
    assert!(main.contains("&#60;script&#62;") && !main.contains("<script"), "{main}");
    let text = markdown(&filter, &history, "lb_1");
    assert!(text.starts_with("## Events of lb\\_1\n\n- **"), "{text}");
    assert!(text.contains(r"\<script\>alert(1)\</script\>") && text.contains(r"drained \*all\*"), "{text}");
    let order: Vec<usize> = ["script", "drained"].map(|word| text.find(word).unwrap()).into();
    assert!(order.is_sorted(), "the oldest stands first: {text}");
}

#[test]
fn a_long_list_leads_to_what_is_older() {
    let history = History::default();
    for _ in 0..SHOWN + 1 {
        history.note(Change::Isolation(IsolationChange { isolated: None, at: clock::wall() }));
    }
    let main = events(&Filter::default(), &history, clock::wall()).main;
    assert_eq!(main.matches("<li id=").count(), SHOWN);
    assert!(main.contains("href=\"/events?before=2\""), "{main}");
    let rest = events(&Filter::of(Some("before=2")).unwrap(), &history, clock::wall()).main;
    assert!(rest.matches("<li id=").count() == 1 && rest.contains("no older ones"));
}
