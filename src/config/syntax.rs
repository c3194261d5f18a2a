//! What keeps a text from being TOML, with what to write instead.
//!
//! What helps is read from the text at the mistake's place; the parser's own words are shown, and nothing else is made
//! of them.

use std::collections::hash_map::{Entry, HashMap};

use super::mistake::{Mistake, Mistakes};
use super::read::Span;
use super::source::Source;

/// Notes the first mistake of each line: what follows it there is mostly its consequence. A file of another program
/// is one mistake.
pub fn note(errors: &[toml::de::Error], source: &Source, mistakes: &mut Mistakes) {
    if let Some((line, format, hint)) = other_format(&source.text) {
        mistakes.push(Some(source.lines(line, line)), Mistake::OtherFormat { format, hint });
        return;
    }
    let mut places: Vec<(Span, &str)> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0).into(), error.message())).collect();
    places.sort();
    places.dedup_by_key(|(span, _)| source.line(span.start));
    let repeated = repeated(&source.text);
    for (span, message) in places {
        let spot = Spot::of(source, span);
        if let Some((at, text)) = spot.unquoted() {
            mistakes.push(Some(at), Mistake::Unquoted { text: text.to_owned() });
            continue;
        }
        let before = repeated.get(&span.end).copied();
        let mistake = Mistake::Syntax { message: message.to_owned(), hint: spot.hint(before.is_some()) };
        mistakes.push_pair(Some(span), before, "here already", mistake);
    }
}

// ---- what stands twice ----

/// Where a key or a table's header ends that its table has already, and the place of the one before. What only looks
/// like a key, as in a text of several lines, does no harm: this is asked about where the parser stumbled.
fn repeated(text: &str) -> HashMap<usize, Span> {
    let mut keys = Keys::default();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        match trimmed.strip_prefix('[') {
            _ if trimmed.starts_with('#') => {}
            Some(header) => keys.header(header, start + line.find('[').unwrap_or_default() + 1),
            None => keys.pairs(line, start),
        }
        start += line.len();
    }
    keys.repeated
}

#[derive(Default)]
struct Keys<'a> {
    /// The tables that are open, one inside the other, each by where it begins; the file's own is not among them.
    open: Vec<usize>,
    /// Where a table last had a key.
    seen: HashMap<(usize, &'a str), Span>,
    repeated: HashMap<usize, Span>,
}

impl<'a> Keys<'a> {
    /// `name]` or `[name]]`; a table that is there twice is one, an element of a list always another.
    fn header(&mut self, header: &'a str, start: usize) {
        self.open.clear();
        let name = header.split(']').next().unwrap_or_default();
        let first = if name.starts_with('[') { None } else { self.key(name, start) };
        let table = first.map_or(start + name.len(), |first| first.end);
        self.open = vec![table];
    }

    /// A line's pairs, those in braces included.
    fn pairs(&mut self, line: &'a str, mut start: usize) {
        for piece in line.split_inclusive(['{', ',', '}']) {
            if let Some((key, _)) = piece.split_once('=') {
                self.key(key, start);
            }
            start += piece.len();
            match piece.chars().last() {
                Some('{') => self.open.push(start),
                Some('}') => drop(self.open.pop()),
                _ => {}
            }
        }
    }

    /// Notes a key of the table that is open last, and gives the place of the same before it.
    fn key(&mut self, key: &'a str, start: usize) -> Option<Span> {
        let start = start + key.len() - key.trim_start().len();
        let key = key.trim();
        let at = Span { start, end: start + key.len() };
        let table = self.open.last().copied().unwrap_or_default();
        match self.seen.entry((table, key)) {
            Entry::Occupied(mut last) => {
                let last = last.insert(at);
                self.repeated.insert(at.end, last);
                Some(last)
            }
            Entry::Vacant(place) => {
                place.insert(at);
                None
            }
        }
    }
}

// ---- files of other programs ----

const HAPROXY: &str = "evenkeel reads TOML; `config/evenkeel.toml` in its repository says there what a haproxy.cfg says, \
    and for k0s two lines are enough: `preset = \"k0s\"` and `controllers = [\"10.10.0.2\", \"10.10.1.2\"]`";
const PAIRS: &str = "evenkeel reads TOML: `key = \"value\"`, and `[section]` above the keys of a section";
const PAGE: &str = "is it an error that a download answered with?";

/// The line from which another program's file is known, what it is, and what to do. A single line of TOML in it and it
/// is taken for TOML gone wrong.
fn other_format(text: &str) -> Option<(usize, &'static str, &'static str)> {
    let lines =
        || text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (index, first) = lines().next()?;
    let word = first.split_whitespace().next()?;
    let (format, hint) = match word {
        "global" | "defaults" | "frontend" | "backend" | "listen" => ("a haproxy.cfg", HAPROXY),
        "---" => ("YAML", PAIRS),
        _ if is_key(word.trim_end_matches(':')) && word.ends_with(':') => ("YAML", PAIRS),
        _ if first.starts_with('{') => ("JSON", PAIRS),
        _ if word.starts_with("<!") || word.starts_with("<html") || word.starts_with("<?") => ("a web page", PAGE),
        _ => return None,
    };
    let is_toml = |line: &str| is_pair(line) || line.starts_with('[') && line.ends_with(']');
    let has_toml = format != "JSON" && lines().any(|(_, line)| is_toml(line));
    (!has_toml).then_some((index + 1, format, hint))
}

