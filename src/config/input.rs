//! What is read as a configuration: a file, or several of a haproxy.cfg, and in which language it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::haproxy::{Choice, Variables};
use super::mistake::{Mistake, Mistakes};
use super::overrides::Overrides;
use super::report::Report;
use super::source::Source;
use crate::model::Dialect;

/// What a process runs by, as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// At least one. A directory stands for its files that end in `.cfg`, in the order of their names.
    pub paths: Vec<PathBuf>,
    /// `None` leaves it to the first path's name.
    pub dialect: Option<Dialect>,
    /// How a haproxy.cfg is read.
    pub choice: Choice,
    /// Variables that it sees beside those of the process's environment.
    pub set: Vec<(String, String)>,
    /// What counts whatever the file says.
    pub overrides: Overrides,
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        Self { paths: vec![path.to_owned()], ..Self::default() }
    }
}

impl From<&PathBuf> for Input {
    fn from(path: &PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

impl From<&Self> for Input {
    fn from(input: &Self) -> Self {
        input.clone()
    }
}

impl Input {
    /// Its first path, by which it is called.
    pub fn path(&self) -> &Path {
        self.paths.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// The language: TOML unless it says otherwise, or is called `….cfg`, or is a directory.
    pub fn dialect(&self) -> Dialect {
        let by_name = || match self.path().extension().is_some_and(|end| end == "cfg") || self.path().is_dir() {
            true => Dialect::Haproxy,
            false => Dialect::Toml,
        };
        self.dialect.unwrap_or_else(by_name)
    }

    /// The environment as a haproxy.cfg sees it.
    pub(super) fn variables(&self) -> Variables {
        let Variables(mut variables) = Variables::of_the_process();
        variables.extend(self.set.iter().cloned());
        Variables(variables)
    }

    /// The text of all its files.
    pub(super) fn source(&self) -> Result<Source, Report> {
        match self.dialect() {
            Dialect::Toml => Source::read(self.path()),
            Dialect::Haproxy => Source::read_all(&self.files()?),
        }
    }

    fn files(&self) -> Result<Vec<PathBuf>, Report> {
        let mut files = Vec::new();
        for path in &self.paths {
            match path.is_dir() {
                true => files.extend(in_directory(path)?),
                false => files.push(path.clone()),
            }
        }
        Ok(files)
    }
}

fn in_directory(path: &Path) -> Result<Vec<PathBuf>, Report> {
    let refused = |mistake| {
        let mut mistakes = Mistakes::default();
        mistakes.push(None, mistake);
        Report::new(Source::in_memory("", &path.display().to_string()), mistakes)
    };
    let entries = fs::read_dir(path).map_err(|error| refused(Mistake::unreadable(&error)))?;
    let is_cfg = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        path.extension().is_some_and(|end| end == "cfg") && !hidden
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_cfg).collect();
    files.sort();
    match files.is_empty() {
        true => Err(refused(Mistake::Unreadable("no file in it ends in .cfg".to_owned()))),
        false => Ok(files),
    }
}
