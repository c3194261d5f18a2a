//! `spec.hosts` of a file of k0sctl's or cfctl's: the role of each host, and the addresses by which it is reached.
//!
//! The events of the parser are followed with the path at which each stands; what else is in the file, well-formed as
//! it must be, is passed over. Nothing is built of it, so that a file of aliases of aliases is as harmless as any other.

use std::collections::HashMap;
use std::str::CharIndices;

use saphyr_parser::{Event, Parser, ScanError};

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::super::source::Source;

/// One host.
#[derive(Debug, Default, PartialEq)]
pub struct Host {
    /// In the order of the file.
    pub addresses: Vec<(String, Span)>,
    pub role: Option<(String, Span)>,
    /// Whether it is being taken out of the cluster.
    reset: bool,
}

impl Host {
    /// Whether a kube-apiserver runs there.
    pub fn is_controller(&self) -> bool {
        let roles = ["controller", "controller+worker", "single"];
        !self.reset && self.role.as_ref().is_some_and(|(role, _)| roles.contains(&role.as_str()))
    }

    /// What it is called here: its last address, which is its private one where it has two.
    pub fn name(&self) -> &str {
        self.addresses.last().map_or("without an address", |(address, _)| address)
    }

    /// Where it stands in the file.
    pub fn at(&self) -> Option<Span> {
        self.addresses.last().or(self.role.as_ref()).map(|(_, at)| *at)
    }
}

/// Deeper than any file of hosts.
pub const DEEPEST: usize = 64;

/// Reads the hosts; what keeps the file from being used is noted.
pub fn read(source: &Source, mistakes: &mut Mistakes) -> Vec<Host> {
    let text = without_placeholders(&source.text);
    let mut reader = Reader { levels: Vec::new(), hosts: Vec::new(), anchors: HashMap::new(), place: Place::of(&text) };
    for event in Parser::new_from_str(&text) {
        let (event, span) = match event {
            Ok(found) => found,
            Err(error) => {
                let at = reader.place.of_error(&error, &source.text);
                let hint = "is it the file that k0sctl or cfctl applies?".to_owned();
                mistakes.push(Some(at), Mistake::BadLine { what: format!("this is not YAML: {}", error.info()), hint });
                return Vec::new();
            }
        };
        reader.follow(event, (span.start.index(), span.end.index()));
        if reader.levels.len() > DEEPEST {
            let what = format!("the file is nested deeper than {DEEPEST} levels");
            mistakes.push(None, Mistake::BadLine { what, hint: "is it the right file?".to_owned() });
            return Vec::new();
        }
    }
    if !reader.hosts.iter().any(Host::is_controller) {
        let hint = "a file of k0sctl's or cfctl's has `spec.hosts`, each with a `role`".to_owned();
        mistakes.push(None, Mistake::BadLine { what: "no host in it is a controller".to_owned(), hint });
    }
    reader.hosts
}

/// Guides print `...` for lines that they leave out, which is YAML only at a line's begin. The text stays as long as it
/// is.
fn without_placeholders(text: &str) -> String {
    let plain = |line: &str| line.starts_with([' ', '\t']) && line.trim() == "...";
    text.split_inclusive('\n').map(|line| if plain(line) { line.replace('.', " ") } else { line.to_owned() }).collect()
}

/// What is open, and where in it the next event stands.
struct Level {
    step: Step,
    /// Whether the whole is a key of what it stands in, which no file of hosts has.
    is_key: bool,
}

enum Step {
    /// Before a key.
    Key,
    /// At the value of this key.
    Value(String),
    Item,
}

struct Reader<'a> {
    levels: Vec<Level>,
    hosts: Vec<Host>,
    /// Texts that aliases stand for.
    anchors: HashMap<usize, String>,
    place: Place<'a>,
}

impl Reader<'_> {
    fn follow(&mut self, event: Event<'_>, at: (usize, usize)) {
        match event {
            Event::MappingStart(..) => self.open(Step::Key),
            Event::SequenceStart(..) => self.open(Step::Item),
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(closed) = self.levels.pop() {
                    self.pass(closed.is_key.then(String::new));
                }
            }
            Event::Scalar(text, _, anchor, _) => {
                if anchor != 0 {
                    self.anchors.insert(anchor, text.to_string());
                }
                self.text(text.to_string(), at);
            }
            Event::Alias(anchor) => {
                let text = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.text(text, at);
            }
            Event::DocumentStart(_) => self.levels.clear(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn open(&mut self, step: Step) {
        if self.path() == ["spec", "hosts", "-"] {
            self.hosts.push(Host::default());
        }
        let is_key = self.levels.last().is_some_and(|level| matches!(level.step, Step::Key));
        self.levels.push(Level { step, is_key });
    }

    fn text(&mut self, text: String, at: (usize, usize)) {
        if let Some(Level { step: Step::Key, .. }) = self.levels.last() {
            return self.pass(Some(text));
        }
        self.value(text, at);
        self.pass(None);
    }

    /// Goes on behind a key, a value or an item.
    fn pass(&mut self, key: Option<String>) {
        if let Some(level) = self.levels.last_mut() {
            match (&level.step, key) {
                (Step::Item, _) => {}
                (_, Some(key)) => level.step = Step::Value(key),
                (_, None) => level.step = Step::Key,
            }
        }
    }

    /// Where the next event stands: keys, and `-` for an item of a list; empty inside of a key.
    fn path(&self) -> Vec<&str> {
        fn step(level: &Level) -> Option<&str> {
            match &level.step {
                Step::Key => None,
                Step::Value(key) => Some(key.as_str()),
                Step::Item => Some("-"),
            }
        }
        self.levels.iter().map(step).collect::<Option<_>>().unwrap_or_default()
    }

    fn value(&mut self, text: String, at: (usize, usize)) {
        let path = self.path();
        let ["spec", "hosts", "-", of_host @ ..] = path.as_slice() else { return };
        enum Said {
            Role,
            Address,
            Reset,
        }
        let said = match of_host {
            ["role"] => Said::Role,
            ["privateAddress"] | ["ssh" | "openSSH" | "winRM", "address"] => Said::Address,
            ["reset"] => Said::Reset,
            _ => return,
        };
        let span = self.place.span(at);
        let Some(host) = self.hosts.last_mut() else { return };
        match said {
            Said::Role => host.role = Some((text, span)),
            Said::Reset => host.reset = text == "true",
            Said::Address => host.addresses.push((text, span)),
        }
    }
}

/// Makes places in bytes of the parser's, which are in characters and come in the order of the text.
struct Place<'a> {
    text: &'a str,
    rest: CharIndices<'a>,
    passed: usize,
}

impl<'a> Place<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, rest: text.char_indices(), passed: 0 }
    }

    fn span(&mut self, (start, end): (usize, usize)) -> Span {
        Span { start: self.byte(start), end: self.byte(end) }
    }

    fn byte(&mut self, character: usize) -> usize {
        if character < self.passed {
            *self = Self::of(self.text);
        }
        for _ in self.passed..character {
            self.rest.next();
        }
        self.passed = character;
        self.rest.offset()
    }

    /// The character at which the parser gave up.
    fn of_error(&mut self, error: &ScanError, text: &str) -> Span {
        let start = self.byte(error.marker().index());
        let length = text[start..].chars().next().map_or(0, char::len_utf8);
        Span { start, end: start + length }
    }
}
