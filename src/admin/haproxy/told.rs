//! What becomes of a form of HAProxy's page: it leads back to the page, with a code in the URI that the page says in words.

use super::super::page::classic::Said;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Done to each server that was named.
    Done,
    /// Nothing was asked for, or to nobody who has it.
    Nothing,
    /// To some of them: the others are not there.
    Part,
    /// It names something that there is not.
    Wrong,
    TooLarge,
    Denied,
}

/// HAProxy's codes. It has one more, for what it can't explain.
const CODES: [(&str, Told); 6] = [
    ("DONE", Told::Done),
    ("NONE", Told::Nothing),
    ("PART", Told::Part),
    ("ERRP", Told::Wrong),
    ("EXCD", Told::TooLarge),
    ("DENY", Told::Denied),
];

impl Told {
    /// What a URI says behind `;st=`.
    pub fn of(options: &str) -> Option<Self> {
        const KEY: &str = ";st=";
        let said = &options[options.find(KEY)? + KEY.len()..];
        CODES.into_iter().find(|(code, _)| said.starts_with(code)).map(|(_, told)| told)
    }

    pub fn code(self) -> &'static str {
        CODES.into_iter().find(|(_, told)| *told == self).map_or("UNKN", |(code, _)| code)
    }

    /// How much was done of what was asked for: servers that there are, and those that it was done to.
    pub fn of_counts(meant: usize, done: usize) -> Self {
        match (meant, done) {
            (0, _) => Self::Nothing,
            (_, 0) => Self::Wrong,
            (meant, done) if done < meant => Self::Part,
            _ => Self::Done,
        }
    }

    /// The page's words. They begin with HAProxy's, which scripts look for.
    pub fn said(self) -> Said {
        let (tone, text) = match self {
            Self::Done => ("good", "Action processed successfully."),
            Self::Nothing => ("warning", "Nothing has changed: no server was chosen that this can be done to."),
            Self::Part => ("warning", "Action partially processed: some of the servers are not there."),
            Self::Wrong => ("bad", "Action not processed because of invalid parameters: what they name is not there."),
            Self::TooLarge => ("bad", "Action not processed: the form is too large. Choose fewer servers at a time."),
            Self::Denied => {
                ("bad", "Action denied: by the rules of this page, or because another site's page has sent it.")
            }
        };
        Said { tone, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_code_that_is_found_again() {
        for (code, told) in CODES {
            assert_eq!((told.code(), Told::of(&format!(";up;st={code};norefresh"))), (code, Some(told)));
        }
        assert_eq!([";st=XXXX", ";st=", "st=DONE", ""].map(Told::of), [None; 4]);
    }

    // Seen to fail with a part told as all of it.
    #[test]
    fn what_was_done_to_some_is_told_as_a_part() {
        let told = |meant, done| Told::of_counts(meant, done);
        assert_eq!([told(0, 0), told(2, 0)], [Told::Nothing, Told::Wrong]);
        assert_eq!([told(2, 1), told(2, 2)], [Told::Part, Told::Done]);
    }
}
