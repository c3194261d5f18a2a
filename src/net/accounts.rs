//! Users and groups of this host, from their files (passwd(5), group(5)): a static binary has no name service.

use std::fs::File;
use std::io::{self, Read};

/// Largest file that is read, in bytes; more of it is not looked at.
const MAX_FILE: u64 = 4 << 20;

/// The number of the group of this name; `None` if this host has none.
///
/// # Errors
///
/// If `/etc/group` can't be read.
pub fn group_id(name: &str) -> io::Result<Option<u32>> {
    Ok(number_of(&text("/etc/group")?, name))
}

/// The name of the user of this number, if this host has one for it.
pub fn user_name(uid: u32) -> Option<String> {
    name_of(&text("/etc/passwd").ok()?, uid)
}

fn text(file: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In both files the name comes first and the number third.
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        Some((name, number.parse().ok()?)).filter(|_| !name.is_empty())
    })
}

fn number_of(text: &str, name: &str) -> Option<u32> {
    entries(text).find(|(found, _)| *found == name).map(|(_, number)| number)
}

fn name_of(text: &str, number: u32) -> Option<String> {
    entries(text).find(|(_, found)| *found == number).map(|(name, _)| name.to_owned())
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
}
