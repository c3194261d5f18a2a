//! What the `global` section says of how the process is started. `evenkeel haproxy` follows it; everything else notes it
//! and goes by its own command line.

use std::path::PathBuf;

use super::super::mistake::Mistakes;
use super::super::source::Source;
use super::file;
use super::words::Variables;

/// How a haproxy.cfg wants the process to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// In the background, as by `-D`.
    pub daemon: bool,
    /// With a master, as by `-W`.
    pub master: bool,
    /// Where its number is written, as by `-p`.
    pub pidfile: Option<PathBuf>,
}

/// Reads it; what is wrong with the file is told where the rest of it is read.
pub fn launch(source: &Source, mut variables: Variables) -> Launch {
    let cfg = file::read(source, &mut variables, true, &mut Mistakes::default());
    let pidfile = cfg.noted("pidfile").and_then(|statement| statement.arguments.first());
    Launch {
        daemon: cfg.noted("daemon").is_some(),
        master: cfg.noted("master-worker").is_some(),
        pidfile: pidfile.map(|word| PathBuf::from(&word.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_each_counts() {
        let of = |text: &str| launch(&Source::in_memory(text, "haproxy.cfg"), Variables::default());
        assert_eq!(of("listen a\n bind :1\n server s 10.0.0.1:1\n"), Launch::default());
        let stated = of("global\n daemon\n pidfile /run/one\nglobal\n pidfile /run/two\n master-worker\n");
        assert_eq!(stated, Launch { daemon: true, master: true, pidfile: Some("/run/two".into()) });
    }
}
