//! What may stand before a keyword and behind it: `no`, and how many words. HAProxy refuses a word too many, and so does
//! evenkeel: in `timeout connect 5 s` it would change what the others mean.

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Span;
use super::argument::{TIMES, time};
use super::cfg::{Prefix, Statement};
use super::file::bad_line;

/// How many words stand behind a keyword.
struct Shape {
    keyword: &'static str,
    least: usize,
    most: usize,
}

const fn shape(keyword: &'static str, least: usize, most: usize) -> Shape {
    Shape { keyword, least, most }
}

/// Found by asking HAProxy 3.2. What is not here says itself what is wrong with it, or takes any number of words.
const SHAPES: &[Shape] = &[
    shape("mode", 1, 1),
    shape("maxconn", 0, 1),
    shape("backlog", 0, 1),
    shape("default_backend", 1, 1),
    shape("retries", 0, 1),
    shape("timeout ", 0, 1),
    shape("id", 1, 1),
    shape("enabled", 0, 0),
    shape("disabled", 0, 0),
    shape("fullconn", 1, 1),
    shape("log-tag", 1, usize::MAX),
    shape("log-format", 1, 1),
    shape("hash-type", 1, 3),
    shape("tcp-request inspect-delay", 1, 1),
    shape("http-check disable-on-404", 0, 0),
    shape("stats scope", 1, usize::MAX),
    shape("option httplog", 0, 1),
    shape("option redispatch", 0, 1),
    shape("option httpchk", 0, usize::MAX),
    shape("option forwardfor", 0, usize::MAX),
    shape("option forwarded", 0, usize::MAX),
    shape("option originalto", 0, usize::MAX),
    shape("option ", 0, 0),
    // ---- global ----
    shape("ssl-server-verify", 1, 1),
    shape("ca-base", 1, 1),
    shape("crt-base", 1, 1),
    shape("chroot", 1, 1),
    shape("user", 1, 1),
    shape("group", 1, 1),
    shape("uid", 1, 1),
    shape("gid", 1, 1),
    shape("pidfile", 1, 1),
    shape("daemon", 0, 0),
    shape("nbthread", 1, 1),
    shape("node", 1, 1),
    shape("ulimit-n", 1, 1),
];

/// Options that can't be taken back: they stand for more than a switch.
const LASTING: [&str; 9] = [
    "option tcplog",
    "option httplog",
    "option tcpka",
    "option tcp-check",
    "option httpchk",
    "option ssl-hello-chk",
    "option forwardfor",
    "option originalto",
    "option accept-invalid-http-request",
];

/// What can be taken back beside options.
const REVOCABLE: [&str; 6] =
    ["log", "numa-cpu-mapping", "busy-polling", "strict-limits", "insecure-fork-wanted", "set-dumpable"];

/// Whether a line may be used; what is wrong with it is noted.
pub fn fits(statement: &Statement, mistakes: &mut Mistakes) -> bool {
    let wrong = revokes_too_much(statement).or_else(|| too_much(statement)).or_else(|| too_little(statement));
    let Some((at, mistake)) = wrong.or_else(|| no_number(statement)).or_else(|| no_time(statement)) else {
        return true;
    };
    mistakes.push(Some(at), mistake);
    false
}

type Wrong = Option<(Span, Mistake)>;

fn revokes_too_much(statement: &Statement) -> Wrong {
    let prefix = statement.prefix?;
    let word = statement.keyword.words;
    let is_option = word.starts_with("option ") && !LASTING.contains(&word);
    if is_option || REVOCABLE.contains(&word) {
        return None;
    }
    let prefix = if prefix == Prefix::No { "no" } else { "default" };
    let hint = "it can stand before most options, and before `log`; remove the line";
    Some((statement.at, bad_line(format!("`{prefix}` can't stand before `{}`", statement.written), hint)))
}

fn shape_of(keyword: &str) -> Option<&'static Shape> {
    let is =
        |shape: &&Shape| shape.keyword == keyword || shape.keyword.ends_with(' ') && keyword.starts_with(shape.keyword);
    SHAPES.iter().find(is)
}

