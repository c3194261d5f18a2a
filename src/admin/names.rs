//! What is said of a name that is not there.

use crate::config;

/// So many names are said in full; of more, the nearest in spelling.
const FEW: usize = 8;

/// Names those that there are, if they are few, or the one that may be meant.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        return format!("there is no {what} {name:?}, and no other");
    }
    if known.len() <= FEW {
        return format!("there is no {what} {name:?}: there are {}", known.join(", "));
    }
    match config::meant(name, known) {
        Some(meant) => format!("there is no {what} {name:?}: did you mean {meant}?"),
        None => format!("there is no {what} {name:?}, and none that is called alike"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_said_if_they_are_few_or_the_one_that_is_near() {
        let many: Vec<String> = (0..=FEW).map(|n| format!("controller-{n}")).collect();
        let of = |name: &str, known: &[&str]| unknown("server", name, known.iter().copied());
        assert_eq!(of("x", &["vie", "sion", "vie"]), "there is no server \"x\": there are sion, vie");
        assert_eq!(of("x", &[]), "there is no server \"x\", and no other");
        let of_many = |name: &str| unknown("server", name, many.iter().map(String::as_str));
        assert_eq!(of_many("controler-3"), "there is no server \"controler-3\": did you mean controller-3?");
        assert_eq!(of_many("paris"), "there is no server \"paris\", and none that is called alike");
    }
}
