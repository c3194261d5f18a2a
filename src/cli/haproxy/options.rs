//! HAProxy's options: single letters, some with a second one behind them, read as HAProxy reads them (management guide,
//! section 3). What follows the letters that mean something is not looked at: `-Vc` is `-V`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::vec::IntoIter;

use crate::config::{self, Overrides};
use crate::model::RuntimeSocket;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// `-v`, and `-vv` with details.
    Version {
        details: bool,
    },
    /// `-cc`: whether a condition of the configuration's language holds.
    Condition(String),
    Run(Box<Options>),
}

/// Why nothing is done.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The options are explained.
    Usage,
    Because(String),
}

/// All options that bear on serving or checking.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-f`, and what follows `--`; directories among them.
    pub files: Vec<PathBuf>,
    /// `-C`
    pub directory: Option<PathBuf>,
    /// `-c`
    pub checks: bool,
    /// `-D`
    pub daemon: bool,
    /// `-W` and `-Ws`
    pub master: Option<Master>,
    /// `-db`, and `-d`, which says more as well.
    pub foreground: bool,
    pub debug: bool,
    /// `-V`
    pub verbose: bool,
    /// `-q`
    pub quiet: bool,
    /// `-p`
    pub pidfile: Option<PathBuf>,
    /// `-sf` and `-st`
    pub old: Option<Old>,
    /// `-x`
    pub sockets_from: Option<PathBuf>,
    /// `-S`
    pub master_socket: Option<String>,
    /// `-L`
    pub local_peer: Option<String>,
    /// `-n`, for the process.
    pub max_sessions: Option<u32>,
    /// `-N`, for each frontend that has no limit of its own.
    pub max_sessions_of_frontends: Option<u32>,
    /// `-m`
    pub memory: Option<u32>,
    /// `-dW`
    pub fails_on_warnings: bool,
    /// `-dV`
    pub verifies_nobody: bool,
    /// `-dR`
    pub keeps_ports: bool,
}

/// The master, which is no process of its own here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Master {
    /// `-Ws`
    pub notifies: bool,
}

/// Processes whose place is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// They may wait for their sessions.
    pub finish: bool,
    pub pids: Vec<u32>,
}

impl Options {
    /// What they say over any file.
    pub fn overrides(&self) -> Result<Overrides, Refused> {
        let runtime = self.master_socket.as_deref().map(master_socket).transpose()?;
        Ok(Overrides {
            runtime,
            max_sessions: self.max_sessions,
            max_sessions_of_frontends: self.max_sessions_of_frontends,
            verifies_nobody: self.verifies_nobody,
            debug: self.debug,
            shadow: None,
        })
    }
}

/// Reads them.
pub fn parse(words: Vec<OsString>) -> Result<Ask, Refused> {
    let mut reader = Reader { words: words.into_iter(), options: Options::default(), condition: None };
    while let Some(word) = reader.words.next() {
        if let Some(ask) = reader.word(&word)? {
            return Ok(ask);
        }
    }
    reader.end()
}

struct Reader {
    words: IntoIter<OsString>,
    options: Options,
    condition: Option<String>,
}

impl Reader {
    /// One word, and those that belong to it; what is asked for if nothing else counts any more.
    fn word(&mut self, word: &OsString) -> Result<Option<Ask>, Refused> {
        let letters = match word.as_bytes() {
            [b'-', letters @ ..] => letters,
            _ => return Err(Refused::Usage),
        };
        let Self { words, options, condition } = self;
        match letters {
            [b'v', b'v', ..] => return Ok(Some(Ask::Version { details: true })),
            [b'v', ..] => return Ok(Some(Ask::Version { details: false })),
            [b'-'] => options.files.extend(words.by_ref().map(PathBuf::from)),
            [b'd', of @ ..] => debugging(of, options)?,
            [b'c', b'c', ..] => *condition = Some(text(&words.next().ok_or(Refused::Usage)?)),
            [b'c', ..] => options.checks = true,
            [b'D', ..] => options.daemon = true,
            [b'W', b's', ..] => options.master = Some(Master { notifies: true }),
            [b'W', ..] => options.master = Some(Master { notifies: false }),
            [b'V', ..] => options.verbose = true,
            [b'q', ..] => options.quiet = true,
            [b's', how @ (b'f' | b't'), ..] => options.old = Some(old(words, *how == b'f')?),
            [b'S', ..] => options.master_socket = Some(text(&argument(words)?)),
            [b'x', ..] => options.sockets_from = Some(argument(words)?.into()),
            [b'f', ..] => options.files.push(argument(words)?.into()),
            [b'C', ..] => options.directory = Some(argument(words)?.into()),
            [b'p', ..] => options.pidfile = Some(argument(words)?.into()),
            [b'L', ..] => options.local_peer = Some(text(&argument(words)?)),
            [b'n', ..] => options.max_sessions = number(words)?,
            [b'N', ..] => options.max_sessions_of_frontends = number(words)?,
            [b'm', ..] => options.memory = number(words)?,
            _ => return Err(Refused::Usage),
        }
        Ok(None)
    }

