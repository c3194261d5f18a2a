//! What may stand behind the keys of `[stats]` that say what is served there and to whom.

use super::mistake::Mistake;
use super::text::{Text, bad_text};
use super::value;
use crate::model::{HostAddress, Peer, Secret};

/// Longest URI that is taken, in bytes.
const URI_MAX: usize = 1_024;

/// A path, and what may follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri(pub String);

impl Text for Uri {
    const WANTED: &'static str = "a URI such as \"/haproxy?stats\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let fits = text.starts_with('/') && text.len() <= URI_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        match fits {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(bad_text(key, text, "a URI begins with a slash, and has printable ASCII characters without spaces"))
            }
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// What a browser asks for a password by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm(pub String);

impl Text for Realm {
    const WANTED: &'static str = "a text such as \"HAProxy Statistics\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let may_stand = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
        match (1..=128).contains(&text.len()) && text.bytes().all(may_stand) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(bad_text(key, text, "it is 1 to 128 printable ASCII characters, none of them `\"` or a backslash"))
            }
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A name and a password, with a colon between them: HAProxy's `stats auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: Secret<String>,
}

impl Text for Login {
    const WANTED: &'static str = "a name and a password such as \"watcher:secret\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let parts = text.split_once(':').filter(|(user, _)| !user.is_empty());
        let parts = parts.filter(|_| !text.chars().any(char::is_control));
        // What is refused may hold a password: it is not said again.
        let (user, password) = parts.ok_or_else(|| bad_text(key, "…", "it is a name, a colon and a password"))?;
        Ok(Self { user: user.to_owned(), password: Secret(password.to_owned()) })
    }

    fn text(&self) -> String {
        format!("{}:{}", self.user, self.password.0)
    }
}

/// Where another load balancer has its stats page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUrl(pub Peer);

impl Text for PeerUrl {
    const WANTED: &'static str = "a URL such as \"http://10.10.4.11:9000\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let wrong = || {
            let reason = "it is http:// or https://, and the address and port of another evenkeel's stats page";
            bad_text(key, text, reason)
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = host_and_port(authority).ok_or_else(wrong)?;
        Ok(Self(Peer { tls, host, port }))
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// The port is [`Peer::PORT`] if none is written.
fn host_and_port(authority: &str) -> Option<(HostAddress, u16)> {
    match value::endpoint(authority) {
        Ok(endpoint) => Some((endpoint.host, endpoint.port)),
        Err(_) => Some((value::machine(authority).ok()?, Peer::PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each part that may be left out, and each that may not stand there.
    #[test]
    fn a_peer_is_a_scheme_a_host_and_a_port() {
        for (text, expected) in [
            ("http://10.10.4.11:9000", "http://10.10.4.11:9000"),
            ("https://lb2.example.com/", "https://lb2.example.com:9000"),
            ("HTTP://LB2:80", "http://lb2:80"),
            ("http://[fd00::2]:9001", "http://[fd00::2]:9001"),
            ("http://[fd00::2]", "http://[fd00::2]:9000"),
        ] {
            assert_eq!(PeerUrl::parse(text, "peers").unwrap().text(), expected);
        }
        for wrong in [
            "10.10.4.11:9000",
            "ftp://10.10.4.11",
            "http://",
            "http://lb2:9000/status",
            "http://ops:secret@lb2:9000",
            "http://lb2:0",
            "http://lb2:90000",
            "http://lb 2",
            "http://lb2?x",
            "http://0.0.0.0:9000",
        ] {
            assert!(PeerUrl::parse(wrong, "peers").is_err(), "{wrong}");
        }
    }

    // Seen to fail with a name that may be empty.
    #[test]
    fn a_login_has_a_name_and_is_not_said_again_where_it_is_wrong() {
        let login = Login::parse("ops:a:b", "users").unwrap();
        assert_eq!((login.user.as_str(), login.password.0.as_str()), ("ops", "a:b"));
        for wrong in [":secret", "secret", "ops:sec\nret"] {
            let mistake = Login::parse(wrong, "users").unwrap_err();
            assert!(!format!("{mistake:?}").contains("sec"), "{mistake:?}");
        }
    }

    #[test]
    fn uris_begin_with_a_slash_and_realms_end_with_no_quotation_mark() {
        for (uri, fits) in [("/", true), ("/haproxy?stats", true), ("stats", false), ("/a b", false), ("", false)] {
            assert_eq!(Uri::parse(uri, "uri").is_ok(), fits, "{uri}");
        }
        for (realm, fits) in [("Site one", true), ("a\"b", false), ("", false), ("ü", false)] {
            assert_eq!(Realm::parse(realm, "realm").is_ok(), fits, "{realm}");
        }
    }
}
