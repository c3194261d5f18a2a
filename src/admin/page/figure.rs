//! One number, what it is, and what goes with it.

use super::super::figures::count;

pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) aside: String,
    pub(super) alarming: bool,
}

impl Figure {
    pub(super) fn new(name: &'static str, value: String, aside: String) -> Self {
        Self { name, value, aside, alarming: false }
    }

    /// One that should be 0.
    pub(super) fn fault(name: &'static str, value: u64, aside: String) -> Self {
        Self::new(name, count(value), aside).alarming(value > 0)
    }

    pub(super) fn alarming(self, alarming: bool) -> Self {
        Self { alarming, ..self }
    }
}
