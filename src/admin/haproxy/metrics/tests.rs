use std::collections::{BTreeMap, BTreeSet};

use super::super::stat::COLUMNS;
use super::*;
use crate::event::{ServerState, fixture};
use crate::model::TableKey;

const VIENNA: &str = "k0s-at-vie-1";

fn text(snapshot: &Snapshot, query: &str) -> String {
    encode(snapshot, &Wanted::of(Some(query)).expect("a query that can be meant"))
}

/// Series by their name and labels as written; each stands once.
fn series(text: &str) -> BTreeMap<&str, &str> {
    let all: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect();
    let distinct: BTreeMap<_, _> = all.iter().copied().collect();
    assert_eq!(distinct.len(), all.len());
    distinct
}

fn families(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect()
}

// Seen to fail with a counter that is called a gauge.
#[test]
fn haproxys_families_are_there_with_their_kinds() {
    let golden = include_str!("../../../../tests/golden/haproxy-3.2/metrics.txt");
    let snapshot = fixture::cluster();
    let ours = text(&snapshot, "");
    let missing: Vec<_> = families(golden).difference(&families(&ours)).copied().collect();
    assert_eq!(missing, Vec::<&str>::new());
    let more: Vec<_> = families(&ours).difference(&families(golden)).copied().collect();
    assert_eq!(more, ["haproxy_server_http_responses_total counter"], "which boards find their codes by");
    assert!(ours.lines().filter(|line| line.starts_with("# HELP ")).count() == families(&ours).len());
}

#[test]
fn every_family_is_of_a_column() {
    for family in FAMILIES {
        assert!(COLUMNS.iter().any(|column| column.name == family.column), "{}", family.column);
    }
}

