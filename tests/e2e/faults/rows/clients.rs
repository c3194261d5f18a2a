//! Faults on this side: clients, the load balancer's own link and clock, and everybody coming at once.

use std::time::Duration;

use super::{Row, Setup, ms, s};
use crate::harness::wait::pause;
use crate::moment::Moment;
use crate::records::{Kind, Way};
use crate::run::{Bar, Course, Run, seconds};
use crate::site::Site;

/// How long a client doesn't read.
const STALLED: Duration = s(300);

pub const NOT_READING: Row = Row::new(
    "not_reading",
    "a client stops reading for 5 minutes",
    Setup { stalled: 10, ..Setup::NOBODY },
    STALLED.as_secs() + 20,
    stall,
    read_on,
);

fn stall(site: &mut Site) -> Course {
    let began = Moment::now();
    pause(STALLED);
    site.tell_client("read");
    Course::from(began)
}

fn read_on(run: &Run) -> Vec<Bar> {
    let stalled: Vec<_> = run.others().filter(|session| session.kind == Kind::Stalled).collect();
    let whole = stalled.iter().filter(|session| session.read_on).count();
    let seen = format!("{whole} of {}", stalled.len());
    vec![
        Bar::new("clients that read again get all that they missed", seen, whole == stalled.len() && whole > 0),
        run.others_stay(),
    ]
}

/// Nobody can be reached, and nobody is dead.
pub const OWN_LINK_DOWN: Row =
    Row::new("own_link_down", "the load balancer's own link down 10 s", Setup::NOBODY, 40, isolate, run_on);

const ISOLATED: Duration = s(10);

fn isolate(site: &mut Site) -> Course {
    site.plug("lb", "down");
    let began = Moment::now();
    pause(ISOLATED);
    site.plug("lb", "up");
    Course::from(began)
}

fn run_on(run: &Run) -> Vec<Bar> {
    // What was sent into the dark is sent again, each time after twice as long.
    let open = run.others().filter(|session| session.asked.is_some_and(|asked| run.end.since(asked) > s(5)));
    let hanging = open.count();
    vec![
        run.others_stay(),
        Bar::new("sessions go on afterwards: none hangs", hanging.to_string(), hanging == 0),
        run.none_fails(s(25)),
    ]
}

/// Forward, back to the truth, and backward.
pub const CLOCK_JUMPS: Row = Row::new(
    "clock_jumps",
    "the wall clock jumps an hour ahead and an hour back",
    Setup { clock: true, ..Setup::NOBODY },
    20,
    jump,
    nothing_happens,
);

const HOUR: i32 = 3600;

fn jump(site: &mut Site) -> Course {
    let began = Moment::now();
    let hour = || site.proxy.hour();
    let before = hour();
    let mut seen = Vec::new();
    for seconds in [HOUR, 0, -HOUR] {
        site.proxy.jump(seconds);
        pause(s(5));
        seen.push(hour());
    }
    let moved = before.is_none() || (seen[0] != before && seen[1] == before && seen[2] != before);
    let seen = format!("{before:?}, then {seen:?}");
    Course::from(began).proof(Bar::new("the hour in the log jumps with the clock", seen, moved))
}

fn nothing_happens(run: &Run) -> Vec<Bar> {
    vec![run.none_fails(s(0)), run.as_quick_as_direct(ms(50)), run.others_stay()]
}

/// Only a build for tests can be told to panic: in the session of this number, once it has its server.
pub const PANIC: Row = Row::new(
    "panic",
    "a panic in one session",
    Setup { panic: true, ..Setup::NOBODY },
    10,
    wait_for_panic,
    one_session,
);

fn wait_for_panic(site: &mut Site) -> Course {
    let began = Moment::now();
    site.proxy.program.wait_for("told to panic");
    Course::from(began)
}

fn one_session(run: &Run) -> Vec<Bar> {
    let all = run.dials(Way::Balanced, s(0)).count();
    let failed = run.dials(Way::Balanced, s(0)).filter(|dial| dial.failed.is_some()).count();
    let seen = format!("{failed} of {all}");
    vec![Bar::new("new connections: the one that panics fails, and no other", seen, failed == 1), run.others_stay()]
}

/// A VIP has moved: everybody comes at once. As many as this machine's descriptors allow a process.
pub const RECONNECTS: Row = Row::new("reconnects", "9,000 reconnects at once", Setup::NOBODY, 1, storm, all_are_in);

const STORM: usize = 9000;
const STORM_PATIENCE: Duration = s(100);

fn storm(site: &mut Site) -> Course {
    let began = Moment::now();
    site.tell_client(&format!("burst {STORM}"));
    site.client_has(STORM_PATIENCE, "done: burst");
    Course::from(began)
}

fn all_are_in(run: &Run) -> Vec<Bar> {
    let burst = || run.dials(Way::Burst, s(0));
    let failed = burst().filter(|dial| dial.failed.is_some()).count();
    let last = burst().filter(|dial| dial.failed.is_none()).map(|dial| run.at(dial.ended)).max();
    let seen =
        format!("{failed} of {}, the last was in after {}", burst().count(), last.map_or("never".into(), seconds));
    vec![Bar::new("of all that come at once, none fails", seen, failed == 0 && last.is_some()), run.others_stay()]
}

/// No fault: what the bench itself sees where nothing happens.
pub const QUIET: Row = Row::new("quiet", "no fault at all", Setup::NOBODY, 15, nothing, nothing_happens);

fn nothing(_: &mut Site) -> Course {
    Course::now()
}
