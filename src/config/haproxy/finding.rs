//! What is wrong with a haproxy.cfg that HAProxy takes: it works, and lets its operators down one day.
//!
//! Each rule looks at the file as it is written, whatever evenkeel makes of it, and finds its matter once: a line that
//! is missing is found where it would go, one that stands ten times is told with the ten places. docs/findings.md has a
//! section for each id.

mod check;
mod frontend;
mod process;
mod session;
mod view;

use super::super::finding::Finding;
use super::super::mistake::Mistakes;
use super::super::source::Source;
use super::cfg::Cfg;
use view::View;

/// One matter to look for.
struct Rule {
    id: &'static str,
    look: fn(&View<'_>) -> Option<Finding>,
}

const fn rule(id: &'static str, look: fn(&View<'_>) -> Option<Finding>) -> Rule {
    Rule { id, look }
}

/// In the order of docs/findings.md.
const RULES: &[Rule] = &[
    rule("haproxy-no-redispatch", session::no_redispatch),
    rule("haproxy-dead-sessions", session::dead_sessions),
    rule("haproxy-half-closed", session::half_closed),
    rule("haproxy-no-keepalive", session::no_keepalive),
    rule("haproxy-short-timeouts", session::short_timeouts),
    rule("haproxy-unchecked", check::unchecked),
    rule("haproxy-unverified-check", check::unverified),
    rule("haproxy-check-without-alpn", check::without_alpn),
    rule("haproxy-check-per-port", check::per_port),
    rule("haproxy-ssl-hello-check", check::ssl_hello),
    rule("haproxy-overridden-check", check::overridden),
    rule("haproxy-konnectivity-leastconn", check::konnectivity_leastconn),
    rule("haproxy-shared-maxconn", process::shared_maxconn),
    rule("haproxy-ipv4-only", frontend::ipv4_only),
    rule("haproxy-open-stats", frontend::open_stats),
    rule("haproxy-httplog-in-tcp", frontend::httplog_in_tcp),
    rule("haproxy-log-at-end", frontend::log_at_end),
    rule("haproxy-log-to-nobody", process::log_to_nobody),
    rule("haproxy-daemon", process::daemon),
    rule("haproxy-system-ciphers", process::system_ciphers),
];

/// The ids of all findings, in the order of docs/findings.md.
pub fn ids() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.id)
}

/// Everything that is found in a file.
pub fn find(cfg: &Cfg, source: &Source) -> Mistakes {
    let view = View::of(cfg);
    let mut found = Mistakes::default();
    for rule in RULES {
        if let Some(finding) = (rule.look)(&view) {
            finding.note(rule.id, source, &mut found);
        }
    }
    found
}

#[cfg(test)]
mod tests;
