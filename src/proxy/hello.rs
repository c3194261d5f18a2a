//! A TLS ClientHello, as far as choosing a backend needs it: whether it is one, and which server it asks for (RFC 8446,
//! section 4.1.2; RFC 6066, section 3).
//!
//! Pure, and of what comes first only: nothing is decrypted, answered or kept. The message may be spread over several
//! records, and the bytes may come in any number of pieces.

use crate::model::condition;

/// Bytes within which a hello must be complete, records and all.
pub const MAX: usize = 16 * 1024;

/// What first bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// More must come to tell.
    Short,
    /// No TLS handshake, or none within [`MAX`].
    Other,
    Hello(Hello),
}

/// The first handshake message of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its type; 1 is a ClientHello.
    pub kind: u8,
    /// The server's name that it asks for, as it is written there.
    pub name: Option<Box<[u8]>>,
}

impl Hello {
    /// As conditions see it.
    pub fn fact(&self) -> condition::Hello<'_> {
        condition::Hello::Of { kind: self.kind, name: self.name.as_deref() }
    }
}

/// The type of a ClientHello.
const CLIENT_HELLO: u8 = 1;

/// Reads what bytes begin with.
pub fn read(bytes: &[u8]) -> Reading {
    let within = &bytes[..bytes.len().min(MAX)];
    match message(within) {
        Ok((kind, body)) => Reading::Hello(Hello { kind, name: name(kind, &body) }),
        Err(Stop::Short) if within.len() < MAX => Reading::Short,
        Err(_) => Reading::Other,
    }
}

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Short,
    Other,
}

/// The type and the body of the first handshake message, put together from its records.
fn message(bytes: &[u8]) -> Result<(u8, Vec<u8>), Stop> {
    let mut records = Records { bytes };
    let mut said = Vec::new();
    loop {
        if let Some(([kind, length @ ..], rest)) = said.split_first_chunk::<4>() {
            let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            if length > MAX {
                return Err(Stop::Other);
            }
            if let Some(body) = rest.get(..length) {
                return Ok((*kind, body.to_vec()));
            }
        }
        said.extend_from_slice(records.next()?);
    }
}

/// TLS records that hold handshake messages, one after another (RFC 8446, section 5.1).
struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    const HANDSHAKE: u8 = 22;
    /// The first byte of every version, from SSL 3.0 to TLS 1.3.
    const MAJOR: u8 = 3;
    /// Bytes that a record holds at most.
    const LONGEST: usize = 1 << 14;

    /// What there is of the next record; an error if that is nothing, or it can't be a record of a handshake.
    fn next(&mut self) -> Result<&'a [u8], Stop> {
        for (place, wanted) in [Self::HANDSHAKE, Self::MAJOR].into_iter().enumerate() {
            if *self.bytes.get(place).ok_or(Stop::Short)? != wanted {
                return Err(Stop::Other);
            }
        }
        let ([_, _, _, high, low], rest) = self.bytes.split_first_chunk().ok_or(Stop::Short)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 || length > Self::LONGEST {
            return Err(Stop::Other);
        }
        let there = &rest[..rest.len().min(length)];
        if there.is_empty() {
            return Err(Stop::Short);
        }
        self.bytes = &rest[there.len()..];
        Ok(there)
    }
}

/// The name that a message asks for. One that ends before it should asks for none.
fn name(kind: u8, body: &[u8]) -> Option<Box<[u8]>> {
    const SERVER_NAME: u16 = 0;
    const HOST_NAME: u8 = 0;
    if kind != CLIENT_HELLO {
        return None;
    }
    let mut hello = Fields(body);
    let (_version, _random) = (hello.take(2)?, hello.take(32)?);
    let (_session, _ciphers, _compressions) = (hello.list(1)?, hello.list(2)?, hello.list(1)?);
    let mut extensions = Fields(hello.list(2)?);
    loop {
        let kind = extensions.number(2)?;
        let mut content = Fields(extensions.list(2)?);
        if kind != usize::from(SERVER_NAME) {
            continue;
        }
        let mut names = Fields(content.list(2)?);
        loop {
            let kind = names.number(1)?;
            let name = names.list(2)?;
            if kind == usize::from(HOST_NAME) {
                return Some(name.into());
            }
        }
    }
}

/// Fields of a message, one after another; `None` where it ends.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What follows its own length, which has so many bytes.
    fn list(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
