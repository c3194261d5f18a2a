//! Lines of a haproxy.cfg.

use std::fmt::Write as _;
use std::time::Duration;

#[derive(Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// A comment above everything.
    pub fn head(&mut self, text: &str) {
        self.push("# ", text);
    }

    /// Begins a section.
    pub fn section(&mut self, words: &str) {
        self.text.push('\n');
        self.push("", words);
    }

    pub fn line(&mut self, words: impl AsRef<str>) {
        self.push("    ", words.as_ref());
    }

    /// Notes what HAProxy has no words for.
    pub fn cannot(&mut self, what: impl AsRef<str>) {
        self.push("    # evenkeel: ", what.as_ref());
    }

    /// A name in a file may hold anything, but a line ends with its line.
    fn push(&mut self, before: &str, text: &str) {
        let text = text.replace(char::is_control, "?");
        writeln!(self.text, "{before}{text}").expect("a text takes everything");
    }

    pub fn text(self) -> String {
        self.text
    }
}

/// A time as HAProxy writes it, to the millisecond.
pub fn time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    match [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        .into_iter()
        .find(|(_, unit)| milliseconds.is_multiple_of(*unit))
    {
        Some((unit, length)) if milliseconds > 0 => format!("{}{unit}", milliseconds / length),
        _ => format!("{milliseconds}ms"),
    }
}

/// A word that reads as this text (configuration manual, section 2.2).
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@+*[]=?&%^~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_words_are_written_as_haproxy_reads_them() {
        let times = [0, 1, 1_500, 2_000, 90_000, 3_600_000, 172_800_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(times, ["0ms", "1ms", "1500ms", "2s", "90s", "1h", "2d"]);
        assert_eq!((word("/etc/x.pem"), word("a b"), word("")), ("/etc/x.pem".into(), "\"a b\"".into(), "\"\"".into()));
        assert_eq!(word("a\"$b\\#"), "\"a\\\"\\$b\\\\#\"");
    }

    #[test]
    fn a_line_stays_one() {
        let mut out = Writer::default();
        out.cannot("a\nb");
        assert_eq!(out.text(), "    # evenkeel: a?b\n");
    }
}
