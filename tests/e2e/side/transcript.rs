//! What was seen while a script was played, and where two of them differ.

use std::fmt;

/// All that was noted of one load balancer.
#[derive(Debug, Default)]
pub struct Transcript {
    pub name: String,
    /// What each step showed.
    pub steps: Vec<Note>,
    /// Its log, with the step during which each line came.
    pub log: Vec<Note>,
    /// Whether a wait was not met, which has ended it.
    pub unmet: bool,
    /// What the program printed, for whoever looks for the cause.
    pub printed: Vec<String>,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The script's line, from 1.
    pub line: usize,
    pub text: String,
}

/// Lines before a difference that are shown with it.
const CONTEXT: usize = 3;

/// The first difference of the steps and the first of the log; `None` if there is none.
pub fn difference(one: &Transcript, other: &Transcript) -> Option<String> {
    let steps = first_difference("what happened", one, other, |transcript| &transcript.steps);
    let log = first_difference("the log", one, other, |transcript| &transcript.log);
    let found: Vec<String> = steps.into_iter().chain(log).collect();
    if found.is_empty() {
        return None;
    }
    let printed = other.printed.iter().rev().take(12).rev();
    let printed: String = printed.map(|line| format!("\n    {line}")).collect();
    Some(format!("{}\n{} printed last:{printed}", found.join("\n"), other.name))
}

fn first_difference(
    what: &str,
    one: &Transcript,
    other: &Transcript,
    part: fn(&Transcript) -> &Vec<Note>,
) -> Option<String> {
    let (left, right) = (part(one), part(other));
    let longest = left.len().max(right.len());
    let at = (0..longest).find(|at| left.get(*at).map(|note| &note.text) != right.get(*at).map(|note| &note.text))?;
    let before = left[at.saturating_sub(CONTEXT)..at.min(left.len())].iter();
    let before: String = before.map(|note| format!("\n    {note}")).collect();
    let side = |transcript: &Transcript| {
        let note = part(transcript).get(at).map_or("nothing more".to_owned(), ToString::to_string);
        format!("\n  {}:\n    {note}", transcript.name)
    };
    Some(format!("the first difference in {what}:{before}{}{}", side(one), side(other)))
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  {}", self.line, self.text)
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what happened with {}, but for empty cells:", self.name)?;
        let told = self.steps.iter().filter(|note| !note.text.ends_with('='));
        told.into_iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        writeln!(f, "the log:")?;
        self.log.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        writeln!(f, "printed:")?;
        self.printed.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
