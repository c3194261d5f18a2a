//! What is wrong with a file, all of it, as the operator reads it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

use super::mistake::{Found, Mistake, Mistakes, Severity};
use super::source::Source;

/// Everything that is wrong with one configuration, in file order.
///
/// [`fmt::Display`] gives a line for each, `file:line:column: error: …`; [`Report::render`] shows each in its place.
pub struct Report {
    // Boxed, because it is what most functions here give when they fail.
    source: Box<Source>,
    entries: Vec<Entry>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub severity: Severity,
    /// One of [`KINDS`](super::KINDS), or of [`findings`](super::findings).
    pub kind: &'static str,
    /// Whether it is a finding, of which docs/findings.md has a section.
    pub is_finding: bool,
    /// A lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// `None` for what is wrong with the file as a whole.
    pub place: Option<Place>,
    /// Another place that has to do with it, and what is there.
    pub also: Option<(Place, &'static str)>,
    /// The file beside this one that could not be used, if it is about one.
    pub file: Option<PathBuf>,
}

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In bytes of the file's text, a byte order mark left out.
    pub span: Range<usize>,
}

/// More mistakes than this are counted instead of shown.
const SHOWN: usize = 100;

/// An excerpt of the file spans so many lines at most; of longer stretches, both ends are shown.
const EXCERPT: usize = 400;

/// Lines longer than this, in bytes, are no excerpt that helps.
const LONGEST_LINE: usize = 2_000;

/// Messages longer than this, in characters, are cut in the middle.
const LONGEST_MESSAGE: usize = 400;

impl Report {
    pub(super) fn new(source: Source, mistakes: Mistakes) -> Self {
        let entries = mistakes.in_order().into_iter().map(|found| entry(&source, found)).collect();
        Self { source: Box::new(source), entries }
    }

