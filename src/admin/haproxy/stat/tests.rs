use super::*;
use crate::event::{AdminState, DownCause, ServerState, fixture};
use crate::model::Weight;

const VIENNA: &str = "k0s-at-vie-1";

/// A line's values by their columns' names.
fn line<'a>(rows: &'a [Row<'a>], proxy: &str, name: &str) -> impl Fn(&str) -> Cell {
    let row = rows.iter().find(|row| row.proxy == proxy && row.name == name).expect("a line");
    move |name| column(name).cell(row)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

// Seen to fail with two columns that changed places.
#[test]
fn the_columns_are_haproxys_in_their_order() {
    let golden = include_str!("../../../../tests/golden/haproxy-3.2/statistics.csv");
    let snapshot = fixture::cluster();
    let csv = csv(&rows(&snapshot, &Filter::default()));
    assert_eq!(csv.lines().next(), golden.lines().next());
    let commas = |line: &str| line.matches(',').count();
    assert_eq!(csv.lines().count(), 1 + 3 + 3 * 4 + 2, "frontends, servers, backends, and the stats section");
    for line in csv.lines() {
        assert_eq!(commas(line), COLUMNS.len() + 1, "{line}");
        assert!(line.ends_with(",-,"), "{line}");
    }
}

#[test]
fn proxies_come_by_their_numbers_and_a_listen_sections_two_sides_together() {
    let mut snapshot = fixture::cluster();
    snapshot.backends[0].id = snapshot.frontends[0].id;
    let rows = rows(&snapshot, &Filter::default());
    let lines: Vec<(u32, Kind, u32)> = rows.iter().map(|row| (row.iid, row.kind, row.sid)).collect();
    let (front, server, back) = (Kind::Frontend, Kind::Server, Kind::Backend);
    let expected = [(2, front, 0), (2, server, 1), (2, server, 2), (2, server, 3), (2, back, 0), (3, front, 0)];
    assert_eq!(lines[..6], expected);
    assert_eq!(lines[lines.len() - 2..], [(8, front, 0), (8, back, 0)]);
}

#[test]
fn states_have_haproxys_words() {
    let word = |state: ServerState, health: u16, checked: bool| {
        let mut snapshot = fixture::cluster();
        snapshot.set_state(VIENNA, state);
        for server in snapshot.servers_named(VIENNA) {
            server.check.as_mut().unwrap().health = health;
            server.check.take_if(|_| !checked);
        }
        let rows = rows(&snapshot, &Filter::default());
        line(&rows, "kubeAPI_backend", VIENNA)("status")
    };
    let down = ServerState::Down(DownCause::Refused);
    for (state, health, checked, expected) in [
        (ServerState::Ready, 4, true, "UP"),
        (ServerState::Ready, 3, true, "UP 2/3"),
        (ServerState::Ready, 2, true, "UP 1/3"),
        (ServerState::Ready, 4, false, "no check"),
        (ServerState::Draining, 4, true, "NOLB"),
        (ServerState::Draining, 2, true, "NOLB 1/3"),
        (ServerState::Drain, 4, true, "DRAIN"),
        (ServerState::Drain, 0, false, "DRAIN"),
        (down, 0, true, "DOWN"),
        (down, 1, true, "DOWN 1/2"),
        (ServerState::Down(DownCause::Unresolved), 0, true, "MAINT (resolution)"),
        (ServerState::Maint, 4, true, "MAINT"),
        (ServerState::Kept(crate::event::Kept::Slow), 0, true, "UP 1/3"),
    ] {
        assert_eq!(word(state, health, checked), text(expected), "{state:?} {health}");
    }
}

// Seen to fail with the code of every check shown.
#[test]
fn a_check_is_told_as_far_as_it_came() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    let check = snapshot.backends[0].servers[0].check.as_mut().unwrap();
    check.running = true;
    check.last.as_mut().unwrap().code = Some(200);
    snapshot.backends[1].servers[0].admin = AdminState::Maint;
    snapshot.backends[2].servers[0].check.as_mut().unwrap().last = None;
    let rows = rows(&snapshot, &Filter::default());
    let up = line(&rows, "kubeAPI_backend", "k0s-ch-sion-1");
    assert_eq!((up("check_status"), up("check_code"), up("last_chk")), (text("* L6OK"), Cell::Empty, text("")));
    assert_eq!((up("check_duration"), up("check_desc")), (Cell::U64(4), text("Layer6 check passed")));
    let down = line(&rows, "kubeAPI_backend", VIENNA);
    assert_eq!((down("check_status"), down("last_chk")), (text("L4CON"), text("Connection refused")));
    assert_eq!((down("lastchg"), down("chkdown")), (Cell::U32(488), Cell::U64(1)));
    let resting = line(&rows, "konnectivity_backend", "k0s-ch-sion-1");
    assert_eq!(
        (resting("check_status"), resting("check_rise"), resting("chkfail")),
        (Cell::Empty, Cell::Empty, Cell::U64(0))
    );
    let fresh = line(&rows, "controllerJoinAPI_backend", "k0s-ch-sion-1");
    assert_eq!((fresh("check_status"), fresh("check_duration")), (text("INI"), Cell::Empty));
}

