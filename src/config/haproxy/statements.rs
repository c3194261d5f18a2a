//! The statements of a section, found by their keywords: a file with thousands of sections asks each for dozens of them.

use std::collections::HashMap;

use super::cfg::Statement;

/// Statements in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Statements {
    all: Vec<Statement>,
    /// Where those of a keyword are.
    places: HashMap<&'static str, Vec<usize>>,
}

impl Statements {
    pub fn push(&mut self, statement: Statement) {
        self.places.entry(statement.keyword.words).or_default().push(self.all.len());
        self.all.push(statement);
    }

    /// Those of a keyword.
    pub fn of<'a>(&'a self, keyword: &str) -> impl DoubleEndedIterator<Item = &'a Statement> + use<'a> {
        let places = self.places.get(keyword).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|place| &self.all[*place])
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Statement> {
        self.all.iter()
    }
}
