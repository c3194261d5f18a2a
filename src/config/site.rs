//! What may stand behind the keys of `[stats]` that say what is served there and to whom.

use super::mistake::Mistake;
use super::text::{Text, bad_text};
use crate::model::Secret;

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

#[cfg(test)]
mod tests {
    use super::*;

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
