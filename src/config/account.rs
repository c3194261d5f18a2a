//! Who the process becomes, and where its root is.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use toml::de::DeValue;

use super::mistake::Mistake;
use super::read::{Found, Reader, Value};
use super::show::quoted;
use super::text::Text;
use crate::model::Account;

/// Longest name of a user or a group, in bytes (useradd(8) has 32, LOGIN_NAME_MAX is 256).
const LONGEST_NAME: usize = 256;

/// `(uid_t) -1` stands for "no change" (setresuid(2)) and is nobody's.
const LARGEST_ID: u32 = u32::MAX - 1;

impl Value for Account {
    fn wanted() -> Cow<'static, str> {
        "a name or a number".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = match found.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => {
                let id = i128::from_str_radix(number.as_str(), number.radix()).ok();
                id.map_or_else(|| number.to_string(), |id| id.to_string())
            }
            _ => return reader.wrong_type::<Self>(found, None),
        };
        let key = found.key.to_owned();
        let number = text.strip_prefix('-').unwrap_or(&text);
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            let id = text.parse().ok().filter(|id| *id <= LARGEST_ID);
            let (low, high) = ("0".to_owned(), LARGEST_ID.to_string());
            return match id {
                Some(id) => Some(Self::Id(id)),
                None => reader.refuse(found, Mistake::OutOfRange { key, found: text, low, high, or_off: false }),
            };
        }
        let is_name = |c: char| !(c == ':' || c == ',' || c.is_whitespace() || c.is_control());
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(is_name) {
            let reason = "a user's or group's name has no spaces, colons or commas";
            return reader.refuse(found, Mistake::BadText { key, text, reason });
        }
        Some(Self::Name(text))
    }

    fn literal(&self) -> Option<String> {
        Some(match self {
            Self::Name(name) => quoted(name),
            Self::Id(id) => id.to_string(),
        })
    }
}

/// The directory that becomes the root: absolute, and not the root that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(pub PathBuf);

impl Text for Root {
    const WANTED: &'static str = "a directory's path";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let path = Path::new(text);
        let refuse = |reason| Err(Mistake::BadText { key: key.to_owned(), text: text.to_owned(), reason });
        if !text.starts_with('/') || text.contains('\0') {
            return refuse("a new root's path begins with a slash");
        }
        if path.components().all(|part| matches!(part, Component::RootDir | Component::ParentDir)) {
            return refuse("that is the root already");
        }
        Ok(Self(path.to_owned()))
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}
