//! What HAProxy's typed forms tell of a value: three letters, or three words in JSON (management guide, section 9.2).

use serde::Serialize;

/// A value's place among the others, and its name.
#[derive(Debug, Serialize)]
pub struct Field {
    pub pos: usize,
    pub name: &'static str,
}

/// Where a value is from, what it is, and of what.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Tags {
    origin: &'static str,
    nature: &'static str,
    scope: &'static str,
}

const ORIGINS: &[(u8, &str)] =
    &[(b'M', "Metric"), (b'S', "Status"), (b'K', "Key"), (b'C', "Config"), (b'P', "Product")];

const NATURES: &[(u8, &str)] = &[
    (b'G', "Gauge"),
    (b'M', "Max"),
    (b'm', "Min"),
    (b'C', "Counter"),
    (b'D', "Duration"),
    (b'A', "Age"),
    (b'a', "Avg"),
    (b'R', "Rate"),
    (b'L', "Limit"),
    (b'N', "Name"),
    (b'O', "Output"),
];

const SCOPES: &[(u8, &str)] = &[(b'C', "Cluster"), (b'S', "Service"), (b'P', "Process")];

impl Tags {
    /// The words for three letters; a letter that is none has no word.
    pub fn of(letters: &str) -> Self {
        let word = |place: usize, words: &[(u8, &'static str)]| {
            let letter = letters.as_bytes().get(place);
            words.iter().find(|(known, _)| Some(known) == letter).map_or("", |(_, word)| word)
        };
        Self { origin: word(0, ORIGINS), nature: word(1, NATURES), scope: word(2, SCOPES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_words_and_others_are_none() {
        assert_eq!(Tags::of("MCP"), Tags { origin: "Metric", nature: "Counter", scope: "Process" });
        assert_eq!(Tags::of("x"), Tags { origin: "", nature: "", scope: "" });
    }
}
