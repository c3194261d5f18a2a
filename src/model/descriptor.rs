//! Sockets that whoever started the process has opened for it.

use std::fmt;

/// Which of them is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Descriptor {
    /// The number that it has in this process; the service manager's begin at [`Descriptor::FIRST`].
    Number(u16),
    /// The name that the service manager gave it (`FileDescriptorName=`).
    Name(DescriptorName),
}

impl Descriptor {
    /// The first number that `sd_listen_fds(3)` hands over.
    pub const FIRST: u16 = 3;
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name.as_str()),
        }
    }
}

/// A descriptor's name: 1 to [`DescriptorName::MAX`] letters, digits and `-_.`, of which one at least is a letter.
///
/// It holds its text in itself, so that an address to listen on can be copied whatever it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DescriptorName {
    text: [u8; Self::MAX],
    length: u8,
}

impl DescriptorName {
    /// Most letters of a name.
    pub const MAX: usize = 47;

    /// `None` if it is no such name; a number would mean a number.
    pub fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_meant = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
            && bytes.iter().any(u8::is_ascii_alphabetic);
        if !is_meant || bytes.len() > Self::MAX {
            return None;
        }
        let mut name = Self { text: [0; Self::MAX], length: u8::try_from(bytes.len()).ok()? };
        name.text[..bytes.len()].copy_from_slice(bytes);
        Some(name)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.length)]).expect("`new` takes ASCII only")
    }
}

impl fmt::Debug for DescriptorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_was_given() {
        for text in ["api", "kube-api.socket", "a", "6443-tcp", &"x".repeat(DescriptorName::MAX)] {
            assert_eq!(DescriptorName::new(text).expect("a name").as_str(), text);
        }
    }

    #[test]
    fn what_could_be_a_number_or_a_separator_is_no_name() {
        for text in ["", "3", "-1", "a:b", "a b", "ä", "a/b", &"x".repeat(DescriptorName::MAX + 1)] {
            assert_eq!(DescriptorName::new(text), None, "{text:?}");
        }
    }
}
