//! How a server that has recovered comes back to its full share of new sessions: pure, with time as an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::ServerState;

/// Where a server is on its way back.
#[derive(Debug, Clone)]
pub(super) struct SlowStart {
    /// How long the way is; `None` if nobody is to go it.
    over: Option<Duration>,
    /// Whether maintenance counts as having been down.
    after_maintenance: bool,
    /// It has been down, and has not been ready since.
    fallen: bool,
    /// When it was last ready again.
    recovered: Option<Instant>,
}

/// A full share, in parts of which a smaller one is told.
pub(super) const FULL: u16 = 100;

impl SlowStart {
    /// Of a server that has not been down: it has its full share at once.
    pub fn new(over: Option<Duration>, after_maintenance: bool) -> Self {
        Self { over, after_maintenance, fallen: false, recovered: None }
    }

    /// Takes another length of the way; whoever is on it goes on from where it is.
    pub fn renew(&mut self, over: Option<Duration>) {
        self.over = over;
    }

    /// Notes the server's state.
    pub fn note(&mut self, state: ServerState, now: Instant) {
        match state {
            ServerState::Down(_) => self.fallen = true,
            ServerState::Maint if self.after_maintenance => self.fallen = true,
            // One that drains before it is ready, as an apiserver does that starts, has not come back yet.
            ServerState::Ready if std::mem::take(&mut self.fallen) => self.recovered = Some(now),
            _ => {}
        }
    }

    /// What a weight is worth now, in hundredths, so that servers can be compared of which some are on the way.
    pub fn weigh(&self, weight: u16, now: impl FnOnce() -> Instant) -> u16 {
        match (self.over, self.recovered) {
            (None, _) | (_, None) => weight * FULL,
            (Some(over), Some(recovered)) => weight * share(now().saturating_duration_since(recovered), over),
        }
    }

    /// The hundredths of its full share that it has, while it is on the way.
    pub fn throttle(&self, now: Instant) -> Option<u16> {
        let share = share(now.saturating_duration_since(self.recovered?), self.over?);
        (share < FULL).then_some(share)
    }
}

/// The hundredths of its full share that are due to a server so long after its recovery.
fn share(age: Duration, over: Duration) -> u16 {
    if age >= over {
        return FULL;
    }
    let share = age.as_nanos() * u128::from(FULL) / over.as_nanos();
    u16::try_from(share).map_or(FULL, |share| share.clamp(1, FULL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DownCause;

    const DOWN: ServerState = ServerState::Down(DownCause::Refused);

    fn after(states: &[ServerState]) -> (SlowStart, Instant) {
        let now = Instant::now();
        let mut way = SlowStart::new(Some(Duration::from_secs(50)), false);
        states.iter().for_each(|state| way.note(*state, now));
        (way, now)
    }

    // Seen to fail with a share that starts at 0, with one of the whole time, and with every state taken for a recovery.
    #[test]
    fn the_share_grows_evenly_from_a_hundredth() {
        let (way, recovered) = after(&[DOWN, ServerState::Ready]);
        let at = |seconds| way.weigh(256, || recovered + Duration::from_secs(seconds));
        assert_eq!([0, 1, 10, 25, 49, 50, 1000].map(at), [256, 512, 5120, 12_800, 25_088, 25_600, 25_600]);
    }

    #[test]
    fn who_was_not_down_has_its_full_share() {
        for states in [&[][..], &[ServerState::Ready], &[ServerState::Drain, ServerState::Maint, ServerState::Ready]] {
            let (way, now) = after(states);
            assert_eq!(way.weigh(3, || now), 300, "{states:?}");
        }
    }

    // Seen to fail with maintenance counted wherever.
    #[test]
    fn who_comes_back_from_maintenance_is_as_slow_where_haproxy_is() {
        let now = Instant::now();
        for (after_maintenance, share) in [(true, 100), (false, 10_000)] {
            let mut way = SlowStart::new(Some(Duration::from_secs(50)), after_maintenance);
            [ServerState::Maint, ServerState::Ready].iter().for_each(|state| way.note(*state, now));
            assert_eq!(way.weigh(100, || now), share);
            assert_eq!(way.throttle(now), after_maintenance.then_some(1));
        }
    }

    #[test]
    fn a_server_that_drains_as_it_starts_comes_back_when_it_is_ready() {
        let (mut way, begun) = after(&[DOWN, ServerState::Draining]);
        let ready = begun + Duration::from_secs(100);
        way.note(ServerState::Ready, ready);
        way.note(ServerState::Ready, ready + Duration::from_secs(20));
        assert_eq!(way.weigh(1, || ready + Duration::from_secs(25)), 50);
    }

    #[test]
    fn without_a_time_nothing_changes() {
        let mut way = SlowStart::new(None, false);
        let now = Instant::now();
        [DOWN, ServerState::Ready].iter().for_each(|state| way.note(*state, now));
        assert_eq!(way.weigh(7, || now), 700);
        assert_eq!(way.throttle(now), None);
    }
}
