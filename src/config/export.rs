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
mod tables;
mod writer;

use crate::model::{Backend, Config, Frontend, ProxyId, Stats};
use writer::Writer;

/// The haproxy.cfg.
pub fn haproxy(config: &Config, name: &str) -> String {
    let mut out = Writer::default();
    out.head(&format!("What {name} says, in HAProxy's words: written by `evenkeel export --haproxy`."));
    out.head("A comment that begins with `evenkeel:` is what HAProxy has no words for.");
    process::write(config, &mut out);
    out.section("defaults");
    out.line("mode tcp");
    for (_, section) in sections(config) {
        match section {
            Section::Frontend(frontend) => frontend::write(frontend, config, &mut out),
            Section::Backend(backend) => backend::write(backend, config, &mut out),
            Section::Stats(stats) => stats::write(stats, config, &mut out),
        }
    }
    tables::others(config, &mut out);
    out.text()
}

/// What becomes a section.
enum Section<'a> {
    Frontend(&'a Frontend),
    Backend(&'a Backend),
    Stats(&'a Stats),
}

/// All of them in the order of their numbers, which is that of the file.
fn sections(config: &Config) -> Vec<(ProxyId, Section<'_>)> {
    let with_frontend = |backend: &&Backend| config.frontends.iter().any(|front| is_one(front, backend));
    let frontends = config.frontends.iter().map(|frontend| (frontend.id, Section::Frontend(frontend)));
    let backends = config.backends.iter().filter(|backend| !with_frontend(backend));
    let backends = backends.map(|backend| (backend.id, Section::Backend(backend)));
    let stats = config.stats.iter().map(|stats| (stats.id, Section::Stats(stats)));
    let mut sections: Vec<_> = frontends.chain(backends).chain(stats).collect();
    sections.sort_by_key(|(id, _)| *id);
    sections
}

/// Whether a frontend and a backend are one section, as HAProxy's `listen` is: both have its name and its number.
fn is_one(frontend: &Frontend, backend: &Backend) -> bool {
    frontend.name.as_str() == backend.name.as_str() && frontend.id == backend.id
}

#[cfg(test)]
mod tests;
