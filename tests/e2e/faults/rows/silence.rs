//! Controllers that say nothing: stopped, unreachable, or heard by nobody.

use std::time::Duration;

use rustix::process::Signal;

use super::{Row, Setup, ms, s};
use crate::harness::wait::pause;
use crate::moment::Moment;
use crate::run::{Bar, Course, Run};
use crate::site::{Controller, Site};

/// The kernel goes on answering for the process. The first probe that times out has begun within 2.2 s and takes 1.5 s;
/// after two more the server is down, and its sessions are closed after `dead_after`, 10 s, and at most 3 s more.
pub const STOPPED: Row = Row::new("stopped", "SIGSTOP of a controller", Setup::FIRST, 37, stop, stopped);

const FIRST_PROBE: Duration = s(4);
const DEAD: Duration = s(22);

fn stop(site: &mut Site) -> Course {
    site.controllers[0].signal(Signal::STOP);
    Course::now()
}

fn stopped(run: &Run) -> Vec<Bar> {
    // Probes are connections that the kernel accepts: one for each of the two ports may be there.
    vec![run.none_fails(FIRST_PROBE), run.all_closed_within(DEAD), run.others_stay(), run.nothing_left(2)]
}

pub const BLACK_HOLE: Row = Row::new("black_hole", "black hole of one controller", Setup::FIRST, 20, swallow, silent);

pub const TWO_BLACK_HOLES: Row = Row::new(
    "two_black_holes",
    "black hole of two of three controllers",
    Setup { victims: &[0, 1], ..Setup::FIRST },
    20,
    swallow_two,
    silent_majority,
);

fn swallow(site: &mut Site) -> Course {
    drop_all(&site.controllers[0]);
    Course::now()
}

fn swallow_two(site: &mut Site) -> Course {
    drop_all(&site.controllers[0]);
    drop_all(&site.controllers[1]);
    Course::now()
}

fn drop_all(controller: &Controller) {
    controller.firewall("input", "drop");
    controller.firewall("output", "drop");
}

fn silent(run: &Run) -> Vec<Bar> {
    let mut bars = silent_majority(run);
    bars.push(run.others_stay());
    bars
}

/// etcd has no quorum then, and ends what it likes; that is not asked.
fn silent_majority(run: &Run) -> Vec<Bar> {
    vec![run.none_fails(s(0)), run.as_quick_as_direct(ms(350)), run.all_closed_within(s(5)), run.nothing_left(0)]
}

pub const LINK_DOWN: Row = Row::new("link_down", "link of a controller down", Setup::FIRST, 20, unplug, silent);

fn unplug(site: &mut Site) -> Course {
    site.plug(&Controller::name(0), "down");
    Course::now()
}

/// What the controller says is lost; what is said to it arrives.
pub const ONE_WAY: Row = Row::new("one_way", "answers of a controller are lost", Setup::FIRST, 20, mute, silent);

fn mute(site: &mut Site) -> Course {
    site.controllers[0].firewall("output", "drop");
    Course::now()
}

/// Dark for three seconds, light for three, and again.
pub const FLAPPING: Row = Row::new("flapping", "flapping every 3 s", Setup::FIRST, 33, flap, paced);

const HALF: Duration = s(3);
const TURNS: usize = 5;

fn flap(site: &mut Site) -> Course {
    let mut falls = Vec::new();
    for _ in 0..TURNS {
        drop_all(&site.controllers[0]);
        falls.push(Moment::now());
        pause(HALF);
        ["input", "output"].iter().for_each(|hook| site.controllers[0].open_firewall(hook));
        pause(HALF);
    }
    let began = falls.remove(0);
    Course { again: falls, ..Course::from(began) }
}

/// What is on its way to a server that vanishes is a session of it by then, and is closed as these are.
const FLIGHT: Duration = ms(100);

/// Sessions are closed at 300 a second, a tenth of a second's worth at once: in no tenth of a second may end more than
/// sixty, and a few that are etcd's.
const TENTH: Duration = ms(100);
const MOST: usize = 65;

fn paced(run: &Run) -> Vec<Bar> {
    let ends = run.records.sessions.iter().filter_map(|session| Some(session.ended?.0));
    let mut ends: Vec<Moment> = ends.filter(|end| *end >= run.course.fault).collect();
    ends.sort_unstable();
    let within = |from: &Moment| ends.iter().filter(|end| *end >= from && end.since(*from) < TENTH).count();
    let most = ends.iter().map(within).max().unwrap_or(0);
    let seen = format!("{most} of {}", ends.len());
    vec![
        run.none_fails_but_in_flight(FLIGHT),
        Bar::new(format!("closings: at most {MOST} in a tenth of a second"), seen, most <= MOST),
        run.others_stay(),
    ]
}
