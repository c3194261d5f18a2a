//! Lines that HAProxy 3.2 takes, warns of or refuses (`haproxy -c`), and evenkeel with it.

use evenkeel::config::{self, Choice, Severity};
use evenkeel::model::Config;

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    Warned,
    Refused,
}

fn verdict(text: &str) -> Verdict {
    match config::parse_haproxy(text, "haproxy.cfg", Choice::default()) {
        Err(_) => Verdict::Refused,
        Ok((_, report)) if report.entries().iter().any(|entry| entry.severity == Severity::Warning) => Verdict::Warned,
        Ok(_) => Verdict::Taken,
    }
}

fn loaded(text: &str) -> Config {
    let read = config::parse_haproxy(text, "haproxy.cfg", Choice::default());
    read.unwrap_or_else(|report| panic!("{}", report.render(false))).0
}

/// A file with a line in its `global`, `defaults`, `frontend` or `backend`.
fn file(place: &str, line: &str) -> String {
    let at = |section: &str| if section == place { format!("    {line}\n") } else { String::new() };
    format!(
        "global\n{}defaults\n{}frontend f\n bind :1\n default_backend b\n{}backend b\n server s 10.0.0.1:1\n{}",
        at("global"),
        at("defaults"),
        at("frontend"),
        at("backend"),
    )
}

// Seen to fail with nothing idle in frontends, and without the look at what stands behind a keyword.
#[test]
fn a_line_has_haproxys_verdict() {
    use Verdict::{Refused, Taken, Warned};
    let lines = [
        ("frontend", "balance leastconn", Warned),
        ("frontend", "timeout server 5s", Warned),
        ("frontend", "option httpchk", Warned),
        ("frontend", "server t 10.0.0.2:1", Refused),
        ("frontend", "option allbackups", Refused),
        ("backend", "timeout client 5s", Warned),
        ("backend", "bind :2", Warned),
        ("backend", "maxconn 10", Warned),
        ("backend", "option dontlognull", Refused),
        ("backend", "default_backend b", Refused),
        ("defaults", "bind :2", Refused),
        ("global", "balance leastconn", Refused),
        ("defaults", "timeout connect 5 s", Refused),
        ("defaults", "timeout connect 5s", Taken),
        ("defaults", "retries 3 4", Refused),
        ("defaults", "option redispatch 1", Taken),
        ("defaults", "no option redispatch", Taken),
        ("defaults", "no retries", Refused),
        ("defaults", "maxconn 0", Taken),
        ("global", "maxconn 0", Taken),
        ("global", "daemon", Taken),
        ("global", "daemon yes", Refused),
        ("defaults", "stats admin if TRUE", Refused),
        ("defaults", "stats enable", Warned),
        ("frontend", "stats scope .", Warned),
        ("frontend", "monitor-uri /x", Warned),
        ("backend", "stats admin if TRUE", Warned),
        ("frontend", "stats scope", Refused),
    ];
    for (place, line, expected) in lines {
        assert_eq!(verdict(&file(place, line)), expected, "{line} in {place}");
    }
}

// Seen to fail without the look behind names.
#[test]
fn a_sections_first_line_has_haproxys_verdict() {
    let backend = "backend b\n server s 10.0.0.1:1\n";
    for (line, expected) in [
        ("frontend f\n bind :1\n default_backend b\n", Verdict::Taken),
        ("frontend f *:1\n bind :2\n default_backend b\n", Verdict::Refused),
        ("listen f :1\n bind :2\n server s 10.0.0.1:1\n", Verdict::Refused),
        ("global x\nfrontend f\n bind :1\n default_backend b\n", Verdict::Refused),
        ("defaults d\ndefaults d\nfrontend f from d\n bind :1\n default_backend b\n", Verdict::Refused),
        ("listen f\n bind :1\n default_backend f\n server s 10.0.0.1:1\n", Verdict::Refused),
    ] {
        assert_eq!(verdict(&format!("{line}{backend}")), expected, "{line}");
    }
}

/// A connection that leads nowhere is closed: HAProxy takes such files, and templates make them.
// Seen to fail with a backend left out of the TOML because it has no server.
#[test]
fn a_section_without_servers_is_taken() {
    let config = loaded(&file("frontend", "").replace(" server s 10.0.0.1:1\n", ""));
    assert!(config.backends[0].servers.is_empty());
    assert_eq!(verdict("listen l\n bind :1\n"), Verdict::Warned);
    assert_eq!(loaded("listen l\n bind :1\n").backends.len(), 1);
}

// Seen to fail with the frontend's own name where a backend has it, too.
#[test]
fn a_frontend_that_leads_nowhere_does_not_lead_to_who_has_its_name() {
    let text = "frontend f\n bind :1\nbackend f\n server s 10.0.0.1:1\n";
    assert_eq!(verdict(text), Verdict::Warned);
    let config = loaded(text);
    let rest = config.backends.iter().find(|backend| backend.name == config.frontends[0].backend).unwrap();
    assert!(rest.servers.is_empty(), "{}", rest.name);
    let routed = text.replace("bind :1\n", "bind :1\n use_backend f if { src 10.0.0.0/8 }\n");
    assert_eq!((verdict(&routed), loaded(&routed).backends.len()), (Verdict::Taken, 1));
}

/// The kernel gives the IPv4 connections to the socket that is IPv4's alone.
// Seen to fail with a look at the section's own listeners only.
#[test]
fn all_of_ipv4_and_all_of_ipv6_are_two_listeners() {
    let text = file("frontend", "bind :::1\n bind *:1")
        + "listen m\n mode http\n bind :::9\n stats enable\nlisten n\n bind :9\n server s 10.0.0.1:2\n";
    let config = loaded(&text);
    let addresses: Vec<_> = config.frontends[0].addresses().map(|address| address.to_string()).collect();
    assert_eq!(addresses, ["0.0.0.0:1", "[::]:1"]);
    assert_eq!(config.stats[0].listen[0].to_string(), "[::]:9");
    assert_eq!(verdict(&text), Verdict::Warned, "one is there twice");
}
