//! How those who may act over the network are known: a token, or a name with a password.

use std::fmt;

use super::credential::{Secret, TokenFile};

/// Who may act over the stats listener. Without either, nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatsAccess {
    pub token: Option<TokenFile>,
    pub user: Option<User>,
}

/// A name and the hash of its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: PasswordHash,
}

/// The hash of a password by argon2id, as a PHC string (RFC 9106; the PHC string format's `$argon2id$v=19$…`).
///
/// Its costs are bounded, because whoever asks makes us pay them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(Secret<String>);

/// Why a text is not a [`PasswordHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordHashError {
    /// Another algorithm or version, a part missing, or no hash at all: a password itself, perhaps.
    NotArgon2id,
    /// It takes more memory, time or threads than we give.
    TooCostly,
}

impl fmt::Display for PasswordHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotArgon2id => "it is not an argon2id hash, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`",
            Self::TooCostly => "it takes more than 256 MiB, 16 passes or 8 lanes to verify",
        })
    }
}

impl std::error::Error for PasswordHashError {}

impl PasswordHash {
    /// The most that one may cost: KiB of memory, passes over it, lanes.
    const MOST: [(&'static str, u32); 3] = [("m", 256 * 1024), ("t", 16), ("p", 8)];

    /// A hash as `evenkeel hash-password` prints it.
    pub fn new(text: &str) -> Result<Self, PasswordHashError> {
        let wrong = PasswordHashError::NotArgon2id;
        let mut parts = text.strip_prefix("$argon2id$v=19$").ok_or(wrong)?.split('$');
        let [Some(costs), Some(salt), Some(hash), None] = [parts.next(), parts.next(), parts.next(), parts.next()]
        else {
            return Err(wrong);
        };
        let mut costs = costs.split(',');
        for (name, most) in Self::MOST {
            let cost = costs.next().and_then(|cost| cost.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
            match cost {
                Some(1_u32..) if cost <= Some(most) => {}
                Some(1..) => return Err(PasswordHashError::TooCostly),
                _ => return Err(wrong),
            }
        }
        // Eleven characters are the eight bytes of salt, 22 the 16 of hash, that the algorithm's own text asks for at least.
        let is_base64 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        let whole = costs.next().is_none() && (11..=86).contains(&salt.len()) && (22..=86).contains(&hash.len());
        if !whole || !is_base64(salt) || !is_base64(hash) {
            return Err(wrong);
        }
        Ok(Self(Secret(text.to_owned())))
    }

    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$qLml5cfqFAO86tsQNVLq7BHBQkFwaJ0b0zUxfVu4nEg";

    // Seen to fail with costs that are not looked at.
    #[test]
    fn a_hash_is_argon2id_with_bounded_costs_and_no_log_shows_it() {
        let good = PasswordHash::new(GOOD).unwrap();
        assert_eq!(good.as_str(), GOOD);
        assert!(!format!("{good:?}").contains("argon2"));
        let changed = |from: &str, to: &str| PasswordHash::new(&GOOD.replace(from, to)).unwrap_err();
        for (from, to) in [("m=19456", "m=262145"), ("t=2", "t=17"), ("p=1", "p=9")] {
            assert_eq!(changed(from, to), PasswordHashError::TooCostly, "{to}");
        }
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=19456", "m=0"),
            (",p=1", ""),
            ("p=1", "p=1,x=1"),
            ("nEg", "nEg$more"),
            ("c29tZXNhbHQ", "c29t"),
            ("c29tZXNhbHQ", "c29t ZXNhbHQ"),
        ] {
            assert_eq!(changed(from, to), PasswordHashError::NotArgon2id, "{to}");
        }
        assert_eq!(PasswordHash::new("hunter2"), Err(PasswordHashError::NotArgon2id));
    }
}