    fn end(self) -> Result<Ask, Refused> {
        let Self { options, condition, .. } = self;
        match condition {
            Some(condition) => Ok(Ask::Condition(condition)),
            None if options.files.is_empty() => Err(Refused::Usage),
            None if options.master_socket.is_some() && options.master.is_none() => Err(Refused::Because(
                "a master CLI socket was defined, but master-worker mode (-W) is not enabled.".to_owned(),
            )),
            None => Ok(Ask::Run(Box::new(options))),
        }
    }
}

/// `-d…`: what is left out of HAProxy's own engine means nothing here and is accepted.
fn debugging(letters: &[u8], options: &mut Options) -> Result<(), Refused> {
    match letters {
        [b'b', ..] => options.foreground = true,
        [b'W', ..] => options.fails_on_warnings = true,
        [b'V', ..] => options.verifies_nobody = true,
        [b'R', ..] => options.keeps_ports = true,
        [b'C' | b'K' | b't', ..] => return Err(absent(letters)),
        [b'e' | b'p' | b'S' | b'G' | b'F' | b'I' | b'Z' | b'z' | b'M' | b'r' | b'L' | b'c' | b'D' | b'A', ..] => {}
        _ => (options.foreground, options.debug) = (true, true),
    }
    Ok(())
}

/// The numbers behind `-sf` or `-st`, up to the next option.
fn old(words: &mut IntoIter<OsString>, finish: bool) -> Result<Old, Refused> {
    let mut pids = Vec::new();
    while let Some(word) = words.as_slice().first().filter(|word| !word.as_bytes().starts_with(b"-")) {
        let word = text(word);
        pids.push(word.parse().map_err(|_| {
            let option = if finish { "-sf" } else { "-st" };
            Refused::Because(format!("{option} option: some bytes unconsumed in PID list {{{word}}}"))
        })?);
        words.next();
    }
    Ok(Old { finish, pids })
}

fn argument(words: &mut IntoIter<OsString>) -> Result<OsString, Refused> {
    words.next().ok_or_else(|| Refused::Because("failed to copy argv.".to_owned()))
}

/// A number as C reads it: what is none is 0, and 0 means nothing.
fn number(words: &mut IntoIter<OsString>) -> Result<Option<u32>, Refused> {
    let word = text(&argument(words)?);
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    Ok(word[..digits].parse().ok().filter(|number| *number > 0))
}

/// `-S ADDRESS[,OPTION…]`, which takes what a `stats socket` line takes, for administrators unless it says otherwise.
fn master_socket(bind: &str) -> Result<RuntimeSocket, Refused> {
    let line = bind.replace(',', " ");
    let level = if line.contains(" level ") { "" } else { " level admin" };
    config::runtime_socket(&format!("{line}{level}")).map_err(|report| {
        let why = report.errors().next().map(|entry| entry.message.clone()).unwrap_or_default();
        Refused::Because(format!("-S {bind} : {why}"))
    })
}

/// What HAProxy prints with these options evenkeel does not have.
fn absent(letters: &[u8]) -> Refused {
    let (letter, instead) = match letters.first() {
        Some(b'C') => ('C', "`evenkeel show FILE` prints what a configuration comes to"),
        Some(b'K') => ('K', "docs/haproxy.md lists the keywords"),
        _ => ('t', "`evenkeel debug` has a source's sessions logged step by step"),
    };
    Refused::Because(format!("-d{letter} is not supported: {instead}."))
}

