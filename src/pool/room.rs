//! How many sessions a server may have now: pure.

/// How busy a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Sessions that it has, those that wait included.
    pub sessions: u32,
    /// With how many it is at its full load; not 0.
    pub full: u32,
}

/// The limit of a server that is to have between `least` and `most` sessions, by its backend's load: its part of `most`
/// is the part of the full load that there is (HAProxy's manual, section 5.2, `minconn`).
pub(super) fn limit(least: u32, most: u32, load: Load) -> u32 {
    if load.sessions >= load.full {
        return most;
    }
    let part = u64::from(load.sessions) * u64::from(most) / u64::from(load.full);
    // Less than `most`, since less than the full load is there.
    u32::try_from(part).unwrap_or(most).max(least)
}

/// How full a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occupancy {
    pub sessions: u32,
    /// `None` if it takes any number.
    pub limit: Option<u32>,
    /// As many dials of it are unfinished as there may be.
    pub dialled: bool,
    /// Who waits for it alone.
    pub waiting: u32,
    /// How many of them there may be; `None` if any number.
    pub max_waiting: Option<u32>,
}

impl Occupancy {
    /// Whether a session could be given to it.
    pub fn has_slot(self) -> bool {
        !self.dialled && self.limit.is_none_or(|limit| self.sessions < limit)
    }

    /// Whether whoever comes now has to wait for it: those who wait already come first.
    pub fn is_full(self) -> bool {
        !self.has_slot() || (self.waiting > 0 && self.limit.is_some())
    }

    /// Whether nobody more may wait for it.
    pub fn is_crowded(self) -> bool {
        self.max_waiting.is_some_and(|most| self.waiting >= most)
    }

    /// Whether it could have one more to serve or to wait, where a queue is only used that has a limit of its own.
    pub fn has_place(self) -> bool {
        let places = |limit: u32| u64::from(limit) + u64::from(self.max_waiting.unwrap_or(0));
        let taken = u64::from(self.sessions) + u64::from(self.waiting);
        self.limit.map_or(!self.dialled, |limit| taken < places(limit))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What HAProxy 3.2.26 let in with `minconn 1 maxconn 5` and `fullconn 10`, one client after the other. Seen to fail with a
    /// part that is rounded up.
    #[test]
    fn a_limit_grows_with_the_load() {
        let limits: Vec<u32> = (1..=12).map(|sessions| limit(1, 5, Load { sessions, full: 10 })).collect();
        assert_eq!(limits, [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]);
    }

    proptest! {
        // Seen to fail with the full load not looked at.
        #[test]
        fn a_limit_is_between_its_ends_and_in_proportion(
            least in 1..1_000_u32,
            more in 1..1_000_000_u32,
            sessions in 0..1_200_000_u32,
            full in 1..1_000_000_u32,
        ) {
            let most = least + more;
            let limit = limit(least, most, Load { sessions, full });
            prop_assert!((least..=most).contains(&limit));
            // The sentence: at the full load and beyond it is `most`; else the largest whole part of it that the load has of
            // the full one, where that is above `least`.
            let fits = |limit: u32| u64::from(limit) * u64::from(full) <= u64::from(sessions) * u64::from(most);
            if sessions >= full {
                prop_assert_eq!(limit, most);
            } else {
                prop_assert!(!fits(limit + 1) && (fits(limit) || limit == least));
            }
        }
    }

    fn occupancy(sessions: u32, limit: Option<u32>, waiting: u32, max_waiting: Option<u32>) -> Occupancy {
        Occupancy { sessions, limit, dialled: false, waiting, max_waiting }
    }

    #[test]
    fn who_comes_waits_behind_those_who_wait() {
        let freed = occupancy(0, Some(1), 1, None);
        assert!(freed.has_slot() && freed.is_full(), "its slot is the first waiter's");
        assert!(!occupancy(9, None, 0, None).is_full());
        assert!(occupancy(1, Some(1), 0, None).is_full());
        assert!(Occupancy { dialled: true, ..occupancy(0, None, 0, None) }.is_full());
    }

    // Seen to fail with a queue without a limit counted as room.
    #[test]
    fn a_queue_is_room_up_to_its_own_limit() {
        assert!(!occupancy(1, Some(1), 0, None).has_place(), "one without a limit is none");
        assert!(occupancy(1, Some(1), 1, Some(2)).has_place());
        assert!(!occupancy(1, Some(1), 2, Some(2)).has_place());
        assert!(occupancy(1, Some(1), 2, Some(2)).is_crowded() && !occupancy(1, Some(1), 2, None).is_crowded());
        assert!(occupancy(u32::MAX, None, 0, None).has_place());
    }
}
