//! Lists of commands: all, those that begin with some words, or those that somebody may have meant.

use super::command::{Command, listed};

/// As many are proposed for a word that is unknown.
const MOST_NEAR: usize = 5;

/// The list for `help`.
pub fn list(words: &[String]) -> String {
    "The following commands are valid at this level:\n".to_owned() + &lines(words)
}

/// What is said of a command that there is not.
pub fn unknown(words: &[String]) -> String {
    let first = words.first().map_or("", String::as_str);
    format!("Unknown command: '{first}', but maybe one of the following ones is a better match:\n") + &lines(words)
}

/// A line for each command that shares as many words as any does: of these the nearest in spelling to the rest, if one is
/// near.
fn lines(words: &[String]) -> String {
    let (commands, always) = listed();
    let shared = |command: &Command| words.iter().zip(command.words).take_while(|(word, own)| word == *own).count();
    let most = commands.iter().map(shared).max().unwrap_or(0);
    let sharing: Vec<&Command> = commands.iter().filter(|command| shared(command) == most).collect();
    let near = nearest(&words[most..], most, &sharing);
    let chosen = if near.is_empty() { sharing } else { near };
    chosen.into_iter().chain(always).map(|command| format!("  {}\n", command.usage)).collect()
}

/// Those whose words from `place` on are nearest to these, in the order in which they are listed; none if none is near.
fn nearest<'a>(words: &[String], place: usize, among: &[&'a Command]) -> Vec<&'a Command> {
    let words: Vec<&str> = words.iter().map(String::as_str).take(5).collect();
    if words.is_empty() {
        return Vec::new();
    }
    let wanted = Print::of(&words);
    let length = |words: &[&str]| words.iter().map(|word| word.len()).sum::<usize>();
    let distance = |command: &&'a Command| {
        let own = command.words.get(place..).unwrap_or_default();
        let distance = wanted.distance(&Print::of(own));
        (distance < 5 * (length(&words) + length(own)) / 2).then_some((distance, *command))
    };
    let mut near: Vec<_> = among.iter().filter_map(distance).collect();
    near.sort_by_key(|(distance, _)| *distance);
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.truncate(MOST_NEAR);
    near.retain(|(distance, _)| *distance <= 5 * best / 2);
    let mut near: Vec<_> = near.into_iter().map(|(_, command)| command).collect();
    near.sort_by_key(|command| command.usage);
    near
}

/// Which letters follow which in some words, and which there are: words that look alike have nearly the same.
struct Print(Vec<i16>);

/// Letters, digits as one, and all else with the ends of words.
const KINDS: usize = 32;
const DIGIT: usize = 27;
const OTHER: usize = 28;

impl Print {
    fn of(words: &[&str]) -> Self {
        let mut print = vec![0; KINDS * KINDS];
        for word in words {
            let mut before = OTHER;
            for byte in word.bytes() {
                let kind = match byte.to_ascii_lowercase() {
                    letter @ b'a'..=b'z' => usize::from(letter - b'a') + 1,
                    b'0'..=b'9' => DIGIT,
                    _ => OTHER,
                };
                print[kind] = 1;
                print[KINDS * before + kind] += 1;
                before = kind;
            }
            print[KINDS * before + OTHER] += 1;
        }
        Self(print)
    }

    fn distance(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).map(|(a, b)| usize::from(a.abs_diff(*b))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::runtime::line;

    fn of(text: &str) -> Vec<String> {
        let all = lines(&line::words(text).unwrap());
        let names = all.lines().map(|line| line.split("  ").find(|part| !part.is_empty()).unwrap().trim().to_owned());
        let mut names: Vec<_> = names.collect();
        assert_eq!(names.split_off(names.len() - 3)[2], "quit");
        names
    }

    #[test]
    fn the_list_has_what_begins_alike_and_looks_alike() {
        assert_eq!(of("show servers"), ["show servers conn [<backend>]", "show servers state [<backend>]"]);
        assert_eq!(
            of("show infos"),
            ["show info [desc|json|typed|float]*: report information about the running process"]
                .map(|line| line.split(':').next().unwrap().to_owned())
                .to_vec()
        );
        assert_eq!(of("disable").len(), 4);
        assert_eq!(of("").len(), listed().0.len());
    }

    #[test]
    fn what_is_unknown_is_said_with_its_first_word() {
        let text = unknown(&["frob".to_owned(), "nicate".to_owned()]);
        assert!(text.starts_with("Unknown command: 'frob', but maybe one of the following"), "{text}");
        assert!(text.ends_with("quit                                    : disconnect\n"), "{text}");
    }
}
