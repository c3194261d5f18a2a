//! A case for each word of haproxy.cfg that is honoured: a small file in which the word is marked, and a script that goes
//! another way without it.
//!
//! ```text
//! global                        what all cases of a file begin with: a configuration,
//!     …
//! ---
//! server s1 at 10.0.0.11:6443   and a scene
//!
//! === server: backup            a case: the table that the word stands in, and the word
//! listen l
//!     bind :6443
//!     server s1 10.0.0.11:6443
//!     server s2 10.0.0.12:6443 [[backup]]
//! ---
//! c1 connects to 6443
//! …
//! ```
//!
//! Where the head has a line `<case>`, the lines of a case before its first section stand there.
//!
//! evenkeel plays each case with what stands in `[[ ]]` and without it. Where both come to the same, the word was read and
//! ignored; so a case that waits in vain, with the word or without it, is none. HAProxy 3.2 plays it as well, and has to see
//! what evenkeel sees both times. `# without: …` behind a title says why it need not be the same without the word.
//!
//! `config/haproxy/cases.rs` holds the titles against the tables of words.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use libtest_mimic::{Failed, Trial};

use crate::balancer::Kind;
use crate::play::{self, DOES_NOT_START};
use crate::script::Script;
use crate::transcript::{Transcript, difference};

/// Where the cases are.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/side/words");

const TITLE: &str = "=== ";
const SCRIPT: &str = "---";
const PLACE: &str = "<case>\n";

/// One word, and what shows that it is honoured.
#[derive(Debug, Clone)]
pub struct Case {
    file: String,
    /// Its title's line.
    line: usize,
    title: String,
    configuration: String,
    script: String,
    /// Whether HAProxy and evenkeel see the same without the word, too.
    is_same_without: bool,
}

/// Cases that are played at the same time, each with the word and without it. They mostly wait.
const AT_ONCE: usize = 3;

/// The cases of each file under evenkeel, and under both, which is left to `--full`. They need root.
pub fn trials() -> Vec<Trial> {
    let cases = cases();
    let files: BTreeSet<&str> = cases.iter().map(|case| case.file.as_str()).collect();
    let trial = |file: &str, module: &str, judge: Judge| {
        let cases: Vec<Case> = cases.iter().filter(|case| case.file == file).cloned().collect();
        Trial::test(format!("{module}::{file}"), move || each(&cases, judge)).with_ignored_flag(true)
    };
    let evenkeel = files.iter().map(|file| trial(file, "words", changes_what_happens));
    let both = files.iter().map(|file| trial(file, "full::words", is_as_with_haproxy));
    let ignored = Trial::test("words::a_word_that_changes_nothing_is_told", is_told).with_ignored_flag(true);
    evenkeel.chain(both).chain([ignored]).collect()
}

/// Says what is wrong with a case.
type Judge = fn(&Case) -> Result<(), String>;

/// Judges all of them, some at a time; what is wrong with any is told in the order of the file.
fn each(cases: &[Case], judge: Judge) -> Result<(), Failed> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let judge_some = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            // A play that can't go on says so by a panic, which is the case's own.
            let judged = std::panic::catch_unwind(|| judge(case));
            if let Err(report) = judged.unwrap_or_else(|_| Err("it could not be played".to_owned())) {
                wrong.lock().unwrap().push((case.line, format!("{}: {report}", case.place())));
            }
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(judge_some))));
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let reports: Vec<String> = wrong.into_iter().map(|(_, report)| report).collect();
    if reports.is_empty() { Ok(()) } else { Err(reports.join("\n\n").into()) }
}

/// The case of a file whose title has these words in it.
pub fn case(file: &str, title: &str) -> Option<Case> {
    cases().into_iter().find(|case| case.file == file && case.title.contains(title))
}

fn cases() -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let cases: Vec<Case> = files.iter().flat_map(|file| read(file)).collect();
    assert!(!cases.is_empty(), "no cases in {CASES}");
    cases
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_stem().expect("a file has a name").to_string_lossy();
    let (head, rest) = split_at_line(&text, |line| line.starts_with(TITLE));
    let (configuration, scene) = split_at_line(head, |line| line == SCRIPT);
    let mut cases = Vec::new();
    let (mut line, mut rest) = (1 + head.lines().count(), rest);
    while let Some(begun) = rest.strip_prefix(TITLE) {
        let (title, body) = begun.split_once('\n').unwrap_or((begun, ""));
        let (body, after) = split_at_line(body, |line| line.starts_with(TITLE));
        let (own, script) = split_at_line(body, |line| line == SCRIPT);
        let (lines, sections) = split_at_line(own, |line| !line.starts_with(' '));
        // A remark stands behind two blanks: a word may begin with the sign.
        let (title, remark) = title.split_once("  #").unwrap_or((title, ""));
        cases.push(Case {
            file: file.clone().into_owned(),
            line,
            title: title.trim_end().to_owned(),
            configuration: configuration.replace(PLACE, lines) + sections,
            script: format!("{}{}", behind_mark(scene), behind_mark(script)),
            is_same_without: !remark.trim_start().starts_with("without:"),
        });
        line += 1 + body.lines().count();
        rest = after;
    }
    cases
}

