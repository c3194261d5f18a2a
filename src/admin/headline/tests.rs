use super::*;
use crate::event::fixture::{CONTROLLERS, now};
use crate::event::{DownCause, Remark, SharedSource, fixture};

const VIENNA: &str = "k0s-at-vie-1";

#[track_caller]
fn says(snapshot: &Snapshot, tone: Tone, text: &str) -> Vec<String> {
    let headline = headline(snapshot);
    assert_eq!((headline.tone, headline.text.as_str()), (tone, text));
    headline.notes
}

#[test]
fn all_well() {
    let notes = says(&fixture::cluster(), Tone::Good, "All three controllers serve.");
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn one_and_two_controllers_are_spoken_of_as_people_do() {
    let mut snapshot = fixture::cluster();
    snapshot.backends.iter_mut().for_each(|backend| backend.servers.truncate(2));
    says(&snapshot, Tone::Good, "Both controllers serve.");
    snapshot.backends.iter_mut().for_each(|backend| backend.servers.truncate(1));
    says(&snapshot, Tone::Good, "The controller serves.");
    snapshot.backends.iter_mut().for_each(|backend| backend.servers.clear());
    says(&snapshot, Tone::Notice, "No servers are configured.");
}

#[test]
fn a_controller_that_is_down_is_named_with_time_and_cause() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    // What was down first counts.
    snapshot.servers_named(VIENNA)[0].since = now();
    let text = "k0s-at-vie-1 is down since 03:12:07 UTC (8 min): connection refused. \
                Every port refuses: the host is up, its services are not. The other two serve.";
    says(&snapshot, Tone::Warning, text);
}

#[test]
fn servers_of_one_backend_on_one_machine_are_told_apart() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    for backend in &mut snapshot.backends {
        backend.servers.iter_mut().for_each(|server| server.host = HostAddress::Name("one".into()));
    }
    let headline = headline(&snapshot).text;
    assert!(
        headline.starts_with("k0s-at-vie-1 is down since") && headline.ends_with("The other two serve."),
        "{headline}"
    );
}

#[test]
fn where_only_one_backend_misses_it_that_is_said() {
    let mut snapshot = fixture::cluster();
    snapshot.servers_named(VIENNA)[1].go_down();
    snapshot.count_usable();
    let text = "k0s-at-vie-1 is down in konnectivity_backend since 03:12:07 UTC (8 min): connection refused. \
                8132 down, 6443 and 9443 fine: what listens on 8132 crashed, not the host. The other two serve.";
    says(&snapshot, Tone::Warning, text);
}

// Seen to fail with the remarks left out, and with a tone of their own.
#[test]
fn a_readiness_that_is_unknown_is_an_aside_with_what_to_do() {
    let mut snapshot = fixture::cluster();
    for name in CONTROLLERS {
        snapshot.servers_named(name)[0].remark(Remark::Anonymous);
    }
    let notes = says(&snapshot, Tone::Good, "All three controllers serve.");
    let who = "k0s-ch-sion-1, k0s-at-vie-1 and k0s-de-fra-1: readiness unknown: anonymous access is off.";
    assert_eq!(notes, [format!("{who} {}", Remark::Anonymous.advice())]);
}

#[test]
fn the_others_are_not_said_to_serve_a_backend_that_nobody_serves() {
    let mut snapshot = fixture::cluster();
    // One in maintenance, the others of weight 0.
    snapshot.backends[0].servers[0].state = ServerState::Maint;
    snapshot.backends[0].up = false;
    let Headline { tone, text, notes } = headline(&snapshot);
    assert_eq!(tone, Tone::Bad);
    assert!(text.starts_with("kubeAPI_backend has had no usable server since"), "{text}");
    assert!(notes[0].starts_with("k0s-ch-sion-1 is in maintenance in kubeAPI_backend since"), "{notes:?}");
    assert!(!notes[0].contains("serve"), "{notes:?}");
}

#[test]
fn several_that_are_down_are_counted_first() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    snapshot.take_down("k0s-ch-sion-1");
    let notes = says(&snapshot, Tone::Warning, "One of three controllers serves.");
    assert_eq!(
        notes,
        [
            "k0s-ch-sion-1 is down since 03:12:07 UTC (8 min): connection refused. \
             Every port refuses: the host is up, its services are not.",
            "k0s-at-vie-1 is down since 03:12:07 UTC (8 min): connection refused. \
             Every port refuses: the host is up, its services are not."
        ]
    );
}

#[test]
fn a_backend_without_a_server_is_worst() {
    let mut snapshot = fixture::cluster();
    for server in &mut snapshot.backends[1].servers {
        server.go_down();
    }
    snapshot.count_usable();
    let text = "konnectivity_backend has had no usable server since 03:12:07 UTC (8 min).";
    let notes = says(&snapshot, Tone::Bad, text);
    assert_eq!(notes[0], "No controller serves every backend.");
    assert!(notes[1].starts_with("k0s-ch-sion-1 is down in konnectivity_backend since"), "{}", notes[1]);
    snapshot.backends[1].ever_up = false;
    says(&snapshot, Tone::Bad, "konnectivity_backend has not had a usable server yet.");
}

#[test]
fn when_nothing_serves_it_is_said_once() {
    let mut snapshot = fixture::cluster();
    CONTROLLERS.iter().for_each(|name| snapshot.take_down(name));
    let notes = says(&snapshot, Tone::Bad, "No controller serves since 03:12:07 UTC (8 min).");
    assert_eq!(notes.len(), 3, "one for each controller: {notes:?}");
}

