//! The rise and fall machine: how many results in a row it takes to change a server's health.
//!
//! HAProxy's counter (configuration manual, section 5.2, `rise` and `fall`): it runs from 0 to rise + fall - 1, and the
//! server is up from `rise` on. One failure takes an up server one step down, one success takes a down server one step
//! up; a change of side goes all the way to the other end, so that a server which has just changed needs the whole
//! count to change back.

use std::time::Duration;

use crate::model::{Check, InitState};

/// Health of one server, driven by its verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    counter: u32,
    rise: u32,
    fall: u32,
}

/// A change of side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Up,
    Down,
}

impl Health {
    /// Up, but one failure from down: HAProxy's `init-state none`. A rise or fall of 0 counts as 1.
    pub fn starting(rise: u16, fall: u16) -> Self {
        let (rise, fall) = (u32::from(rise.max(1)), u32::from(fall.max(1)));
        Self { counter: rise, rise, fall }
    }

    /// One that begins on this side, and so far from the other.
    pub fn starting_in(state: InitState, rise: u16, fall: u16) -> Self {
        let starting = Self::starting(rise, fall);
        let counter = match state {
            InitState::FullyUp => starting.top(),
            InitState::Up => starting.rise,
            InitState::Down => starting.rise - 1,
            InitState::FullyDown => 0,
        };
        Self { counter, ..starting }
    }

    /// Has so many failures more than one take it down, if it would bear more.
    pub fn lower_to_last(&mut self, spare: u32) {
        if self.is_up() {
            self.counter = self.counter.min(self.rise + spare);
        }
    }

    /// One that begins anew with other numbers, on the side on which it was and one result from the other.
    pub fn resuming(rise: u16, fall: u16, up: bool) -> Self {
        let starting = Self::starting(rise, fall);
        if up { starting } else { Self { counter: starting.rise - 1, ..starting } }
    }

    /// Goes on from a counter of the same rise and fall.
    pub fn go_on_from(&mut self, counter: u16) {
        self.counter = u32::from(counter).min(self.top());
    }

    /// Counts one result, and says if it changed the side.
    pub fn apply(&mut self, passed: bool) -> Option<Turn> {
        match (self.is_up(), passed) {
            (true, true) => {
                self.counter = self.top();
                None
            }
            (true, false) if self.counter == self.rise => {
                self.counter = 0;
                Some(Turn::Down)
            }
            (true, false) => {
                self.counter -= 1;
                None
            }
            (false, true) if self.counter + 1 == self.rise => {
                self.counter = self.top();
                Some(Turn::Up)
            }
            (false, true) => {
                self.counter += 1;
                None
            }
            (false, false) => {
                self.counter = 0;
                None
            }
        }
    }

    /// Goes down at once, whatever the count.
    pub fn fail(&mut self) -> Option<Turn> {
        let was_up = self.is_up();
        self.counter = 0;
        was_up.then_some(Turn::Down)
    }

    /// Comes up at once, as firm as can be.
    pub fn recover(&mut self) {
        self.counter = self.top();
    }

    pub fn is_up(&self) -> bool {
        self.counter >= self.rise
    }

    /// 0 to rise + fall - 1, up from rise on.
    pub fn counter(&self) -> u16 {
        u16::try_from(self.counter).unwrap_or(u16::MAX)
    }

    /// Where it is on its side, and how far that goes: HAProxy's `UP 2/3`, `DOWN 1/2`.
    pub fn progress(&self) -> (u16, u16) {
        let (count, of) = match self.is_up() {
            true => (self.counter - self.rise + 1, self.fall),
            false => (self.counter, self.rise),
        };
        let small = |number| u16::try_from(number).unwrap_or(u16::MAX);
        (small(count), small(of))
    }

    /// Whether the counter is between its ends: the next results may change the side.
    pub fn in_transition(&self) -> bool {
        self.counter != 0 && self.counter != self.top()
    }

    /// From the start of one probe to the start of the next, in the present state.
    pub fn interval(&self, check: &Check) -> Duration {
        if self.in_transition() {
            check.fast_interval
        } else if self.is_up() {
            check.interval
        } else {
            check.down_interval
        }
    }

