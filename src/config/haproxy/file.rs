//! The file as it is written: sections of statements, conditions judged, nothing interpreted yet.

use std::rc::Rc;

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::super::source::Source;
use super::cfg::{Cfg, Kind, Layers, Prefix, Proxy, Statement};
use super::condition::{self, DEEPEST};
use super::keyword::{self, Found, Scope};
use super::shape;
use super::statements::Statements;
use super::words::{self, Variables, Word};

/// A `defaults` section.
#[derive(Clone)]
struct Defaults {
    name: Option<String>,
    at: Span,
    layers: Layers,
}

/// `defaults` that start from others, one after another.
const LONGEST_CHAIN: usize = 32;

/// Where the lines that follow belong.
enum Current {
    /// Before any section.
    Nothing,
    Global,
    Defaults {
        name: Option<String>,
        at: Span,
        from: Layers,
        statements: Statements,
    },
    Proxy(Proxy),
    /// A section that means nothing here: its lines are not looked at.
    Skipped,
}

/// One `.if` … `.endif`.
#[derive(Clone, Copy)]
struct Branch {
    at: Span,
    /// Whether the lines of the present part count.
    counts: bool,
    /// Whether one of its parts has counted, or none may: the rest does not.
    settled: bool,
}

/// Reads the whole file. What is wrong with a line is noted, and the line left out.
pub fn read(source: &Source, variables: &mut Variables, lenient: bool, mistakes: &mut Mistakes) -> Cfg {
    let mut reader = Reader {
        cfg: Cfg::default(),
        current: Current::Nothing,
        defaults: Vec::new(),
        branches: Vec::new(),
        variables,
        lenient,
        mistakes,
    };
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        reader.line(line.trim_end_matches(['\n', '\r']), start);
        start += line.len();
    }
    reader.end_section();
    if let Some(branch) = reader.branches.last() {
        reader.mistakes.push(Some(branch.at), bad_line("`.if` has no `.endif`", "add one where it is to end"));
    }
    reader.cfg
}