#[test]
fn a_backend_counts_those_that_take_sessions() {
    let mut snapshot = fixture::cluster();
    snapshot.set_state(VIENNA, ServerState::Draining);
    snapshot.backends[0].servers[2].weight = Weight::ZERO;
    snapshot.backends[0].servers[2].effective_weight = 0;
    snapshot.backends[0].full_sessions = 3;
    let rows = rows(&snapshot, &Filter::default());
    let backend = line(&rows, "kubeAPI_backend", "BACKEND");
    assert_eq!((backend("act"), backend("bck"), backend("status")), (Cell::U32(1), Cell::U32(0), text("UP")));
    assert_eq!(backend("slim"), Cell::U32(3));
    assert_eq!(line(&rows, "stats", "BACKEND")("downtime"), Cell::Empty);
}

#[test]
fn lines_that_nobody_wants_are_left_out() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    snapshot.backends[1].servers[0].state = ServerState::Maint;
    snapshot.backends[1].servers[0].admin = AdminState::Maint;
    let of = |filter: Filter| rows(&snapshot, &filter).len();
    let all = of(Filter::default());
    assert_eq!(all - of(Filter { up: true, ..Filter::default() }), 4, "three are down, one in maintenance");
    assert_eq!(all - of(Filter { no_maint: true, ..Filter::default() }), 1);
    assert_eq!(of(Filter { iid: Some(5), frontends: false, backends: false, sid: Some(2), ..Filter::default() }), 1);
    assert_eq!(of(Filter { containing: Some("KUBE".into()), ..Filter::default() }), 5);
    assert_eq!(of(Filter { proxies: vec!["stats".into()], ..Filter::default() }), 2);
}

#[test]
fn legends_are_told_to_those_who_may_see_them() {
    let snapshot = fixture::cluster();
    let plain = rows(&snapshot, &Filter::default());
    assert_eq!(line(&plain, "kubeAPI_backend", VIENNA)("addr"), Cell::Empty);
    let with = rows(&snapshot, &Filter { legends: true, ..Filter::default() });
    assert_eq!(line(&with, "kubeAPI_backend", VIENNA)("addr"), text("10.10.1.2:6443"));
    assert_eq!(line(&with, "kubeAPI_backend", "BACKEND")("algo"), text("leastconn"));
}

// Seen to fail with quotation marks that are not doubled.
#[test]
fn a_value_with_a_comma_stays_one_value() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    for server in snapshot.servers_named(VIENNA) {
        server.check.as_mut().unwrap().last.as_mut().unwrap().detail = "no, \"never\"\nagain".into();
    }
    let csv = csv(&rows(&snapshot, &Filter::default()));
    assert!(csv.contains(",\"No, \"\"never\"\" again\","), "{csv}");
}

#[test]
fn the_typed_form_and_json_tell_the_same() {
    let snapshot = fixture::cluster();
    let rows = rows(&snapshot, &Filter::default());
    let typed = typed(&rows);
    assert!(typed.starts_with("F.2.0.0.pxname.1:KNS:str:kubeAPI\nF.2.0.1.svname.1:KNS:str:FRONTEND\n"));
    assert!(typed.contains("\nS.5.1.4.scur.1:MGP:u32:35\n") && typed.contains("\nB.5.0.19.act.1:MGP:u32:3\n"));
    let json = json(&rows);
    let first = r#"[[{"objType":"Frontend","proxyId":2,"id":0,"field":{"pos":0,"name":"pxname"},"processNum":1,"#;
    assert!(json.starts_with(first), "{}", &json[..200]);
    let values: serde_json::Value = serde_json::from_str(&json).unwrap();
    let count: usize = values.as_array().unwrap().iter().map(|row| row.as_array().unwrap().len()).sum();
    assert_eq!(count, typed.lines().count());
    let weight = values[3].as_array().unwrap().iter().find(|value| value["field"]["name"] == "weight").unwrap();
    assert_eq!((&weight["tags"]["nature"], &weight["value"]["value"]), (&"Avg".into(), &1.into()));
}
