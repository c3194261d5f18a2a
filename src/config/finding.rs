//! What is wrong with a configuration that works: each finding has an id, and a section of docs/findings.md.

use super::mistake::{Mistake, Mistakes};
use super::read::Span;
use super::source::Source;

/// One matter, wherever it stands.
pub struct Finding {
    /// At least one.
    pub places: Vec<Span>,
    /// A lower-case fragment.
    pub what: String,
    /// What puts it right.
    pub fix: String,
}

impl Finding {
    /// Adds it to the others of a file.
    pub fn note(self, id: &'static str, source: &Source, mistakes: &mut Mistakes) {
        let what = format!("{}{}", self.what, others(&self.places, source));
        mistakes.push(self.places.first().copied(), Mistake::Finding { id, what, fix: self.fix });
    }
}

/// More places than this are counted.
const LISTED: usize = 8;

/// The places beside the first, in words.
fn others(places: &[Span], source: &Source) -> String {
    let here = places.first().map_or("", |place| source.name_at(place.start));
    let place = |span: &Span| match source.name_at(span.start) {
        name if name == here => source.place(*span).line.to_string(),
        name => format!("{name}:{}", source.place(*span).line),
    };
    let lines: Vec<String> = places.iter().skip(1).take(LISTED).map(place).collect();
    let more = places.len().saturating_sub(1 + LISTED);
    match (lines.as_slice(), more) {
        ([], _) => String::new(),
        ([one], _) => format!(" (also line {one})"),
        (many, 0) => format!(" (also lines {})", many.join(", ")),
        (many, more) => format!(" (also lines {}, and {more} more)", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_beside_the_first_are_listed_or_counted() {
        let source = Source::in_memory(&"line\n".repeat(12), "haproxy.cfg");
        let said = |lines: usize| {
            let places: Vec<Span> = (0..lines).map(|line| Span { start: line * 5, end: line * 5 + 4 }).collect();
            others(&places, &source)
        };
        assert_eq!((said(1), said(2)), (String::new(), " (also line 2)".to_owned()));
        assert_eq!(said(3), " (also lines 2, 3)");
        assert_eq!(said(11), " (also lines 2, 3, 4, 5, 6, 7, 8, 9, and 2 more)");
    }
}
