//! Unix sockets of `bind` lines: where their files are and whose, as the line and `unix-bind` in `global` say.

use super::super::mistake::{Mistake, Mistakes};
use super::super::show::quoted;
use super::argument::{Allowed, Options};
use super::cfg::Cfg;
use super::words::Word;

/// Every word that may stand behind `unix-bind`.
pub const WORDS: &[Allowed] = &[
    Allowed::honoured("prefix", 1),
    Allowed::honoured("mode", 1),
    Allowed::honoured("user", 1),
    Allowed::honoured("uid", 1),
    Allowed::honoured("group", 1),
    Allowed::honoured("gid", 1),
];

/// What HAProxy makes a socket with of which nothing is said, whose umask is nobody's business: only its owner can
/// connect.
pub const MODE: &str = "0600";

/// The words that say whose a file is, by the key that they come to.
pub const OWNERS: [(&str, [&str; 2]); 2] = [("user", ["user", "uid"]), ("group", ["group", "gid"])];

/// What holds for all unix sockets of the file.
#[derive(Debug, Default)]
pub struct Files {
    options: Options,
}

impl Files {
    /// As `unix-bind` says it: later lines over earlier ones.
    pub fn of(cfg: &Cfg, lenient: bool, mistakes: &mut Mistakes) -> Self {
        let mut options = Options::default();
        for statement in cfg.globals("unix-bind") {
            options.read(&statement.arguments, WORDS, "unix-bind", lenient, mistakes);
        }
        Self { options }
    }

    /// An address in TOML's form, its path behind the prefix; `None` if it is no unix socket's.
    pub fn address(&self, text: &str) -> Option<String> {
        let path = text.strip_prefix("unix@").or_else(|| text.starts_with('/').then_some(text))?;
        let prefix = self.options.value("prefix").map_or("", |word| word.text.as_str());
        Some(format!("unix:{prefix}{path}"))
    }

    /// Whose the files of a line are, as keys of TOML; what the line says itself wins.
    pub fn keys(&self, line: &Options) -> Vec<String> {
        let said = |word: &str| line.value(word).or_else(|| self.options.value(word));
        let mode = said("mode").map_or_else(|| MODE.to_owned(), mode);
        let owners = OWNERS.iter().filter_map(|(key, words)| {
            let of = |options: &Options| words.iter().find_map(|word| options.value(word).cloned());
            let word = of(line).or_else(|| of(&self.options))?;
            Some(format!("{key} = {}", quoted(&word.text)))
        });
        std::iter::once(format!("mode = {}", quoted(&mode))).chain(owners).collect()
    }
}

/// Permission bits as TOML has them.
pub fn mode(word: &Word) -> String {
    format!("{:0>4}", word.text)
}

