//! Whom a command speaks of: `backend/server`, each by its name or, behind a `#`, by its number.

use crate::admin::Target;
use crate::model::{Backend, Config, Server};

/// A server that there is.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    pub backend: &'a Backend,
    pub server: &'a Server,
}

impl Found<'_> {
    /// As actions name it.
    pub fn target(&self) -> Target {
        Target { backend: Some(self.backend.name.to_string()), server: self.server.name.to_string() }
    }
}

/// The server that is meant, or what HAProxy says to a word that means none.
pub fn server<'a>(word: &str, config: &'a Config) -> Result<Found<'a>, &'static str> {
    let (backend, server) = pair(word)?;
    let backend = self::backend(backend, config).ok_or("No such backend.\n")?;
    let is_meant = |known: &&Server| known.name.as_str() == server || number(server) == Some(known.id.0);
    let server = backend.servers.iter().find(is_meant).ok_or("No such server.\n")?;
    Ok(Found { backend, server })
}

/// Both parts of the word, neither of them empty.
pub fn pair(word: &str) -> Result<(&str, &str), &'static str> {
    let parts = word.split_once('/').filter(|(_, server)| !server.is_empty());
    parts.ok_or("Require 'backend/server'.\n")
}

/// The backend that is meant.
pub fn backend<'a>(word: &str, config: &'a Config) -> Option<&'a Backend> {
    config.backends.iter().find(|known| known.name.as_str() == word || number(word) == Some(known.id.0))
}

fn number(word: &str) -> Option<u32> {
    word.strip_prefix('#')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_by_name_and_by_number() {
        let text = "[[frontend]]\nname = 'f'\nlisten = ':6443'\nbackend = 'b'\n[[backend]]\nname = 'b'\n\
                    servers = [{ name = 'a', address = '10.0.0.1:1' }, { name = 'c', address = '10.0.0.2:1' }]";
        let config = crate::config::parse(text, "a.toml").unwrap();
        let name = |word| server(word, &config).map(|found| found.server.name.to_string());
        assert_eq!([name("b/c"), name("#3/#2"), name("b/#1")], ["c", "c", "a"].map(|name| Ok(name.to_owned())));
        assert_eq!(name("b"), Err("Require 'backend/server'.\n"));
        assert_eq!(name("b/"), Err("Require 'backend/server'.\n"));
        assert_eq!(name("f/a"), Err("No such backend.\n"));
        assert_eq!(name("b/d"), Err("No such server.\n"));
    }
}
