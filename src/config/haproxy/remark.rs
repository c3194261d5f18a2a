//! What `import` says beside the keys: which file they are from, and the lines of it that have none.

use std::fmt::Write as _;

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::super::source::Source;
use super::cfg::Cfg;
use super::document::{Document, Section};
use super::{Choice, Policy};

/// Longer lines are cut.
const LONGEST: usize = 160;

/// Adds the file's head, and each line that is left out as a comment where it would be: above the section that it is
/// about, those of no proxy in the head.
pub fn add(document: &mut Document, cfg: &Cfg, source: &Source, choice: Choice, mistakes: &Mistakes) {
    let mut head = head(source, choice.policy);
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (index, section) in document.sections.iter().enumerate() {
        places.extend(section.at.map(|at| (at.start, index)));
    }
    places.sort_unstable();
    for (at, why) in mistakes.iter().filter_map(|found| Some((found.at?, why(&found.mistake)?))) {
        let remark = format!("{}: {} ({why})", place(source, at), written(source, at));
        match section_of(at, cfg, &places).and_then(|index| document.sections.get_mut(index)) {
            Some(section) => section.remarks.push(remark),
            None => head.push(remark),
        }
    }
    document.sections.iter_mut().for_each(|section: &mut Section| section.remarks.dedup());
    document.head = head;
}

fn head(source: &Source, policy: Policy) -> Vec<String> {
    let mut name = source.name.clone();
    for other in source.other_names() {
        let _ = write!(name, ", {other}");
    }
    let whose = match policy {
        Policy::Haproxy => [
            "Where evenkeel's own way is another one, the key has it in its comment: take the key out to have that.",
            "`evenkeel import --policy evenkeel` takes out all of them that the file doesn't state.",
        ],
        Policy::Evenkeel => [
            "What the file doesn't state is done evenkeel's way; without `--policy evenkeel`, HAProxy's is written here.",
            "`evenkeel show` prints what that comes to.",
        ],
    };
    let mut head = vec![
        format!("What {name} says, in evenkeel's words: written by `evenkeel import`."),
        "Edit this file if evenkeel runs by it, and leave it alone while evenkeel or HAProxy runs by the other one."
            .to_owned(),
    ];
    head.extend(whose.map(str::to_owned));
    head
}

/// Why a line has no key.
fn why(mistake: &Mistake) -> Option<String> {
    match mistake {
        Mistake::DirectiveNoted { why, .. } => Some(format!("not needed: {why}")),
        Mistake::LeftOut { why } => Some(format!("left out: {why}")),
        Mistake::DirectiveIdle { .. } | Mistake::Said { .. } | Mistake::EmptyWord => Some(mistake.to_string()),
        _ => None,
    }
}

fn place(source: &Source, at: Span) -> String {
    let line = source.place(at).line;
    match source.name_at(at.start) {
        name if name == source.name => format!("line {line}"),
        name => format!("{name}, line {line}"),
    }
}

/// The whole line, or the words in it that it is about.
fn written(source: &Source, at: Span) -> String {
    let line = source.line(at.start);
    let line = source.lines(line, line);
    let begins = source.text[line.start..at.start].trim().is_empty();
    let text = if begins { &source.text[line.start..line.end] } else { &source.text[at.start..at.end.min(line.end)] };
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{} …", &words[..cut]),
        None => words,
    }
}

/// The section of the document, in the order of `places`, in which a place of the haproxy.cfg would be.
fn section_of(at: Span, cfg: &Cfg, places: &[(usize, usize)]) -> Option<usize> {
    let header = cfg.headers.partition_point(|(header, _)| header.start <= at.start).checked_sub(1)?;
    let (header, is_proxy) = cfg.headers[header];
    let (start, index) = places[..places.partition_point(|(start, _)| *start <= at.start)].last()?;
    (is_proxy && *start >= header.start).then_some(*index)
}

#[cfg(test)]
mod tests {
    use super::super::{Variables, translate};
    use super::*;

    const FILE: &str = "global\n    daemon\nlisten api\n    bind :6443\n    option forwardfor\n    http-request  deny\n\
                        \x20   server one 10.10.0.2:6443 resolvers dns\n    server two 10.10.1.2:6443 ssl\nresolvers dns\n    parse-resolv-conf\n";

    fn imported(choice: Choice) -> String {
        let source = Source::in_memory(FILE, "/etc/haproxy/haproxy.cfg");
        translate(&source, choice, Variables::default(), &mut Mistakes::default()).written.text
    }

    #[test]
    fn lines_that_are_left_out_stand_where_they_would() {
        let text = imported(Choice { lenient: true, ..Choice::default() });
        let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest.lines().next().unwrap()).unwrap();
        assert!(text.starts_with("# What /etc/haproxy/haproxy.cfg says"));
        assert_eq!(after("# line 2: "), "daemon (not needed: evenkeel is one process, and systemd's)");
        assert!(after("# line 6: ").starts_with("http-request deny (left out: `http-request` can't be honoured"));
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
        assert!(at("# line 9: resolvers dns") < at("[log]"));
        assert!(at("[[frontend]]") < at("# line 5: option forwardfor") && at("# line 6") < at("[[backend]]"));
        assert!(at("name = \"api\"\nid") < at("# line 7: resolvers dns") && at("# line 7") < at("\"one\""));
        assert!(at("\"one\"") < at("# line 8: ssl") && at("# line 8") < at("\"two\""));
    }

    #[test]
    fn the_head_says_whose_way_counts() {
        let [haproxy, ours] =
            [Policy::Haproxy, Policy::Evenkeel].map(|policy| imported(Choice { policy, lenient: false }));
        assert!(
            haproxy.contains("# `evenkeel import --policy evenkeel`")
                && ours.contains("# What the file doesn't state is done")
        );
    }
}
