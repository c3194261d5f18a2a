//! What is said of an address that several clients share, where each source is to have a session at every server.

use super::figures::count;
use crate::event::BackendSnapshot;

/// The sentence for page and JSON, if there is such an address.
pub(super) fn shared_source(backend: &BackendSnapshot) -> Option<String> {
    let shared = backend.shared_source?;
    let (who, sessions) = (shared.address, count(shared.sessions.into()));
    let others = match shared.others {
        0 => String::new(),
        1 => " (and one other address likewise)".to_owned(),
        n => format!(" (and {} other addresses likewise)", count(n.into())),
    };
    let name = &backend.name;
    Some(format!(
        "{name}: {who} has {sessions} sessions, several at each server{others}. Clients that share an address are sent \
         round by turns."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{SharedSource, fixture};

    #[test]
    fn an_address_that_is_shared_is_named_with_what_follows() {
        let mut backend = fixture::cluster().backends.remove(1);
        assert_eq!(shared_source(&backend), None);
        let address = "10.0.0.9".parse().unwrap();
        backend.shared_source = Some(SharedSource { address, sessions: 1_200, others: 0 });
        let text = shared_source(&backend).unwrap();
        let expected = "konnectivity_backend: 10.0.0.9 has 1,200 sessions, several at each server. \
                        Clients that share an address are sent round by turns.";
        assert_eq!(text, expected);
        backend.shared_source = Some(SharedSource { address, sessions: 12, others: 2 });
        assert!(shared_source(&backend).unwrap().contains("server (and 2 other addresses likewise). Clients"));
    }
}
