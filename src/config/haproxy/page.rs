//! docs/haproxy.md, held against the tables: each keyword has its row there with its fate.
//!
//! Rows of what is noted or refused are made from the tables. What an honoured keyword becomes is written by hand, in
//! the last cell of its row; a row that is missing begins with a question mark there. `INSTA_UPDATE=always` rewrites the
//! page.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::argument::Allowed;
use super::keyword::{Fate, KEYWORDS, SECTIONS, Scope};
use super::{bind, server};

/// A keyword in one of the page's parts.
struct Row {
    words: &'static str,
    sections: String,
    fate: Fate,
}

/// The part's name in the page's markers, and its rows.
fn parts() -> Vec<(&'static str, Vec<Row>)> {
    let keyword =
        |row: &'static super::keyword::Keyword| Row { words: row.words, sections: row.scope.words(), fate: row.fate };
    let option = |row: &'static Allowed| Row { words: row.word, sections: String::new(), fate: row.fate };
    let (global, proxies) = KEYWORDS.iter().partition::<Vec<_>, _>(|row| row.scope == Scope::GLOBAL);
    vec![
        ("sections", SECTIONS.iter().map(keyword).collect()),
        ("global", global.into_iter().map(keyword).collect()),
        ("proxies", proxies.into_iter().map(keyword).collect()),
        ("bind", bind::WORDS.iter().map(option).collect()),
        ("server", server::WORDS.iter().map(option).collect()),
    ]
}

const MISSING: &str = "?";

/// The tables of a part; `becomes` has what is written of those that are honoured.
fn tables(rows: &[Row], becomes: &HashMap<String, String>) -> String {
    let with_sections = rows.iter().any(|row| !row.sections.is_empty() && row.sections != "global");
    let mut honoured = match with_sections {
        true => "| honoured | in | what it becomes |\n|---|---|---|\n".to_owned(),
        false => "| honoured | what it becomes |\n|---|---|\n".to_owned(),
    };
    let mut noted = Grouped::new("| noted | why it changes nothing |\n|---|---|\n");
    let mut refused = Grouped::new("| refused | why | instead |\n|---|---|---|\n");
    for row in rows {
        match row.fate {
            Fate::Honoured => {
                let key = key(row.words, &row.sections, with_sections);
                let cell = becomes.get(&key).map_or(MISSING, String::as_str);
                honoured.push_str(&format!("{key}{cell} |\n"));
            }
            Fate::Noted(why) => noted.add(row.words, format!("{why} |")),
            Fate::Refused(why, instead) => refused.add(row.words, format!("{why} | {instead} |")),
        }
    }
    let honoured = if honoured.matches('\n').count() > 2 { honoured } else { String::new() };
    let tables: Vec<String> =
        [honoured, noted.text(), refused.text()].into_iter().filter(|table| !table.is_empty()).collect();
    tables.join("\n")
}

/// A row of the first table up to its last cell.
fn key(words: &str, sections: &str, with_sections: bool) -> String {
    match with_sections {
        true => format!("| `{words}` | {sections} | "),
        false => format!("| `{words}` | "),
    }
}

/// Keywords of which the same is to be said stand in one row.
struct Grouped {
    head: &'static str,
    rows: Vec<(String, Vec<&'static str>)>,
}

impl Grouped {
    fn new(head: &'static str) -> Self {
        Self { head, rows: Vec::new() }
    }

    fn add(&mut self, words: &'static str, said: String) {
        match self.rows.iter_mut().find(|(row, _)| *row == said) {
            Some((_, all)) => all.push(words),
            None => self.rows.push((said, vec![words])),
        }
    }

    fn text(&self) -> String {
        let row = |(said, all): &(String, Vec<&str>)| format!("| `{}` | {said}\n", all.join("`, `"));
        let rows: String = self.rows.iter().map(row).collect();
        if rows.is_empty() { rows } else { format!("{}{rows}", self.head) }
    }
}

/// What the page says of honoured keywords, by what stands before it in the row.
fn becomes(part: &str) -> HashMap<String, String> {
    let rows = part.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit_once("| "));
    rows.map(|(before, cell)| (format!("{before}| "), cell.to_owned())).collect()
}

/// The page with its parts made anew.
fn made(page: &str) -> String {
    let mut page = page.to_owned();
    for (name, rows) in parts() {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page has no {begin}"));
        let (old, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page has no {end}"));
        page = format!("{before}{begin}\n{}\n{end}{after}", tables(&rows, &becomes(old)));
    }
    page
}

// Seen to fail with a keyword's fate changed, and with one added.
#[test]
fn the_page_has_each_keyword_with_its_fate() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/haproxy.md");
    let page = fs::read_to_string(&path).unwrap();
    let made = made(&page);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, &made).unwrap();
    }
    let differs = page.lines().zip(made.lines()).find(|(page, made)| page != made);
    assert_eq!(differs, None, "run it with INSTA_UPDATE=always");
    assert_eq!(page, made, "run it with INSTA_UPDATE=always");
    let missing: Vec<&str> = made.lines().filter(|line| line.ends_with(&format!("| {MISSING} |"))).collect();
    assert!(missing.is_empty(), "say in docs/haproxy.md what they become: {missing:#?}");
}
