use std::path::PathBuf;

use super::*;
use crate::event::fixture::{self, CONTROLLERS};
use crate::event::{CheckStatus, DownCause, ServerState};
use crate::model::Weight;

const VIENNA: &str = "k0s-at-vie-1";

fn page(snapshot: &Snapshot) -> String {
    super::super::document(&overview(snapshot, &Series::default(), None, &Guest::Nobody), "/", snapshot, &Guest::Nobody)
}

/// The page's text of a part.
fn part(html: &str, id: &str) -> String {
    let part = html.split("<!--part-->").find(|part| part.contains(&format!(" id=\"{id}\""))).unwrap();
    part.split("<!--/part-->").next().unwrap().to_owned()
}

#[test]
fn the_page_says_first_how_things_are() {
    let mut snapshot = fixture::cluster();
    let html = page(&snapshot);
    assert!(
        html.contains("<h1>All three controllers serve. 312 sessions.</h1>") && !html.contains("class=\"problem"),
        "{html}"
    );
    snapshot.take_down(VIENNA);
    let html = page(&snapshot);
    assert!(part(&html, "headline").contains("k0s-at-vie-1 is down since <time datetime=\"2026-11-22T03:12:07.000Z\""));
    assert!(html.contains("<title>k0s-at-vie-1 is down since 03:12:07 UTC (8 min)"));
}

// Seen to fail with each of the four left out of the template.
#[test]
fn what_is_wrong_is_told_with_since_why_whom_and_whether_it_gets_worse() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    let problems = part(&page(&snapshot), "problems");
    for words in [
        "<small>8 min</small>",
        "connection refused",
        "clients of kubeAPI (6443), konnectivity (8132) and controllerJoinAPI (9443)",
        "new sessions go to k0s-ch-sion-1 and k0s-de-fra-1",
        "the last probe failed",
    ] {
        assert!(problems.contains(words), "{words}: {problems}");
    }
    CONTROLLERS.iter().for_each(|name| snapshot.take_down(name));
    let problems = part(&page(&snapshot), "problems");
    assert!(problems.matches("<article").count() == 3 && problems.contains("nobody takes new sessions of"));
}

// Seen to fail with controllers left in the file's order.
#[test]
fn the_matrix_has_a_cell_for_each_port_and_the_troubled_host_first() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down("k0s-de-fra-1");
    let html = page(&snapshot);
    let rows: Vec<&str> = html.split("<tr id=\"host-").skip(1).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[0].starts_with("k0s-de-fra-1\"") && rows[0].contains("✕</i> down"), "{}", rows[0]);
    assert!(rows.iter().all(|row| row.split("</tr>").next().unwrap().matches("<td").count() == 3));
    for port in ["<b>6443</b>", "<b>8132</b>", "<b>9443</b>"] {
        assert!(html.contains(port), "{port}");
    }
}

#[test]
fn a_state_is_never_told_by_colour_alone() {
    let states = [ServerState::Ready, ServerState::Draining, ServerState::Drain, ServerState::Maint];
    for state in states.into_iter().chain(DownCause::ALL.map(ServerState::Down)) {
        let mut snapshot = fixture::cluster();
        snapshot.set_state(VIENNA, state);
        let row = part(&page(&snapshot), "server-kubeAPI_backend-k0s-at-vie-1");
        assert!(row.contains(&format!("</i> {}</b>", state.word())), "{state:?}: {row}");
    }
}

#[test]
fn what_servers_say_of_themselves_stays_text() {
    let html = page(&fixture::hostile());
    assert!(html.matches("&#60;script&#62;").count() > 6, "the text is there");
    assert!(html.matches("<script").count() == 1 && !html.contains("<img"), "and is no markup");
}

#[test]
fn nothing_is_fetched_from_elsewhere_and_nothing_is_inline() {
    let html = page(&fixture::cluster());
    for word in ["http://", "https://", "style=", "<style", "onclick", "javascript:"] {
        assert!(!html.contains(word), "{word}");
    }
    let fetched = html.split("src=\"").skip(1).chain(html.split("href=\"/assets").skip(1));
    assert_eq!(fetched.count(), 3, "a stylesheet, a script and an icon");
    for link in html.split(['"']).filter(|word| word.starts_with("/assets/")) {
        assert!(super::super::asset(link).is_some(), "{link}");
    }
}

// Seen to fail with a limit of 95 in place of NEAR_LIMIT.
#[test]
fn a_limit_is_spoken_of_before_it_is_reached() {
    let mut snapshot = fixture::cluster();
    snapshot.process.sessions = snapshot.process.max_sessions / 10 * 9;
    let headline = part(&page(&snapshot), "headline");
    assert!(headline.contains("All three controllers serve.") && headline.contains("(90 %)"), "{headline}");
    snapshot.process.sessions = snapshot.process.max_sessions / 10 * 7;
    assert!(!part(&page(&snapshot), "headline").contains(" %)"));
}

#[test]
fn an_empty_process_has_a_page() {
    let mut snapshot = fixture::cluster();
    snapshot.frontends.clear();
    snapshot.backends.clear();
    assert!(page(&snapshot).contains("No servers are configured."));
}

/// A first view of three controllers, with stylesheet and script: the bar is 100 KB compressed.
#[test]
fn the_first_view_is_small() {
    let html = page(&fixture::cluster());
    let files = html.split('"').filter_map(super::super::asset).map(|asset| asset.text.len());
    let whole = html.len() + files.sum::<usize>();
    assert!(whole < 100_000, "{whole} bytes before any compression");
}

/// Also for the eye: `EVENKEEL_PAGES=directory cargo test every_state_has_its_page` leaves the pages there.
#[test]
fn every_state_has_its_page() {
    let fleeting = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("EVENKEEL_PAGES").map_or(fleeting.path().to_owned(), PathBuf::from);
    let mut down = fixture::cluster();
    down.take_down(VIENNA);
    let mut none = fixture::cluster();
    CONTROLLERS.iter().for_each(|name| none.take_down(name));
    let mut mixed = fixture::cluster();
    mixed.set_state("k0s-ch-sion-1", ServerState::Maint);
    mixed.set_state(VIENNA, ServerState::Draining);
    mixed.frontends[0].full = true;
    mixed.backends[0].servers[2].backup = true;
    mixed.backends[1].servers[2].weight = Weight::ZERO;
    let check = mixed.backends[2].servers[2].check.as_mut().unwrap();
    check.health = 3;
    check.last.as_mut().unwrap().status = CheckStatus::L6Tout;
    check.last.as_mut().unwrap().detail = "the handshake with the server timed out after 1.5s, twice in a row".into();
    let large = fixture::large(100);
    let pages = [("healthy", fixture::cluster()), ("down", down), ("none", none), ("mixed", mixed), ("large", large)];
    for (name, snapshot) in pages {
        let html = page(&snapshot).replace("/assets/", "assets/");
        assert!(html.trim_end().ends_with("</html>"), "{name}");
        std::fs::write(directory.join(format!("overview-{name}.html")), html).unwrap();
    }
    super::super::assets::write_all(&directory);
}