/// Notes what a line says that none of its addresses has.
pub fn note_idle(line: &Options, has_unix: bool, has_ip: bool, mistakes: &mut Mistakes) {
    const OF_FILES: ([&str; 5], &str) =
        (["mode", "user", "uid", "group", "gid"], "it is about sockets in the file system");
    const OF_IP: ([&str; 3], &str) = (["interface", "tcp-ut", "transparent"], "a unix socket has nothing of the kind");
    let mut note = |words: &[&str], why: &'static str| {
        for word in words {
            if let Some(at) = line.has(word) {
                mistakes.push(Some(at), Mistake::DirectiveNoted { word: (*word).to_owned(), why });
            }
        }
    };
    if !has_unix {
        note(&OF_FILES.0, OF_FILES.1);
    }
    if !has_ip {
        note(&OF_IP.0, OF_IP.1);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::{Choice, parse_haproxy};
    use crate::model::{Account, Frontend, SocketFile};

    fn read(global: &str, bind: &str) -> Result<(Frontend, String), String> {
        let text = format!(
            "global\n{global}\nfrontend f\n mode tcp\n bind {bind}\n default_backend b\nbackend b\n mode tcp\n server a 10.0.0.1:1\n"
        );
        match parse_haproxy(&text, "haproxy.cfg", Choice::default()) {
            Ok((config, warnings)) => Ok((config.frontends[0].clone(), warnings.to_string())),
            Err(report) => Err(report.to_string()),
        }
    }

    #[test]
    fn a_unix_socket_has_a_file_and_an_address_has_none() {
        let line = "unix@/run/a.sock,/run/b.sock,127.0.0.1:1 mode 660 user root gid 7 accept-proxy maxconn 3 tcp-ut 3s";
        let (frontend, notes) = read("", line).unwrap();
        let listen: Vec<String> = frontend.addresses().map(|address| address.to_string()).collect();
        assert_eq!(listen, ["unix:/run/a.sock", "unix:/run/b.sock", "127.0.0.1:1"]);
        let (user, group) = (Some(Account::Name("root".into())), Some(Account::Id(7)));
        assert_eq!(frontend.listen[1].file, Some(SocketFile { mode: 0o660, user, group }));
        let all = |listen: &crate::model::Listen| (listen.max_sessions, listen.user_timeout.is_some());
        assert_eq!(
            frontend.listen.iter().map(all).collect::<Vec<_>>(),
            [(Some(3), false), (Some(3), false), (Some(3), true)]
        );
        assert_eq!((&frontend.listen[2].file, notes.as_str()), (&None, ""));
        let (frontend, _) = read("", "/run/a.sock").unwrap();
        assert_eq!(frontend.listen[0].file, Some(SocketFile { mode: 0o600, user: None, group: None }));
    }

    // Seen to fail with a prefix that only `unix@` has, and with owners that `unix-bind` has over the line's.
    #[test]
    fn what_holds_for_all_files_holds_unless_the_line_says_otherwise() {
        let global = " unix-bind prefix /run/x mode 666 uid 5\n unix-bind group adm mode 640";
        let (frontend, _) = read(global, "/a.sock,unix@/b.sock user root").unwrap();
        let paths: Vec<_> = frontend.listen.iter().map(|listen| listen.address.path().unwrap().to_owned()).collect();
        assert_eq!(paths, [Path::new("/run/x/a.sock"), Path::new("/run/x/b.sock")]);
        let (user, group) = (Some(Account::Name("root".into())), Some(Account::Name("adm".into())));
        assert_eq!(frontend.listen[0].file, Some(SocketFile { mode: 0o640, user, group }));
        let (frontend, _) = read(global, "/a.sock mode 600").unwrap();
        assert_eq!(
            frontend.listen[0].file.as_ref().map(|file| (file.mode, file.user.clone())),
            Some((0o600, Some(Account::Id(5))))
        );
    }

    #[test]
    fn what_bears_on_no_address_of_a_line_is_noted_and_what_is_no_path_refused() {
        let (_, notes) = read("", ":1 mode 660 user root").unwrap();
        assert!(notes.contains("`mode`") && notes.contains("`user`") && notes.contains("file system"), "{notes}");
        let (frontend, notes) = read("", "/run/a.sock interface lo transparent").unwrap();
        assert!(notes.contains("`interface`") && notes.contains("`transparent`"), "{notes}");
        assert!(frontend.listen[0].interface.is_none() && !frontend.listen[0].transparent);
        for (bind, words) in [
            ("unix@run/a.sock", "a socket's path begins with a slash"),
            ("/run/a.sock mode rw", "permission bits are three octal digits"),
            ("abns@x", "`abns@x` is an abstract socket"),
            ("sockpair@3", "`sockpair@3` is a pair of sockets"),
        ] {
            let report = read("", bind).unwrap_err();
            assert!(report.contains(words) && report.contains("haproxy.cfg:5"), "{bind}: {report}");
        }
        let report = read(" unix-bind frob", "/run/a.sock").unwrap_err();
        assert!(report.contains("frob") && report.contains("haproxy.cfg:2"), "{report}");
    }
}
