//! The configuration: from a file's text to a [`model::Config`], or to every mistake in it.
//!
//! Three steps, each in its own module, each with one story:
//!
//! 1. `raw` reads the TOML into flat structs that mirror the file. Every field is optional and knows its place. A
//!    mistake is noted where it stands and reading goes on, so that one look finds them all; this is why the typed
//!    readers in `read` walk the spanned tree of the `toml` crate instead of a derived `Deserialize`, which ends at
//!    the first mistake.
//! 2. `expand` fills the fields that the file leaves open: nearest wins, server over backend or frontend over
//!    `[defaults]` over preset over built-in. The result is the same structs with nothing left open that has a default,
//!    and each value still knows where it is from; [`show()`] prints exactly this.
//! 3. `resolve` turns that into a [`model::Config`], which cannot be wrong, and finds what only shows when parts are
//!    held against each other: unknown backends, two listeners on one address.
//!
//! The shortest file that works is two lines:
//!
//! ```
//! let config = evenkeel::config::parse(
//!     r#"
//!     preset = "k0s"
//!     controllers = ["10.10.0.2", "10.10.1.2", "10.10.2.2"]
//!     "#,
//!     "evenkeel.toml",
//! )
//! .expect("it has no mistakes");
//! assert_eq!(config.frontends.len(), 3);
//! assert_eq!(config.hosts.len(), 3);
//! ```
//!
//! A file with mistakes gives a [`Report`], which holds all of them:
//!
//! ```
//! let report = evenkeel::config::parse("[limits]\nmax_sesions = 1\non_limit = 'wait'", "evenkeel.toml").unwrap_err();
//! assert_eq!(report.errors().count(), 3, "an unknown key, an unknown word, and nothing to serve");
//! ```

//!
//! # The shape of a file
//!
//! `config/reference.toml` has every key with its meaning, at its default:
//!
#![doc = concat!("```toml\n", include_str!("../config/reference.toml"), "```")]

use std::path::Path;

use crate::model::{self, Dialect};

mod account;
mod builtin;
mod ca;
mod cluster;
mod credential;
mod door;
mod expand;
mod export;
mod finding;
mod haproxy;
mod input;
mod leaf;
mod list;
mod mistake;
mod numbers;
mod overrides;
mod people;
mod preset;
mod question;
mod raw;
mod read;
mod report;
mod resolve;
mod runtime;
mod service;
mod settings;
mod show;
mod site;
mod source;
mod spelling;
mod syntax;
mod table;
mod target;
mod text;
mod value;
mod when;

pub use cluster::Compared;
pub use credential::{IdentityError, identity, token};
pub use haproxy::{Choice, ConditionError, FEATURES, Launch, Policy};
pub use input::Input;
pub use mistake::{KINDS, Severity};
pub use overrides::{Overrides, Shadow};
pub use raw::SECTIONS;
pub use report::{Entry, Place, Report};
pub use settings::{Difference, Settings};
pub use spelling::meant;
pub use value::{AddressError, DurationError, NetworkError, duration, endpoint, listen, network};

use cluster::Cluster;
use expand::Expanded;
use haproxy::Variables;
use mistake::Mistakes;
use source::Source;

/// Largest file that is read, in bytes; a configuration of 100,000 lines has about half of it.
pub const MAX_FILE: u64 = 8 << 20;

/// Reads and resolves the file at `path`. Warnings are dropped; [`inspect`] gives them too.
///
/// Relative paths in the file are relative to the file's directory.
///
/// # Errors
///
/// Every mistake of the file, or what kept it from being read.
pub fn load(path: &Path) -> Result<model::Config, Report> {
    inspect(path).map(|(config, _)| config)
}

/// As [`load`], with the warnings and notes of a file that has no errors.
///
/// # Errors
///
/// As [`load`].
pub fn inspect(input: impl Into<Input>) -> Result<(model::Config, Report), Report> {
    understand(&input.into()).map(|understood| (understood.config, understood.warnings))
}

