//! What holds for a process already because it holds for the one that started it by an upgrade.
//!
//! Restrictions add up, one on top of the other, and the kernel takes 16 rule sets of files and as many instructions of
//! filters as some fifteen processes have. So what is there already is not applied once more.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::applied::Part;
use super::calls::Filters;
use super::files::Allowed;

/// The uppermost restrictions of a process, by what stands for them. Another release may count otherwise, and then applies
/// its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// With the version of the kernel's interface.
    files: Option<(i32, u64)>,
    calls: Option<u64>,
}

impl Layers {
    /// Those of a process for which this holds.
    pub fn of(files: &Part<(i32, Allowed)>, filters: Option<&Filters>) -> Self {
        let files = match files {
            Part::On((version, allowed)) => Some((*version, sum(allowed))),
            Part::Off | Part::Missing(_) => None,
        };
        Self { files, calls: filters.map(sum) }
    }

    /// The version of the kernel's interface by which these files are all that may be opened already.
    pub fn allow(&self, allowed: &Allowed) -> Option<i32> {
        self.files.filter(|(_, known)| *known == sum(allowed)).map(|(version, _)| version)
    }

    /// Whether these filters hold already.
    pub fn hold(&self, filters: &Filters) -> bool {
        self.calls == Some(sum(filters))
    }
}

fn sum(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_what_is_the_same_holds_already() {
        let one = Allowed { read: [PathBuf::from("/etc/evenkeel")].into(), ..Allowed::default() };
        let other = Allowed { connect: Some([6443].into()), ..one.clone() };
        let filters = Filters::new().unwrap();
        let layers = Layers::of(&Part::On((7, one.clone())), Some(&filters));
        assert_eq!((layers.allow(&one), layers.allow(&other)), (Some(7), None));
        assert!(layers.hold(&filters));
        let none = Layers::of(&Part::Missing("the kernel has none".to_owned()), None);
        assert_eq!((none.allow(&one), none.hold(&filters), none), (None, false, Layers::default()));
    }
}
