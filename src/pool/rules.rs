//! In what HAProxy's pools and evenkeel's behave differently, as a server's standing needs to know it.

use crate::model::Policy;

/// The part of a [`Policy`] that bears on where servers stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub suspicion: bool,
    pub weighs_probes: bool,
    pub draining_serves: bool,
    pub slow_after_maintenance: bool,
}

impl From<&Policy> for Rules {
    fn from(policy: &Policy) -> Self {
        let Policy { suspicion, weighs_probes, draining_serves, slow_after_maintenance, .. } = *policy;
        Self { suspicion, weighs_probes, draining_serves, slow_after_maintenance }
    }
}
