//! The cases of `tests/e2e/side/words`, held against the tables: each word that is honoured has one that shows it.
//!
//! What a case shows is played there, by evenkeel and by HAProxy; here it is only counted who has one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::argument::Allowed;
use super::keyword::{Fate, KEYWORDS, Scope};
use super::{bind, runtime, server, unix};

/// Words that are honoured, without a case, and why.
const WITHOUT_CASE: [(&str, &str); 1] =
    [("bind: v4v6", "evenkeel's sockets take both families unless told otherwise, whatever net.ipv6.bindv6only says")];

/// Values and signs that no table has: what stands behind a keyword of theirs, or around them.
const BEYOND_TABLES: [(&str, &[&str]); 12] = [
    ("balance", &["roundrobin", "static-rr", "leastconn", "random", "first", "source"]),
    ("tcp-request", &["accept", "expect-proxy", "track-sc0", "track-sc1", "track-sc2", "table"]),
    (
        "stick-table",
        &[
            "type ipv6",
            "size",
            "expire",
            "nopurge",
            "store conn_cnt",
            "store conn_rate",
            "store conn_cur",
            "store sess_cnt",
            "store sess_rate",
        ],
    ),
    (
        "acl",
        &[
            "src",
            "dst",
            "dst_port",
            "nbsrv",
            "always_true",
            "always_false",
            "req.ssl_hello_type",
            "req.ssl_sni",
            "-i",
            "-m beg",
            "-m end",
            "-m sub",
            "-m found",
            "!",
            "or",
            "unless",
            "TRUE",
            "FALSE",
            "LOCALHOST",
            "lt",
            "gt",
            "le",
            "ge",
            "src_conn_cnt",
            "src_conn_rate",
            "src_conn_cur",
            "src_sess_cnt",
            "src_sess_rate",
            "sc0_conn_cnt",
            "sc0_conn_rate",
            "sc0_conn_cur",
            "sc0_sess_cnt",
            "sc0_sess_rate",
            "sc_conn_cur()",
            "src_conn_cur(table)",
            "sc0_conn_cur(table)",
            "a range",
        ],
    ),
    (
        "full server",
        &[
            "source",
            "leastconn",
            "several backups",
            "maintenance",
            "drain",
            "a server goes down",
            "nobody is left",
            "timeout queue",
            "a client leaves",
            "set maxconn",
            "a client of it leaves",
            "static-rr",
            "first backup with random",
            "newcomers behind those who wait",
            "maintenance, and nobody else",
            "it refuses",
        ],
    ),
    ("http-check send", &["meth", "uri", "ver", "hdr", "body"]),
    ("http-check expect", &["status", "!", "rstatus", "string", "rstring"]),
    ("tcp-check connect", &["ssl"]),
    ("tcp-check expect", &["rstring", "binary", "!"]),
    ("log", &["len", "format", "level", "least level", "no"]),
    ("log-format", &["variables"]),
    (
        "text",
        &[
            ".if",
            ".else",
            ".elif",
            "defined()",
            "streq()",
            "feature()",
            "version_atleast()",
            "&&",
            "||",
            "#",
            "\"${NAME}\"",
            "\"${NAME-otherwise}\"",
            "backslash",
            "''",
            "no",
            "from",
            "several addresses",
            "a range of ports",
            "a unix socket",
            "a client without an address",
            "no-",
        ],
    ),
];

/// Every word that is honoured, behind the name of its table.
fn honoured() -> BTreeSet<String> {
    let keywords = KEYWORDS.iter().filter(|row| row.fate == Fate::Honoured).map(|row| {
        let table = if row.scope == Scope::GLOBAL { "global" } else { "proxy" };
        format!("{table}: {}", row.words)
    });
    let tables = [("bind", bind::WORDS), ("server", server::WORDS), ("socket", runtime::WORDS)];
    let options = tables.into_iter().chain([("unix-bind", unix::WORDS)]);
    let options = options.flat_map(|(table, words)| {
        let is_honoured = |word: &&Allowed| word.fate == Fate::Honoured;
        words.iter().filter(is_honoured).map(move |word| format!("{table}: {}", word.word))
    });
    let beyond =
        BEYOND_TABLES.iter().flat_map(|(table, words)| words.iter().map(move |word| format!("{table}: {word}")));
    keywords.chain(options).chain(beyond).collect()
}

/// The titles of all cases, and what is marked in each.
fn cases() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/side/words");
    let files = fs::read_dir(directory).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    files.flat_map(|text| text.split("\n=== ").skip(1).map(case).collect::<Vec<_>>()).collect()
}

fn case(text: &str) -> (String, String) {
    let (title, body) = text.split_once('\n').unwrap_or((text, ""));
    let (configuration, _) = body.split_once("\n---\n").unwrap_or((body, ""));
    let marked = configuration.split("[[").skip(1).map(|rest| rest.split_once("]]").map_or("", |(marked, _)| marked));
    // A remark stands behind two blanks.
    let title = title.split_once("  #").map_or(title, |(title, _)| title);
    (title.to_owned(), marked.collect::<Vec<_>>().join(" "))
}

// Seen to fail with a case taken out, with one for a word that is noted, and with one whose mark has another word in it.
#[test]
fn every_honoured_word_has_a_case_that_shows_it() {
    let (honoured, cases) = (honoured(), cases());
    let titles: BTreeSet<String> = cases.iter().map(|(title, _)| title.clone()).collect();
    let without: Vec<&String> = honoured.difference(&titles).collect();
    let excused: Vec<&str> = WITHOUT_CASE.iter().map(|(word, _)| *word).collect();
    assert_eq!(without, excused, "honoured words without a case in tests/e2e/side/words, and those that may have none");
    let unknown: Vec<&String> = titles.difference(&honoured).collect();
    assert!(unknown.is_empty(), "cases of words that are not honoured: {unknown:?}");
    assert_eq!(titles.len(), cases.len(), "two cases of one title");
    for (title, marked) in &cases {
        let (table, word) = title.split_once(": ").unwrap();
        let is_of_table = !BEYOND_TABLES.iter().any(|(beyond, _)| *beyond == table);
        assert!(!marked.is_empty(), "{title}: nothing is marked");
        assert!(!is_of_table || marked.contains(word), "{title}: what is marked is {marked:?}");
    }
}
