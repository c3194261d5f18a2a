//! haproxy.cfg as a configuration: its text to TOML, which is then read like any other.
//!
//! In the order in which a line goes through: `words` cuts it, `condition` judges the `.if` around it, `file` puts it
//! into its section, with its row of `keyword`'s table, `compose` makes TOML of all of them. `document` knows for each
//! part of that TOML where in the haproxy.cfg it is from, so that what is wrong is told in its own place.

mod acl;
mod argument;
mod backend;
mod bind;
#[cfg(test)]
mod cases;
mod cfg;
mod check;
mod compose;
mod condition;
mod document;
mod file;
mod finding;
mod frontend;
mod full;
mod keyword;
mod launch;
mod log;
#[cfg(test)]
mod page;
mod pages;
mod question;
mod remark;
mod rules;
mod runtime;
mod server;
mod service;
mod shape;
mod statements;
mod table;
mod unix;
mod words;

use std::time::Duration;

pub use self::condition::{ConditionError, FEATURES, holds};
pub use self::document::Written;
pub use self::finding::ids as findings;
pub use self::launch::{Launch, launch};
pub use self::words::Variables;

use super::mistake::Mistakes;
use super::source::Source;

/// Shortest time that a client of the runtime API may be silent.
const SECOND: Duration = Duration::from_secs(1);

/// Longest wait of those that have an end.
const HOUR: Duration = Duration::from_secs(3_600);

/// The shortest wait.
const MOMENT: Duration = Duration::from_millis(1);

/// Whose way counts where a haproxy.cfg says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    #[default]
    Haproxy,
    Evenkeel,
}

/// How a haproxy.cfg is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Choice {
    pub policy: Policy,
    /// Lines that can't be honoured are left out.
    pub lenient: bool,
}

/// What a haproxy.cfg comes to.
pub struct Translated {
    pub written: Written,
    /// What is wrong with it although HAProxy takes it.
    pub findings: Mistakes,
}