    /// The counter's upper end.
    fn top(&self) -> u32 {
        self.rise + self.fall - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Probe;

    /// The rule told as a history: what the results since the last change of side say, without any counter.
    struct Naive {
        rise: usize,
        fall: usize,
        up: bool,
        /// Failures in a row while up, successes in a row while down.
        against: usize,
        /// Nothing passed yet: the first failure takes it down.
        fresh: bool,
    }

    impl Naive {
        fn apply(&mut self, passed: bool) -> Option<Turn> {
            if passed == self.up {
                self.against = 0;
                self.fresh = false;
                return None;
            }
            self.against += 1;
            let needed = match (self.up, self.fresh) {
                (true, true) => 1,
                (true, false) => self.fall,
                (false, _) => self.rise,
            };
            if self.against < needed {
                return None;
            }
            self.up = passed;
            self.against = 0;
            self.fresh = false;
            Some(if passed { Turn::Up } else { Turn::Down })
        }

        fn shown(&self) -> usize {
            match (self.up, self.fresh) {
                (true, true) => self.rise,
                (true, false) => self.rise + self.fall - 1 - self.against,
                (false, _) => self.against,
            }
        }
    }

    proptest! {
        // Seen to fail with `top` one too small, with a turn up that stops at `rise`, with a failure while down that is
        // not counted, and with a start at the top.
        #[test]
        fn turns_come_when_the_results_in_a_row_say_so(
            rise in 1..6_u16,
            fall in 1..6_u16,
            results in proptest::collection::vec(prop_oneof![Just(true), Just(false)], 0..60),
        ) {
            let mut health = Health::starting(rise, fall);
            let mut naive =
                Naive { rise: rise.into(), fall: fall.into(), up: true, against: 0, fresh: true };
            for passed in results {
                prop_assert_eq!(health.apply(passed), naive.apply(passed));
                prop_assert_eq!(health.is_up(), naive.up);
                prop_assert_eq!(usize::from(health.counter()), naive.shown());
                let ends = [0, usize::from(rise) + usize::from(fall) - 1];
                prop_assert_eq!(health.in_transition(), !ends.contains(&naive.shown()));
            }
        }
    }

    #[test]
    fn the_first_failure_takes_a_new_server_down_and_the_first_success_makes_it_firm() {
        let mut health = Health::starting(2, 3);
        assert!(health.is_up() && health.in_transition());
        assert_eq!(health.clone().apply(false), Some(Turn::Down));
        assert_eq!(health.apply(true), None);
        assert!(!health.in_transition());
        let results = [false, false, true, false, false, false].map(|passed| health.apply(passed));
        assert_eq!(results, [None, None, None, None, None, Some(Turn::Down)]);
    }

    // Seen to fail with the fully up one at `rise`.
    #[test]
    fn a_server_begins_on_the_side_that_is_stated_and_as_firmly() {
        use InitState::{Down, FullyDown, FullyUp, Up};
        let begun = |state| {
            let health = Health::starting_in(state, 2, 3);
            (health.is_up(), health.progress())
        };
        assert_eq!([FullyUp, Up].map(begun), [(true, (3, 3)), (true, (1, 3))]);
        assert_eq!([Down, FullyDown].map(begun), [(false, (1, 2)), (false, (0, 2))]);
        assert_eq!(Health::starting_in(Down, 2, 3).apply(true), Some(Turn::Up));
    }

    #[test]
    fn the_interval_follows_the_counter() {
        let seconds = Duration::from_secs;
        let check = Check {
            fast_interval: seconds(1),
            down_interval: seconds(5),
            fall: 2,
            ..Check::new(Probe::Tcp, seconds(2))
        };
        let mut health = Health::starting(2, 2);
        let mut seen = vec![health.interval(&check)];
        for passed in [true, false, false, true, true] {
            health.apply(passed);
            seen.push(health.interval(&check));
        }
        assert_eq!(seen, [1, 2, 1, 5, 1, 2].map(seconds));
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        let mut health = Health::starting(u16::MAX, u16::MAX);
        health.apply(true);
        assert!(health.is_up());
        assert_eq!(health.counter(), u16::MAX);
        assert_eq!(Health::starting(0, 0).apply(false), Some(Turn::Down));
    }
}