fn too_much(statement: &Statement) -> Wrong {
    let shape = shape_of(statement.keyword.words)?;
    let extra = statement.arguments.get(shape.most)?;
    let is_unit = statement.written.starts_with("timeout ") && ["us", "ms", "s", "m", "h", "d"].contains(&&*extra.text);
    let hint = match statement.arguments.first() {
        Some(number) if is_unit => format!("write `{}{}` without a space", number.text, extra.text),
        _ => "remove it".to_owned(),
    };
    Some((extra.span, bad_line(format!("`{}` is one word too many for `{}`", extra.text, statement.written), hint)))
}

fn too_little(statement: &Statement) -> Wrong {
    let shape = shape_of(statement.keyword.words)?;
    let is_short = statement.prefix.is_none() && statement.arguments.len() < shape.least;
    let hint = format!("write `{} VALUE`, or remove the line", statement.written);
    is_short.then(|| (statement.at, bad_line(format!("`{}` has no value", statement.written), hint)))
}

/// A proxy's number is the one that outputs have; nobody else looks at one that is none.
fn no_number(statement: &Statement) -> Wrong {
    let word = statement.arguments.first().filter(|_| statement.keyword.words == "id")?;
    let is_number = word.text.parse::<u32>().is_ok_and(|number| (1..=i32::MAX as u32).contains(&number));
    (!is_number)
        .then(|| (word.span, bad_line(format!("`{}` is no number of a proxy", word.text), "write a number from 1 on")))
}

/// A timeout is read wherever it stands: in a `defaults` section nobody may come to ask for it.
fn no_time(statement: &Statement) -> Wrong {
    let word = statement.arguments.first().filter(|_| statement.written.starts_with("timeout "))?;
    time(&word.text).err().map(|error| (word.span, bad_line(error, TIMES)))
}

#[cfg(test)]
mod tests {
    use crate::config::{self, Choice};

    fn errors(lines: &str) -> Vec<String> {
        let text = format!("{lines}\nlisten l\n bind :1\n server s 10.0.0.1:1\n");
        let report = config::parse_haproxy(&text, "haproxy.cfg", Choice::default()).err();
        report.map(|report| report.errors().map(|entry| entry.message.clone()).collect()).unwrap_or_default()
    }

    #[test]
    fn a_word_too_many_is_not_dropped() {
        assert_eq!(errors("defaults\n timeout connect 5 s"), ["`s` is one word too many for `timeout connect`"]);
        assert_eq!(errors("defaults\n mode tcp http"), ["`http` is one word too many for `mode`"]);
        assert_eq!(
            errors("defaults\n option dontlognull yes"),
            ["`yes` is one word too many for `option dontlognull`"]
        );
        assert_eq!(errors("global\n daemon yes"), ["`yes` is one word too many for `daemon`"]);
        assert_eq!(errors("defaults\n log-format %ci %s"), ["`%s` is one word too many for `log-format`"]);
        assert_eq!(errors("defaults\n option redispatch 1\n option httplog clf\n timeout http-request 5s"), [""; 0]);
    }

    #[test]
    fn a_word_too_few_is_told() {
        assert_eq!(errors("global\n ca-base"), ["`ca-base` has no value"]);
        assert_eq!(errors("defaults\n mode"), ["`mode` has no value"]);
    }

    #[test]
    fn only_switches_are_taken_back() {
        assert_eq!(errors("defaults\n no balance"), ["`no` can't stand before `balance`"]);
        assert_eq!(errors("defaults\n default option tcplog"), ["`default` can't stand before `option tcplog`"]);
        assert_eq!(errors("defaults\n no option redispatch\n no log\nglobal\n no busy-polling"), [""; 0]);
    }

    #[test]
    fn a_timeout_is_read_where_nobody_asks_for_it() {
        assert_eq!(errors("defaults\n timeout http-request sec"), ["`sec` is not a time"]);
        assert_eq!(errors("listen m\n bind :2\n id x\n server s 10.0.0.1:2"), ["`x` is no number of a proxy"]);
    }
}
