//! Users and groups of this host, from their files (passwd(5), group(5)): a static binary has no name service. Who is known
//! to a directory service alone is unknown here.

use std::fs::File;
use std::io::{self, Read};

pub const PASSWD: &str = "/etc/passwd";
pub const GROUP: &str = "/etc/group";

/// Largest file that is read, in bytes; more of it is not looked at.
const MAX_FILE: u64 = 4 << 20;

/// A user, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub id: u32,
    pub group: u32,
}

/// The user of this name; `None` if this host has none.
///
/// # Errors
///
/// If [`PASSWD`] can't be read.
pub fn user(name: &str) -> io::Result<Option<User>> {
    Ok(text(PASSWD)?.lines().filter_map(user_of).find(|(found, _)| *found == name).map(|(_, user)| user))
}

/// The user of this number.
///
/// # Errors
///
/// As [`user`].
pub fn user_of_id(id: u32) -> io::Result<Option<User>> {
    Ok(text(PASSWD)?.lines().filter_map(user_of).find(|(_, user)| user.id == id).map(|(_, user)| user))
}

/// The number of the group of this name; `None` if this host has none.
///
/// # Errors
///
/// If [`GROUP`] can't be read.
pub fn group_id(name: &str) -> io::Result<Option<u32>> {
    Ok(number_of(&text(GROUP)?, name))
}

/// The name of the user of this number, if this host has one for it.
pub fn user_name(uid: u32) -> Option<String> {
    name_of(&text(PASSWD).ok()?, uid)
}

fn text(file: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    // Comments of a full name need not be UTF-8; names and numbers are.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In both files the name comes first and the number third: `name:password:number:…`. Gives what is behind it, too.
fn entry(line: &str) -> Option<(&str, u32, Option<&str>)> {
    let mut fields = line.split(':');
    let (name, number) = (fields.next()?, fields.nth(1)?.parse().ok()?);
    Some((name, number, fields.next())).filter(|_| !name.is_empty())
}

/// passwd(5): the fourth field is the number of the user's group.
fn user_of(line: &str) -> Option<(&str, User)> {
    let (name, id, group) = entry(line)?;
    Some((name, User { id, group: group?.parse().ok()? }))
}

fn number_of(text: &str, name: &str) -> Option<u32> {
    text.lines().filter_map(entry).find(|(found, ..)| *found == name).map(|(_, number, _)| number)
}

fn name_of(text: &str, number: u32) -> Option<String> {
    text.lines().filter_map(entry).find(|(_, found, _)| *found == number).map(|(name, ..)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail with the number taken from the fourth field.
    #[test]
    fn the_first_entry_that_fits_counts_and_lines_that_are_none_dont() {
        let text = "root:x:0:0::/root:/bin/sh\n# comment\n:x:5:5\nshort\nann:x:1000:7\nbob:x:1000:8\nodd:x:-1:\n";
        assert_eq!((name_of(text, 0).as_deref(), name_of(text, 1000).as_deref()), (Some("root"), Some("ann")));
        assert_eq!((name_of(text, 5), name_of(text, 7)), (None, None));
        assert_eq!((number_of(text, "bob"), number_of(text, "odd"), number_of(text, "")), (Some(1000), None, None));
    }

    #[test]
    fn lines_are_read_as_their_manual_pages_say() {
        let haproxy = User { id: 101, group: 104 };
        assert_eq!(user_of("haproxy:x:101:104:a, b:/var/lib/haproxy:/usr/sbin/nologin"), Some(("haproxy", haproxy)));
        assert_eq!(number_of("haproxy:x:104:one,two", "haproxy"), Some(104));
        // Of NIS, a comment, a number that is none, a line that ends too early.
        for line in ["+::::::", "# haproxy", "haproxy:x:-2:104::/:", "haproxy:x:101"] {
            assert_eq!(user_of(line), None, "{line}");
        }
        assert_eq!(number_of("haproxy:x", "haproxy"), None);
    }
}