fn is_pair(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| is_key(key.trim()))
}

fn is_truth(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

// ---- one place ----

/// A mistake's line, and where in it the mistake begins.
struct Spot<'a> {
    /// Where the line begins in the file.
    start: usize,
    /// Without spaces at its end.
    line: &'a str,
    before: &'a str,
    after: &'a str,
    /// What the parser marked of it.
    marked: &'a str,
}

impl<'a> Spot<'a> {
    fn of(source: &'a Source, span: Span) -> Self {
        let number = source.line(span.start);
        let whole = source.lines(number, number);
        let line = source.text[whole.start..whole.end].trim_end();
        let (before, after) = line.split_at((span.start - whole.start).min(line.len()));
        let marked = after.get(..span.end.saturating_sub(span.start)).unwrap_or(after);
        Self { start: whole.start, line, before, after, marked }
    }

    /// A value that is a text, or a number or truth as other languages write them, without straight quotation marks.
    fn unquoted(&self) -> Option<(Span, &'a str)> {
        let begin = self.before.rfind(['=', '[', ',']).map_or(0, |at| at + 1);
        let (opening, rest) = self.line.split_at(begin);
        let end = rest.find([',', ']', '}', '#', '=']).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(end);
        let in_list = match opening.chars().last() {
            Some('=') => false,
            // A table's header has the bracket, too.
            Some(_) => opening.contains('='),
            // A line of its own in a list, and no prose.
            None => !value.trim().contains(' ') && [",", "]", "],"].contains(&rest.trim()),
        };
        let curly = |c: char| matches!(c, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}');
        let plain = |c: char| c.is_alphanumeric() || "-_.:/@+ ".contains(c) || curly(c);
        let is_word = value.chars().any(char::is_alphanumeric) && value.chars().all(plain);
        let is_value = opening.ends_with('=') || in_list;
        let start = self.start + begin + value.len() - value.trim_start().len();
        let at = Span { start, end: start + value.trim().len() };
        let value = value.trim().trim_matches(curly);
        (is_word && is_value && !rest.starts_with('=') && !is_truth(value)).then_some((at, value))
    }

    /// What to write instead, if that is plain to see; `repeated` if the same stands above.
    fn hint(&self, repeated: bool) -> Option<String> {
        let words = self.stray().or_else(|| self.open_here());
        let words = words.map(str::to_owned).or_else(|| self.colon());
        words.or_else(|| self.twice(repeated)).or_else(|| self.open_above())
    }

    /// Signs that mean something to other programs.
    fn stray(&self) -> Option<&'static str> {
        let conflict = ["<<<<<<<", "=======", ">>>>>>>"].into_iter().any(|mark| self.line.starts_with(mark));
        if conflict {
            return Some("a conflict of versions is left here: keep one side, and remove this line");
        }
        if [";", "//", "--", "/*"].into_iter().any(|sign| self.line.trim_start().starts_with(sign)) {
            return Some("a comment begins with `#`");
        }
        if is_truth(self.marked) {
            return Some("true and false are written in small letters");
        }
        self.after.starts_with(';').then_some("nothing ends a line: leave the `;` off")
    }

    /// What this line opens and doesn't close.
    fn open_here(&self) -> Option<&'static str> {
        let line = self.line.trim_start();
        if self.after.is_empty() && line.starts_with("[[") && !line.ends_with("]]") {
            return Some("close it with two brackets: `]]`");
        }
        let odd = |mark| self.line.matches(mark).count() % 2 == 1;
        (self.after.is_empty() && (odd('"') || odd('\''))).then_some("close the quotation mark")
    }

    /// `key: value`.
    fn colon(&self) -> Option<String> {
        let (key, _) = self.line.trim_start().split_once(':')?;
        is_key(key).then(|| format!("write `{key} = …`"))
    }

    /// A key or a table that is there for the second time. Where it isn't known, what it looks like has to do: nothing
    /// else is wrong with a key and what follows it.
    fn twice(&self, repeated: bool) -> Option<String> {
        let rest = self.after[self.marked.len()..].trim_start();
        let opening = self.before.trim();
        let is_pair = opening.is_empty() && rest.starts_with('=');
        let is_header = opening.starts_with('[') && rest.starts_with(']');
        let looks_so = is_key(self.marked) && (is_pair || is_header) && self.marked.len() > 1;
        if !repeated && !looks_so {
            return None;
        }
        Some(match (self.marked, opening) {
            ("frontend" | "backend", "[") => format!("write `[[{}]]`, with two brackets on each side", self.marked),
            _ if repeated && !is_header => "this key stands twice: one of the two may go".to_owned(),
            _ => "it is there already, further up: make one of the two".to_owned(),
        })
    }

    /// A list that goes on into what can only be the next key or table.
    fn open_above(&self) -> Option<String> {
        let begins = self.before.trim().is_empty() && (is_pair(self.line) || self.after.starts_with('['));
        begins.then(|| "is a bracket or a brace above it not closed?".to_owned())
    }
}
