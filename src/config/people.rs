//! What may stand behind a key as the name of a person or a group, or as what they are known by.

use super::mistake::Mistake;
use super::text::{Text, bad_text};
use crate::model::{Account, PasswordHash};

/// A name for HTTP's basic authentication, where a colon ends it (RFC 7617, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(pub String);

impl Text for UserName {
    const WANTED: &'static str = "a user's name";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        match fits {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(bad_text(key, text, "a user's name is 1 to 64 printable ASCII characters without spaces or colons"))
            }
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

impl Text for PasswordHash {
    const WANTED: &'static str = "what `evenkeel hash-password` prints";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        // What is refused may be a password: it is not said again.
        Self::new(text).map_err(|error| Mistake::BadSecret { key: key.to_owned(), error })
    }

    fn text(&self) -> String {
        self.as_str().to_owned()
    }
}

/// A group as the admin socket's key takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupName(pub Account);

impl Text for GroupName {
    const WANTED: &'static str = "a group's name or number in quotation marks";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        if let Ok(id) = text.parse() {
            return Ok(Self(Account::Id(id)));
        }
        // As group files and their tools take them (groupadd(8)), and no more.
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$@".contains(&byte);
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(may_stand);
        match fits && !text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(Self(Account::Name(text.to_owned()))),
            false => Err(bad_text(key, text, "a group is a number, or a name of 1 to 32 letters, digits and `_-.$@`")),
        }
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// A user as the key of a unix socket's file takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerName(pub Account);

impl Text for OwnerName {
    const WANTED: &'static str = "a user's name or number in quotation marks";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        // Names of users are made as those of groups are (useradd(8)).
        GroupName::parse(text, key)
            .map(|GroupName(account)| Self(account))
            .map_err(|_| bad_text(key, text, "a user is a number, or a name of 1 to 32 letters, digits and `_-.$@`"))
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}
