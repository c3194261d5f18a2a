use super::*;
use crate::event::{DownCause, ServerState, Silence, fixture};

const URL: &str = "http://10.10.4.11:9000";

/// A peer that sees what we see, for as long as we do.
fn agreeing(snapshot: &Snapshot) -> PeerAnswer {
    let mut other = snapshot.clone();
    other.process.node = "lb2".into();
    other.process.pid = 1;
    read_answer(crate::admin::json::render(&other).as_bytes()).unwrap()
}

fn heard(snapshot: &Snapshot, change: impl FnOnce(&mut PeerAnswer)) -> Snapshot {
    let mut answer = agreeing(snapshot);
    change(&mut answer);
    let peer = PeerSnapshot { url: URL.into(), heard: Some((answer, snapshot.at)), silence: None };
    let mut snapshot = snapshot.clone();
    snapshot.process.node = "lb1".into();
    snapshot.peers.push(peer);
    snapshot
}

fn differences(snapshot: &Snapshot) -> Vec<String> {
    compare(snapshot).unwrap().differences
}

/// Every server of this name, in a state for so many seconds.
fn set(answer: &mut PeerAnswer, name: &str, state: &str, seconds: u64) {
    for server in answer.servers.iter_mut().filter(|server| server.name == name) {
        state.clone_into(&mut server.state);
        server.held = Duration::from_secs(seconds);
    }
}

#[test]
fn where_both_agree_nothing_is_said() {
    let mut snapshot = fixture::cluster();
    assert_eq!(compare(&snapshot), None, "nobody is asked");
    snapshot.take_down("k0s-at-vie-1");
    let comparison = compare(&heard(&snapshot, |_| {})).unwrap();
    assert!(comparison.differences.is_empty(), "{:?}", comparison.differences);
    let server = &comparison.servers[1];
    assert_eq!((server.server.as_str(), server.ours.word.as_str()), ("k0s-at-vie-1", "down"));
    assert_eq!((server.theirs[0].as_ref().unwrap().tone, server.differs()), (Tone::Bad, false));
    assert_eq!((comparison.peers[0].name.as_str(), comparison.servers.len()), ("lb2", 9));
}

#[test]
fn a_difference_is_a_sentence_that_says_where_to_look() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down("k0s-at-vie-1");
    let told = differences(&heard(&snapshot, |peer| set(peer, "k0s-at-vie-1", "ready", 60)));
    let expected = "lb1 sees k0s-at-vie-1 down, lb2 ready: look at the network between lb1 and k0s-at-vie-1.";
    assert_eq!(told, [expected]);
    let quiet = fixture::cluster();
    let told = differences(&heard(&quiet, |peer| {
        set(peer, "k0s-de-fra-1", "down", 60);
        peer.servers.iter_mut().filter(|server| server.backend != "kubeAPI_backend").for_each(|server| {
            server.state = "ready".into();
        });
        set(peer, "k0s-ch-sion-1", "maint", 60);
    }));
    let expected = [
        "lb1 sees k0s-ch-sion-1 ready, lb2 maint: an operator has ordered it on lb2 alone.",
        "lb1 sees k0s-de-fra-1 ready in kubeAPI_backend, lb2 down: look at the network between lb2 and k0s-de-fra-1.",
    ];
    assert_eq!(told, expected);
}

// Seen to fail with our own opinion believed at once.
#[test]
fn what_has_just_changed_may_be_the_others_next_probe() {
    let mut snapshot = fixture::cluster();
    let just = |snapshot: &Snapshot| heard(snapshot, |peer| set(peer, "k0s-at-vie-1", "down", 9));
    assert!(differences(&just(&snapshot)).is_empty());
    assert!(compare(&just(&snapshot)).unwrap().servers[1].differs(), "the table shows it at once");
    let mut later = just(&snapshot);
    later.peers[0].heard.as_mut().unwrap().1 -= Duration::from_secs(1);
    assert_eq!(differences(&later).len(), 1);
    for server in snapshot.servers_named("k0s-at-vie-1") {
        server.since = later.at - Duration::from_secs(9);
    }
    assert!(differences(&heard(&snapshot, |peer| set(peer, "k0s-at-vie-1", "down", 60))).is_empty());
}

// Seen to fail without the names.
#[test]
fn servers_are_known_by_their_address_and_by_their_names_else() {
    let snapshot = fixture::cluster();
    let renamed = heard(&snapshot, |peer| {
        for server in &mut peer.servers {
            server.name = "another".into();
        }
        set(peer, "another", "down", 60);
    });
    assert_eq!(differences(&renamed).len(), 3);
    let moved = heard(&snapshot, |peer| {
        set(peer, "k0s-at-vie-1", "down", 60);
        peer.servers.iter_mut().for_each(|server| server.address = "fd00::1".into());
    });
    assert_eq!(differences(&moved).len(), 1);
    let other = heard(&snapshot, |peer| peer.servers.clear());
    let comparison = compare(&other).unwrap();
    assert_eq!((&comparison.servers[0].theirs[..], comparison.differences.len()), (&[None][..], 0));
}

// Seen to fail with an answer that is never forgotten.
#[test]
fn a_peer_that_is_silent_is_told_of_and_is_believed_for_a_minute() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down("k0s-at-vie-1");
    let silent = |seconds: u64| {
        let mut snapshot = heard(&snapshot, |peer| set(peer, "k0s-at-vie-1", "ready", 60));
        let since = snapshot.at - Duration::from_secs(seconds);
        let peer = &mut snapshot.peers[0];
        peer.heard.as_mut().unwrap().1 = since;
        peer.silence = Some(Silence { since, reason: "connection refused".into() });
        differences(&snapshot)
    };
    assert_eq!(silent(9).len(), 1, "an answer may be lost");
    assert_eq!(silent(40)[0], "lb2 (http://10.10.4.11:9000) has not answered for 40 s: connection refused.");
    assert_eq!((silent(59).len(), silent(60).len()), (2, 1));
}

#[test]
fn a_file_for_both_names_us_too_and_two_of_one_name_are_told_apart() {
    let snapshot = fixture::cluster();
    let ourselves = heard(&snapshot, |peer| {
        peer.node = "lb1".into();
        peer.pid = snapshot.process.pid;
    });
    assert_eq!(compare(&ourselves), None);
    let namesake = heard(&snapshot, |peer| peer.node = "lb1".into());
    assert_eq!(compare(&namesake).unwrap().peers[0].name, URL);
}

#[test]
fn sentences_are_few_whatever_a_peer_says() {
    let mut snapshot = fixture::large(200);
    for server in &mut snapshot.backends[0].servers {
        server.state = ServerState::Down(DownCause::Refused);
        server.since = snapshot.at - Duration::from_secs(60);
    }
    let told = differences(&heard(&snapshot, |peer| {
        peer.servers.iter_mut().for_each(|server| "<script>".clone_into(&mut server.state));
    }));
    assert_eq!((told.len(), told[MOST_DIFFERENCES].as_str()), (MOST_DIFFERENCES + 1, "And 184 more."));
}