/// A configuration that has no errors, with what it comes to.
#[derive(Debug)]
pub struct Loaded {
    pub config: model::Config,
    /// To be held against those of another one.
    pub settings: Settings,
    pub warnings: Report,
    /// How many findings [`examine`] would tell beside them.
    pub findings: usize,
}

/// Reads and resolves what a process is to run by.
///
/// # Errors
///
/// As [`load`].
pub fn open(input: impl Into<Input>) -> Result<Loaded, Report> {
    let input = input.into();
    let mut loaded = understand(&input)?.loaded();
    input.overrides.apply(&mut loaded.config);
    Ok(loaded)
}

/// A configuration that has no errors, with all that there is to say of it.
#[derive(Debug)]
pub struct Examined {
    pub config: model::Config,
    /// Warnings, notes and findings.
    pub report: Report,
    /// What came of a comparison with a cluster's hosts.
    pub cluster: Option<Compared>,
}

/// Reads, resolves and looks for what is wrong with a configuration that works; `cluster` is a file of cfctl's or
/// k0sctl's whose controllers the servers should be.
///
/// # Errors
///
/// As [`load`], or what kept the cluster's file from being read.
pub fn examine(input: impl Into<Input>, cluster: Option<&Path>) -> Result<Examined, Report> {
    let understood = understand(&input.into())?;
    let compared = cluster.map(|path| understood.compared(&Cluster::read(path)?)).transpose()?;
    let report = understood.warnings.with(understood.findings);
    let Some((differences, compared)) = compared else {
        return Ok(Examined { config: understood.config, report, cluster: None });
    };
    Ok(Examined { config: understood.config, report: report.with(differences), cluster: Some(compared) })
}

/// The ids of all findings, in the order of docs/findings.md.
pub fn findings() -> impl Iterator<Item = &'static str> {
    haproxy::findings().chain(cluster::FINDINGS)
}

/// Resolves a text in memory; `name` stands for its file in reports, and relative paths start from its directory.
///
/// # Errors
///
/// Every mistake of the text.
pub fn parse(text: &str, name: &str) -> Result<model::Config, Report> {
    resolved(Source::in_memory(text, name)).map(|understood| understood.config)
}

/// As [`parse`], of the text of a haproxy.cfg.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_haproxy(text: &str, name: &str, choice: Choice) -> Result<(model::Config, Report), Report> {
    let understood = translated(Source::in_memory(text, name), choice, Variables::of_the_process())?;
    Ok((understood.config, understood.warnings))
}

/// What a file expands to: TOML that loads to an equal configuration, each value with where it is from.
///
/// # Errors
///
/// As [`load`].
pub fn show(input: impl Into<Input>) -> Result<String, Report> {
    understand(&input.into()).map(|understood| understood.shown())
}

/// As [`show()`], of a text in memory.
///
/// # Errors
///
/// As [`parse`].
pub fn show_text(text: &str, name: &str) -> Result<String, Report> {
    resolved(Source::in_memory(text, name)).map(|understood| understood.shown())
}

/// The TOML that behaves as a haproxy.cfg does.
///
/// # Errors
///
/// As [`load`].
pub fn import(input: impl Into<Input>) -> Result<(String, Report), Report> {
    let input = input.into();
    let understood = translated(input.source()?, input.choice, input.variables())?;
    Ok((understood.source.text, understood.warnings))
}

/// What a haproxy.cfg says of how the process is started: nothing, of files that can't be read or are none.
pub fn launch(input: &Input) -> Launch {
    match (input.dialect(), input.source()) {
        (Dialect::Haproxy, Ok(source)) => haproxy::launch(&source, input.variables()),
        _ => Launch::default(),
    }
}

