//! Reloads and upgrades: who wanted them, what came of them, and how each is told in one sentence.

use std::time::SystemTime;

use super::change::Actor;

/// The configuration was to be read again.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigReload {
    pub by: Actor,
    pub outcome: ReloadOutcome,
    pub at: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in force: lines of the plan, and sessions that are closed because their server is gone.
    Done { changes: usize, closing: usize },
    /// The one before stays in force.
    Refused(Refused),
}

/// Why a configuration was not taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A fragment in words.
    pub error: String,
    /// What is wrong with it, each with its place: the first [`Refused::FIRST`].
    pub mistakes: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// The process was to be replaced by another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// In words, because the new process has it from the old one.
    pub by: String,
    pub outcome: UpgradeOutcome,
    pub at: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpgradeOutcome {
    /// This process has taken the place of that one.
    Done { pid: u32, release: String },
    /// This process goes on as if nothing had happened.
    Failed { error: String },
}

impl Refused {
    /// So many mistakes are told with an event; the log and the caller have all of them.
    pub const FIRST: usize = 3;

    /// Keeps the first of all mistakes.
    pub fn new(error: String, mut mistakes: Vec<String>) -> Self {
        let more = mistakes.len().saturating_sub(Self::FIRST);
        mistakes.truncate(Self::FIRST);
        Self { error, mistakes, more }
    }

    /// The first mistake and how many others there are, or what else it was.
    pub fn reason(&self) -> String {
        let Some(first) = self.mistakes.first() else { return self.error.clone() };
        match self.mistakes.len() - 1 + self.more {
            0 => first.clone(),
            others => format!("{first} (and {others} more)"),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("not reloaded: {}", self.error);
        for (mistake, before) in self.mistakes.iter().zip([": ", "; ", "; "]) {
            text += before;
            text += mistake;
        }
        if self.more > 0 {
            text += &format!("; and {} more", self.more);
        }
        text
    }
}

impl ConfigReload {
    pub fn text(&self) -> String {
        match &self.outcome {
            ReloadOutcome::Done { changes, closing } => done(*changes, *closing),
            ReloadOutcome::Refused(refused) => refused.text(),
        }
    }
}

/// What a reload has done, in a sentence.
pub fn done(changes: usize, closing: usize) -> String {
    match changes {
        0 => "reloaded: nothing has changed".to_owned(),
        _ => format!("reloaded: {}, {} closed", counted(changes, "change"), counted(closing, "session")),
    }
}

/// `1 change`, `2 changes`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl Upgrade {
    pub fn text(&self) -> String {
        match &self.outcome {
            UpgradeOutcome::Done { pid, release } => {
                format!("upgraded: this process has taken the place of evenkeel {release}, pid {pid}")
            }
            UpgradeOutcome::Failed { error } => format!("not upgraded: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(mistakes: usize) -> Refused {
        let mistakes = (1..=mistakes).map(|line| format!("a.toml:{line}:1: error: wrong")).collect();
        Refused::new("the file was refused".into(), mistakes)
    }

    #[test]
    fn of_many_mistakes_the_first_are_told_and_the_others_counted() {
        assert_eq!(refused(0).text(), "not reloaded: the file was refused");
        assert_eq!(refused(0).reason(), "the file was refused");
        assert_eq!(refused(1).text(), "not reloaded: the file was refused: a.toml:1:1: error: wrong");
        assert_eq!(refused(1).reason(), "a.toml:1:1: error: wrong");
        assert!(refused(3).text().ends_with("; a.toml:2:1: error: wrong; a.toml:3:1: error: wrong"));
        assert!(refused(5).text().ends_with("; a.toml:3:1: error: wrong; and 2 more"));
        assert_eq!(refused(5).reason(), "a.toml:1:1: error: wrong (and 4 more)");
    }

    #[test]
    fn a_reload_is_told_with_its_numbers() {
        assert_eq!(done(0, 0), "reloaded: nothing has changed");
        assert_eq!(done(1, 0), "reloaded: 1 change, 0 sessions closed");
        assert_eq!(done(2, 1), "reloaded: 2 changes, 1 session closed");
    }
}
