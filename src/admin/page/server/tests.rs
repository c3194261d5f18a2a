use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::admin::changes::StateChange;
use crate::event::{CheckStatus, DownCause, ServerState, fixture};
use crate::model::Weight;
use crate::observe::series::{Series, Span};

const VIENNA: &str = "k0s-at-vie-1";
const HOSTILE: &str = "<script>alert('x')</script>\"><img src=//evil>";

/// What is kept of a cluster that has been looked at for a minute.
pub(in crate::admin::page) fn looked_at(snapshot: &Snapshot) -> Series {
    let (series, begun) = (Series::default(), Instant::now());
    for second in 0..=60 {
        let passed = Duration::from_secs(second);
        series.note(begun + passed, fixture::now() + passed, &snapshot.frontends, &snapshot.backends);
    }
    series
}

fn page(snapshot: &Snapshot, probes: &[Evidence]) -> String {
    let backend = &snapshot.backends[0];
    let subject = Subject::Server(backend.name.clone(), backend.servers[1].name.clone());
    let went_down = StateChange {
        at: fixture::now() - Duration::from_secs(30),
        server: backend.servers[1].name.clone(),
        from: ServerState::Ready,
        to: ServerState::Down(DownCause::Refused),
        text: format!("{HOSTILE} went down"),
    };
    let course = looked_at(snapshot).course(&subject, Span::Hour);
    let past = Past { span: Span::Hour, course, changes: vec![went_down] };
    server_page(snapshot, backend, &backend.servers[1], &past, probes, &Guest::Nobody).main
}

fn seen(status: CheckStatus, detail: &str, ago: u64) -> Evidence {
    let at = fixture::now() - Duration::from_secs(ago);
    Evidence { detail: detail.into(), duration: Duration::from_millis(4), ..Evidence::of(status, at) }
}

#[test]
fn the_page_says_first_how_the_server_is_since_when_and_why() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    let html = page(&snapshot, &[]);
    let head = html.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap();
    assert!(head.contains("k0s-at-vie-1 is down since <time"), "{head}");
    assert!(head.contains("03:12:07") && head.ends_with("(8 min): connection refused"), "{head}");
    assert!(html.contains(r#"<section id="headline" class="headline bad">"#));
    assert!(
        html.contains("All checks of 10.10.1.2 together: every port refuses: the host is up, its services are not.")
    );
}

#[test]
fn charts_have_what_was_and_links_to_the_other_span() {
    let html = page(&fixture::cluster(), &[]);
    assert_eq!(html.matches(r#"<figure class="chart">"#).count(), 5);
    assert!(html.contains("Sessions, last hour: 35, now 35"));
    assert!(html.contains(r#"<a href="?span=hour" aria-current="true">"#) && html.contains(r#"<a href="?span=day">"#));
    assert!(html.contains(r#"<line class="mark bad""#), "its change is marked");
    let empty = Past { span: Span::Day, course: None, changes: Vec::new() };
    let (snapshot, probes) = (fixture::cluster(), []);
    let backend = &snapshot.backends[0];
    let html = server_page(&snapshot, backend, &backend.servers[0], &empty, &probes, &Guest::Nobody).main;
    assert!(html.contains("Nothing is kept of it") && !html.contains("<figure"));
}

// Seen to fail with the oldest first.
#[test]
fn probes_stand_there_with_what_they_saw_the_newest_first() {
    let probes = [seen(CheckStatus::L6Ok, "TLS 1.3 handshake", 4), seen(CheckStatus::L4Con, "connection refused", 2)];
    let html = page(&fixture::cluster(), &probes);
    let rows: Vec<_> = html.split(r#"<tbody id="probes">"#).nth(1).unwrap().split("<tr ").skip(1).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("class=\"bad\"") && rows[0].contains("failed <span>L4CON"), "{}", rows[0]);
    assert!(rows[0].contains("connection refused") && rows[0].contains("4 ms") && rows[0].contains("03:20:13"));
    assert!(rows[1].contains("passed") && rows[1].contains("TLS 1.3 handshake"));
}

#[test]
fn what_an_operator_set_and_what_is_left_of_the_certificate_is_said() {
    let mut snapshot = fixture::cluster();
    let server = &mut snapshot.backends[0].servers[1];
    server.orders.admin = Some(crate::event::AdminState::Drain);
    server.orders.weight = Weight::new(7);
    server.check.as_mut().unwrap().certificate.as_mut().unwrap().not_after =
        fixture::now() + Duration::from_secs(6 * 86_400 + 60);
    let html = page(&snapshot, &[]);
    assert!(html.contains("An operator has set it to drain.") && html.contains("An operator has set its weight to 7."));
    assert!(html.contains(r#"<div class="warning"><dt>Expires</dt><dd>in 6 days"#));
    assert!(html.contains("CN=kubernetes-ca"));
    assert!(html.contains(r#"<a href="/servers/konnectivity_backend/k0s-at-vie-1">"#), "its neighbours");
}

#[test]
fn what_servers_say_of_themselves_stays_text() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    for server in snapshot.servers_named(VIENNA) {
        let check = server.check.as_mut().unwrap();
        check.last.as_mut().unwrap().detail = HOSTILE.into();
        let seen = check.certificate.as_mut().unwrap();
        (seen.subject, seen.issuer) = (HOSTILE.into(), HOSTILE.into());
        seen.authority_key_identifier = Some(HOSTILE.into());
    }
    let html = page(&snapshot, &[seen(CheckStatus::L4Con, HOSTILE, 1)]);
    assert!(html.matches("&#60;script&#62;").count() > 6, "the text is there");
    assert!(!html.contains("<script") && !html.contains("<img"), "and is no markup");
}

#[test]
fn each_part_that_changes_has_a_name_of_its_own() {
    let html = page(&fixture::cluster(), &[seen(CheckStatus::L6Ok, "fine", 1)]);
    let parts: Vec<_> =
        html.split("<!--part-->").skip(1).map(|part| part.split("<!--/part-->").next().unwrap()).collect();
    let ids: Vec<_> = parts.iter().map(|part| part.split("id=\"").nth(1).unwrap().split('"').next().unwrap()).collect();
    assert_eq!(ids, ["headline", "figures", "charts", "changes", "probes", "certificate", "neighbours"]);
    assert_eq!(html.matches("<!--/part-->").count(), parts.len());
}
