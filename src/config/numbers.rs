//! The numbers by which HAProxy's outputs name proxies: those that the file states, and the next free ones.

use std::collections::HashSet;

use crate::model::ProxyId;

/// Gives out numbers in the order of the file.
pub struct Numbers {
    stated: HashSet<u32>,
    next: u32,
}

impl Numbers {
    /// Those that some proxy states are nobody else's; the first that is free is `first` or comes after it.
    pub fn new(stated: impl IntoIterator<Item = u32>, first: ProxyId) -> Self {
        Self { stated: stated.into_iter().collect(), next: first.0 }
    }

    /// The number of a proxy that states this one, or none.
    pub fn take(&mut self, stated: Option<u32>) -> ProxyId {
        ProxyId(stated.unwrap_or_else(|| self.next()))
    }

    fn next(&mut self) -> u32 {
        while self.stated.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }
}
