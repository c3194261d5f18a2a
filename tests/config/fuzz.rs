//! Any haproxy.cfg is read or refused, soon, and without a panic.
//!
//! Files of the repository are taken apart into lines and words and put together in ways that nobody would. Each run of
//! the tests looks at two hundred of them; `EVENKEEL_FUZZ_SECONDS=600 cargo test --test config any_file -- --ignored`
//! looks at more, and says the number of the one that it fell over, with which it is made again.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel::config::{self, Choice, Policy};
use rustix::time::{ClockId, clock_gettime};

/// Where the files are from.
const FILES: [&str; 4] =
    ["tests/config/haproxy", "tests/config/cases", "tests/e2e/faults/proxies", "tests/e2e/side/files"];

/// The largest file that is made.
const LARGEST: usize = 64 << 10;

/// What reading it may cost, of the processor and not of the clock: other tests run beside this one. What is not optimized
/// takes several times as long; what takes ever longer with ever larger files takes longer than that.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

/// Files of every run.
const FEW: u64 = 200;

/// Words and halves of words that readers of such files fall over.
const STRANGE: &[&str] = &[
    "",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\\x",
    "\\x4",
    "\\x00",
    "\\xff",
    "$",
    "${",
    "${}",
    "\"${X}\"",
    "\"${X-y}\"",
    "\"${X[*]}\"",
    "#",
    "!",
    "{",
    "}",
    "||",
    "&&",
    "(",
    ")",
    "%",
    "%[",
    "%[src]",
    "ä",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "\t",
    "\r",
    "no",
    "default",
    "from",
    "if",
    "unless",
    "or",
    "0",
    "-1",
    "1",
    "00",
    "65535",
    "65536",
    "4294967296",
    "99999999999999999999",
    "1us",
    "24d",
    "25d",
    "0s",
    "0.0.0.0",
    "255.255.255.255",
    "256.1.1.1",
    "10.0.0.0/8",
    "10.0.0.0/33",
    "::",
    "[::]",
    "[",
    "]:1",
    ":::1",
    ":1-65535",
    ":1-2768",
    ":1,:2,:3",
    "*:0",
    "ipv4@",
    "ipv6@::",
    "unix@",
    "fd@x",
    "/",
    "a/b",
    "@",
    "name.",
    ".if",
    ".elif",
    ".else",
    ".endif",
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "acl",
    "bind",
    "server",
    "mode",
    "http",
    "tcp",
];

/// The lines of all files, and their words.
struct Material {
    lines: Vec<String>,
    words: Vec<String>,
    files: Vec<String>,
}

impl Material {
    fn of_the_repository() -> Self {
        let directories = FILES.iter().flat_map(|path| fs::read_dir(path).unwrap());
        let paths = directories.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "cfg")).collect();
        paths.sort();
        let files: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert!(files.len() > 10, "only {} files", files.len());
        let lines: Vec<String> = files.iter().flat_map(|text| text.lines().map(str::to_owned)).collect();
        let words = lines.iter().flat_map(|line| line.split_whitespace().map(str::to_owned));
        let words = words.chain(STRANGE.iter().map(|word| (*word).to_owned())).collect();
        Self { lines, words, files }
    }

    /// The file of this number.
    fn file(&self, number: u64) -> String {
        let mut dice = fastrand::Rng::with_seed(number);
        let mut lines: Vec<String> = match dice.u8(..4) {
            0 => (0..dice.usize(1..60)).map(|_| self.line(&mut dice)).collect(),
            _ => dice.choice(&self.files).unwrap().lines().map(str::to_owned).collect(),
        };
        for _ in 0..dice.usize(1..12) {
            self.change(&mut lines, &mut dice);
        }
        let mut text = lines.join("\n");
        if dice.u8(..8) == 0 {
            text = filled_up(&text, &mut dice);
        }
        cut(text, dice.u8(..6) == 0, &mut dice)
    }

    fn line(&self, dice: &mut fastrand::Rng) -> String {
        dice.choice(&self.lines).unwrap().clone()
    }

    fn change(&self, lines: &mut Vec<String>, dice: &mut fastrand::Rng) {
        if lines.is_empty() {
            return lines.push(self.line(dice));
        }
        let at = dice.usize(..lines.len());
        match dice.u8(..8) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, self.line(dice)),
            2 => {
                let other = dice.usize(..lines.len());
                lines.swap(at, other);
            }
            3 => lines.insert(at, lines[at].clone()),
            _ => lines[at] = self.changed(&lines[at], dice),
        }
    }

    /// A line with another word in it, a word less, one more, many more, or a piece of one in the middle of another.
    fn changed(&self, line: &str, dice: &mut fastrand::Rng) -> String {
        let mut words: Vec<&str> = line.split(' ').collect();
        let at = dice.usize(..words.len());
        let new = dice.choice(&self.words).unwrap();
        match dice.u8(..6) {
            0 => words[at] = new,
            1 => drop(words.remove(at)),
            2 => words.insert(at, new),
            3 => words = [words.as_slice(), &vec![new.as_str(); dice.usize(..100)]].concat(),
            _ => {
                let strange = dice.choice(STRANGE).unwrap();
                let place = (0..=line.len()).filter(|place| line.is_char_boundary(*place)).collect::<Vec<_>>();
                let (before, after) = line.split_at(*dice.choice(&place).unwrap());
                return format!("{before}{strange}{after}");
            }
        }
        words.join(" ")
    }
}

