//! The form of HAProxy's page: what is to be done, in which backend, to which servers
//! (`s=one&s=two&action=drain&b=%237`).

use super::super::query::decoded;

/// Largest form that is taken, in bytes: HAProxy's buffer (`tune.bufsize`), which holds its head, too.
pub const MAX_FORM: usize = 16 * 1024;

/// Longest key with its value, as in HAProxy.
const MAX_PAIR: usize = 2 * 1024;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// By its name, or behind a `#` by its number.
    pub backend: Option<String>,
    pub action: Option<String>,
    /// Each once, the last one first: in this order HAProxy acts on them.
    pub servers: Vec<String>,
}

impl Form {
    /// `None` if it can't be read: then nothing of it is done. The last backend and the last action count; other keys
    /// mean nothing.
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut form = Self::default();
        for pair in std::str::from_utf8(body).ok()?.rsplit('&') {
            if pair.len() > MAX_PAIR {
                return None;
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (text(key), text(value));
            match key.as_str() {
                "b" => drop(form.backend.get_or_insert(value)),
                "action" => drop(form.action.get_or_insert(value)),
                "s" if !form.servers.contains(&value) => form.servers.push(value),
                _ => {}
            }
        }
        Some(form)
    }
}

/// A space is a plus in a form; a plus is written with a percent sign (URL standard, section 5.1).
fn text(part: &str) -> String {
    decoded(&part.replace('+', " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(backend: &str, action: &str, servers: &[&str]) -> Option<Form> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let servers = servers.iter().map(|name| (*name).to_owned()).collect();
        Some(Form { backend: some(backend), action: some(action), servers })
    }

    // Seen to fail with a server that counts twice.
    #[test]
    fn the_keys_stand_in_any_order_and_the_last_ones_count() {
        for (body, expected) in [
            ("s=a&s=b&action=drain&b=%237", form("#7", "drain", &["b", "a"])),
            ("b=api&action=drain&s=a", form("api", "drain", &["a"])),
            ("s=a&action=drain&b=other&action=maint&b=api", form("api", "maint", &["a"])),
            ("s=%61&s=a&x=1&y&&b=a+p", form("a p", "", &["a"])),
            ("s", form("", "", &[""])),
            ("", form("", "", &[])),
        ] {
            assert_eq!(Form::read(body.as_bytes()), expected, "{body}");
        }
    }

    // Seen to fail with pairs of any length.
    #[test]
    fn what_can_not_be_read_is_no_form() {
        let pair = |length: usize| format!("x={}&s=a", "x".repeat(length - 2));
        assert!(Form::read(pair(MAX_PAIR).as_bytes()).is_some());
        assert_eq!(Form::read(pair(MAX_PAIR + 1).as_bytes()), None);
        assert_eq!(Form::read(b"s=a&b=\xff"), None);
    }
}
