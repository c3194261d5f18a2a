//! Every kind of mistake has a case and a snapshot of what the operator reads.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel::config::{self, Choice, KINDS, Report, Severity};
use proptest::prelude::*;

const CASES: &str = "tests/config/cases";

/// The report on a file, which must have errors.
fn report(path: &Path) -> Report {
    match config::load(path) {
        Ok(_) => panic!("{} has no mistake", path.display()),
        Err(report) => report,
    }
}

/// Paths of the machine that runs the test left out.
fn rendered(report: &Report) -> String {
    report.render(false).replace(env!("CARGO_MANIFEST_DIR"), "[ROOT]")
}

fn kinds(report: &Report) -> BTreeSet<&'static str> {
    report.entries().iter().map(|entry| entry.kind).collect()
}

#[test]
fn each_kind_of_mistake_has_a_case_that_shows_it() {
    let mut shown = BTreeSet::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut snapshot = |case: &str, report: &Report| {
        let kind = case.split('.').next().unwrap();
        let kinds = kinds(report);
        assert!(kinds.contains(kind) || !KINDS.contains(&kind), "{case} is a case of {kind}, and shows {kinds:?}");
        shown.extend(kinds);
        settings.bind(|| insta::assert_snapshot!(case, rendered(report)));
    };
    for entry in fs::read_dir(CASES).unwrap() {
        let path = entry.unwrap().path();
        snapshot(path.file_stem().unwrap().to_str().unwrap(), &report(&path));
    }
    let lenient = Choice { lenient: true, ..Choice::default() };
    let refused = fs::read_to_string(Path::new(CASES).join("directive-refused.cfg")).unwrap();
    snapshot("left-out", &config::parse_haproxy(&refused, "haproxy.cfg", lenient).unwrap_err());
    snapshot("not-found", &report(Path::new("tests/config/no-such-file.toml")));
    snapshot("unreadable", &report(Path::new("tests/config")));
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large.toml");
    fs::write(&large, vec![b'#'; config::MAX_FILE as usize + 1]).unwrap();
    let too_large = report(&large);
    assert_eq!(kinds(&too_large), BTreeSet::from(["too-large"]));
    shown.extend(kinds(&too_large));

    let missing: Vec<_> = KINDS.iter().filter(|kind| !shown.contains(*kind)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

#[test]
fn every_mistake_but_those_of_the_whole_file_has_its_place() {
    let whole_file = ["not-found", "unreadable", "too-large", "not-utf8", "empty", "nothing-to-serve"];
    let mut seen = 0;
    for entry in fs::read_dir(CASES).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for entry in report(&path).entries().iter().filter(|entry| !whole_file.contains(&entry.kind)) {
            let place = entry.place.as_ref().unwrap_or_else(|| panic!("{}: {entry:?}", path.display()));
            let line = text.lines().nth(place.line - 1).unwrap();
            let before = &text[..place.span.start];
            assert_eq!(before.matches('\n').count() + 1, place.line);
            assert_eq!(before.chars().rev().take_while(|c| *c != '\n').count() + 1, place.column, "{line}");
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} mistakes looked at");
}

#[test]
fn every_error_without_a_hint_says_what_is_allowed() {
    for entry in fs::read_dir(CASES).unwrap() {
        let report = report(&entry.unwrap().path());
        for entry in report.entries().iter().filter(|entry| entry.hint.is_none()) {
            let says = ["must be", ": ", "whole seconds"].iter().any(|words| entry.message.contains(words));
            assert!(says, "{entry:?}");
        }
    }
}

#[test]
fn a_warning_alone_keeps_no_file_from_being_used() {
    let text = fs::read_to_string(Path::new(CASES).join("unused-backend.toml")).unwrap();
    let text = text.replace("wrong = true\n", "");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    fs::write(&file, text).unwrap();
    let (config, warnings) = config::inspect(&file).unwrap();
    assert_eq!(config.backends.len(), 2);
    let severities: Vec<_> = warnings.entries().iter().map(|entry| (entry.severity, entry.kind)).collect();
    assert_eq!(severities, [(Severity::Warning, "unused-backend")]);
    assert!(!warnings.has_errors());
}

/// As HAProxy takes it, and with it those who come from there.
#[test]
fn two_servers_of_one_address_are_a_warning() {
    let text = "[[frontend]]\nname = 'f'\nlisten = ':7000'\nbackend = 'b'\n[[backend]]\nname = 'b'\nservers = [
        { name = 'one', address = '10.10.0.2:6443' }, { name = 'two', address = '10.10.0.2:6443' }]\n";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    fs::write(&file, text).unwrap();
    let (config, warnings) = config::inspect(&file).unwrap();
    assert_eq!((config.backends[0].servers.len(), config.hosts.len()), (2, 1));
    assert_eq!(kinds(&warnings), BTreeSet::from(["duplicate-address"]));
}

/// `connect` alone, or with room for a dial, is how most state it.
#[test]
fn a_short_connect_is_no_reason_to_complain_about_a_dial_that_nobody_states() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    for (timeouts, expected) in [
        ("connect = '1s'", None),
        ("connect = '5s'\ndial = '5s'", None),
        ("connect = '1s'\ndial = '5s'", Some("dial-over-connect")),
        ("dial = '11s'", Some("dial-over-connect")),
    ] {
        fs::write(&file, format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n[timeouts]\n{timeouts}\n")).unwrap();
        let (_, warnings) = config::inspect(&file).unwrap();
        let found: Vec<_> = warnings.entries().iter().map(|entry| entry.kind).collect();
        assert_eq!(found, Vec::from_iter(expected), "{timeouts}");
    }
}

/// As an editor on another system saves it.
#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = fs::read_to_string("config/evenkeel.toml").unwrap();
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(config::parse(&windows, "it.toml").unwrap(), config::parse(&text, "it.toml").unwrap());
    let report = config::parse("\u{feff}preset = 'k0s'\r\ncontrollers = 3\r\n", "it.toml").unwrap_err();
    let place = report.entries()[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (2, 15));
    let first_line = config::parse("\u{feff}preset = 'k9'\r\ncontrollers = ['a']\r\n", "it.toml").unwrap_err();
    assert_eq!(first_line.entries()[0].place.as_ref().unwrap().column, 10);
}