#[test]
fn running_on_a_backup_is_said() {
    let mut snapshot = fixture::cluster();
    snapshot.backends[0].servers[2].backup = true;
    snapshot.take_down("k0s-ch-sion-1");
    snapshot.take_down(VIENNA);
    assert_eq!(headline(&snapshot).text, "kubeAPI_backend runs on its backup.");
    snapshot.backends[0].servers[1].state = ServerState::Ready;
    snapshot.count_usable();
    assert!(headline(&snapshot).notes.iter().all(|note| !note.contains("backup")));
}

#[test]
fn what_the_operator_does_is_no_alarm() {
    let mut snapshot = fixture::cluster();
    snapshot.set_state(VIENNA, ServerState::Maint);
    let text = "k0s-at-vie-1 is in maintenance since 01:20:15 UTC (2 h). The other two serve.";
    says(&snapshot, Tone::Notice, text);
    snapshot.set_state(VIENNA, ServerState::Drain);
    let text = "k0s-at-vie-1 is drained by the operator since 01:20:15 UTC (2 h). The other two serve.";
    says(&snapshot, Tone::Notice, text);
}

#[test]
fn the_worse_of_two_troubles_leads() {
    let mut snapshot = fixture::cluster();
    snapshot.set_state("k0s-ch-sion-1", ServerState::Maint);
    snapshot.set_state(VIENNA, ServerState::Draining);
    let notes = says(&snapshot, Tone::Warning, "One of three controllers serves.");
    assert_eq!(notes[0], "k0s-at-vie-1 is draining since 01:20:15 UTC (2 h).");
    assert_eq!(notes[1], "k0s-ch-sion-1 is in maintenance since 01:20:15 UTC (2 h).");
}

#[test]
fn without_evidence_the_cause_is_said() {
    let mut snapshot = fixture::cluster();
    snapshot.set_state(VIENNA, ServerState::Down(DownCause::Unresolved));
    let text = "k0s-at-vie-1 is down since 01:20:15 UTC (2 h): name not resolved. The other two serve.";
    says(&snapshot, Tone::Warning, text);
}

#[test]
fn before_the_first_results_nothing_is_claimed() {
    let mut snapshot = fixture::cluster();
    for name in CONTROLLERS {
        for server in snapshot.servers_named(name) {
            server.check.as_mut().unwrap().last = None;
        }
    }
    says(&snapshot, Tone::Notice, "All three controllers are used: no check has ended yet.");
    for name in CONTROLLERS {
        for server in snapshot.servers_named(name) {
            server.check = None;
        }
    }
    let text = "All three controllers serve, as far as is known: nothing is checked.";
    says(&snapshot, Tone::Good, text);
}

#[test]
fn a_full_frontend_is_a_warning_beside_who_serves() {
    let mut snapshot = fixture::cluster();
    snapshot.frontends[0].full = true;
    let notes = says(&snapshot, Tone::Warning, "All three controllers serve.");
    assert_eq!(notes, ["kubeAPI is at its limit of 3,000 sessions: new clients wait."]);
}

#[test]
fn certificates_are_mentioned_two_weeks_before_their_end() {
    let mut snapshot = fixture::cluster();
    let mut ends_in = |days: u64, text: Option<&str>| {
        for server in snapshot.servers_named(VIENNA) {
            let check = server.check.as_mut().unwrap();
            check.certificate.as_mut().unwrap().not_after = now() + Duration::from_secs(days * 86_400);
        }
        assert_eq!(headline(&snapshot).notes.first().map(String::as_str), text);
    };
    ends_in(15, None);
    ends_in(14, Some("A certificate of k0s-at-vie-1 expires in 14 days."));
    ends_in(1, Some("A certificate of k0s-at-vie-1 expires in one day."));
    ends_in(0, Some("A certificate of k0s-at-vie-1 expires within a day."));
}

#[test]
fn certificates_that_end_together_share_a_sentence() {
    let mut snapshot = fixture::cluster();
    let mut set = |name: &str, not_after| {
        for server in snapshot.servers_named(name) {
            server.check.as_mut().unwrap().certificate.as_mut().unwrap().not_after = not_after;
        }
    };
    let day = Duration::from_secs(86_400);
    set(CONTROLLERS[0], now() - day);
    set(CONTROLLERS[1], now() - 40 * day);
    set(CONTROLLERS[2], now() + 8 * day);
    let notes = says(&snapshot, Tone::Warning, "All three controllers serve.");
    assert_eq!(
        notes,
        [
            "Certificates of k0s-ch-sion-1 and k0s-at-vie-1 have expired.",
            "A certificate of k0s-de-fra-1 expires in 8 days."
        ]
    );
}

#[test]
fn a_stop_is_said_first() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    snapshot.process.phase = ProcessPhase::Stopping;
    says(&snapshot, Tone::Warning, "The process is stopping: 312 sessions are left.");
}

#[test]
fn a_long_list_is_cut() {
    let mut snapshot = fixture::large(40);
    snapshot.backends[0].servers.iter_mut().take(30).for_each(ServerSnapshot::go_down);
    let notes = says(&snapshot, Tone::Warning, "Ten of 40 controllers serve.");
    assert_eq!((notes.len(), notes[6].as_str()), (7, "And 24 more."));
}

#[test]
fn an_address_that_several_agents_share_is_a_note() {
    let mut snapshot = fixture::cluster();
    let address = "10.0.0.9".parse().unwrap();
    snapshot.backends[1].shared_source = Some(SharedSource { address, sessions: 12, others: 0 });
    let notes = says(&snapshot, Tone::Notice, "All three controllers serve.");
    assert!(notes[0].starts_with("konnectivity_backend: 10.0.0.9 has 12 sessions"), "{notes:?}");
}
