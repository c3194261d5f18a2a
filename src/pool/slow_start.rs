//! How a server that has recovered comes back to its full share of new sessions: pure, with time as an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::ServerState;

/// Where a server is on its way back.
#[derive(Debug, Clone)]
pub(super) struct SlowStart {
    /// How long the way is; `None` if nobody is to go it.
    over: Option<Duration>,
    /// In whose steps it goes it.
    pace: Pace,
    /// It has been down, and has not been ready since.
    fallen: bool,
    /// When it was last ready again.
    recovered: Option<Instant>,
}

/// In which steps a share grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Evenly, by hundredths.
    Even,
    /// By sixteenths, whole seconds after the recovery; and maintenance counts as having been down.
    Haproxys,
}

impl Pace {
    /// A full share, in the parts that it grows by.
    pub const fn full(self) -> u16 {
        match self {
            Self::Even => 100,
            Self::Haproxys => 16,
        }
    }

    /// The parts that are due to a server so long after its recovery.
    fn share(self, age: Duration, over: Duration) -> u16 {
        if age >= over {
            return self.full();
        }
        let share = match self {
            Self::Even => age.as_nanos() * u128::from(self.full()) / over.as_nanos(),
            Self::Haproxys => u128::from(self.full()) * u128::from(age.as_secs()) * 1000 / over.as_millis().max(1) + 1,
        };
        u16::try_from(share).map_or(self.full(), |share| share.clamp(1, self.full()))
    }
}

impl SlowStart {
    /// Of a server that has not been down: it has its full share at once.
    pub fn new(over: Option<Duration>, pace: Pace) -> Self {
        Self { over, pace, fallen: false, recovered: None }
    }

    /// Takes another length of the way; whoever is on it goes on from where it is.
    pub fn renew(&mut self, over: Option<Duration>) {
        self.over = over;
    }

    /// Notes the server's state.
    pub fn note(&mut self, state: ServerState, now: Instant) {
        match state {
            ServerState::Down(_) => self.fallen = true,
            ServerState::Maint if self.pace == Pace::Haproxys => self.fallen = true,
            // One that drains before it is ready, as an apiserver does that starts, has not come back yet.
            ServerState::Ready if std::mem::take(&mut self.fallen) => self.recovered = Some(now),
            _ => {}
        }
    }

    /// What a weight is worth now, in parts, so that servers can be compared of which some are on the way.
    pub fn weigh(&self, weight: u16, now: impl FnOnce() -> Instant) -> u16 {
        match (self.over, self.recovered) {
            (None, _) | (_, None) => weight * self.pace.full(),
            (Some(over), Some(recovered)) => weight * self.pace.share(now().saturating_duration_since(recovered), over),
        }
    }

    /// How many sessions it may have now of `most`: by HAProxy's pace it comes back to them, too, by hundredths, in whole
    /// seconds.
    pub fn limit(&self, most: u32, now: impl FnOnce() -> Instant) -> u32 {
        let (Pace::Haproxys, Some(over), Some(recovered)) = (self.pace, self.over, self.recovered) else { return most };
        let age = now().saturating_duration_since(recovered);
        if age >= over {
            return most;
        }
        let hundredths = 100_000 * u128::from(age.as_secs()) / over.as_millis().max(1);
        u32::try_from(u128::from(most) * hundredths / 100).unwrap_or(most).max(1)
    }

    /// So many parts as a weight, rounded up.
    pub fn whole(&self, parts: u32) -> u32 {
        parts.div_ceil(self.pace.full().into())
    }

    /// The hundredths of its full share that it has, while it is on the way.
    pub fn throttle(&self, now: Instant) -> Option<u16> {
        let (over, full) = (self.over?, self.pace.full());
        let share = self.pace.share(now.saturating_duration_since(self.recovered?), over);
        (share < full).then(|| share * 100 / full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DownCause;

    const DOWN: ServerState = ServerState::Down(DownCause::Refused);

    fn after(states: &[ServerState]) -> (SlowStart, Instant) {
        let now = Instant::now();
        let mut way = SlowStart::new(Some(Duration::from_secs(50)), Pace::Even);
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

    /// What HAProxy 3.2.26 shows of a server of weight 100 with `slowstart 60s`. Seen to fail with a share at every moment.
    #[test]
    fn haproxys_share_grows_by_sixteenths_now_and_then() {
        let mut way = SlowStart::new(Some(Duration::from_secs(60)), Pace::Haproxys);
        let now = Instant::now();
        [DOWN, ServerState::Ready].iter().for_each(|state| way.note(*state, now));
        let at = |milliseconds| way.weigh(100, || now + Duration::from_millis(milliseconds));
        assert_eq!(
            [0, 3_900, 4_000, 7_000, 8_000, 29_000, 30_000, 60_000].map(at),
            [100, 100, 200, 200, 300, 800, 900, 1600]
        );
        let throttle = |seconds| way.throttle(now + Duration::from_secs(seconds));
        assert_eq!([0, 4, 8, 60].map(throttle), [Some(6), Some(12), Some(18), None]);
    }

    /// What HAProxy 3.2.26 lets in with `slowstart 10s`. Seen to fail with a limit at every moment.
    #[test]
    fn haproxys_limit_grows_with_the_share() {
        let now = Instant::now();
        let limits = |pace| {
            let mut way = SlowStart::new(Some(Duration::from_secs(10)), pace);
            [DOWN, ServerState::Ready].iter().for_each(|state| way.note(*state, now));
            [0, 1_900, 2_000, 3_900, 9_000, 10_000].map(|age| way.limit(100, || now + Duration::from_millis(age)))
        };
        assert_eq!(limits(Pace::Haproxys), [1, 10, 20, 30, 90, 100]);
        assert_eq!(limits(Pace::Even), [100; 6]);
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
        for (pace, share, throttle) in [(Pace::Haproxys, 100, Some(6)), (Pace::Even, 10_000, None)] {
            let mut way = SlowStart::new(Some(Duration::from_secs(50)), pace);
            [ServerState::Maint, ServerState::Ready].iter().for_each(|state| way.note(*state, now));
            assert_eq!(way.weigh(100, || now), share);
            assert_eq!(way.throttle(now), throttle);
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
        let mut way = SlowStart::new(None, Pace::Even);
        let now = Instant::now();
        [DOWN, ServerState::Ready].iter().for_each(|state| way.note(*state, now));
        assert_eq!(way.weigh(7, || now), 700);
        assert_eq!(way.throttle(now), None);
    }
}
