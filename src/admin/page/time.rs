//! Points of time in pages: in UTC as they are served, and in the reader's zone once the script has seen them.

use std::fmt;
use std::time::SystemTime;

use askama::filters::{Escaper, Html, HtmlSafe};

use super::super::figures::{Moments, date_time, moment, rfc3339};

/// A `<time>` element.
#[derive(Debug)]
pub(super) struct Time {
    at: SystemTime,
    text: String,
}

/// As [`moment`] writes it.
pub(super) fn time(at: SystemTime, now: SystemTime) -> Time {
    Time { at, text: moment(at, now) }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, text } = self;
        write!(f, r#"<time datetime="{}" title="{} UTC">{text}</time>"#, rfc3339(*at), date_time(*at))
    }
}

impl HtmlSafe for Time {}

/// A sentence in which points of time are such elements: those that stand there as [`moment`] writes them, with `UTC`
/// behind.
#[derive(Debug)]
pub(super) struct Sentence<'a> {
    text: &'a str,
    now: SystemTime,
}

pub(super) fn sentence(text: &str, now: SystemTime) -> Sentence<'_> {
    Sentence { text, now }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = 0;
        for (place, at) in Moments::in_text(self.text, self.now) {
            Html.write_escaped_str(&mut *f, &self.text[rest..place.start])?;
            write!(f, "{}", Time { at, text: self.text[place.clone()].to_owned() })?;
            // The script puts a zone's name there that isn't UTC's.
            write!(f, r#"<span class="zone"> UTC</span>"#)?;
            rest = place.end + " UTC".len();
        }
        Html.write_escaped_str(f, &self.text[rest..])
    }
}

impl HtmlSafe for Sentence<'_> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::fixture::now;

    // Seen to fail with the date left out of what is found.
    #[test]
    fn times_in_a_sentence_are_elements_and_all_else_is_text() {
        let shown = |text: &str| sentence(text, now()).to_string();
        assert_eq!(
            shown("a<b is down since 03:12:07 UTC (8 min)."),
            "a&#60;b is down since <time datetime=\"2026-11-22T03:12:07.000Z\" title=\"2026-11-22 03:12:07 \
             UTC\">03:12:07</time><span class=\"zone\"> UTC</span> (8 min)."
        );
        let day = moment(now() - Duration::from_secs(273_844), now());
        let html = shown(&format!("since {day} UTC"));
        assert!(html.contains("datetime=\"2026-11-18T23:16:11.000Z\"") && html.contains(&format!(">{day}<")), "{html}");
        assert_eq!(shown("at 99:12:07 UTC, x:12:07 UTC, UTC"), "at 99:12:07 UTC, x:12:07 UTC, UTC");
    }
}
