//! What a client has sent, cut into lines, commands and words. Bounded, and text in, words out.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest line, and longest payload, in bytes: HAProxy's `tune.bufsize`.
pub const LONGEST: usize = 16_384;

/// Words of a command at most.
pub const MOST_WORDS: usize = 64;

/// What begins a payload at the end of a line; a word that ends it may follow, of so many bytes at most.
const PAYLOAD: &str = "<<";
const LONGEST_PATTERN: usize = 64;

/// What has come in and is not read yet.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// The client will send no more.
    pub ended: bool,
}

/// There is no end of a line in what may be held.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Input {
    /// The next line that is there, without its end. What follows the last end is no line.
    pub fn line(&mut self) -> Result<Option<String>, TooLong> {
        match self.bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) if end < LONGEST => {
                let line: Vec<u8> = self.bytes.drain(..=end).take(end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                Ok(Some(line.strip_suffix('\r').map(str::to_owned).unwrap_or(line)))
            }
            None if self.bytes.len() < LONGEST => Ok(None),
            _ => Err(TooLong),
        }
    }

    /// Whether there is room for more.
    pub fn has_room(&self) -> bool {
        self.bytes.len() < LONGEST && !self.ended
    }

    /// Reads what comes next, or notes the end.
    pub async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let room = LONGEST.saturating_sub(self.bytes.len()).max(1);
        let read = (&mut *stream).take(room as u64).read_buf(&mut self.bytes).await?;
        self.ended |= read == 0;
        Ok(())
    }

    /// Forgets the rest.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// One line: commands that are given one after another.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub commands: Vec<String>,
    /// What ends the payload that follows, if one does.
    pub payload: Option<String>,
}

impl Line {
    /// Reads a line.
    pub fn of(text: &str) -> Self {
        let mut commands = split(text);
        let mut payload = None;
        if let Some(last) = commands.last_mut() {
            let begins = last.rfind([' ', '\t']).map_or(0, |space| space + 1);
            let pattern = last[begins..].strip_prefix(PAYLOAD).filter(|pattern| pattern.len() <= LONGEST_PATTERN);
            if let Some(pattern) = pattern {
                payload = Some(pattern.to_owned());
                last.truncate(begins);
            }
        }
        Self { commands, payload }
    }
}

/// Cuts at each semicolon that has no backslash before it.
fn split(text: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ';' && !escaped {
            commands.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = commands.last_mut() {
            last.push(c);
        }
    }
    commands
}

/// The words of a command: blanks part them, and a backslash takes the meaning of what follows it. `None` if there are more
/// than [`MOST_WORDS`].
pub fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        if c == ' ' || c == '\t' {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        // One at the very end stands for nothing.
        word.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    words.extend(word);
    (words.len() <= MOST_WORDS).then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input(text: &str) -> Input {
        Input { bytes: text.as_bytes().to_vec(), ended: false }
    }

    #[test]
    fn a_line_ends_with_its_newline_and_not_before() {
        let mut input = input("show info\r\nshow");
        assert_eq!(input.line(), Ok(Some("show info".to_owned())));
        assert_eq!(input.line(), Ok(None));
        input.bytes.extend(std::iter::repeat_n(b'x', LONGEST));
        assert_eq!(input.line(), Err(TooLong));
    }

    #[test]
    fn semicolons_part_commands_unless_they_are_escaped() {
        let commands = |text: &str| Line::of(text).commands;
        assert_eq!(commands("a;b; c"), ["a", "b", " c"]);
        assert_eq!(commands(r"a\;b"), [r"a\;b"]);
        assert_eq!(commands(r"a\\;b"), [r"a\\", "b"]);
        assert_eq!(commands(";;"), ["", "", ""]);
    }

    #[test]
    fn a_payload_is_what_the_last_word_begins() {
        let line = Line::of("a <<x;set y <<");
        assert_eq!((line.commands, line.payload), (vec!["a <<x".to_owned(), "set y ".to_owned()], Some(String::new())));
        assert_eq!(Line::of("set y <<END").payload.as_deref(), Some("END"));
        assert_eq!(Line::of("set y<<").payload, None);
    }

    #[test]
    fn a_backslash_takes_the_meaning_of_what_follows() {
        let of = |text: &str| words(text).unwrap();
        assert_eq!(of("  set \t map x"), ["set", "map", "x"]);
        assert_eq!(of(r"a\ b c\;\\d\n"), ["a b", r"c;\dn"]);
        assert_eq!(of(r"a\"), ["a"]);
        assert_eq!(words(&"a ".repeat(MOST_WORDS)).map(|words| words.len()), Some(MOST_WORDS));
        assert_eq!(words(&"a ".repeat(MOST_WORDS + 1)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_a_panic_and_nothing_is_added(text in ".{0,200}") {
            let line = Line::of(&text);
            for command in &line.commands {
                let letters: usize = words(command).unwrap_or_default().iter().map(String::len).sum();
                prop_assert!(letters <= command.len());
            }
            let length: usize = line.commands.iter().map(String::len).sum();
            prop_assert!(length <= text.len());
        }
    }
}
