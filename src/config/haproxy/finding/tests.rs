//! A file without findings, and one change of it for each finding.

use std::collections::BTreeSet;

use super::super::super::source::Source;
use super::super::file;
use super::super::words::Variables;
use super::*;

/// What HAProxy can be brought to do for a control plane; it takes this file (`haproxy -c`).
const SOUND: &str = include_str!("../../../../tests/config/haproxy/sound.cfg");

const REFERENCE: &str = include_str!("../../../../tests/config/haproxy/reference.cfg");

/// The file that evenkeel replaces: the finding's id and the lines at which it is told.
fn found(text: &str) -> Vec<(&'static str, String)> {
    let source = Source::in_memory(text, "haproxy.cfg");
    let cfg = file::read(&source, &mut Variables::default(), false, &mut Mistakes::default());
    let found = find(&cfg, &source).in_order();
    found.into_iter().map(|found| (found.mistake.kind(), found.mistake.to_string())).collect()
}

fn kinds(text: &str) -> Vec<&'static str> {
    found(text).into_iter().map(|(id, _)| id).collect()
}

/// Each finding: what to write in the place of what in the sound file, to have that finding and no other.
const CASES: &[(&str, &str, &str)] = &[
    ("haproxy-no-redispatch", "    option redispatch 1\n", ""),
    ("haproxy-dead-sessions", " on-marked-down shutdown-sessions", ""),
    ("haproxy-half-closed", "    timeout client-fin 30s\n", ""),
    ("haproxy-half-closed", "    timeout server-fin 30s\n", ""),
    ("haproxy-no-keepalive", "    option clitcpka\n", ""),
    ("haproxy-no-keepalive", "    option srvtcpka\n", ""),
    ("haproxy-short-timeouts", "timeout tunnel 24h", "timeout tunnel 1m"),
    ("haproxy-short-timeouts", "    timeout tunnel 24h\n    timeout client 24h\n", "    timeout client 20s\n"),
    (
        "haproxy-unchecked",
        "    server two 10.10.1.2:8132 track kubeAPI_backend/two\n",
        "    server two 10.10.1.2:8132\n",
    ),
    ("haproxy-unverified-check", "verify required ca-file /etc/haproxy/ca.crt", "verify none"),
    (
        "haproxy-check-without-alpn",
        "server one 10.10.0.2:8132 track kubeAPI_backend/one",
        "server three 10.10.2.2:8132 check check-ssl verify required ca-file /etc/haproxy/ca.crt",
    ),
    (
        "haproxy-check-per-port",
        "server one 10.10.0.2:8132 track kubeAPI_backend/one",
        "server one 10.10.0.2:8132 check",
    ),
    (
        "haproxy-ssl-hello-check",
        "    server one 10.10.0.2:8132 track kubeAPI_backend/one\n",
        "    option ssl-hello-chk\n    server three 10.10.2.2:8132 check\n",
    ),
    (
        "haproxy-overridden-check",
        "    balance leastconn\n",
        "    balance leastconn\n    option httpchk GET /\n    option tcp-check\n",
    ),
    ("haproxy-konnectivity-leastconn", "balance roundrobin", "balance leastconn"),
    ("haproxy-shared-maxconn", "maxconn 20000", "maxconn 4000"),
    ("haproxy-ipv4-only", "bind :::6443 v4v6", "bind :6443"),
    ("haproxy-ipv4-only", "bind :::6443 v4v6", "bind *:6443,[::1]:7443"),
    ("haproxy-open-stats", "bind 127.0.0.1:9000", "bind *:9000"),
    ("haproxy-httplog-in-tcp", "    option tcplog\n", "    option httplog\n"),
    ("haproxy-log-at-end", "    option logasap\n", ""),
    ("haproxy-log-to-nobody", "log stdout format raw local0", "log 127.0.0.1:514 local0"),
    ("haproxy-daemon", "global\n", "global\n    daemon\n"),
    ("haproxy-system-ciphers", "global\n", "global\n    ssl-default-server-ciphers PROFILE=SYSTEM\n"),
];

#[test]
fn the_sound_file_has_no_finding() {
    assert_eq!(found(SOUND), []);
}

#[test]
fn each_finding_is_found_where_it_is_and_nothing_beside_it() {
    for (id, from, to) in CASES {
        assert!(SOUND.contains(from), "{from}");
        assert_eq!(kinds(&SOUND.replace(from, to)), [*id], "{from:?} as {to:?}");
    }
    let tried: BTreeSet<&str> = CASES.iter().map(|(id, ..)| *id).collect();
    assert_eq!(tried, ids().collect(), "each has a case");
}

#[test]
fn the_reference_file_has_sixteen() {
    let kinds: BTreeSet<&str> = kinds(REFERENCE).into_iter().collect();
    let absent = ["haproxy-short-timeouts", "haproxy-unchecked", "haproxy-ssl-hello-check", "haproxy-overridden-check"];
    assert_eq!(kinds, ids().filter(|id| !absent.contains(id)).collect());
}

#[test]
fn a_finding_is_told_once_with_all_its_places() {
    let ipv4 = found(REFERENCE).into_iter().find(|(id, _)| *id == "haproxy-ipv4-only").unwrap().1;
    assert!(ipv4.ends_with("(also lines 35, 39)"), "{ipv4}");
}

// Seen to fail with any `stats admin` counted.
#[test]
fn an_open_page_that_acts_says_so() {
    for (line, acts) in [
        ("if TRUE", true),
        ("unless { src 10.0.0.0/8 }", true),
        ("if LOCALHOST or { dst_port 9000 }", true),
        ("if LOCALHOST", false),
        ("if { src 10.0.0.0/8 } { dst_port 9000 }", false),
        ("if FALSE", false),
    ] {
        let open = SOUND.replace("bind 127.0.0.1:9000", &format!("bind *:9000\n    stats admin {line}"));
        let found = found(&open);
        assert_eq!((found.len(), found[0].0), (1, "haproxy-open-stats"), "{line}");
        assert_eq!(found[0].1.contains("and takes it out"), acts, "{line}: {}", found[0].1);
    }
}

#[test]
fn what_a_section_states_counts_more_than_its_defaults() {
    let own = SOUND.replace("backend kubeAPI_backend\n", "backend kubeAPI_backend\n    no option redispatch\n");
    assert_eq!(kinds(&own), ["haproxy-no-redispatch"]);
    assert!(found(&own)[0].1.ends_with(": kubeAPI_backend"), "{:?}", found(&own));
}

/// A file of ten thousand servers is looked at in a moment.
#[test]
fn a_large_file_is_no_harder() {
    let servers: String =
        (0..10_000).map(|n| format!("    server s{n} 10.{}.{}.1:6443 check\n", n / 250, n % 250)).collect();
    let proxies: String =
        (0..2_000).map(|n| format!("listen p{n}\n bind :{}\n server s 10.9.9.9:1\n", n + 1)).collect();
    let begun = std::time::Instant::now();
    assert!(kinds(&format!("{SOUND}backend many\n{servers}{proxies}")).contains(&"haproxy-unchecked"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}