/// The file as TOML. What is in `mistakes` may speak against it all the same.
pub fn translate(source: &Source, choice: Choice, mut variables: Variables, mistakes: &mut Mistakes) -> Translated {
    let cfg = file::read(source, &mut variables, choice.lenient, mistakes);
    let mut document = compose::compose(&cfg, choice, mistakes);
    remark::add(&mut document, &cfg, source, choice, mistakes);
    Translated { written: document.write(), findings: finding::find(&cfg, source) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{self, Report};
    use crate::model::{Balance, Config, Dialect, JudgedBy, OnDown, OnNoServer, Probe};

    /// The file that evenkeel replaces.
    const REFERENCE: &str = include_str!("../../tests/config/haproxy/reference.cfg");

    fn load(text: &str) -> Result<(Config, Report), Report> {
        config::parse_haproxy(text, "haproxy.cfg", Choice::default())
    }

    fn loaded(text: &str) -> Config {
        load(text).unwrap_or_else(|report| panic!("{}", report.render(false))).0
    }

    /// A frontend and a backend with these lines in them.
    fn with(backend: &str, server: &str) -> Config {
        loaded(&format!(
            "frontend f\n bind :1\n default_backend b\nbackend b\n{backend}\n server s 10.0.0.1:1 {server}\n"
        ))
    }

    fn errors(text: &str) -> Vec<String> {
        load(text).err().map(|report| report.errors().map(|entry| entry.message.clone()).collect()).unwrap_or_default()
    }

    #[test]
    fn the_reference_file_is_read_with_nothing_but_notes() {
        let (config, report) = load(REFERENCE).unwrap();
        assert_eq!(config.dialect, Dialect::Haproxy);
        assert_eq!((config.limits.max_sessions, config.frontends.len(), config.backends.len()), (4000, 3, 3));
        assert_eq!(config.frontends[0].listen[0].to_string(), "0.0.0.0:6443");
        let backend = &config.backends[0];
        assert_eq!(
            (backend.balance, backend.closing.on_down, backend.on_no_server),
            (Balance::IdleFirst, OnDown::Keep, OnNoServer::Close)
        );
        assert_eq!((backend.judged_by, backend.timeouts.dial), (JudgedBy::Probes, Duration::from_secs(10)));
        assert!(matches!(backend.servers[0].check.as_ref().unwrap().probe, Probe::Tls(_)));
        assert!(report.entries().iter().all(|entry| entry.severity == config::Severity::Note));
        assert!(report.without_notes().is_empty());
    }

    /// Every haproxy.cfg that tests read.
    fn files() -> Vec<(String, String)> {
        let mut files = Vec::new();
        for directory in ["tests/config/haproxy", "tests/config/cases", "tests/e2e/side/files"] {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
            let entries = std::fs::read_dir(root).into_iter().flatten().map(|entry| entry.unwrap().path());
            let entries = entries.filter(|path| path.extension().is_some_and(|end| end == "cfg"));
            files.extend(entries.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())));
        }
        files
    }

    /// What is imported is what is run.
    #[test]
    fn imported_toml_loads_to_the_same_configuration() {
        let mut loaded = 0;
        for (name, text) in files() {
            for (policy, lenient) in [(Policy::Haproxy, false), (Policy::Evenkeel, false), (Policy::Haproxy, true)] {
                let choice = Choice { policy, lenient };
                let Ok((config, _)) = config::parse_haproxy(&text, &name, choice) else { continue };
                let source = Source::in_memory(&text, &name);
                let toml =
                    translate(&source, choice, Variables::of_the_process(), &mut Mistakes::default()).written.text;
                let mut imported = config::parse(&toml, &name).unwrap_or_else(|report| panic!("{report}: {toml}"));
                imported.dialect = Dialect::Haproxy;
                assert_eq!(imported, config, "{name}");
                loaded += 1;
            }
        }
        assert!(loaded >= 6, "only {loaded} loaded");
    }

    /// A key that evenkeel would have otherwise says so.
    #[test]
    fn what_differs_by_the_policy_has_a_comment() {
        let written = |text: &str, policy| {
            let choice = Choice { policy, lenient: true };
            translate(&Source::in_memory(text, "it"), choice, Variables::default(), &mut Mistakes::default())
                .written
                .text
        };
        for (name, text) in files() {
            let ours = written(&text, Policy::Evenkeel);
            for line in written(&text, Policy::Haproxy).lines().filter(|line| !line.starts_with('#')) {
                // Where retries go is nothing where evenkeel's way has none.
                let said = line.contains("  # evenkeel") || line.starts_with("redispatch = ") || line.starts_with('[');
                assert!(ours.contains(line) || said, "{name}: {line}");
            }
        }
    }

    #[test]
    fn a_policy_takes_the_place_of_what_is_unstated_and_of_nothing_else() {
        let choice = Choice { policy: Policy::Evenkeel, lenient: false };
        let ours = config::parse_haproxy(REFERENCE, "haproxy.cfg", choice).unwrap().0;
        assert_eq!((ours.backends[0].judged_by, ours.backends[0].closing.on_down), (JudgedBy::Everything, OnDown::Ask));
        assert_eq!(ours.backends[0].timeouts.dial, Duration::from_secs(10), "stated");
    }

    #[test]
    fn a_section_starts_from_the_defaults_before_it_or_from_those_that_it_names() {
        let file = "defaults one\n timeout connect 1s\ndefaults two from one\n timeout server 9s\n\
                    listen a\n bind :1\n server s 10.0.0.1:1\n\
                    listen b from one\n bind :2\n server s 10.0.0.2:2\n";
        let config = loaded(file);
        let timeouts =
            |place: usize| (config.backends[place].timeouts.dial.as_secs(), config.backends[place].timeouts.server);
        assert_eq!(timeouts(0), (1, Some(Duration::from_secs(9))));
        assert_eq!(timeouts(1), (1, None));
        assert_eq!(config.frontends[0].id, config.backends[0].id, "a listen section is one proxy");
        assert_eq!(
            errors("listen a from none\n bind :1\n server s 10.0.0.1:1\n"),
            ["there are no defaults `none` before this"]
        );
    }

    #[test]
    fn conditions_and_variables_choose_lines() {
        let file = "global\n setenv PORT 6443\n.if defined(PORT)\nlisten a\n bind \":${PORT}\"\n server s 10.0.0.1:1\n\
                    .else\n nonsense\n.endif\n";
        assert_eq!(loaded(file).frontends[0].listen[0].to_string(), "0.0.0.0:6443");
        assert_eq!(errors(".endif\n").first().map(String::as_str), Some("there is no `.if` before this"));
    }

    #[test]
    fn server_lines_start_from_the_default_server_lines_above_them() {
        let file = "default-server inter 5s fall 7 check check-ssl verify none\n server other 10.0.0.2:1 no-check\n default-server fall 2";
        let config = with(file, "rise 4 weight 9 backup maxconn 5 disabled port 99");
        let [other, server] = config.backends[0].servers.as_slice() else { panic!() };
        assert!(other.check.is_none());
        let check = server.check.as_ref().unwrap();
        assert_eq!((check.interval.as_secs(), check.fall, check.rise, check.port), (5, 2, 4, Some(99)));
        assert_eq!(
            (server.weight.value(), server.backup, server.max_sessions, server.disabled),
            (9, true, Some(5), true)
        );
    }

    #[test]
    fn what_can_not_be_honoured_names_its_line_and_what_to_do() {
        let refused = |text: &str| load(text).unwrap_err().to_string();
        let listen = "listen a\n bind :1\n server s 10.0.0.1:1\n";
        assert!(
            refused(&format!("{listen} frobnicate\n"))
                .starts_with("haproxy.cfg:4:2: error: unknown keyword 'frobnicate' in 'listen' section")
        );
        assert!(
            refused(&format!("{listen} http-request deny\n"))
                .contains("haproxy.cfg:4:2: error: `http-request` can't be honoured")
        );
        assert!(
            refused(&format!("global\n bind :1\n{listen}"))
                .contains("haproxy.cfg:2:2: error: 'bind' can't stand in a 'global' section")
        );
        assert!(
            refused("listen a\n bind :1 ssl\n server s 10.0.0.1:1 chekc\n")
                .contains("unknown keyword 'chekc' in 'server' section")
        );
        let lenient = Choice { lenient: true, ..Choice::default() };
        let (config, report) =
            config::parse_haproxy(&format!("{listen} http-request deny\n"), "haproxy.cfg", lenient).unwrap();
        assert_eq!((config.frontends.len(), report.entries().len()), (1, 1));
    }

    #[test]
    fn several_files_are_one_and_each_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("1.cfg"), "frontend f\n bind :1\n default_backend b").unwrap();
        std::fs::write(directory.path().join("2.cfg"), "backend b\n server s 10.0.0.1:1\n nonsense\n").unwrap();
        let report = config::open(config::Input::from(directory.path())).unwrap_err().to_string();
        assert!(report.contains("2.cfg:3:2: error: unknown keyword 'nonsense'"), "{report}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            lines in proptest::collection::vec(
                prop_oneof![
                    "[ -~]{0,60}",
                    (0..keyword::KEYWORDS.len(), "[ -~]{0,30}").prop_map(|(row, rest)| format!(" {} {rest}", keyword::KEYWORDS[row].words)),
                    Just("global".to_owned()), Just("defaults".to_owned()), Just("listen a".to_owned()), Just("backend b".to_owned()),
                ],
                0..12,
            )
        ) {
            let text = lines.join("\n");
            let source = Source::in_memory(&text, "haproxy.cfg");
            let variables = Variables(BTreeMap::new());
            let written = translate(&source, Choice::default(), variables, &mut Mistakes::default()).written;
            prop_assert!(written.text.parse::<toml::Table>().is_ok() || written.text.is_empty(), "{}", written.text);
            if let Err(report) = load(&text) {
                let _ = report.render(false);
            }
        }
    }
}