    /// Every mistake, in file order; those of the file as a whole first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The mistakes that keep the file from being used.
    pub fn errors(&self) -> impl Iterator<Item = &Entry> {
        self.of(Severity::Error)
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.severity == severity)
    }

    /// The same without what only those want who ask for everything.
    #[must_use]
    pub fn without_notes(mut self) -> Self {
        self.entries.retain(|entry| entry.severity != Severity::Note);
        self
    }

    /// The same with what another report on this file says, in file order.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self.entries.sort_by_key(|entry| entry.place.as_ref().map(|place| place.span.start));
        self
    }

    /// How many findings it has.
    pub fn findings(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_finding).count()
    }

    /// The same, a line for each with its place; at most the hundred first.
    pub fn error_lines(&self) -> Vec<String> {
        self.errors().take(SHOWN).map(|entry| self.line(entry)).collect()
    }

    /// The files beside this one that could not be used.
    pub fn other_files(&self) -> impl Iterator<Item = &Path> {
        self.errors().filter_map(|entry| entry.file.as_deref())
    }

    /// `file:line:column: error: …`
    fn line(&self, entry: &Entry) -> String {
        let severity = match entry.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let id = if entry.is_finding { format!("[{}]", entry.kind) } else { String::new() };
        let place = entry.place.as_ref().map_or_else(String::new, |place| format!("{}:{}:", place.line, place.column));
        let name =
            entry.place.as_ref().map_or(self.source.name.as_str(), |place| self.source.name_at(place.span.start));
        format!("{}:{place} {severity}{id}: {}", printable(name), printable(&entry.message))
    }

    /// What the file, or the first of several, is called.
    pub fn name(&self) -> String {
        printable(&self.source.name)
    }

    /// `file:line` of a mistake, the file alone for what is wrong with all of it.
    pub fn file_and_line(&self, entry: &Entry) -> String {
        match &entry.place {
            Some(place) => format!("{}:{}", printable(self.source.name_at(place.span.start)), place.line),
            None => self.name(),
        }
    }

    /// A mistake in one line, with what to do about it.
    pub fn words(&self, entry: &Entry) -> String {
        match &entry.hint {
            Some(hint) => format!("{}; {}", printable(&entry.message), printable(hint)),
            None => printable(&entry.message),
        }
    }

    /// Whether anything keeps the file from being used.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Whether there is nothing to say, not even a warning.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every mistake with its lines of the file, a caret below and the hint; `color` for terminals.
    /// The hundred first are shown, the others counted.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for entry in self.entries.iter().take(SHOWN) {
            text.push_str(&renderer.render(&[self.group(entry)]));
            text.push_str("\n\n");
        }
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// How many there are of each severity.
    fn summary(&self) -> String {
        let errors = self.errors().count();
        let warnings = self.of(Severity::Warning).count();
        let notes = self.of(Severity::Note).count();
        let mut parts = Vec::new();
        for (count, word) in [(errors, "error"), (warnings, "warning"), (notes, "note")] {
            if count > 0 {
                parts.push(format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
            }
        }
        let counted = if parts.is_empty() { "nothing wrong".to_owned() } else { parts.join(", ") };
        let name = printable(&self.source.name);
        match self.entries.len().checked_sub(SHOWN) {
            Some(hidden @ 1..) => format!("{name}: {counted}, {hidden} of them not shown"),
            _ => format!("{name}: {counted}"),
        }
    }

    fn group<'a>(&'a self, entry: &'a Entry) -> Group<'a> {
        let level = match entry.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(printable(&entry.message));
        let title = if entry.is_finding { title.id(entry.kind) } else { title };
        let group = title.elements(self.excerpts(entry));
        match &entry.hint {
            Some(hint) => group.element(Level::HELP.message(printable(hint))),
            None => group,
        }
    }

    /// The lines to show: one excerpt with both places if they are near one another, else one of each.
    fn excerpts(&self, entry: &Entry) -> Vec<Element<'_>> {
        let Some(place) = &entry.place else {
            return vec![Origin::path(printable(&self.source.name)).into()];
        };
        let main = (AnnotationKind::Primary, place, "");
        match &entry.also {
            None => vec![self.excerpt(&[main])],
            Some((also, label)) => {
                let marks = [main, (AnnotationKind::Context, also, *label)];
                let line = |place: &Place| self.source.line(place.span.start);
                let together = self.source.name_at(also.span.start) == self.source.name_at(place.span.start);
                match together && line(also).abs_diff(line(place)) <= EXCERPT {
                    true => vec![self.excerpt(&marks)],
                    false => marks.iter().map(|mark| self.excerpt(std::slice::from_ref(mark))).collect(),
                }
            }
        }
    }

    /// The lines of these places with a mark below each; the place alone where the lines are too long to help.
    fn excerpt(&self, marks: &[(AnnotationKind, &Place, &'static str)]) -> Element<'_> {
        let line = |place: &Place| self.source.line(place.span.start);
        let name = printable(self.source.name_at(marks[0].1.span.start));
        let first = marks.iter().map(|(_, place, _)| line(place)).min().unwrap_or(1);
        let last = marks.iter().map(|(_, place, _)| line(place)).max().unwrap_or(1);
        let shown = marks.iter().map(|(_, place, _)| place.line).min().unwrap_or(1);
        let lines = self.source.lines(first, last);
        let text = &self.source.text[lines.start..lines.end];
        if text.lines().any(|line| line.len() > LONGEST_LINE) {
            let place = marks[0].1;
            return Origin::path(name).line(place.line).char_column(place.column).into();
        }
        let annotations = marks.iter().map(|(kind, place, label)| {
            // Of a value over several lines the first shows where it is.
            let end = place.span.end.min(self.source.lines(line(place), line(place)).end).max(place.span.start);
            let mark = kind.span(place.span.start - lines.start..end - lines.start);
            if label.is_empty() { mark } else { mark.label(*label) }
        });
        Snippet::source(without_returns(&harmless(text))).path(name).line_start(shown).annotations(annotations).into()
    }
}

/// A carriage return before a line's end says nothing: a space takes its place, so that offsets stay.
fn without_returns(text: &str) -> String {
    let text = text.replace("\r\n", " \n");
    match text.strip_suffix('\r') {
        Some(rest) => format!("{rest} "),
        None => text,
    }
}

/// One line, cut in the middle if a file's words make it longer than helps.
fn one_line(text: &str) -> String {
    let text = text.trim_end().replace('\n', "\u{240a}");
    match text.chars().count().checked_sub(LONGEST_MESSAGE) {
        None | Some(0) => text,
        Some(_) => {
            let (begin, end) = (text.chars().take(LONGEST_MESSAGE / 2), text.chars().rev().take(LONGEST_MESSAGE / 4));
            let end: String = end.collect::<Vec<_>>().into_iter().rev().collect();
            format!("{} … {end}", begin.collect::<String>())
        }
    }
}

/// A terminal must not obey what a file says: control characters are shown, not sent.
fn printable(text: &str) -> String {
    normalize_untrusted_str(&harmless(text))
}

/// The same for those control characters that the renderer lets through (C1, U+0080 to U+009F), at equal length.
fn harmless(text: &str) -> Cow<'_, str> {
    let c1 = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    match text.contains(c1) {
        true => text.replace(c1, "\u{b7}").into(),
        false => text.into(),
    }
}

fn entry(source: &Source, found: Found) -> Entry {
    Entry {
        severity: found.mistake.severity(),
        kind: found.mistake.kind(),
        is_finding: matches!(found.mistake, Mistake::Finding { .. }),
        hint: found.mistake.hint().map(|hint| one_line(&hint)),
        place: found.at.map(|span| source.place(span)),
        also: found.also.map(|(span, label)| (source.place(span), label)),
        message: one_line(&found.mistake.to_string()),
        file: found.mistake.other_file().map(Path::to_owned),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.line(entry))?;
        }
        match self.entries.len().checked_sub(SHOWN) {
            Some(hidden @ 1..) => write!(f, "\n{hidden} more"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Report {}
