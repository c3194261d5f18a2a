//! What a file says, before anything is made of it: statements, and the proxies that they are of.

use std::rc::Rc;

use super::super::read::Span;
use super::keyword::{Keyword, Scope};
use super::statements::Statements;
use super::words::Word;

/// One line that means something.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Its row in the table of keywords.
    pub keyword: &'static Keyword,
    /// Whether `no` or `default` stands before it.
    pub prefix: Option<Prefix>,
    /// What follows the keyword.
    pub arguments: Vec<Word>,
    /// The whole line.
    pub at: Span,
    /// The keyword as it stands there.
    pub head: Span,
    pub written: String,
}

impl Statement {
    /// Whether it states 0, which is no limit at all.
    pub fn is_zero(&self) -> bool {
        self.arguments.first().is_some_and(|word| word.text == "0")
    }
}

/// What may stand before a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    No,
    Default,
}

/// What kind of proxy a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Frontend,
    Backend,
    /// Both at once.
    Listen,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Listen => "listen",
        }
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            Self::Frontend => Scope::FRONTEND,
            Self::Backend => Scope::BACKEND,
            Self::Listen => Scope::LISTEN,
        }
    }

    pub fn has_frontend(self) -> bool {
        self != Self::Backend
    }

    pub fn has_backend(self) -> bool {
        self != Self::Frontend
    }
}

/// What a chain of `defaults` says, each shared by all that start from it.
pub type Layers = Vec<Rc<Statements>>;

/// A frontend, a backend, or both.
#[derive(Debug)]
pub struct Proxy {
    pub kind: Kind,
    pub name: Word,
    pub at: Span,
    pub(super) own: Statements,
    /// What its defaults say, those that they start from first.
    pub(super) defaults: Layers,
    /// The header of the defaults that it starts from.
    pub defaults_at: Option<Span>,
}

/// Everything that the file says.
#[derive(Debug, Default)]
pub struct Cfg {
    pub global: Statements,
    pub proxies: Vec<Proxy>,
    /// Lines that change nothing here, and may do so elsewhere.
    pub noted: Vec<Statement>,
    /// Where sections begin, in file order, and whether a proxy does.
    pub headers: Vec<(Span, bool)>,
}

impl Cfg {
    /// The last statement of this keyword in `global`.
    pub fn global(&self, keyword: &str) -> Option<&Statement> {
        self.global.of(keyword).next_back()
    }

    /// The last statement of this keyword that changes nothing here.
    pub fn noted(&self, keyword: &str) -> Option<&Statement> {
        self.noted.iter().rfind(|statement| statement.keyword.words == keyword)
    }

    /// All of this keyword in `global`.
    pub fn globals<'a>(&'a self, keyword: &str) -> impl Iterator<Item = &'a Statement> + use<'a> {
        self.global.of(keyword)
    }
}

impl Proxy {
    /// The statement that counts of a keyword of which the last one does: its own, or that of its defaults.
    pub fn last(&self, keyword: &str) -> Option<&Statement> {
        let counts = |statement: &&Statement| statement.prefix != Some(Prefix::Default);
        let said = self.layers_of(keyword).rev().find_map(|layer| layer.of(keyword).rfind(counts));
        said.filter(|statement| statement.prefix.is_none())
    }

    /// Its defaults, then what it says itself.
    fn layers(&self) -> impl DoubleEndedIterator<Item = &Statements> {
        self.defaults.iter().map(Rc::as_ref).chain([&self.own])
    }

    /// Those in which a keyword counts: one line of its own on statistics ends all that its defaults say of them.
    fn layers_of(&self, keyword: &str) -> impl DoubleEndedIterator<Item = &Statements> {
        let is_of_statistics = |keyword: &str| keyword.starts_with("stats ");
        let detached = is_of_statistics(keyword) && self.own.iter().any(|own| is_of_statistics(own.keyword.words));
        let defaults = if detached { &[][..] } else { &self.defaults[..] };
        defaults.iter().map(Rc::as_ref).chain([&self.own])
    }

    /// Every statement of a keyword that may stand several times; those of the defaults come first.
    pub fn every<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a Statement> {
        self.layers_of(keyword).flat_map(move |layer| layer.of(keyword))
    }

    /// Its own statements of a keyword.
    pub fn own<'a>(&'a self, keyword: &str) -> impl Iterator<Item = &'a Statement> + use<'a> {
        self.own.of(keyword)
    }

    /// Of several keywords, of which the last one counts, the statement that does.
    pub fn last_of(&self, keywords: &[&str]) -> Option<&Statement> {
        self.layers().rev().find_map(|layer| {
            let stated = keywords.iter().filter_map(|keyword| layer.of(keyword).rfind(|it| it.prefix.is_none()));
            stated.max_by_key(|statement| statement.at.start)
        })
    }

    /// Everything that bears on it, its defaults first.
    pub fn all(&self) -> impl Iterator<Item = &Statement> {
        self.layers().flat_map(Statements::iter)
    }
}
