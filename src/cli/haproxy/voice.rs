//! How HAProxy talks on standard error: a word in brackets, the process's number, and the message.

use std::cell::Cell;

use super::introduction;
use super::options::Options;
use crate::cli::tell_line;

/// Says things as HAProxy does, who it is before the first of them.
#[derive(Debug, Default)]
pub struct Voice {
    is_quiet: bool,
    has_introduced_itself: Cell<bool>,
}

impl Voice {
    /// Quiet where these options say so; of quiet and verbose the latter counts.
    pub fn of(options: &Options) -> Self {
        Self { is_quiet: options.quiet && !options.verbose, ..Self::default() }
    }

    pub fn alert(&self, message: &str) {
        self.introduce();
        self.say("[ALERT]   ", message);
    }

    pub fn warning(&self, message: &str) {
        self.introduce();
        self.say("[WARNING] ", message);
    }

    pub fn notice(&self, message: &str) {
        self.say("[NOTICE]  ", message);
    }

    fn introduce(&self) {
        if !self.has_introduced_itself.replace(true) {
            introduction().iter().for_each(|line| self.notice(line));
        }
    }

    fn say(&self, word: &str, message: &str) {
        if !self.is_quiet {
            tell_line(&format!("{word} ({}) : {message}", std::process::id()));
        }
    }
}