/// A text up to a line, and from there on.
fn split_at_line(text: &str, is_it: impl Fn(&str) -> bool) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_it(line.trim_end()) {
            break;
        }
        at += line.len();
    }
    text.split_at(at)
}

fn behind_mark(text: &str) -> &str {
    text.strip_prefix(SCRIPT).unwrap_or(text)
}

impl Case {
    fn place(&self) -> String {
        format!("{CASES}/{}.txt:{}: {}", self.file, self.line, self.title)
    }

    /// Its configuration with the word, or without it.
    fn configuration(&self, with: bool) -> String {
        let mut text = String::new();
        let mut rest = self.configuration.as_str();
        while let Some((before, marked)) = rest.split_once("[[") {
            let (word, after) = marked.split_once("]]").unwrap_or_else(|| panic!("{}: no `]]`", self.place()));
            text.push_str(before);
            text.push_str(if with { word } else { "" });
            rest = after;
        }
        assert!(!text.is_empty(), "{}: nothing stands in `[[ ]]`", self.place());
        text + rest
    }

    pub fn play(&self, kind: Kind, with: bool) -> Transcript {
        let script = Script::read(&self.script).unwrap_or_else(|mistake| panic!("{}: {mistake}", self.place()));
        let name = format!("{} {} it", kind.name(), if with { "with" } else { "without" });
        Transcript { name, ..play::play(&self.configuration(with), &script, kind) }
    }

    /// Both ways at the same time; what makes it none is an error.
    fn both_ways(&self, kind: &Kind) -> Result<(Transcript, Transcript), String> {
        let (with, without) = thread::scope(|scope| {
            let with = scope.spawn(|| self.play(kind.clone(), true));
            let without = self.play(kind.clone(), false);
            (with.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), without)
        });
        if with.steps.first().is_some_and(|note| note.text == DOES_NOT_START) {
            return Err(format!("it doesn't start:\n{}", with.printed.join("\n")));
        }
        for played in [&with, &without] {
            if played.unmet {
                return Err(format!("a wait isn't met:\n{played}"));
            }
        }
        Ok((with, without))
    }
}

// Seen to fail for a case whose word is noted, `nbthread`, which [`is_told`] goes on to see.
fn changes_what_happens(case: &Case) -> Result<(), String> {
    let (with, without) = case.both_ways(&Kind::Evenkeel)?;
    match difference(&with, &without) {
        Some(_) => Ok(()),
        None => Err(format!("the same happens without it:\n{with}")),
    }
}

fn is_as_with_haproxy(case: &Case) -> Result<(), String> {
    let (with, without) = case.both_ways(&Kind::Haproxy)?;
    let (own_with, own_without) = case.both_ways(&Kind::Evenkeel)?;
    let without = difference(&without, &own_without).filter(|_| case.is_same_without);
    match difference(&with, &own_with).or(without) {
        Some(report) => Err(report),
        None => Ok(()),
    }
}

/// A word that is noted is no honoured one: its case fails.
fn is_told() -> Result<(), Failed> {
    let case = Case {
        file: "none".to_owned(),
        line: 0,
        title: "global: nbthread".to_owned(),
        configuration: "global\n[[ nbthread 2]]\n\
                        listen l\n mode tcp\n bind :6443\n timeout client 1m\n timeout server 1m\n timeout connect 1s\n\
                        \x20server s1 10.0.0.11:6443\n"
            .to_owned(),
        script: "server s1 at 10.0.0.11:6443\nc1 connects to 6443\nc1 asks\n".to_owned(),
        is_same_without: true,
    };
    match changes_what_happens(&case) {
        Err(report) if report.contains("the same happens without it") => Ok(()),
        Err(report) => Err(report.into()),
        Ok(()) => Err("a word that changes nothing passes for an honoured one".into()),
    }
}
