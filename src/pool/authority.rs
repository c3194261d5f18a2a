//! Which servers show a certificate of another authority than the rest: they may belong to another cluster.
//!
//! All controllers of a cluster have certificates of one authority, and each cluster has its own. So a server behind a
//! wrong address is told from the others without any configuration. When an authority is changed on purpose, server
//! after server, it looks the same: therefore the majority is right, and nobody's sessions are closed for it.

use crate::event::Certificate;

/// Who issued a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The distinguished name, which many clusters share.
    pub name: String,
    /// The identifier of the authority's key, which none share.
    pub key: Option<String>,
}

impl Issuer {
    pub fn of(certificate: &Certificate) -> Self {
        Self { name: certificate.issuer.clone(), key: certificate.authority_key_identifier.clone() }
    }

    /// Whether this is the one that the configuration names, by name or by key.
    fn is_called(&self, wanted: &str) -> bool {
        self.name == wanted || self.key.as_deref() == Some(wanted)
    }
}

/// The authority that a backend's certificates are expected to be from, as far as it is known.
#[derive(Debug, Default)]
pub struct Authority {
    remembered: Option<Issuer>,
}

impl Authority {
    /// Which of the servers are strangers, by the issuers that they last showed; `None` is one that showed none.
    ///
    /// The issuer that is configured decides. Without one it is the one that more than half of the servers show, or else
    /// the one remembered, as long as anybody shows it.
    pub fn strangers(&mut self, configured: Option<&str>, seen: &[Option<Issuer>]) -> Vec<bool> {
        if let Some(wanted) = configured {
            return seen.iter().map(|issuer| issuer.as_ref().is_some_and(|issuer| !issuer.is_called(wanted))).collect();
        }
        let shown: Vec<_> = seen.iter().flatten().collect();
        let count = |issuer: &Issuer| shown.iter().filter(|other| **other == issuer).count();
        let majority = shown.iter().find(|issuer| 2 * count(issuer) > shown.len());
        if let Some(majority) = majority {
            self.remembered = Some((*majority).clone());
        }
        let Some(expected) = self.remembered.as_ref().filter(|remembered| count(remembered) > 0) else {
            return vec![false; seen.len()];
        };
        seen.iter().map(|issuer| issuer.as_ref().is_some_and(|issuer| issuer != expected)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issuers by their first letter; `-` is a server that showed none.
    fn seen(letters: &str) -> Vec<Option<Issuer>> {
        let issuer = |letter: char| {
            let (name, key) = ("CN=kubernetes-ca".to_owned(), Some(letter.to_string()));
            (letter != '-').then_some(Issuer { name, key })
        };
        letters.chars().map(issuer).collect()
    }

    /// The strangers of several looks in turn, `x` for each.
    fn looks(configured: Option<&str>, looks: &[&str]) -> Vec<String> {
        let mut authority = Authority::default();
        let mark =
            |strangers: Vec<bool>| strangers.into_iter().map(|stranger| if stranger { 'x' } else { '.' }).collect();
        looks.iter().map(|letters| mark(authority.strangers(configured, &seen(letters)))).collect()
    }

    // Seen to fail with half of the servers as a majority, with nothing remembered, with what is remembered kept when
    // nobody shows it, and with issuers compared by name alone.

    #[test]
    fn the_one_that_shows_another_issuer_is_the_stranger() {
        assert_eq!(looks(None, &["aaa", "aba", "aaa"]), ["...", ".x.", "..."]);
    }

    #[test]
    fn a_server_that_has_shown_nothing_is_no_stranger_and_does_not_vote() {
        assert_eq!(looks(None, &["---", "a--", "ab-", "abb"]), ["...", "...", ".x.", "x.."]);
    }

    #[test]
    fn when_the_majority_has_moved_the_minority_is_the_odd_one() {
        assert_eq!(looks(None, &["aaa", "baa", "bba", "bbb"]), ["...", "x..", "..x", "..."]);
    }

    #[test]
    fn of_two_the_one_seen_first_is_right_and_when_both_have_moved_both_are() {
        assert_eq!(looks(None, &["a-", "ab", "bb"]), ["..", ".x", ".."]);
        assert_eq!(looks(None, &["ab"]), [".."], "nobody was first");
    }

    #[test]
    fn when_nobody_shows_the_remembered_one_any_more_nobody_is_accused() {
        assert_eq!(looks(None, &["aaa", "bcd"]), ["...", "..."]);
    }

    #[test]
    fn a_configured_issuer_decides_by_name_or_by_key() {
        assert_eq!(looks(Some("b"), &["aba", "---"]), ["x.x", "..."]);
        assert_eq!(looks(Some("CN=kubernetes-ca"), &["abc"]), ["..."]);
        assert_eq!(looks(Some("CN=other"), &["abc"]), ["xxx"]);
    }
}
