//! A configuration as a haproxy.cfg that HAProxy 3.2 takes: the way back.
//!
//! Each part of a [`Config`] writes its own lines, in the order of the file. What HAProxy has no words for stands as a
//! comment where it would be, so that whoever goes back knows what is given up.

mod backend;
mod check;
mod frontend;
mod process;
mod stats;
mod writer;

use crate::model::{Config, LogFormat};
use writer::Writer;

/// The haproxy.cfg.
pub fn haproxy(config: &Config, name: &str) -> String {
    let mut out = Writer::default();
    out.head(&format!("What {name} says, in HAProxy's words: written by `evenkeel export --haproxy`."));
    out.head("A comment that begins with `evenkeel:` is what HAProxy has no words for.");
    process::write(config, &mut out);
    defaults(config, &mut out);
    for frontend in &config.frontends {
        frontend::write(frontend, config, &mut out);
    }
    for backend in &config.backends {
        backend::write(backend, config, &mut out);
    }
    for stats in &config.stats {
        stats::write(stats, &mut out);
    }
    out.text()
}

fn defaults(config: &Config, out: &mut Writer) {
    out.section("defaults");
    out.line("mode tcp");
    out.line("log global");
    out.line("option tcplog");
    if !config.frontends.iter().any(|frontend| frontend.log.null_sessions) {
        out.line("option dontlognull");
    }
    if config.log.open || config.log.progress.is_some() {
        out.cannot(
            "sessions also have a line when they are connected or while they live on; `option logasap` is the nearest",
        );
    }
    if config.log.targets.iter().any(|target| target.format != LogFormat::Tcplog) {
        out.cannot("log lines as text or JSON");
    }
}

#[cfg(test)]
mod tests;
