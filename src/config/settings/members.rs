//! Servers that were added or removed while the process runs, of which its file says otherwise.

use std::collections::BTreeMap;

use super::{Part, Settings};
use crate::model::{BackendName, Server, ServerName};

/// The settings of one part.
type Own = BTreeMap<String, String>;

/// The last word on each of them. No more are kept than the file and the process have servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(BTreeMap<Part, AtRunTime>);

#[derive(Debug, Clone)]
enum AtRunTime {
    /// The file has none of this name,
    Added(Own),
    /// or one that was removed before.
    Replaced(Own),
    Removed,
}

impl Settings {
    /// Notes that the process has this server beside those of the file.
    pub fn add_server(&mut self, backend: &BackendName, server: &Server) {
        let part = part(backend, &server.name);
        let own = [
            ("address", server.address.to_string()),
            ("weight", server.weight.to_string()),
            ("backup", server.backup.to_string()),
        ];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let word = match self.members.0.get(&part) {
            Some(AtRunTime::Removed | AtRunTime::Replaced(_)) => AtRunTime::Replaced(own),
            Some(AtRunTime::Added(_)) | None => AtRunTime::Added(own),
        };
        self.members.0.insert(part, word);
    }

    /// Notes that the process has this server no longer, whatever the file says.
    pub fn remove_server(&mut self, backend: &BackendName, server: &ServerName) {
        let part = part(backend, server);
        match self.members.0.remove(&part) {
            Some(AtRunTime::Added(_)) => {}
            Some(AtRunTime::Replaced(_) | AtRunTime::Removed) | None => {
                self.members.0.insert(part, AtRunTime::Removed);
            }
        }
    }

    /// How many servers the process has that the file hasn't.
    pub fn added_servers(&self) -> usize {
        self.members.0.values().filter(|word| !matches!(word, AtRunTime::Removed)).count()
    }
}

fn part(backend: &BackendName, server: &ServerName) -> Part {
    Part::Server(backend.to_string(), server.to_string())
}

impl Members {
    /// Makes of the file's parts those of the process. What was not said of a server that was added is as `new` has it.
    pub(super) fn apply(&self, parts: &mut BTreeMap<Part, Own>, new: &BTreeMap<Part, Own>) {
        for (part, word) in &self.0 {
            match word {
                AtRunTime::Added(own) | AtRunTime::Replaced(own) => {
                    let mut settings = new.get(part).cloned().unwrap_or_default();
                    settings.extend(own.clone());
                    parts.insert(part.clone(), settings);
                }
                AtRunTime::Removed => drop(parts.remove(part)),
            }
        }
    }

    /// What is said of a part that goes.
    pub(super) fn of_going(&self, part: &Part) -> &'static str {
        match self.0.get(part) {
            Some(AtRunTime::Added(_) | AtRunTime::Replaced(_)) => ", added at run time",
            Some(AtRunTime::Removed) | None => "",
        }
    }

    /// What is said of a part that comes, or comes back.
    pub(super) fn of_coming(&self, part: &Part) -> &'static str {
        match self.0.get(part) {
            Some(AtRunTime::Removed) => ", removed at run time",
            Some(AtRunTime::Added(_) | AtRunTime::Replaced(_)) | None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const FILE: &str = r#"
        [[frontend]]
        name = "api"
        listen = ":6443"
        backend = "controllers"
        [[backend]]
        name = "controllers"
        servers = [{ name = "a", address = "10.0.0.1:6443" }, { name = "b", address = "10.0.0.2:6443" }]
    "#;

    fn settings(text: &str) -> Settings {
        Settings::of(config::show_text(text, "a.toml").unwrap())
    }

    /// The file's first server under another name and at another address.
    fn server(name: &str, address: &str) -> Server {
        let first = config::parse(FILE, "a.toml").unwrap().backends.remove(0).servers.remove(0);
        Server { name: ServerName::new(name).unwrap(), address: config::endpoint(address).unwrap(), ..first }
    }

    fn backend() -> BackendName {
        BackendName::new("controllers").unwrap()
    }

    fn lines(old: &Settings, new: &str) -> Vec<String> {
        old.differences(&settings(new)).iter().map(ToString::to_string).collect()
    }

    // Seen to fail with members that are not applied.
    #[test]
    fn what_was_done_at_run_time_is_undone_by_the_same_file() {
        let mut running = settings(FILE);
        running.add_server(&backend(), &server("c", "10.0.0.3:6443"));
        running.remove_server(&backend(), &ServerName::new("a").unwrap());
        let expected = [
            "+ server controllers/a (address 10.0.0.1:6443, removed at run time)",
            "- server controllers/c (address 10.0.0.3:6443, added at run time)",
        ];
        assert_eq!(lines(&running, FILE), expected);
        assert_eq!(running.added_servers(), 1);
    }

    #[test]
    fn a_file_that_says_the_same_by_now_is_no_difference() {
        let mut running = settings(FILE);
        running.add_server(&backend(), &server("c", "10.0.0.3:6443"));
        running.remove_server(&backend(), &ServerName::new("b").unwrap());
        let now = FILE.replace("\"b\", address = \"10.0.0.2:6443\"", "\"c\", address = \"10.0.0.3:6443\"");
        assert_eq!(lines(&running, &now), Vec::<String>::new());
        let heavier = now.replace("0.3:6443\"", "0.3:6443\", weight = 3");
        assert_eq!(lines(&running, &heavier), ["~ server controllers/c weight: 1 → 3"]);
    }

    #[test]
    fn one_that_takes_the_place_of_the_files_is_told_with_both_addresses() {
        let mut running = settings(FILE);
        running.remove_server(&backend(), &ServerName::new("a").unwrap());
        running.add_server(&backend(), &server("a", "10.0.0.9:6443"));
        let expected = [
            "- server controllers/a (address 10.0.0.9:6443, added at run time)",
            "+ server controllers/a (address 10.0.0.1:6443)",
        ];
        assert_eq!(lines(&running, FILE), expected);
        running.remove_server(&backend(), &ServerName::new("a").unwrap());
        assert_eq!(lines(&running, FILE), ["+ server controllers/a (address 10.0.0.1:6443, removed at run time)"]);
    }

    // Seen to fail with a note for each that was ever there.
    #[test]
    fn what_comes_and_goes_again_leaves_nothing_behind() {
        let mut running = settings(FILE);
        for number in 0..100 {
            let passing = server(&format!("s{number}"), "10.0.0.3:6443");
            running.add_server(&backend(), &passing);
            running.remove_server(&backend(), &passing.name);
        }
        assert_eq!((running.members.0.len(), running.added_servers()), (0, 0));
    }
}
