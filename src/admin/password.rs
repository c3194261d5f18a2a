//! Passwords: their hashes are made and verified here, and nowhere else.

use argon2::Argon2;
use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use crate::model::PasswordHash;

/// Longest password that is taken, in bytes: more makes no one safer.
pub const MAX_PASSWORD: usize = 1024;

/// Why there is no hash of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("the password is empty")]
    Empty,
    #[error("the password is longer than {MAX_PASSWORD} bytes")]
    TooLong,
    #[error("the password can't be hashed: {0}")]
    Failed(String),
}

/// The hash of a password by argon2id, with a salt of its own, for `[stats] password_hash`.
///
/// # Errors
///
/// If it is no password, or the system has no random numbers.
pub fn hash(password: &str) -> Result<String, HashError> {
    match password.len() {
        0 => Err(HashError::Empty),
        1..=MAX_PASSWORD => {
            let hashed: Result<phc::PasswordHash, _> = Argon2::default().hash_password(password.as_bytes());
            hashed.map(|hash| hash.to_string()).map_err(|error| HashError::Failed(error.to_string()))
        }
        _ => Err(HashError::TooLong),
    }
}

/// Whether a password is the one that was hashed. It takes as long as the hash says: not for the control thread.
pub(super) fn is_of(password: &str, hash: &PasswordHash) -> bool {
    let hash = phc::PasswordHash::new(hash.as_str());
    // Its costs are read from the hash, and were bounded when that was read.
    hash.is_ok_and(|hash| {
        password.len() <= MAX_PASSWORD && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone_and_each_has_its_salt() {
        let [one, other] = [hash("correct horse").unwrap(), hash("correct horse").unwrap()];
        assert_ne!(one, other);
        let one = PasswordHash::new(&one).expect("what is made is accepted");
        assert!(is_of("correct horse", &one));
        assert!(!is_of("correct horses", &one) && !is_of("", &one));
        assert_eq!(hash(""), Err(HashError::Empty));
        assert_eq!(hash(&"x".repeat(MAX_PASSWORD + 1)), Err(HashError::TooLong));
    }
}
