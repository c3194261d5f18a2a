//! Sections in `mode http` that serve statistics.

use super::frontend::{Acls, address};
use super::log;
use super::writer::{Writer, time, word};
use crate::model::{Config, Stats, StatsPage};

pub fn write(stats: &Stats, config: &Config, out: &mut Writer) {
    out.section(&format!("{} {}", if stats.is_listen { "listen" } else { "frontend" }, stats.name));
    out.line(format!("id {}", stats.id));
    out.line("mode http");
    for listen in &stats.listen {
        let freebind = if stats.freebind { " transparent" } else { "" };
        match address(*listen) {
            Some(address) => out.line(format!("bind {address}{freebind}")),
            None => out.cannot(format!("bind {listen}: HAProxy knows sockets by their numbers alone")),
        }
    }
    if stats.tls.is_some() {
        out.cannot("HTTPS: HAProxy's would be `ssl crt FILE` behind `bind`, with certificate and key in one file");
    }
    log::requests(stats, config, out);
    // HAProxy warns of a section that says nothing of them.
    out.line("timeout client 1m");
    if let Some(monitor) = &stats.serves.monitor {
        out.line(format!("monitor-uri {}", word(&monitor.uri)));
    }
    conditions(stats, out);
    let metrics = stats.serves.metrics.as_deref().or(stats.serves.ours.then_some("/metrics"));
    if let Some(path) = metrics {
        out.line(format!("http-request use-service prometheus-exporter if {{ path {} }}", word(path)));
    }
    match &stats.serves.page {
        Some(page) => of_haproxy(page, out),
        None if stats.serves.ours => {
            out.line("stats enable");
            out.line("stats uri /");
            out.cannot("sessions, events and actions on the page, `/api/v1`, `/livez` and `/readyz`");
        }
        None => {}
    }
}

/// Lines with conditions, whose names are the section's.
fn conditions(stats: &Stats, out: &mut Writer) {
    let mut acls = Acls::of(out);
    let fail = stats.serves.monitor.iter().flat_map(|monitor| &monitor.fail);
    fail.for_each(|condition| acls.rule("monitor fail", condition));
    let admin = stats.serves.page.iter().flat_map(|page| &page.admin);
    admin.for_each(|condition| acls.rule("stats admin", condition));
}

fn of_haproxy(page: &StatsPage, out: &mut Writer) {
    out.line("stats enable");
    out.line(format!("stats uri {}", word(&page.uri)));
    if let Some(refresh) = page.refresh {
        out.line(format!("stats refresh {}", time(refresh)));
    }
    if page.legends {
        out.line("stats show-legends");
    }
    if page.hide_version {
        out.line("stats hide-version");
    }
    if page.realm != StatsPage::REALM {
        out.line(format!("stats realm {}", word(&page.realm)));
    }
    for (user, password) in &page.users {
        out.line(format!("stats auth {}", word(&format!("{user}:{}", password.0))));
    }
    for name in &page.scope {
        out.line(format!("stats scope {}", word(name)));
    }
}
