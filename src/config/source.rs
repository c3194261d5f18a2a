//! A file's text with its name, and where its lines begin.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::MAX_FILE;
use super::haproxy::Written;
use super::mistake::{Mistake, Mistakes};
use super::read::Span;
use super::report::{Place, Report};

/// A configuration's text and what it is called.
#[derive(Clone)]
pub struct Source {
    /// As the operator wrote it.
    pub name: String,
    /// What relative paths in the text start from; absolute if the system can say it.
    pub directory: PathBuf,
    pub text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// Of a text made of several files, where each begins, and its name; empty for one.
    files: Vec<(usize, String)>,
    /// What a text was translated from.
    translation: Option<Box<Translation>>,
}

/// A text in another language, and how the places of this one are found in it.
#[derive(Clone)]
struct Translation {
    written: Written,
    from: Source,
}

impl Source {
    /// Reads the file, of at most [`MAX_FILE`] bytes.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let name = path.display().to_string();
        let refused = |mistake| {
            let mut mistakes = Mistakes::default();
            mistakes.push(None, mistake);
            Report::new(Self::in_memory("", &name), mistakes)
        };
        let bytes = bytes(path, MAX_FILE).map_err(|error| refused(Mistake::unreadable(&error)))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(refused(Mistake::TooLarge));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(text, &name, path)),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
                let utf16 = [[0xff, 0xfe], [0xfe, 0xff]].iter().any(|mark| error.as_bytes().starts_with(mark));
                Err(refused(Mistake::NotUtf8 { line, utf16 }))
            }
        }
    }

    /// Reads several files as one text, in this order.
    pub fn read_all(paths: &[PathBuf]) -> Result<Self, Report> {
        let [first, others @ ..] = paths else { return Ok(Self::in_memory("", "no file")) };
        let mut all = Self::read(first)?;
        for path in others {
            let next = Self::read(path)?;
            if all.files.is_empty() {
                all.files.push((0, all.name.clone()));
            }
            if !all.text.ends_with('\n') {
                all.text.push('\n');
            }
            all.files.push((all.text.len(), next.name));
            all.text.push_str(&next.text);
        }
        all.lines = line_starts(&all.text);
        Ok(all)
    }

    /// What `from` was translated to.
    pub fn translated(written: Written, from: Self) -> Self {
        let mut source = Self::in_memory(&written.text, &from.name);
        source.directory.clone_from(&from.directory);
        source.translation = Some(Box::new(Translation { written, from }));
        source
    }

    /// The place in the text that this was translated from, if it was; `None` for what stands in no file.
    pub fn origin(&self, span: Span) -> Option<Span> {
        match &self.translation {
            Some(translation) => translation.written.origin(span.start),
            None => Some(span),
        }
    }

    /// The text as the operator wrote it: what this was translated from, if it was.
    pub fn written(&self) -> &Self {
        self.translation.as_ref().map_or(self, |translation| &translation.from)
    }

    /// `file:line`, of the text that this was translated from if it was; `None` for what stands in no file.
    pub fn file_and_line(&self, span: Span) -> Option<String> {
        let span = self.origin(span)?;
        let source = self.written();
        let place = source.place(span);
        Some(format!("{}:{}", source.name_at(span.start), place.line))
    }

    /// A text that is in no file.
    pub fn in_memory(text: &str, name: &str) -> Self {
        Self::new(text.to_owned(), name, Path::new(name))
    }

    fn new(mut text: String, name: &str, path: &Path) -> Self {
        // A byte order mark would be a column that no editor counts.
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let lines = line_starts(&text);
        Self { name: name.to_owned(), directory, text, lines, files: Vec::new(), translation: None }
    }

    /// The line, from 1, in which the byte at `offset` stands.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// The bytes of lines `first` to `last`, counted from 1, without the last line's end.
    pub fn lines(&self, first: usize, last: usize) -> Span {
        let end = self.lines.get(last).map_or(self.text.len(), |next| next - 1);
        Span { start: self.lines[first - 1], end }
    }

    /// The files beside the first, of a text made of several.
    pub fn other_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().skip(1).map(|(_, name)| name.as_str())
    }

    /// The file in which the byte at `offset` stands.
    pub fn name_at(&self, offset: usize) -> &str {
        self.file_at(offset).map_or(&self.name, |(_, name)| name)
    }

    fn file_at(&self, offset: usize) -> Option<&(usize, String)> {
        self.files.get(self.files.partition_point(|(start, _)| *start <= offset).checked_sub(1)?)
    }

    /// Line, in its own file, and column of a span's begin, as editors count them.
    pub fn place(&self, span: Span) -> Place {
        let line = self.line(span.start);
        let column = 1 + self.text[self.lines[line - 1]..span.start].chars().count();
        let before = self.file_at(span.start).map_or(0, |(start, _)| self.line(*start) - 1);
        Place { line: line - before, column, span: span.start..span.end }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The file's bytes, one more than `most` at most.
///
/// A pipe is read to its end, as of `<(…)` in a shell; one that nobody has open for writing is an error instead of a
/// wait without end.
pub fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("it is one of the lower bits");
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    rustix::io::ioctl_fionbio(&file, false)?;
    let mut bytes = Vec::new();
    (&file).take(most + 1).read_to_end(&mut bytes)?;
    if bytes.is_empty() && file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is a pipe, and nobody writes into it"));
    }
    Ok(bytes)
}