#[test]
fn a_carriage_return_before_a_lines_end_is_not_shown() {
    let report = config::parse("colour = 1\r\n[stats]\r\nlisten = 3", "it.toml").unwrap_err();
    assert!(!report.render(false).contains('\u{240d}'), "{report:?}");
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let text = fs::read("config/evenkeel.toml").unwrap();
    let reading = std::thread::spawn(move || config::load(Path::new(&path)));
    writer.write_all(&text).unwrap();
    drop(writer);
    assert_eq!(reading.join().unwrap().unwrap().frontends.len(), 3);
}

/// Opening it in the ordinary way would wait for a writer, without end.
#[test]
fn a_pipe_that_nobody_writes_into_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let report = report(&pipe);
    assert_eq!(kinds(&report), BTreeSet::from(["unreadable"]));
    assert!(report.to_string().contains("nobody writes into it"), "{report}");
    let file = directory.path().join("evenkeel.toml");
    let check = "check = { type = 'tls', ca_file = 'pipe' }";
    fs::write(&file, format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n[defaults]\n{check}\n")).unwrap();
    assert!(kinds(&self::report(&file)).contains("ca-file"));
}

#[test]
fn a_word_of_many_lines_or_without_end_is_told_in_one_line() {
    let long = "x".repeat(1_000_000);
    let text = format!("preset = \"k0s\\n\\n\"\ncontrollers = ['a']\n[log]\nlevel = '{long}'");
    let report = config::parse(&text, "it.toml").unwrap_err();
    assert_eq!(kinds(&report), BTreeSet::from(["unknown-word"]));
    assert_eq!(report.to_string().lines().count(), 2, "{report}");
    assert!(report.render(false).len() < 2_000);
    assert!(report.entries()[1].message.ends_with("is unknown as `level`"));
}

#[test]
fn colours_are_there_only_when_asked_for() {
    let report = report(&Path::new(CASES).join("unknown-key.toml"));
    assert!(report.render(true).contains("\u{1b}["));
    assert!(!report.render(false).contains('\u{1b}'));
}

#[test]
fn a_files_control_characters_never_reach_the_terminal() {
    let report = config::parse("\"\\u001b[2J\" = 1\n'x\u{9b}' = 2\n", "\u{1b}[1mname").unwrap_err();
    for text in [report.render(false), report.to_string()] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'), "{text:?}");
    }
}