struct Reader<'a> {
    cfg: Cfg,
    current: Current,
    defaults: Vec<Defaults>,
    branches: Vec<Branch>,
    variables: &'a mut Variables,
    lenient: bool,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, start: usize) {
        let counts = self.branches.last().is_none_or(|branch| branch.counts);
        if !counts && !line.trim_start().starts_with('.') {
            return;
        }
        let words = match words::words(line, start, self.variables) {
            Ok(words) => words,
            Err((error, at)) => {
                let hint =
                    "a quotation mark, a backslash or a dollar sign that means itself is written `\\\"`, `\\\\`, `\\$`";
                return self.mistakes.push(Some(at), bad_line(error, hint));
            }
        };
        let Some(first) = words.first() else { return };
        let at = first.span.to(words.last().unwrap_or(first).span);
        let words = self.without_empty(words);
        match words.first() {
            None => {}
            Some(first) if first.text.starts_with('.') => self.directive(&words, at),
            Some(first) if keyword::is_section(&first.text) => self.section(&words, at),
            Some(_) => self.statement(&words, at),
        }
    }

    /// An empty word ends its line, as it does for HAProxy, which warns of it.
    fn without_empty(&mut self, mut words: Vec<Word>) -> Vec<Word> {
        if let Some(empty) = words.iter().position(|word| word.text.is_empty()) {
            self.mistakes.push(Some(words[empty].span), Mistake::EmptyWord);
            words.truncate(empty);
        }
        words
    }

    // ---- conditions ----

    fn directive(&mut self, words: &[Word], at: Span) {
        let text = words[1..].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let counts = self.branches.last().is_none_or(|branch| branch.counts);
        match words[0].text.as_str() {
            ".if" if self.branches.len() == DEEPEST => {
                self.mistakes.push(Some(at), bad_line("conditions are nested deeper than 10", "join them by `&&`"));
            }
            ".if" => {
                let holds = counts && self.judge(&text, at);
                self.branches.push(Branch { at, counts: holds, settled: holds || !counts });
            }
            ".elif" => match self.branches.last().copied() {
                Some(branch) => {
                    let holds = !branch.settled && self.judge(&text, at);
                    self.turn(Branch { counts: holds, settled: branch.settled || holds, ..branch });
                }
                None => self.outside(at),
            },
            ".else" => match self.branches.last().copied() {
                Some(branch) => self.turn(Branch { counts: !branch.settled, settled: true, ..branch }),
                None => self.outside(at),
            },
            ".endif" => {
                if self.branches.pop().is_none() {
                    self.outside(at);
                }
            }
            _ if !counts => {}
            ".notice" | ".warning" | ".diag" => self.mistakes.push(Some(at), Mistake::Said { text }),
            ".alert" => {
                self.mistakes.push(Some(at), bad_line(format!("the file says: {text}"), "it is meant to end here"));
            }
            other => {
                let hint = "they are .if, .elif, .else, .endif, .notice, .warning, .alert and .diag";
                self.mistakes.push(Some(words[0].span), bad_line(format!("`{other}` is no directive"), hint));
            }
        }
    }

    fn turn(&mut self, branch: Branch) {
        if let Some(last) = self.branches.last_mut() {
            *last = branch;
        }
    }

    fn outside(&mut self, at: Span) {
        self.mistakes.push(Some(at), bad_line("there is no `.if` before this", "remove it, or add the `.if`"));
    }

    fn judge(&mut self, text: &str, at: Span) -> bool {
        condition::holds(text, self.variables).unwrap_or_else(|error| {
            let hint = "a condition is made of defined(), streq(), feature(), version_atleast() and their like, `!`, `&&` and `||`";
            self.mistakes.push(Some(at), bad_line(error, hint));
            false
        })
    }

    // ---- sections ----

    fn section(&mut self, words: &[Word], at: Span) {
        self.end_section();
        self.cfg.headers.push((at, matches!(words[0].text.as_str(), "frontend" | "backend" | "listen")));
        let name = words.get(1).filter(|word| word.text != "from");
        self.look_behind_name(words, name);
        let defaults = self.inherited(words);
        self.current = match words[0].text.as_str() {
            "global" => Current::Global,
            "defaults" => Current::Defaults {
                name: name.map(|name| name.text.clone()),
                at,
                from: self.continued(words, defaults),
                statements: Statements::default(),
            },
            kind @ ("frontend" | "backend" | "listen") => {
                let kind = match kind {
                    "frontend" => Kind::Frontend,
                    "backend" => Kind::Backend,
                    _ => Kind::Listen,
                };
                let Some(name) = name else {
                    let hint = format!("write `{} NAME`", kind.word());
                    self.mistakes.push(Some(at), bad_line(format!("this {} has no name", kind.word()), hint));
                    self.current = Current::Skipped;
                    return;
                };
                Current::Proxy(Proxy {
                    kind,
                    name: name.clone(),
                    at,
                    own: Statements::default(),
                    defaults_at: defaults.as_ref().map(|defaults| defaults.at),
                    defaults: defaults.map(|defaults| defaults.layers).unwrap_or_default(),
                })
            }
            other => {
                let row = keyword::section(other);
                row.fate.note(other, words[0].span, self.lenient, self.mistakes);
                Current::Skipped
            }
        };
    }

    /// Nothing stands behind a section's name but `from` and the defaults that it names.
    fn look_behind_name(&mut self, words: &[Word], name: Option<&Word>) {
        let named = if words[0].text == "global" { 1 } else { 1 + usize::from(name.is_some()) };
        let known = if words.get(named).is_some_and(|word| word.text == "from") { named + 2 } else { named };
        let (Some(extra), false) = (words.get(known), keyword::is_other_section(&words[0].text)) else { return };
        let hint = match words[0].text.as_str() {
            // HAProxy took an address there until 2.3.
            "frontend" | "listen" => format!("write `bind {}` below it", extra.text),
            _ => "remove it".to_owned(),
        };
        let what = format!("`{}` stands behind what a `{}` line says", extra.text, words[0].text);
        self.mistakes.push(Some(extra.span), bad_line(what, hint));
    }

    /// The defaults that a section starts from: those that it names, or the last before it.
    fn inherited(&mut self, words: &[Word]) -> Option<Defaults> {
        let Some(from) = words.iter().position(|word| word.text == "from") else {
            return self.defaults.last().cloned();
        };
        let name = words.get(from + 1)?;
        let mut all = self.defaults.iter().filter(|defaults| defaults.name.as_deref() == Some(&name.text));
        let named = all.next_back();
        if all.next().is_some() {
            let message = format!("there are several defaults `{}` before this", name.text);
            self.mistakes.push(Some(name.span), bad_line(message, "give each a name of its own"));
        }
        if named.is_none() {
            let message = format!("there are no defaults `{}` before this", name.text);
            self.mistakes.push(Some(name.span), bad_line(message, "name a `defaults` section that stands above"));
        }
        named.cloned()
    }

    /// What a `defaults` section starts from, if it says so.
    fn continued(&mut self, words: &[Word], defaults: Option<Defaults>) -> Layers {
        let Some(from) = words.iter().find(|word| word.text == "from") else { return Layers::new() };
        let layers = defaults.map(|defaults| defaults.layers).unwrap_or_default();
        if layers.len() == LONGEST_CHAIN {
            let what = format!("more than {LONGEST_CHAIN} defaults start from one another");
            self.mistakes.push(Some(from.span), bad_line(what, "start from an earlier one"));
            return Layers::new();
        }
        layers
    }

    fn end_section(&mut self) {
        match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::Nothing | Current::Global | Current::Skipped => {}
            Current::Defaults { name, at, mut from, statements } => {
                from.push(Rc::new(statements));
                self.defaults.push(Defaults { name, at, layers: from });
            }
            Current::Proxy(proxy) => self.cfg.proxies.push(proxy),
        }
    }

    // ---- statements ----

    fn statement(&mut self, words: &[Word], at: Span) {
        let (scope, place) = match &self.current {
            Current::Global => (Scope::GLOBAL, "global"),
            Current::Defaults { .. } => (Scope::DEFAULTS, "defaults"),
            Current::Proxy(proxy) => (proxy.kind.scope(), proxy.kind.word()),
            Current::Skipped => return,
            Current::Nothing => {
                let hint = "a haproxy.cfg begins with `global`, `defaults`, `frontend`, `backend` or `listen`";
                return self.mistakes.push(Some(at), bad_line("this stands before any section", hint));
            }
        };
        let (prefix, words) = match words[0].text.as_str() {
            "no" => (Some(Prefix::No), &words[1..]),
            "default" => (Some(Prefix::Default), &words[1..]),
            _ => (None, words),
        };
        let Some(first) = words.first() else {
            return self.mistakes.push(Some(at), bad_line("nothing follows", "write what is to be off"));
        };
        let texts: Vec<&str> = words.iter().take(2).map(|word| word.text.as_str()).collect();
        match keyword::find(&texts, scope) {
            Found::Keyword(keyword, length) => {
                let head = first.span.to(words[length - 1].span);
                let statement = Statement {
                    keyword,
                    prefix,
                    arguments: words[length..].to_vec(),
                    at,
                    head,
                    written: texts[..length].join(" "),
                };
                self.keep(statement);
            }
            Found::Elsewhere { word, sections } => {
                let mistake = Mistake::DirectiveElsewhere { word: word.to_owned(), place, sections };
                self.refuse(mistake, first.span);
            }
            Found::Idle { word, sections } => {
                self.mistakes.push(Some(first.span), Mistake::DirectiveIdle { word: word.to_owned(), place, sections });
            }
            Found::Unknown { word, near } => {
                let mistake = Mistake::UnknownDirective { word, place, near };
                self.refuse(mistake, first.span.to(words.get(1).unwrap_or(first).span));
            }
        }
    }

    fn keep(&mut self, statement: Statement) {
        let words = statement.keyword.words;
        statement.keyword.fate.note(&statement.written, statement.head, self.lenient, self.mistakes);
        let fits =
            matches!(statement.keyword.fate, keyword::Fate::Refused(..)) || shape::fits(&statement, self.mistakes);
        match statement.keyword.fate {
            _ if !fits => return,
            keyword::Fate::Honoured => {}
            keyword::Fate::Noted(_) => return self.cfg.noted.push(statement),
            keyword::Fate::Refused(..) => return,
        }
        if matches!(words, "setenv" | "presetenv" | "unsetenv" | "resetenv") {
            return self.set_variables(&statement);
        }
        match &mut self.current {
            Current::Global => self.cfg.global.push(statement),
            Current::Defaults { statements, .. } => statements.push(statement),
            Current::Proxy(proxy) => proxy.own.push(statement),
            Current::Nothing | Current::Skipped => {}
        }
    }

    /// Keeps the file from being used, unless such lines are only to be left out.
    fn refuse(&mut self, mistake: Mistake, head: Span) {
        self.mistakes.refuse(head, mistake, self.lenient);
    }

    fn set_variables(&mut self, statement: &Statement) {
        let texts: Vec<&str> = statement.arguments.iter().map(|word| word.text.as_str()).collect();
        let variables = &mut self.variables.0;
        match (statement.keyword.words, texts.as_slice()) {
            ("setenv", [name, value]) => drop(variables.insert((*name).to_owned(), (*value).to_owned())),
            ("presetenv", [name, value]) => {
                variables.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
            }
            ("unsetenv", names @ [_, ..]) => names.iter().for_each(|name| drop(variables.remove(*name))),
            ("resetenv", names) => variables.retain(|name, _| names.contains(&name.as_str())),
            (word, _) => {
                let message = format!(
                    "`{word}` needs a variable's name{}",
                    if word == "unsetenv" { "" } else { " and its value" }
                );
                self.mistakes.push(Some(statement.at), bad_line(message, "write it as `setenv NAME VALUE`"));
            }
        }
    }
}

/// What is wrong with a line, and what to do.
pub fn bad_line(what: impl ToString, hint: impl Into<String>) -> Mistake {
    Mistake::BadLine { what: what.to_string(), hint: hint.into() }
}
