//! `stats socket` lines of `global` (configuration manual, section 3.1), and `stats timeout`.

use super::argument::{Allowed, Options};
use super::cfg::Statement;
use super::compose::Composer;
use super::document::Section;
use super::unix::{MODE, OWNERS, mode};

/// Every word that may stand behind an address.
pub(super) const WORDS: &[Allowed] = &[
    Allowed::honoured("level", 1),
    Allowed::honoured("mode", 1),
    Allowed::honoured("user", 1),
    Allowed::honoured("uid", 1),
    Allowed::honoured("group", 1),
    Allowed::honoured("gid", 1),
    Allowed::noted("expose-fd", 1, "an upgrade hands its sockets over by itself"),
    Allowed::noted("name", 1, "a socket is told by its address"),
    Allowed::noted("id", 1, "a socket is told by its address"),
    Allowed::noted("process", 1, "there is one process"),
    Allowed::noted("thread", 1, "the control thread answers"),
    Allowed::noted("nice", 1, "the control thread answers"),
    Allowed::noted("severity-output", 1, "answers have no severity before them"),
];

/// A `[[runtime]]` for each.
pub fn compose(composer: &mut Composer<'_>) -> Vec<Section> {
    let cfg = composer.cfg;
    let timeout = cfg.global("stats timeout").and_then(|statement| composer.wait(statement));
    let mut sections: Vec<Section> =
        cfg.globals("stats socket").filter_map(|statement| socket(statement, composer)).collect();
    if let Some((timeout, at)) = timeout {
        for section in &mut sections {
            section.wait("timeout", timeout.clamp(super::SECOND, super::HOUR), Some(at));
        }
    }
    sections
}

fn socket(statement: &Statement, composer: &mut Composer<'_>) -> Option<Section> {
    let Some((address, words)) = statement.arguments.split_first() else {
        composer.wrong(statement.at, "`stats socket` has no address", "write `stats socket /run/haproxy/admin.sock`");
        return None;
    };
    let mut options = Options::default();
    options.read(words, WORDS, "stats socket", composer.choice.lenient, composer.mistakes);
    let mut section = Section::new("[[runtime]]", Some(statement.at));
    section.text("listen", &listen(&address.text), Some(address.span));
    if let Some(level) = options.value("level") {
        section.text("level", &level.text, Some(level.span));
    }
    match options.value("mode") {
        Some(word) => section.text("mode", &mode(word), Some(word.span)),
        None => section.instead("mode", format!("\"{MODE}\""), "evenkeel: \"0660\""),
    }
    for (key, words) in OWNERS {
        if let Some(word) = words.iter().find_map(|word| options.value(word)) {
            section.text(key, &word.text, Some(word.span));
        }
    }
    Some(section)
}

/// An address in TOML's form; what is none is said there.
fn listen(text: &str) -> String {
    let plain = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"].iter().find_map(|family| text.strip_prefix(family));
    match text.strip_prefix("unix@").or_else(|| text.starts_with('/').then_some(text)) {
        Some(path) => format!("unix:{path}"),
        None => plain.unwrap_or(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config;
    use crate::model::{Account, Config, RuntimeLevel};

    fn parse(global: &str) -> Result<Config, String> {
        let text = format!(
            "global\n{global}\nfrontend f\n mode tcp\n bind :6443\n default_backend b\nbackend b\n mode tcp\n server a 10.0.0.1:1\n"
        );
        let read = config::parse_haproxy(&text, "haproxy.cfg", config::Choice::default());
        read.map(|(config, _)| config).map_err(|report| report.to_string())
    }

    #[test]
    fn a_stats_socket_is_a_runtime_socket() {
        let config = parse(
            " stats socket /run/a.sock level admin mode 660 user root gid 7 expose-fd listeners\n \
             stats socket ipv4@127.0.0.1:9999\n stats socket unix@/run/b.sock level user\n stats timeout 2m",
        )
        .unwrap();
        let listen: Vec<String> = config.runtime.iter().map(|socket| socket.listen.to_string()).collect();
        assert_eq!(listen, ["unix:/run/a.sock", "127.0.0.1:9999", "unix:/run/b.sock"]);
        let levels: Vec<RuntimeLevel> = config.runtime.iter().map(|socket| socket.level).collect();
        assert_eq!(levels, [RuntimeLevel::Admin, RuntimeLevel::Operator, RuntimeLevel::User]);
        let first = &config.runtime[0];
        assert_eq!(
            (first.mode, &first.user, &first.group),
            (0o660, &Some(Account::Name("root".into())), &Some(Account::Id(7)))
        );
        assert!(config.runtime.iter().all(|socket| socket.timeout == Duration::from_secs(120)));
        assert_eq!(config.runtime[2].mode, 0o600);
    }

    #[test]
    fn a_socket_that_can_not_be_is_told_with_its_line() {
        for (line, words) in [
            (" stats socket", "`stats socket` has no address"),
            (" stats socket /run/a.sock level root", "root"),
            (" stats socket /run/a.sock frob", "frob"),
            (" stats socket abns@x", "abns@x"),
        ] {
            let report = parse(line).unwrap_err();
            assert!(report.contains(words) && report.contains("haproxy.cfg:2"), "{report}");
        }
    }
}