#[test]
fn a_line_is_said_for_each_mistake_and_the_hundred_and_first_is_counted() {
    let mut text = String::new();
    for key in 0..250 {
        writeln!(text, "key{key} = 1").unwrap();
    }
    let report = config::parse(&text, "many.toml").unwrap_err();
    assert_eq!(report.errors().count(), 251, "each key, and nothing to serve");
    let rendered = report.render(false);
    assert_eq!(rendered.matches("unknown key").count(), 99);
    assert!(rendered.ends_with("many.toml: 251 errors, 151 of them not shown\n"), "{rendered}");
    assert_eq!(report.to_string().lines().count(), 101);
}

/// A shipped or wrong file with a piece cut out and a piece put in, anywhere.
fn mutilated() -> impl Strategy<Value = String> {
    let cases = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path());
    let shipped = fs::read_dir("config").unwrap().map(|entry| entry.unwrap().path());
    let files = cases.chain(shipped).filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let texts: Vec<String> = files.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let pieces = [
        "\"", "'", "[", "]]", "{", "}", "\n", "=", "#", ",", "ä", "\u{1b}", "\r\n", "\u{202e}", "10s", "0x", "\"\"\"",
        "\\u00",
    ];
    (
        proptest::sample::select(texts),
        any::<prop::sample::Index>(),
        0..80_usize,
        proptest::sample::select(pieces.to_vec()),
    )
        .prop_map(|(text, at, cut, piece)| {
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len() + 1);
            let rest = chars.iter().skip(at + cut);
            chars[..at].iter().copied().chain(piece.chars()).chain(rest.copied()).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_file_is_so_wrong_that_it_cannot_be_told(text in mutilated()) {
        match config::parse(&text, "evenkeel.toml") {
            Ok(_) => prop_assert!(config::show_text(&text, "evenkeel.toml").is_ok()),
            Err(report) => {
                prop_assert!(report.has_errors());
                prop_assert!(report.render(false).lines().next().unwrap().contains(": "));
                prop_assert_eq!(report.to_string().lines().count(), report.entries().len().min(101));
                for place in report.entries().iter().filter_map(|entry| entry.place.as_ref()) {
                    prop_assert!(text.get(place.span.clone()).is_some(), "{:?}", place);
                }
            }
        }
    }
}

/// Far more than a debug build needs, far less than quadratic work would take.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_hundred_thousand_lines_are_read_and_every_mistake_in_them_is_found() {
    let mut text = String::new();
    for index in 0..20_000 {
        let (high, low) = (index / 250, index % 250);
        writeln!(text, "[[frontend]]\nname = 'f{index}'\nlisten = '10.1.{high}.{low}:6443'\nbackend = 'b'\n").unwrap();
    }
    text.push_str("[[backend]]\nname = 'b'\nservers = ['10.0.0.1:6443']\n");
    let begin = Instant::now();
    assert_eq!(config::parse(&text, "long.toml").unwrap().frontends.len(), 20_000);
    let wrong = text.replace("backend =", "backedn =");
    let report = config::parse(&wrong, "long.toml").unwrap_err();
    assert_eq!(report.errors().filter(|entry| entry.kind == "unknown-key").count(), 20_000);
    assert!(report.render(false).contains("long.toml:4:1"));
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[test]
fn garbage_is_refused_soon_and_in_few_words() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("garbage.toml");
    let garbage: Vec<u8> =
        (0..10_000_000_u64).map(|i| (32 + i.wrapping_mul(i).wrapping_mul(2_654_435_761) % 95) as u8).collect();
    let begin = Instant::now();
    fs::write(&file, &garbage).unwrap();
    assert_eq!(kinds(&report(&file)), BTreeSet::from(["too-large"]));
    fs::write(&file, &garbage[..8_000_000]).unwrap();
    let on_one_line = report(&file);
    assert_eq!(kinds(&on_one_line), BTreeSet::from(["syntax"]));
    assert!(on_one_line.render(false).len() < 100_000);
    let lines: Vec<u8> = garbage[..8_000_000].chunks(79).flat_map(|line| [line, b"\n"].concat()).collect();
    fs::write(&file, &lines[..8_000_000]).unwrap();
    let on_many_lines = report(&file);
    assert!(kinds(&on_many_lines).contains("syntax"));
    assert!(on_many_lines.render(false).len() < 100_000);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}