/// A socket of the runtime API as a `stats socket` line has it, such as `/run/haproxy.sock level admin mode 600`.
///
/// # Errors
///
/// What is wrong with it.
pub fn runtime_socket(line: &str) -> Result<model::RuntimeSocket, Report> {
    // In a file that has nothing else to say.
    let text = format!("global\n stats socket {line}\nlisten any\n bind :1\n server any 192.0.2.1:1\n");
    let (mut config, _) = parse_haproxy(&text, "stats socket", Choice::default())?;
    Ok(config.runtime.pop().expect("the line names one"))
}

/// Whether a condition of a haproxy.cfg's `.if` holds, as `haproxy -cc` says.
///
/// # Errors
///
/// Why it can't be said.
pub fn condition(text: &str) -> Result<bool, ConditionError> {
    haproxy::holds(text, &Variables::of_the_process())
}

/// A haproxy.cfg that HAProxy 3.2 takes and that says what this does, as far as it has words for it.
///
/// # Errors
///
/// As [`load`].
pub fn export(input: impl Into<Input>) -> Result<(String, Report), Report> {
    let input = input.into();
    let understood = understand(&input)?;
    Ok((export::haproxy(&understood.config, &input.path().display().to_string()), understood.warnings.without_notes()))
}

/// A file without errors.
struct Understood {
    config: model::Config,
    expanded: Expanded,
    /// The TOML.
    source: Source,
    /// Warnings and notes, each in its place of what was written.
    warnings: Report,
    /// What is wrong although it works.
    findings: Report,
}

impl Understood {
    fn loaded(self) -> Loaded {
        let settings = Settings::of(self.shown());
        let findings = self.findings.findings();
        Loaded { config: self.config, settings, warnings: self.warnings.without_notes(), findings }
    }

    /// The servers held against a cluster's controllers: what differs, in their places, and what came of it.
    fn compared(&self, cluster: &Cluster) -> Result<(Report, Compared), Report> {
        let written = self.source.written();
        let (mistakes, compared) = cluster.compare(&self.expanded, &self.source, written);
        Ok((Report::new(written.clone(), mistakes), compared))
    }

    fn shown(&self) -> String {
        show::show(&self.expanded, &self.source)
    }
}

fn understand(input: &Input) -> Result<Understood, Report> {
    let source = input.source()?;
    match input.dialect() {
        Dialect::Toml => resolved(source),
        Dialect::Haproxy => translated(source, input.choice, input.variables()),
    }
}

/// The three steps.
fn resolved(source: Source) -> Result<Understood, Report> {
    let mut mistakes = Mistakes::default();
    let understood = steps(&source, &mut mistakes);
    let report = Report::new(source.clone(), mistakes);
    match understood {
        Some((config, expanded)) if !report.has_errors() => {
            let findings = Report::new(source.clone(), Mistakes::default());
            Ok(Understood { config, expanded, source, warnings: report, findings })
        }
        _ => Err(report),
    }
}

/// The same, after a step that makes TOML of a haproxy.cfg.
fn translated(source: Source, choice: Choice, variables: Variables) -> Result<Understood, Report> {
    let mut mistakes = Mistakes::default();
    let haproxy::Translated { written, findings } = haproxy::translate(&source, choice, variables, &mut mistakes);
    let toml = Source::translated(written, source.clone());
    let mut further = Mistakes::default();
    let understood = steps(&toml, &mut further);
    if mistakes.has_errors() {
        // What was not translated is missed, too.
        further.retain(|mistake| !mistake.is_absence());
    }
    mistakes.append(further.moved(|span| toml.origin(span)));
    let report = Report::new(source.clone(), mistakes);
    match understood {
        Some((mut config, expanded)) if !report.has_errors() => {
            config.dialect = Dialect::Haproxy;
            let findings = Report::new(source, findings);
            Ok(Understood { config, expanded, source: toml, warnings: report, findings })
        }
        _ => Err(report),
    }
}

fn steps(source: &Source, mistakes: &mut Mistakes) -> Option<(model::Config, Expanded)> {
    let expanded = expand::expand(raw::read(source, mistakes)?);
    let config = resolve::resolve(&expanded, source, mistakes)?;
    Some((config, expanded))
}
