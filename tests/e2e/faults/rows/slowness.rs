//! Nobody is down: everybody is slow, or the network is bad.

use super::{Row, Setup, s};
use crate::harness::wait::pause;
use crate::moment::Moment;
use crate::records::Way;
use crate::run::{Bar, Course, Run, milliseconds};
use crate::site::Site;

/// Answers take longer than a probe may.
pub const ALL_SLOW: Row = Row::new(
    "all_slow",
    "all three slow (answers take 3 s)",
    Setup { victims: &[0, 1, 2], readyz: true, ..Setup::FIRST_API },
    25,
    slow,
    in_use,
);

fn slow(site: &mut Site) -> Course {
    site.controllers.iter_mut().for_each(|controller| controller.tell("delay 3000"));
    Course::now()
}

fn in_use(run: &Run) -> Vec<Bar> {
    let late = run
        .setup
        .victims
        .iter()
        .map(|number| run.dials(Way::Balanced, s(15)).filter(|dial| dial.server == Some(*number)).count());
    let late: Vec<_> = late.collect();
    let used = late.iter().all(|count| *count > 0);
    vec![
        run.none_fails(s(0)),
        run.none_closed("sessions", s(25), |_| true),
        Bar::new("after 15 s, all three get new connections", format!("{late:?}"), used),
        run.others_stay(),
    ]
}

/// On the load balancer's own cable, so that every byte to and from it is late or lost.
pub const LOSS_AND_DELAY: Row =
    Row::new("loss_and_delay", "2 % loss and 50 ms delay", Setup { wire: true, ..Setup::NOBODY }, 30, go_bad, patient);

/// Long enough to count what is lost.
const BAD: std::time::Duration = s(28);

fn go_bad(site: &mut Site) -> Course {
    let wire = site.wire.as_ref().expect("the row asked for it");
    wire.go_bad();
    let began = Moment::now();
    pause(BAD);
    let lost = wire.lost();
    let seen = format!("{:.2} %", lost * 100.0);
    Course::from(began).proof(Bar::new("frames lost: 1.5 % to 2.5 %", seen, (0.015..0.025).contains(&lost)))
}

fn patient(run: &Run) -> Vec<Bar> {
    // TCP's handshake, TLS's, and a request: three round trips of the client's alone.
    let median = run.latency(Way::Balanced, s(0), 0.5);
    vec![
        Bar::new("delay: half of the connections take 150 ms or more", milliseconds(median), median >= super::ms(150)),
        run.none_fails(s(0)),
        run.others_stay(),
    ]
}
