//! What somebody who wrote an unknown word may have meant.

/// HAProxy's words for keys, and ours.
const HAPROXY: [(&str, &str); 16] = [
    ("maxconn", "max_sessions"),
    ("bind", "listen"),
    ("default_backend", "backend"),
    ("use_backend", "backend"),
    ("server", "servers"),
    ("inter", "interval"),
    ("fastinter", "fast_interval"),
    ("downinter", "down_interval"),
    ("sni", "server_name"),
    ("check-sni", "server_name"),
    ("ca-file", "ca_file"),
    ("balancing", "balance"),
    ("uri", "path"),
    ("dontlognull", "null_sessions"),
    ("clitcpka", "client_keepalive"),
    ("srvtcpka", "server_keepalive"),
];

/// The known word that `word` was meant to be: HAProxy's word for it, or the nearest in spelling, if one is near.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let translated = HAPROXY.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    if let Some(ours) = translated.and_then(|ours| known.iter().find(|known| **known == ours)) {
        return Some(ours);
    }
    near(&word, known)
}

/// The known word that is nearest in spelling, if one is near.
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let reach = (word.chars().count() / 3).clamp(1, 3);
    let letters = letters(&word);
    known
        .into_iter()
        .filter(|known| is_alike(&word, letters, known, reach))
        .map(|known| (distance(&word, &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Whether two words have about the same length and the same letters, without which they can't be near: who misspells
/// every line of a large file need not wait for it.
fn is_alike(word: &str, of_word: u64, known: &str, reach: usize) -> bool {
    let lengths = word.chars().count().abs_diff(known.chars().count());
    // One letter for another is one change, and two that only one of them has.
    lengths <= reach && (of_word ^ letters(known)).count_ones() as usize <= 2 * reach
}

/// Which letters a word has, one bit each, or shared by several.
fn letters(word: &str) -> u64 {
    word.chars().fold(0, |all, c| all | 1 << (u32::from(c.to_ascii_lowercase()) % 64))
}

/// Letters to insert, delete, replace or swap with their neighbour to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["listen", "backend", "max_sessions", "client_keepalive"];

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(meant("max_sesions", KEYS), Some("max_sessions"));
        assert_eq!(meant("lsiten", KEYS), Some("listen"));
        assert_eq!(meant("Backend", KEYS), Some("backend"));
        assert_eq!(meant("backedn_", KEYS), Some("backend"));
    }

    #[test]
    fn haproxys_word_leads_to_ours_where_we_have_it() {
        assert_eq!(meant("maxconn", KEYS), Some("max_sessions"));
        assert_eq!(meant("inter", KEYS), None);
    }

    #[test]
    fn what_is_far_from_everything_is_nothing() {
        assert_eq!(meant("colour", KEYS), None);
        assert_eq!(meant("", KEYS), None);
    }
}