fn text(word: &OsString) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Ask, Refused> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    fn options(line: &str) -> Options {
        match parsed(line) {
            Ok(Ask::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_lines_of_units_and_scripts_are_understood() {
        let debian = options("-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock");
        assert_eq!(debian.master, Some(Master { notifies: true }));
        assert_eq!(debian.files, [PathBuf::from("/etc/haproxy/haproxy.cfg")]);
        assert_eq!(debian.pidfile, Some(PathBuf::from("/run/haproxy.pid")));
        assert_eq!(debian.master_socket.as_deref(), Some("/run/haproxy-master.sock"));

        let reload = options("-D -f a.cfg -f conf.d -p pid -sf 12 34 -x /run/s");
        assert!(reload.daemon && reload.master.is_none());
        assert_eq!(reload.files, ["a.cfg", "conf.d"].map(PathBuf::from));
        assert_eq!(reload.old, Some(Old { finish: true, pids: vec![12, 34] }));
        assert_eq!(reload.sockets_from, Some(PathBuf::from("/run/s")));

        let container = options("-W -db -n 2000 -N 100 -dV -dR -dW -C /etc -- a.cfg -b.cfg");
        assert!(container.foreground && container.master == Some(Master { notifies: false }));
        assert!(container.verifies_nobody && container.keeps_ports && container.fails_on_warnings);
        assert_eq!((container.max_sessions, container.max_sessions_of_frontends), (Some(2000), Some(100)));
        assert_eq!(container.files, ["a.cfg", "-b.cfg"].map(PathBuf::from));
    }

    // Seen to fail with a file around the line that is refused for itself.
    #[test]
    fn the_masters_socket_is_for_administrators_unless_it_says_otherwise() {
        use crate::model::{RuntimeAddress, RuntimeLevel};
        let socket = |bind: &str| options(&format!("-W -f a -S {bind}")).overrides().unwrap().runtime.unwrap();
        let plain = socket("/run/haproxy-master.sock");
        assert_eq!(
            (plain.listen, plain.level),
            (RuntimeAddress::Unix("/run/haproxy-master.sock".into()), RuntimeLevel::Admin)
        );
        let other = socket("/run/s,level,user,mode,600");
        assert_eq!((other.level, other.mode), (RuntimeLevel::User, 0o600));
        let wrong = options("-W -f a -S /run/s,nonsense").overrides();
        assert!(matches!(&wrong, Err(Refused::Because(why)) if why.contains("nonsense")), "{wrong:?}");
    }

    /// Each was tried with HAProxy 3.2.
    #[test]
    fn letters_are_read_as_haproxy_reads_them() {
        assert!(options("-Vc -f a").verbose && !options("-Vc -f a").checks);
        assert!(options("-cV -f a").checks && !options("-cV -f a").verbose);
        assert_eq!(options("-n abc -f a").max_sessions, None);
        assert_eq!(options("-n 0 -f a").max_sessions, None);
        assert_eq!(options("-f a -sf").old, Some(Old { finish: true, pids: Vec::new() }));
        assert_eq!(options("-f a -st 5 -d").old, Some(Old { finish: false, pids: vec![5] }));
        assert!(options("-dX -f a").debug && options("-d -f a").foreground);
        assert!(!options("-dM -de -dS -f a").debug);
        assert_eq!(parsed("-c -f a -vx"), Ok(Ask::Version { details: false }));
        assert_eq!(parsed("-vv"), Ok(Ask::Version { details: true }));
        assert_eq!(parsed("-cc 1 -f a"), Ok(Ask::Condition("1".to_owned())));
        assert_eq!(options("-x -c -f a").sockets_from, Some(PathBuf::from("-c")));
    }

    #[test]
    fn what_is_no_option_is_answered_with_the_usage_and_what_lacks_something_with_why() {
        for line in ["", "-c", "-Z", "-h", "--help", "--version", "-f a b", "-s -f a", "-sd -f a", "-cc"] {
            assert_eq!(parsed(line), Err(Refused::Usage), "{line}");
        }
        for (line, why) in [
            ("-f", "failed to copy argv."),
            ("-f a -sf abc", "-sf option: some bytes unconsumed in PID list {abc}"),
            ("-f a -S /s", "a master CLI socket was defined, but master-worker mode (-W) is not enabled."),
        ] {
            assert_eq!(parsed(line), Err(Refused::Because(why.to_owned())), "{line}");
        }
        assert!(matches!(parsed("-dC -f a"), Err(Refused::Because(why)) if why.contains("evenkeel show")));
    }
}
