//! Prints the expanded form as TOML that loads again, each value with where it is from.

use std::path::Path;

use super::expand::{Expanded, Proxy};
use super::read::{Origin, Value};
use super::source::Source;

/// The whole expanded form.
pub fn show(expanded: &Expanded, source: &Source) -> String {
    let text = format!("# What {} expands to; behind each value is where it is from.\n", printable(&source.name));
    let mut out = Writer { text, source, path: String::new(), lines: Vec::new() };
    out.section("timeouts", &expanded.timeouts);
    out.section("limits", &expanded.limits);
    out.section("defaults", &expanded.defaults);
    for proxy in &expanded.proxies {
        match proxy {
            Proxy::Frontend(frontend) => out.element("frontend", frontend),
            Proxy::Backend(backend) => out.element("backend", backend),
        }
    }
    match expanded.stats.as_slice() {
        [one] => out.section("stats", one),
        several => several.iter().for_each(|one| out.element("stats", one)),
    }
    out.section("admin", &expanded.admin);
    out.section("log", &expanded.log);
    out.section("process", &expanded.process);
    out.section("security", &expanded.security);
    for socket in &expanded.runtime {
        out.element("runtime", socket);
    }
    for table in &expanded.tables {
        out.element("table", table);
    }
    out.flush();
    out.text
}

/// A TOML string that reads as `text`.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Collects the lines of a section, then writes them with their comments below one another.
pub struct Writer<'a> {
    text: String,
    source: &'a Source,
    /// The header's path, such as `backend`.
    path: String,
    /// Assignments of the current section and where they are from.
    lines: Vec<(String, String)>,
}

impl Writer<'_> {
    fn section(&mut self, name: &str, section: &impl Value) {
        self.header(name, &format!("[{name}]"));
        section.write("", Origin::BuiltIn, self);
    }

    fn element(&mut self, list: &str, section: &impl Value) {
        self.header(list, &format!("[[{list}]]"));
        section.write("", Origin::BuiltIn, self);
    }

    /// Begins a table of a list inside the current section.
    pub fn table_of_list(&mut self, key: &str) {
        let outer = self.path.split('.').next().unwrap_or_default().to_owned();
        self.header(&format!("{outer}.{key}"), &format!("[[{outer}.{key}]]"));
    }

    fn header(&mut self, path: &str, header: &str) {
        self.flush();
        self.text.push_str(&format!("\n{header}\n"));
        self.path = path.to_owned();
    }

    /// What relative paths in the file start from.
    pub fn directory(&self) -> &Path {
        &self.source.directory
    }

    /// Writes `key = literal` and where it is from.
    pub fn value(&mut self, key: &str, literal: &str, origin: Origin) {
        let origin = self.words(origin);
        self.lines.push((format!("{key} = {literal}"), origin));
    }

    /// Where a value is from, as seen from the current section.
    fn words(&self, origin: Origin) -> String {
        match origin {
            Origin::BuiltIn => "built-in".to_owned(),
            Origin::File { span, section: _ } if self.source.origin(span).is_none() => "as HAProxy".to_owned(),
            Origin::Preset { preset, .. } => format!("preset {}", preset.name()),
            Origin::File { span, section } => {
                let place = self.source.file_and_line(span).unwrap_or_default();
                match section {
                    "defaults" | "timeouts" if section != self.path => format!("[{section}], {place}"),
                    "controllers" => format!("controllers, {place}"),
                    _ => place,
                }
            }
        }
    }

    fn flush(&mut self) {
        let width = self.lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
        for (line, origin) in self.lines.drain(..) {
            self.text.push_str(&format!("{line:width$}  # {}\n", printable(&origin)));
        }
    }
}

/// What stands in a comment, which ends with its line: no control character is left.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
