//! Controllers that refuse: ending, rejecting, not ready, or none of them there.

use std::time::Duration;

use rustix::process::Signal;

use super::{Row, Setup, ms, s};
use crate::harness::wait::pause;
use crate::moment::Moment;
use crate::records::{End, Kind, Session, Way};
use crate::run::{Bar, Course, Run, milliseconds, seconds};
use crate::server::FINISHING;
use crate::site::{Controller, Site};

/// An apiserver's end: no listener any more, but what is open goes on.
pub const TERMINATED: Row = Row::new(
    "terminated",
    "port refuses while the process finishes its requests for 20 s",
    Setup::FIRST_API,
    36,
    terminate,
    finished,
);

fn terminate(site: &mut Site) -> Course {
    site.controllers[0].api.signal(Signal::TERM);
    site.controllers[0].api.wait_for("refusing");
    Course::now()
}

fn finished(run: &Run) -> Vec<Bar> {
    // The process itself ends them a moment before that.
    let until = FINISHING.saturating_sub(s(1));
    vec![
        run.none_fails(s(0)),
        run.none_closed("busy sessions there", until, is_busy),
        run.none_closed("idle sessions there", s(15), |session| session.kind == Kind::Idle),
        run.no_write_is_lost(),
        run.others_stay(),
        run.nothing_left(0),
    ]
}

fn is_busy(session: &Session) -> bool {
    session.kind == Kind::Busy
}

/// How long the firewall rejects.
const REJECTING: Duration = s(300);

/// A firewall between: new connections are reset, sessions live.
pub const REJECTED: Row = Row::new(
    "rejected",
    "a firewall rejects new connections for 5 minutes, sessions live",
    Setup::FIRST_API,
    REJECTING.as_secs(),
    reject,
    alive,
);

fn reject(site: &mut Site) -> Course {
    let rule = "tcp dport 6443 tcp flags & ( syn | ack ) == syn reject with tcp reset";
    site.controllers[0].firewall("input", rule);
    Course::now()
}

fn alive(run: &Run) -> Vec<Bar> {
    vec![run.none_fails(s(0)), run.none_closed("busy sessions there", REJECTING, is_busy), run.others_stay()]
}

/// The kernel is well, the process answers, and says that it is not ready.
pub const NOT_READY: Row = Row::new(
    "not_ready",
    "readyz 500 for 30 s, then exit",
    Setup { readyz: true, ..Setup::FIRST_API },
    45,
    turn_red,
    drained,
);

const RED: Duration = s(30);

/// Three probes that see red: the first begins within 2.2 s, the others half a second apart, give or take a tenth.
const SEEN: Duration = s(4);

fn turn_red(site: &mut Site) -> Course {
    site.controllers[0].tell("readyz 500");
    let red = Moment::now();
    pause(RED);
    site.controllers[0].tell("leave");
    Course::from(red)
}

fn drained(run: &Run) -> Vec<Bar> {
    let late = run.dials(Way::Balanced, SEEN).filter(|dial| run.at(dial.began) < RED && dial.server == Some(0));
    let late = late.count();
    vec![
        run.none_fails(s(0)),
        Bar::new(format!("new connections from {} on: none goes there", seconds(SEEN)), late.to_string(), late == 0),
        run.none_closed("sessions there", RED, |_| true),
        run.others_stay(),
    ]
}

/// Nobody is there, then one is.
pub const ALL_REFUSE: Row = Row::new("all_refuse", "all refuse, one returns", Setup::ALL, 14, refuse, returned);

/// Until everybody knows that nobody is there, and how long it then stays so.
const KNOWN: Duration = s(6);
const NOBODY: Duration = s(4);

fn refuse(site: &mut Site) -> Course {
    site.controllers.iter_mut().for_each(Controller::kill);
    pause(KNOWN);
    let nobody = Moment::now();
    pause(NOBODY);
    let course = Course::from(nobody).cured();
    site.controllers[0].restart_api();
    course
}

/// One interval of probes while a server is down, and what a machine may be late.
const INTERVAL: Duration = Duration::from_millis(2300);

/// The share that is held to the 10 ms. Each of them is three dials, and about one dial in fifty has a port that a session
/// of the killed process had last: its TIME-WAIT there answers with an ACK instead of a RST, and our kernel needs the least
/// timeout it has, two ticks of its clock, to ask again (tcp_rcv_synsent_state_process; seen as a reset that our side sends
/// from SYN-SENT, TCP_INVALID_ACK_SEQUENCE).
const PROMPT: f64 = 0.90;

fn returned(run: &Run) -> Vec<Bar> {
    let dials: Vec<_> = run.dials(Way::Balanced, s(0)).collect();
    let reset = dials.iter().filter(|dial| dial.failed.as_deref().is_some_and(|why| why.ends_with(": RST"))).count();
    let [balanced, direct] = [Way::Balanced, Way::Direct].map(|way| run.latency(way, s(0), PROMPT));
    let seen = format!("{} against {}", milliseconds(balanced), milliseconds(direct));
    let cured = run.course.cured.expect("one returns");
    let served = run.records.dials.iter().filter(|dial| dial.way == Way::Balanced && dial.failed.is_none());
    let back = served.filter(|dial| dial.began >= cured).map(|dial| dial.ended.since(cured)).min();
    let goodbyes = run.victims().filter(|session| session.ended.is_some_and(|(_, end)| end == End::TimedOut)).count();
    vec![
        Bar::new(
            "new connections while nobody is there: RST",
            format!("{reset} of {}", dials.len()),
            reset == dials.len(),
        ),
        // A controller's own refusal tells how long this machine takes for one.
        Bar::new("90 % of them within 10 ms of direct ones", seen, balanced <= direct + ms(10)),
        Bar::new(
            format!("served within {} of the return", seconds(INTERVAL)),
            back.map_or("never".to_owned(), seconds),
            back.is_some_and(|back| back <= INTERVAL),
        ),
        Bar::new("sessions: none hangs", goodbyes.to_string(), goodbyes == 0),
    ]
}
