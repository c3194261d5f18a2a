//! What is said of a name that is not there.

use crate::config;

/// More names than this are no help.
const LISTED: usize = 24;

/// Names the one that may be meant, or all that there are, if they are few.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    match config::meant(name, known.iter().copied()) {
        Some(meant) => format!("there is no {what} {name:?}: did you mean {meant}?"),
        None if known.is_empty() => format!("there is no {what} {name:?}, and no other"),
        None if known.len() <= LISTED => format!("there is no {what} {name:?}: there are {}", known.join(", ")),
        None => format!("there is no {what} {name:?}, and none that is called alike"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_is_near_is_said_or_all_if_they_are_few() {
        let many: Vec<String> = (0..=LISTED).map(|n| format!("controller-{n}")).collect();
        let of = |name: &str, known: &[&str]| unknown("server", name, known.iter().copied());
        assert_eq!(of("vei", &["sion", "vie"]), "there is no server \"vei\": did you mean vie?");
        assert_eq!(of("x", &["vie", "sion", "vie"]), "there is no server \"x\": there are sion, vie");
        assert_eq!(of("x", &[]), "there is no server \"x\", and no other");
        let none = unknown("server", "paris", many.iter().map(String::as_str));
        assert_eq!(none, "there is no server \"paris\", and none that is called alike");
    }
}
