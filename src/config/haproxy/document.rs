//! What a haproxy.cfg comes to, as TOML: `import` prints it, and everything else reads it like any other file.
//!
//! So there is one way from a file to a [`crate::model::Config`], and what `import` writes behaves the same because it
//! is what was run.

use std::fmt::Write as _;

use super::super::read::Span;
use super::super::show::{printable, quoted};
use super::super::value::duration_text;

/// Sections in the order of the file.
#[derive(Debug, Default)]
pub struct Document {
    /// Lines of a comment above all of it.
    pub head: Vec<String>,
    pub sections: Vec<Section>,
}

/// A table: its header, and its keys.
#[derive(Debug)]
pub struct Section {
    /// `[[frontend]]`.
    pub header: &'static str,
    /// Where it is from.
    pub at: Option<Span>,
    /// Lines of a comment above it.
    pub remarks: Vec<String>,
    pub entries: Vec<Entry>,
}

/// `key = literal`.
#[derive(Debug)]
pub struct Entry {
    key: String,
    literal: String,
    /// Where it is from; `None` for what HAProxy does without being told.
    at: Option<Span>,
    remark: Option<String>,
}

impl Section {
    pub fn new(header: &'static str, at: Option<Span>) -> Self {
        Self { header, at, remarks: Vec::new(), entries: Vec::new() }
    }

    /// Adds a key with a value in TOML.
    pub fn set(&mut self, key: impl Into<String>, literal: impl ToString, at: Option<Span>) {
        self.entries.push(Entry { key: key.into(), literal: literal.to_string(), at, remark: None });
    }

    /// Where a key of it comes from, if it has that.
    pub fn place_of(&self, key: &str) -> Option<Option<Span>> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.at)
    }

    /// Adds a key with a text.
    pub fn text(&mut self, key: impl Into<String>, text: &str, at: Option<Span>) {
        self.set(key, quoted(text), at);
    }

    /// Adds a key with a duration.
    pub fn wait(&mut self, key: impl Into<String>, wait: std::time::Duration, at: Option<Span>) {
        self.text(key, &duration_text(wait), at);
    }

    /// Adds a key that a line states and that means something else than evenkeel's word for it, with what that would be.
    pub fn remarked(&mut self, key: impl Into<String>, literal: impl ToString, at: Option<Span>, remark: &str) {
        let (key, literal) = (key.into(), literal.to_string());
        self.entries.push(Entry { key, literal, at, remark: Some(remark.to_owned()) });
    }

    /// Adds a key by which HAProxy's way is stated where evenkeel's is another, with what that would be.
    pub fn instead(&mut self, key: impl Into<String>, literal: impl ToString, remark: &str) {
        self.remarked(key, literal, None, remark);
    }
}

/// The written document, and where each part of it is from.
#[derive(Debug, Clone, Default)]
pub struct Written {
    pub text: String,
    /// In the order of the text: where a part of it begins, and the place in the haproxy.cfg.
    origins: Vec<(usize, Option<Span>)>,
}

impl Written {
    /// The place in the haproxy.cfg that what begins at this byte of the document is from.
    pub fn origin(&self, at: usize) -> Option<Span> {
        let after = self.origins.partition_point(|(begin, _)| *begin <= at);
        self.origins.get(after.checked_sub(1)?)?.1
    }
}

impl Document {
    pub fn write(&self) -> Written {
        let mut written = Written::default();
        if !self.head.is_empty() {
            written.origins.push((0, None));
        }
        for remark in &self.head {
            line(&mut written.text, &format!("# {}", printable(remark)));
        }
        for section in &self.sections {
            section.write(&mut written);
        }
        written
    }
}

impl Section {
    fn write(&self, out: &mut Written) {
        if !out.text.is_empty() {
            out.text.push('\n');
        }
        out.origins.push((out.text.len(), self.at));
        for remark in &self.remarks {
            line(&mut out.text, &format!("# {}", printable(remark)));
        }
        line(&mut out.text, self.header);
        for entry in &self.entries {
            out.origins.push((out.text.len(), entry.at.or(self.at)));
            match &entry.remark {
                Some(remark) => {
                    line(&mut out.text, &format!("{} = {}  # {}", entry.key, entry.literal, printable(remark)));
                }
                None => line(&mut out.text, &format!("{} = {}", entry.key, entry.literal)),
            }
        }
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_knows_where_it_is_from() {
        let span = |start| Some(Span { start, end: start + 1 });
        let mut section = Section::new("[[frontend]]", span(1));
        section.text("name", "a\"b", span(2));
        section.set("max_sessions", 3, span(3));
        section.instead("half_close", "\"off\"", "evenkeel's way: 30s");
        let written = Document { head: Vec::new(), sections: vec![section] }.write();
        let expected = "[[frontend]]\nname = 'a\"b'\nmax_sessions = 3\nhalf_close = \"off\"  # evenkeel's way: 30s\n";
        assert_eq!(written.text, expected);
        let origin = |part: &str| written.origin(written.text.find(part).unwrap()).map(|span| span.start);
        assert_eq!([origin("[["), origin("a\"b"), origin("3\n"), origin("half")], [Some(1), Some(2), Some(3), Some(1)]);
    }
}