#[test]
fn figures_come_with_haproxys_labels_and_units() {
    let mut snapshot = fixture::cluster();
    snapshot.take_down(VIENNA);
    let text = text(&snapshot, "");
    let series = series(&text);
    let value = |name: &str| *series.get(name).unwrap_or_else(|| panic!("no series {name}"));
    let server = format!("proxy=\"kubeAPI_backend\",server=\"{VIENNA}\"");
    assert_eq!(value("haproxy_process_current_connections"), "312");
    assert_eq!(value(r#"haproxy_process_node{node="lb-1"}"#), "1");
    assert_eq!(value("haproxy_process_idle_time_percent"), "100");
    assert_eq!(value(r#"haproxy_frontend_status{proxy="kubeAPI",state="UP"}"#), "1");
    assert_eq!(value(r#"haproxy_frontend_limit_sessions{proxy="kubeAPI"}"#), "3000");
    assert_eq!(value(r#"haproxy_frontend_http_responses_total{proxy="stats",code="2xx"}"#), "928");
    assert_eq!(value(r#"haproxy_frontend_http_responses_total{proxy="kubeAPI",code="2xx"}"#), "0");
    assert_eq!(value(r#"haproxy_backend_active_servers{proxy="kubeAPI_backend"}"#), "2");
    assert_eq!(value(r#"haproxy_backend_agg_server_status{proxy="kubeAPI_backend",state="DOWN"}"#), "1");
    assert_eq!(value(r#"haproxy_backend_agg_check_status{proxy="kubeAPI_backend",state="L6OK"}"#), "2");
    assert_eq!(value(&format!("haproxy_server_status{{{server},state=\"DOWN\"}}")), "1");
    assert_eq!(value(&format!("haproxy_server_check_status{{{server},state=\"L4CON\"}}")), "1");
    assert_eq!(value(&format!("haproxy_server_check_code{{{server}}}")), "0");
    assert_eq!(value(&format!("haproxy_server_limit_sessions{{{server}}}")), "NaN");
    assert_eq!(value(&format!("haproxy_server_max_connect_time_seconds{{{server}}}")), "0.212000");
    assert!(!text.contains("haproxy_frontend_http_requests_total{proxy=\"kubeAPI\"}"), "only of mode http");
}

#[test]
fn a_server_is_in_one_state_and_without_a_check_it_has_no_result() {
    for (state, word) in [
        (ServerState::Ready, "UP"),
        (ServerState::Draining, "NOLB"),
        (ServerState::Drain, "DRAIN"),
        (ServerState::Maint, "MAINT"),
    ] {
        let mut snapshot = fixture::cluster();
        snapshot.set_state(VIENNA, state);
        snapshot.backends[1].servers[1].check = None;
        let text = text(&snapshot, "scope=server");
        let of = |family: &str, backend: &str| -> Vec<&str> {
            let start = format!("haproxy_server_{family}{{proxy=\"{backend}\",server=\"{VIENNA}\",state=\"");
            let series = series(&text).into_iter().filter(|(name, value)| name.starts_with(&start) && *value == "1");
            series.map(|(name, _)| name.trim_end_matches("\"}").rsplit('"').next().unwrap()).collect()
        };
        assert_eq!(of("status", "kubeAPI_backend"), [word]);
        assert_eq!(of("check_status", "konnectivity_backend"), Vec::<&str>::new());
    }
}

// Seen to fail with scopes that add to all.
#[test]
fn a_query_says_what_is_wanted() {
    let snapshot = fixture::cluster();
    let prefixes = |query: &str| -> BTreeSet<String> {
        let text = text(&snapshot, query);
        families(&text).iter().map(|name| name.split('_').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(prefixes("scope=server"), ["server".to_owned()].into());
    assert_eq!(prefixes("scope=global&scope=backend&x=1").len(), 2);
    assert_eq!(prefixes("scope=listener"), BTreeSet::new());
    assert_eq!(prefixes("scope=%2A").len(), 4);
    assert_eq!(Wanted::of(Some("scope=servers")), None);
    let count = |query: &str| families(&text(&snapshot, query)).len();
    assert_eq!(count("metrics=haproxy_server_status,haproxy_backend_up"), 1);
    assert_eq!(count("metrics=-haproxy_server_status"), count("") - 1);
    assert_eq!(count("metrics=-haproxy_server_status,haproxy_server_weight"), 1);
    let mut snapshot = fixture::cluster();
    snapshot.set_state(VIENNA, ServerState::Maint);
    assert!(!text(&snapshot, "no-maint").contains(VIENNA) && text(&snapshot, "").contains(VIENNA));
}

#[test]
fn what_a_host_is_called_stays_within_its_quotes() {
    assert_eq!(Quoted("a\"b\\c\nd").to_string(), "\"a\\\"b\\\\c\\nd\"");
}

// The text is what HAProxy 3.2 has for the same two tables, but for the help.
#[test]
fn tables_have_their_own_families_and_scope() {
    let table = |name: &str, key, size, used| TableSnapshot {
        name: crate::model::TableName::new(name).unwrap(),
        key,
        size,
        used,
        store: Vec::new(),
    };
    let tables = vec![table("f", TableKey::Ip, 10, 1), table("t", TableKey::Ipv6, 1024, 0)];
    let snapshot = Snapshot { tables, ..fixture::cluster() };
    let text_of_tables = text(&snapshot, "scope=sticktable");
    let lines: Vec<&str> = text_of_tables.lines().filter(|line| !line.starts_with("# HELP")).collect();
    assert_eq!(
        lines,
        [
            "# TYPE haproxy_sticktable_size gauge",
            r#"haproxy_sticktable_size{name="t",type="ipv6"} 1024"#,
            r#"haproxy_sticktable_size{name="f",type="ip"} 10"#,
            "# TYPE haproxy_sticktable_used gauge",
            r#"haproxy_sticktable_used{name="t",type="ipv6"} 0"#,
            r#"haproxy_sticktable_used{name="f",type="ip"} 1"#,
        ]
    );
    assert!(text(&snapshot, "").ends_with(&text_of_tables) && !text(&snapshot, "scope=server").contains("sticktable"));
}
