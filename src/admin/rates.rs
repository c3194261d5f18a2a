//! How fast sessions are, from two looks at them: workers count bytes and no rates, so whoever looks at sessions looks
//! twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::{SessionId, SessionSnapshot};

/// Bytes a second of the sessions that were open at both of the last two looks.
#[derive(Debug, Default)]
pub(super) struct Rates {
    by_session: HashMap<SessionId, u64>,
}

impl Rates {
    /// Both ways together; `None` if it was not there before.
    pub fn of(&self, session: SessionId) -> Option<u64> {
        self.by_session.get(&session).copied()
    }
}

/// The last look, kept for the next.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Mutex<Option<Look>>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    bytes: HashMap<SessionId, u64>,
    rates: Arc<Rates>,
}

/// Looks that are nearer to each other see the same rates: some bytes more or less would be a large part of them.
const NEAREST: Duration = Duration::from_millis(900);

/// From looks that are further apart, nothing follows about now.
const FURTHEST: Duration = Duration::from_secs(30);

impl Looks {
    /// Looks at all sessions that are open.
    pub fn look(&self, sessions: &[SessionSnapshot]) -> Arc<Rates> {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let since = last.as_ref().map(|look| now.saturating_duration_since(look.at));
        if let (Some(look), Some(since)) = (last.as_ref(), since)
            && since < NEAREST
        {
            return Arc::clone(&look.rates);
        }
        let bytes: HashMap<SessionId, u64> =
            sessions.iter().map(|session| (session.id, session.bytes_in + session.bytes_out)).collect();
        let before = last.take().filter(|_| since.is_some_and(|since| since <= FURTHEST));
        let rates = match (before, since) {
            (Some(before), Some(since)) => Arc::new(between(&before.bytes, &bytes, since)),
            _ => Arc::default(),
        };
        *last = Some(Look { at: now, bytes, rates: Arc::clone(&rates) });
        rates
    }
}

fn between(before: &HashMap<SessionId, u64>, now: &HashMap<SessionId, u64>, time: Duration) -> Rates {
    let rate = |(id, bytes): (&SessionId, &u64)| {
        let more = bytes.saturating_sub(*before.get(id)?);
        Some((*id, (more as f64 / time.as_secs_f64()).round() as u64))
    };
    Rates { by_session: now.iter().filter_map(rate).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SessionState;
    use crate::model::FrontendName;

    fn session(slot: u32, bytes: u64) -> SessionSnapshot {
        SessionSnapshot {
            id: SessionId { worker: 0, slot, generation: 1 },
            frontend: FrontendName::new("api").unwrap(),
            backend: None,
            server: None,
            client: "10.0.0.9:1".parse().unwrap(),
            source: None,
            age: Duration::ZERO,
            idle: Duration::ZERO,
            bytes_in: bytes / 2,
            bytes_out: bytes - bytes / 2,
            state: SessionState::Open,
        }
    }

    fn id(slot: u32) -> SessionId {
        session(slot, 0).id
    }

    // Seen to fail with bytes in place of bytes a second, and with NEAREST never looked at.
    #[tokio::test(start_paused = true)]
    async fn two_looks_make_a_rate_and_one_makes_none() {
        let looks = Looks::default();
        assert_eq!(looks.look(&[session(1, 100)]).of(id(1)), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        let rates = looks.look(&[session(1, 1_100), session(2, 7)]);
        assert_eq!((rates.of(id(1)), rates.of(id(2)), rates.of(id(3))), (Some(500), None, None));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(looks.look(&[session(1, 9_999)]).of(id(1)), Some(500), "as a tenth of a second before");
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(looks.look(&[session(1, 20_000)]).of(id(1)), None, "that was too long ago");
    }
}
