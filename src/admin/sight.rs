//! How much somebody is shown. Who the clients are is a map for an intruder: strangers are shown how things are, and
//! nobody's address.

use crate::event::Snapshot;

/// How much of what there is somebody is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// How things are: states, figures, evidence.
    Strangers,
    /// Who the clients and the operators are, too.
    Everything,
}

impl Sight {
    pub fn is_everything(self) -> bool {
        self == Self::Everything
    }

    /// What of a snapshot may be shown.
    pub fn of(self, mut snapshot: Snapshot) -> Snapshot {
        if self.is_everything() {
            return snapshot;
        }
        snapshot.backends.iter_mut().for_each(|backend| backend.shared_source = None);
        if let Some(refused) = &mut snapshot.process.config.refused {
            // It may say from where.
            refused.by = "somebody".to_owned();
        }
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::super::{json, page};
    use super::*;
    use crate::event::{RefusedReload, SharedSource, fixture};
    use crate::observe::series::Series;

    /// With an address of a client, or of an operator, wherever one can stand.
    fn telling() -> Snapshot {
        let mut snapshot = fixture::cluster();
        let shared = SharedSource { address: "203.0.113.9".parse().unwrap(), sessions: 12, others: 0 };
        snapshot.backends.iter_mut().for_each(|backend| backend.shared_source = Some(shared));
        let by = "the token's holder at 203.0.113.9:40000".to_owned();
        snapshot.process.config.refused = Some(RefusedReload { at: snapshot.at, by, reason: "no".into() });
        snapshot
    }

    // Seen to fail with the address of an operator left in.
    #[test]
    fn strangers_are_shown_nobodys_address() {
        let shown = |sight: Sight| {
            let snapshot = sight.of(telling());
            let overview = page::overview(&snapshot, &Series::default(), None, &page::Guest::Unknown).main;
            [json::render(&snapshot), page::classic::render(&snapshot), overview]
        };
        for document in shown(Sight::Strangers) {
            assert!(!document.contains("203.0.113"), "{document}");
        }
        for document in shown(Sight::Everything) {
            assert!(document.contains("203.0.113.9"), "{document}");
        }
    }
}
