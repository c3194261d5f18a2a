//! `evenkeel hash-password`: a password in, the line for the configuration out.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Exit, fail, print_all, tell_line};
use crate::admin::password::{self, MAX_PASSWORD};

pub(super) fn run() -> Exit {
    let password = match io::stdin().is_terminal() {
        true => ask_twice(),
        false => line(io::stdin().lock()),
    };
    let password = match password {
        Ok(password) => password,
        Err(error) => return fail(&error),
    };
    match password::hash(&password) {
        Ok(hash) => print_all((hash + "\n").as_bytes()),
        Err(error) => {
            tell_line(&format!("error: {error}"));
            Exit::Refused
        }
    }
}

/// From a person, who doesn't see what they type.
fn ask_twice() -> io::Result<String> {
    let silence = Silence::begin()?;
    tell_prompt("Password: ");
    let first = line(io::stdin().lock())?;
    tell_prompt("\nOnce more: ");
    let second = line(io::stdin().lock())?;
    tell_prompt("\n");
    drop(silence);
    match first == second {
        true => Ok(first),
        false => Err(io::Error::other("the two are not the same")),
    }
}

/// To stderr, so that stdout has the hash alone.
fn tell_prompt(prompt: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), prompt.as_bytes());
}

/// The next line, without its end. One that is too long is cut where it is known to be.
fn line(from: impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(MAX_PASSWORD as u64 + 2).read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    String::from_utf8(text.to_vec()).map_err(|_| io::Error::other("the password is not UTF-8"))
}

/// The terminal does not show what is typed for as long as this lives.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs none of it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line_without_its_end() {
        for (text, password) in [("a b\n", "a b"), ("a b", "a b"), ("a\r\nb\n", "a"), ("", ""), ("ä\n", "ä")] {
            assert_eq!(line(text.as_bytes()).unwrap(), password);
        }
        assert!(line(&b"\xff\n"[..]).is_err());
        assert!(line("x".repeat(5_000).as_bytes()).unwrap().len() > MAX_PASSWORD, "and is refused for it");
    }
}
