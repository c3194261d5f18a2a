//! `first`: the first server in the file, so that one works and the others wait.

use super::{Candidate, weighted};

/// The first with a weight. That a server is full is the caller's business: it leaves it out.
pub(super) fn pick(candidates: &[Candidate]) -> Option<usize> {
    weighted(candidates).map(|(place, _)| place).next()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{idle, spread};
    use crate::model::Balance;

    #[test]
    fn everything_goes_to_the_first() {
        assert_eq!(spread(Balance::First, &mut idle(&[0, 1, 256]), 50), [0, 50, 0]);
    }
}
