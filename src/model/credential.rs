//! What a probe shows of itself to a server that wants to know.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How a probe says who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Token(TokenFile),
    Certificate(Identity),
}

/// A file with a bearer token, and the token that it held when the configuration was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile {
    pub file: PathBuf,
    pub token: Token,
}

/// A client's certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// DER, the client's own first, at least one.
    pub chain: Arc<[Vec<u8>]>,
    /// DER, PKCS #8 or an older form; it is the key of the chain's first certificate.
    pub key: Secret<Vec<u8>>,
    /// Where certificate and key were read.
    pub files: [PathBuf; 2],
}

/// A bearer token (RFC 6750, section 2.1), which may stand in a header as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(Secret<String>);

/// Why a file holds no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    Empty,
    TooLarge,
    NotAToken,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is no token in it",
            Self::TooLarge => "it is larger than 16 KiB, more than any token",
            Self::NotAToken => "a token is one line of printable ASCII characters without spaces",
        })
    }
}

impl std::error::Error for TokenError {}

impl Token {
    /// Largest file of a token, in bytes.
    pub const MAX_FILE: usize = 16 * 1024;

    /// The token in a file of these bytes; white space around it is not a part of it.
    pub fn read(bytes: &[u8]) -> Result<Self, TokenError> {
        if bytes.len() > Self::MAX_FILE {
            return Err(TokenError::TooLarge);
        }
        let token = bytes.trim_ascii();
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        let text = std::str::from_utf8(token).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
        text.map(|text| Self(Secret(text.to_owned()))).ok_or(TokenError::NotAToken)
    }

    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

/// Something that no log and no error may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail without the trim, and with a check for control characters alone.
    #[test]
    fn a_token_is_one_word_that_no_header_breaks_at_and_no_log_shows() {
        let token = Token::read(b"  eyJhbGciOi.abc-_~+/=\n").unwrap();
        assert_eq!(token.as_str(), "eyJhbGciOi.abc-_~+/=");
        assert!(!format!("{token:?}").contains("eyJ"));
        for (bytes, error) in [
            (&b""[..], TokenError::Empty),
            (b" \r\n", TokenError::Empty),
            (b"one two", TokenError::NotAToken),
            (b"one\r\nX-Evil: 1", TokenError::NotAToken),
            ("tök".as_bytes(), TokenError::NotAToken),
            (b"\xff\xfe", TokenError::NotAToken),
            (&[b'x'; Token::MAX_FILE + 1], TokenError::TooLarge),
        ] {
            assert_eq!(Token::read(bytes), Err(error));
        }
    }
}
