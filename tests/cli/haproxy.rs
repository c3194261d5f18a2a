//! HAProxy's command line: what it prints and how it ends, as HAProxy 3.2 was seen to. tests/e2e holds it against the program
//! itself.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::ends;

/// Two sections that could be served, and three mistakes in one.
const GOOD: &str = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                    listen a\n bind 127.0.0.1:1\n server s 127.0.0.1:2\n";
const WRONG: &str = "listen a\n bind 127.0.0.1:1\n frobnicate\n server s 127.0.0.1:2 chekc\n timeout foo 3s\n";

fn cfg(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".cfg").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Runs it with these words, in which FILE is a file of this text; its code and what it printed, FILE and pids put back.
fn haproxy(words: &str, text: &str, code: i32) -> (String, String) {
    let file = cfg(text);
    let path = file.path().to_str().unwrap();
    let words: Vec<String> = words.split_whitespace().map(|word| word.replace("FILE", path)).collect();
    let mut all = vec!["haproxy"];
    all.extend(words.iter().map(String::as_str));
    let (out, err) = ends(&all, code);
    (out.replace(path, "FILE"), without_pids(&err.replace(path, "FILE")))
}

fn without_pids(text: &str) -> String {
    let line = |line: &str| match line.split_once('(').and_then(|(word, rest)| Some((word, rest.split_once(')')?.1))) {
        Some((word, rest)) if line.starts_with('[') => format!("{word}(PID){rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn a_file_is_checked_and_only_who_wants_words_gets_them() {
    for (words, said) in [
        ("-c -f FILE", ""),
        ("-c -V -f FILE", "Configuration file is valid\n"),
        ("-c -V -q -- FILE", "Configuration file is valid\n"),
        ("-c -q -f FILE", ""),
        ("-cV -f FILE", ""),
        ("-D -W -p /nowhere/pid -sf 1 -x /nowhere/socket -c -V -f FILE", "Configuration file is valid\n"),
    ] {
        assert_eq!(haproxy(words, GOOD, 0), (said.to_owned(), String::new()), "{words}");
    }
}

#[test]
fn every_mistake_is_an_alert_that_names_its_line() {
    let (out, err) = haproxy("-c -f FILE", WRONG, 1);
    assert_eq!(out, "");
    let lines: Vec<&str> = err.lines().collect();
    let begins = [
        concat!("[NOTICE]   (PID) : haproxy version is 3.2.0-evenkeel", env!("CARGO_PKG_VERSION")),
        "[NOTICE]   (PID) : path to executable is /",
        "[ALERT]    (PID) : config : parsing [FILE:3] : unknown keyword 'frobnicate' in 'listen' section",
        "[ALERT]    (PID) : config : parsing [FILE:4] : unknown keyword 'chekc' in 'server' section; did you mean `check`?",
        "[ALERT]    (PID) : config : parsing [FILE:5] : ",
        "[ALERT]    (PID) : config : Error(s) found in configuration file : FILE",
        "[ALERT]    (PID) : config : Fatal errors found in configuration.",
    ];
    assert_eq!(lines.len(), begins.len(), "{err}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{begin}\n{err}");
    }
    // Who starts it is told the same.
    assert_eq!(haproxy("-f FILE", WRONG, 1).1, err);
    assert_eq!(haproxy("-c -q -f FILE", WRONG, 1), (String::new(), String::new()));
}

#[test]
fn what_can_not_be_read_or_served_is_said() {
    for (words, text, code, out, err) in [
        (
            "-c -f /nowhere",
            "",
            1,
            "",
            "config : Cannot open configuration file/directory /nowhere : No such file or directory",
        ),
        ("-c -C /nowhere -f FILE", GOOD, 1, "", "Could not change to directory /nowhere : No such file or directory"),
        ("-c -f FILE", "", 2, "Configuration file has no error but will not start (no listener) => exit(2).\n", ""),
        ("-f FILE", "", 1, "", "[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting."),
        ("-f FILE -sf 1 abc", GOOD, 1, "", "-sf option: some bytes unconsumed in PID list {abc}"),
        ("-f FILE -S /s", GOOD, 1, "", "a master CLI socket was defined, but master-worker mode (-W) is not enabled."),
        ("-f", "", 1, "", "failed to copy argv."),
    ] {
        let (printed, told) = haproxy(words, text, code);
        assert_eq!(printed, out, "{words}");
        let last = told.lines().last().unwrap_or_default();
        let wanted = if err.is_empty() { String::new() } else { format!("[ALERT]    (PID) : {err}") };
        assert_eq!(last, wanted, "{words}\n{told}");
    }
}

#[test]
fn a_directory_stands_for_its_cfg_files_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let (defaults, rest) = GOOD.split_at(GOOD.find("listen").unwrap());
    std::fs::write(directory.path().join("1.cfg"), defaults).unwrap();
    std::fs::write(directory.path().join("2.cfg"), rest).unwrap();
    std::fs::write(directory.path().join("3.cfg.old"), WRONG).unwrap();
    let path = directory.path().to_str().unwrap();
    assert_eq!(ends(&["haproxy", "-c", "-V", "-f", path], 0).0, "Configuration file is valid\n");
    std::fs::write(directory.path().join("3.cfg"), WRONG.replace("listen a", "listen b")).unwrap();
    assert!(ends(&["haproxy", "-c", "-f", path], 1).1.contains("3.cfg:3] : unknown keyword 'frobnicate'"));
}

#[test]
fn conditions_are_answered_by_the_code_alone() {
    for (condition, code) in
        [("1", 0), ("streq(a,a) && !defined(NO_SUCH)", 0), ("version_atleast(2.4)", 0), ("streq(a,b)", 1), ("", 1)]
    {
        assert_eq!(ends(&["haproxy", "-cc", condition], code), (String::new(), String::new()), "{condition}");
    }
    let (_, err) = ends(&["haproxy", "-cc", "foo(a)"], 2);
    assert!(err.contains("Failed to evaluate condition: ") && err.contains("foo"), "{err}");
}

#[test]
fn its_version_is_where_programs_look_for_haproxys() {
    let (text, err) = ends(&["haproxy", "-v"], 0);
    let version = concat!("3.2.0-evenkeel", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&format!("HAProxy version {version} 2025/05/28 - ")) && err.is_empty(), "{text}{err}");
    let (details, _) = ends(&["haproxy", "-c", "-vv"], 0);
    assert!(details.starts_with(text.as_str()) && details.contains("Built with the Prometheus exporter"), "{details}");
}

#[test]
fn what_is_no_option_is_answered_with_all_that_there_are() {
    for words in [&["haproxy"][..], &["haproxy", "-Z"], &["haproxy", "-h"], &["haproxy", "-f", "a", "b"]] {
        let (out, err) = ends(words, 1);
        assert!(
            out.starts_with("HAProxy version ") && err.starts_with("Usage : haproxy [-f <cfgfile|cfgdir>]*"),
            "{err}"
        );
    }
    assert!(ends(&["haproxy", "--help"], 0).0.starts_with("Usage : haproxy "));
}

// Seen to fail when the program's name is not looked at.
#[test]
fn a_program_that_is_called_haproxy_has_its_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("haproxy");
    symlink(env!("CARGO_BIN_EXE_evenkeel"), &link).unwrap();
    let file = cfg(GOOD);
    let output = Command::new(&link).args(["-c", "-V", "-f"]).arg(file.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Configuration file is valid\n");
    assert_eq!(output.status.code(), Some(0));
}
