//! A configuration as a haproxy.cfg that HAProxy 3.2 takes: the way back.
//!
//! Each part of a [`Config`] writes its own lines, in the order of the file. What HAProxy has no words for stands as a
//! comment where it would be, so that whoever goes back knows what is given up.

mod backend;
mod check;
mod frontend;
mod log;
mod process;
mod stats;
mod writer;

use crate::model::{Backend, Config, Frontend};
use writer::Writer;

/// The haproxy.cfg.
pub fn haproxy(config: &Config, name: &str) -> String {
    let mut out = Writer::default();
    out.head(&format!("What {name} says, in HAProxy's words: written by `evenkeel export --haproxy`."));
    out.head("A comment that begins with `evenkeel:` is what HAProxy has no words for.");
    process::write(config, &mut out);
    out.section("defaults");
    out.line("mode tcp");
    for frontend in &config.frontends {
        frontend::write(frontend, config, &mut out);
    }
    let is_written = |backend: &&Backend| config.frontends.iter().any(|front| is_one(front, backend));
    for backend in config.backends.iter().filter(|backend| !is_written(backend)) {
        backend::write(backend, config, &mut out);
    }
    for stats in &config.stats {
        stats::write(stats, &mut out);
    }
    out.text()
}

/// Whether a frontend and a backend are one section, as HAProxy's `listen` is: both have its name and its number.
fn is_one(frontend: &Frontend, backend: &Backend) -> bool {
    frontend.name.as_str() == backend.name.as_str() && frontend.id == backend.id
}

#[cfg(test)]
mod tests;
