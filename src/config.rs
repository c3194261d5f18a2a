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

use crate::model;

mod account;
mod builtin;
mod ca;
mod credential;
mod expand;
mod leaf;
mod list;
mod mistake;
mod people;
mod preset;
mod raw;
mod read;
mod report;
mod resolve;
mod runtime;
mod settings;
mod show;
mod source;
mod spelling;
mod syntax;
mod target;
mod text;
mod value;

pub use credential::{IdentityError, identity, token};
pub use mistake::{KINDS, Severity};
pub use raw::SECTIONS;
pub use report::{Entry, Place, Report};
pub use settings::{Difference, Settings};
pub use spelling::meant;
pub use value::{AddressError, DurationError, NetworkError, duration, endpoint, network};

use expand::Expanded;
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

/// As [`load`], with the warnings of a file that has no errors.
///
/// # Errors
///
/// As [`load`].
pub fn inspect(path: &Path) -> Result<(model::Config, Report), Report> {
    understand(Source::read(path)?).map(|understood| (understood.config, understood.warnings))
}

/// A configuration that has no errors, with what it comes to.
#[derive(Debug)]
pub struct Loaded {
    pub config: model::Config,
    /// To be held against those of another one.
    pub settings: Settings,
    pub warnings: Report,
}

/// Reads and resolves the file at `path` for a process that runs by it.
///
/// # Errors
///
/// As [`load`].
pub fn open(path: &Path) -> Result<Loaded, Report> {
    understand(Source::read(path)?).map(Understood::loaded)
}

/// Resolves a text in memory; `name` stands for its file in reports, and relative paths start from its directory.
///
/// # Errors
///
/// Every mistake of the text.
pub fn parse(text: &str, name: &str) -> Result<model::Config, Report> {
    understand(Source::in_memory(text, name)).map(|understood| understood.config)
}

/// What the file at `path` expands to: TOML that loads to an equal configuration, each value with where it is from.
///
/// # Errors
///
/// As [`load`].
pub fn show(path: &Path) -> Result<String, Report> {
    understand(Source::read(path)?).map(|understood| understood.shown())
}

/// As [`show()`], of a text in memory.
///
/// # Errors
///
/// As [`parse`].
pub fn show_text(text: &str, name: &str) -> Result<String, Report> {
    understand(Source::in_memory(text, name)).map(|understood| understood.shown())
}

/// A file without errors.
struct Understood {
    config: model::Config,
    expanded: Expanded,
    /// Holds the source, too.
    warnings: Report,
}

impl Understood {
    fn loaded(self) -> Loaded {
        let settings = Settings::of(self.shown());
        Loaded { config: self.config, settings, warnings: self.warnings }
    }

    fn shown(&self) -> String {
        show::show(&self.expanded, self.warnings.source())
    }
}

/// The three steps.
fn understand(source: Source) -> Result<Understood, Report> {
    let mut mistakes = Mistakes::default();
    let understood = raw::read(&source, &mut mistakes).and_then(|file| {
        let expanded = expand::expand(file);
        let config = resolve::resolve(&expanded, &source, &mut mistakes)?;
        Some((config, expanded))
    });
    let report = Report::new(source, mistakes);
    match understood {
        Some((config, expanded)) if !report.has_errors() => Ok(Understood { config, expanded, warnings: report }),
        _ => Err(report),
    }
}