/// As much of it, again and again, as a large file has; each section with a name of its own, or not.
fn filled_up(text: &str, dice: &mut fastrand::Rng) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = dice.usize(..lines.len().max(1));
    let some = &lines[from..(from + dice.usize(1..20)).min(lines.len())];
    let distinct = dice.bool();
    let mut large = text.to_owned();
    for round in 0.. {
        for line in some {
            let is_section =
                ["frontend ", "backend ", "listen ", "defaults "].iter().any(|head| line.starts_with(head));
            let line = if is_section && distinct { format!("\n{line}{round}") } else { format!("\n{line}") };
            if large.len() + line.len() > LARGEST {
                return large;
            }
            large.push_str(&line);
        }
        if some.is_empty() {
            return large;
        }
    }
    large
}

/// Up to any of its bytes, or as it is.
fn cut(mut text: String, really: bool, dice: &mut fastrand::Rng) -> String {
    let mut end = if really { dice.usize(..=text.len()) } else { text.len().min(LARGEST) };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Reads the file of this number, and whatever comes of it.
fn look_at(material: &Material, number: u64) {
    let text = material.file(number);
    let policy = if number.is_multiple_of(2) { Policy::Haproxy } else { Policy::Evenkeel };
    let choice = Choice { policy, lenient: number.is_multiple_of(3) };
    let before = clock_gettime(ClockId::ThreadCPUTime);
    let reading = panic::catch_unwind(AssertUnwindSafe(|| match config::parse_haproxy(&text, "any.cfg", choice) {
        Ok((_, report)) | Err(report) => report.render(false).len() + report.to_string().len(),
    }));
    let after = clock_gettime(ClockId::ThreadCPUTime);
    let cost = Duration::try_from(after - before).unwrap();
    if reading.is_err() || cost > SOON {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("any-{number}.cfg"));
        fs::write(&path, &text).unwrap();
        panic!("file {number}, {} bytes, {cost:?}: {}", text.len(), path.display());
    }
}

#[test]
fn any_of_a_few_files_is_read_or_refused() {
    let material = Material::of_the_repository();
    (0..FEW).for_each(|number| look_at(&material, number));
}

#[test]
#[expect(clippy::print_stdout, reason = "whoever waited for it wants to know how far it came")]
#[ignore = "goes on for as long as EVENKEEL_FUZZ_SECONDS says"]
fn any_file_is_read_or_refused() {
    let seconds = std::env::var("EVENKEEL_FUZZ_SECONDS").map_or(60, |text| text.parse().unwrap());
    let material = Material::of_the_repository();
    let end = Instant::now() + Duration::from_secs(seconds);
    let first = fastrand::u64(FEW..u64::MAX / 2);
    let mut number = first;
    while Instant::now() < end {
        look_at(&material, number);
        number += 1;
    }
    println!("{} files from {first} on", number - first);
}
