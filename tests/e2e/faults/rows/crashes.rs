//! Controllers that crash: processes killed, machines gone and back.

use super::{Row, Setup, ms, s};
use crate::harness::wait::pause;
use crate::moment::Moment;
use crate::run::{Bar, Course, Run};
use crate::site::{Controller, Site};

/// The kernel of the controller ends all sessions; nobody else has to.
pub const KILLED: Row = Row::new("killed", "SIGKILL of a controller", Setup::FIRST, 16, kill, killed);

fn kill(site: &mut Site) -> Course {
    site.controllers[0].kill();
    Course::now()
}

fn killed(run: &Run) -> Vec<Bar> {
    vec![
        run.none_fails(s(0)),
        run.as_quick_as_direct(ms(50)),
        run.all_closed_within(s(1)),
        run.none_hangs(s(5)),
        run.others_stay(),
        run.nothing_left(0),
    ]
}

/// Between the crash and the machine's return.
const AWAY: std::time::Duration = ms(1200);

/// The one fault that probes may never see: the machine is back before the next one, and knows of no session.
pub const BACK: Row =
    Row::new("back", "crashed host that is back within 2 s", Setup::FIRST, 18, crash_and_return, forgotten);

fn crash_and_return(site: &mut Site) -> Course {
    site.plug(&Controller::name(0), "down");
    let crashed = Moment::now();
    site.controllers[0].kill();
    pause(AWAY.saturating_sub(Moment::now().since(crashed)));
    site.rebuild(0);
    site.controllers[0].serves();
    let away = Moment::now().since(crashed);
    Course::from(crashed).proof(Bar::new("back within 2 s", format!("{} ms", away.as_millis()), away < s(2)))
}

fn forgotten(run: &Run) -> Vec<Bar> {
    vec![run.none_fails(s(0)), run.all_closed_within(s(3)), run.others_stay()]
}
