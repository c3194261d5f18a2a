//! A line's words: quotes, backslashes, comments, environment variables (configuration manual, sections 2.2 and 2.3).

use std::collections::BTreeMap;

use super::super::read::Span;

/// One word of a line, as it is meant: quotes are off, variables are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Where it stands in the file, quotes included.
    pub span: Span,
}

/// Why a line can't be cut into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    #[error("a quotation mark has no counterpart on this line")]
    Quote,
    #[error("`\\x` needs two hexadecimal digits behind it")]
    Hexadecimal,
    #[error("a `${{` has no `}}` on this line")]
    Brace,
    #[error("a variable's name has letters, digits and underscores")]
    Variable,
    #[error("a line has at most {MAX_WORDS} words")]
    TooMany,
    #[error("a word can't hold a byte of value 0 or text that is not UTF-8")]
    Bytes,
}

/// Words of a line; HAProxy takes as many (`MAX_LINE_ARGS`).
pub const MAX_WORDS: usize = 64;

/// The environment as the file sees it: the process's own, and what `setenv` and its like make of it.
#[derive(Debug, Clone, Default)]
pub struct Variables(pub BTreeMap<String, String>);

impl Variables {
    /// What the process was started with; what is not UTF-8 is not seen.
    pub fn of_the_process() -> Self {
        let text = |pair: (std::ffi::OsString, std::ffi::OsString)| {
            Some((pair.0.into_string().ok()?, pair.1.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Cuts a line into its words. `start` is where it begins in the file.
///
/// # Errors
///
/// Why it can't be done, and where.
pub fn words(line: &str, start: usize, variables: &Variables) -> Result<Vec<Word>, (WordsError, Span)> {
    let mut cutter = Cutter { line, at: 0, start, variables, word: Vec::new(), began: None, words: Vec::new() };
    cutter.cut()?;
    Ok(cutter.words)
}

/// The state of cutting one line.
struct Cutter<'a> {
    line: &'a str,
    at: usize,
    start: usize,
    variables: &'a Variables,
    /// The bytes of the word that is being read: `\xNN` makes single ones.
    word: Vec<u8>,
    began: Option<usize>,
    words: Vec<Word>,
}

type Cut = Result<(), (WordsError, Span)>;

impl Cutter<'_> {
    fn cut(&mut self) -> Cut {
        while let Some(c) = self.peek() {
            match c {
                '#' => break,
                c if c.is_ascii_whitespace() => {
                    self.end_word()?;
                    self.at += 1;
                }
                '\'' => self.strong()?,
                '"' => self.weak()?,
                '\\' => {
                    self.begin_word();
                    self.escape()?;
                }
                c => self.take(c),
            }
        }
        self.end_word()
    }

    fn peek(&self) -> Option<char> {
        self.line[self.at..].chars().next()
    }

    fn begin_word(&mut self) {
        self.began.get_or_insert(self.at);
    }

    fn take(&mut self, c: char) {
        self.begin_word();
        self.word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += c.len_utf8();
    }

    fn error(&self, error: WordsError, from: usize) -> Cut {
        Err((error, Span { start: self.start + from, end: self.start + self.line.len() }))
    }

    fn end_word(&mut self) -> Cut {
        let Some(began) = self.began.take() else { return Ok(()) };
        if self.words.len() == MAX_WORDS {
            return self.error(WordsError::TooMany, began);
        }
        let bytes = std::mem::take(&mut self.word);
        let span = Span { start: self.start + began, end: self.start + self.at };
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => self.words.push(Word { text, span }),
            _ => return self.error(WordsError::Bytes, began),
        }
        Ok(())
    }

    /// Within `'…'` nothing but the end means anything.
    fn strong(&mut self) -> Cut {
        self.begin_word();
        let from = self.at;
        let inner = &self.line[from + 1..];
        match inner.find('\'') {
            Some(length) => {
                self.word.extend_from_slice(&inner.as_bytes()[..length]);
                self.at = from + length + 2;
                Ok(())
            }
            None => self.error(WordsError::Quote, from),
        }
    }

    /// Within `"…"` backslashes and variables mean something, spaces and `#` don't.
    fn weak(&mut self) -> Cut {
        self.begin_word();
        let from = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.error(WordsError::Quote, from),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') if self.line[self.at + 1..].starts_with('$') => {
                    self.at += 1;
                    self.take('$');
                }
                Some('\\') => self.escape()?,
                Some('$') => self.variable()?,
                Some(c) => self.take(c),
            }
        }
    }

    /// A backslash makes the next character an ordinary one, or is one itself where HAProxy leaves it to the keyword.
    fn escape(&mut self) -> Cut {
        let from = self.at;
        let mut rest = self.line[from + 1..].chars();
        let Some(c) = rest.next() else {
            self.take('\\');
            return Ok(());
        };
        let byte = match c {
            ' ' | '\\' | '#' | '"' | '\'' => c as u8,
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            'x' => {
                let digits =
                    self.line.get(from + 2..from + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
                    return self.error(WordsError::Hexadecimal, from);
                };
                self.at += 2;
                byte
            }
            _ => {
                self.take('\\');
                return Ok(());
            }
        };
        self.word.push(byte);
        self.at += 2;
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}`, and with `[*]` one word for each that the value has.
    fn variable(&mut self) -> Cut {
        let from = self.at;
        let rest = &self.line[from + 1..];
        let braced = rest.starts_with('{');
        let inner = if braced { &rest[1..] } else { rest };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let name = &inner[..inner.find(|c| !is_name(c)).unwrap_or(inner.len())];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.error(WordsError::Variable, from);
        }
        let mut length = 1 + name.len();
        let (mut instead, mut spread) = ("", false);
        if braced {
            let Some(end) = inner.find('}') else { return self.error(WordsError::Brace, from) };
            let mut tail = &inner[name.len()..end];
            if let Some(rest) = tail.strip_prefix("[*]") {
                (spread, tail) = (true, rest);
            }
            match tail.strip_prefix('-') {
                Some(default) => instead = default,
                None if tail.is_empty() => {}
                None => return self.error(WordsError::Variable, from),
            }
            length = end + 3;
        }
        let value = self.variables.value(name).unwrap_or(instead).to_owned();
        self.at = from + length;
        if !spread {
            self.word.extend_from_slice(value.as_bytes());
            return Ok(());
        }
        for (number, part) in value.split_ascii_whitespace().enumerate() {
            if number > 0 {
                self.end_word()?;
                self.begin_word();
            }
            self.word.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables() -> Variables {
        let pairs = [("PORT", "6443"), ("LIST", "a b")];
        Variables(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    fn texts(line: &str) -> Vec<String> {
        words(line, 0, &variables()).unwrap().into_iter().map(|word| word.text).collect()
    }

    /// As HAProxy 3.2 read them as the values of `setenv`.
    #[test]
    fn words_are_cut_as_haproxy_cuts_them() {
        assert_eq!(texts("  bind :6443 # all"), ["bind", ":6443"]);
        assert_eq!(texts(r#"a\ b "c # d" 'e "f"' g\#h"#), ["a b", "c # d", "e \"f\"", "g#h"]);
        assert_eq!(texts(r#"x"y"'z'"#), ["xyz"]);
        assert_eq!(texts(r"tab\tnew\x41 \\ '\n'"), ["tab\tnewA", r"\", r"\n"]);
        assert_eq!(texts("a#b c"), ["a"], "a comment may begin within a word");
        assert_eq!(texts(r#"""  "#), [""], "an empty word is a word");
    }

    #[test]
    fn variables_are_replaced_within_double_quotes_only() {
        assert_eq!(texts(r#"":${PORT}" "$PORT" ${PORT} '$PORT'"#), [":6443", "6443", "${PORT}", "$PORT"]);
        assert_eq!(texts(r#""${NONE-6444}" "${NONE}" "${NONE}z" "\$PORT" \$x"#), ["6444", "", "z", "$PORT", "\\$x"]);
        assert_eq!(texts(r#""${LIST[*]}""#), ["a", "b"]);
    }

    #[test]
    fn what_can_not_be_cut_says_why_and_where() {
        let why = |line: &str| words(line, 100, &variables()).unwrap_err();
        assert_eq!(why("a 'b"), (WordsError::Quote, Span { start: 102, end: 104 }));
        assert_eq!(why(r#"a "b"#).0, WordsError::Quote);
        assert_eq!(why(r"\xg1").0, WordsError::Hexadecimal);
        assert_eq!(why(r#""${A""#).0, WordsError::Brace);
        assert_eq!(why(r#""$-""#).0, WordsError::Variable);
        assert_eq!(why(&"a ".repeat(MAX_WORDS + 1)).0, WordsError::TooMany);
        assert_eq!(why(r"\xff").0, WordsError::Bytes);
    }

    proptest! {
        #[test]
        fn any_line_is_cut_or_refused(line in "[ -~ä\t]{0,80}") {
            if let Ok(words) = words(&line, 0, &variables()) {
                for word in words {
                    prop_assert!(line.get(word.span.start..word.span.end).is_some());
                }
            }
        }
    }
}
