//! Looks that a test makes, at times that it says.

use proptest::prelude::*;

use super::*;
use crate::event::fixture;
use crate::event::{ProbeTotals, ServerSnapshot, Snapshot};

const NAME: &str = "k0s-at-vie-1";

/// A cluster that is looked at.
struct Watched {
    series: Series,
    snapshot: Snapshot,
    begun: Instant,
    /// Since then, on the clock that nobody sets, and on the wall.
    age: Duration,
    wall: SystemTime,
}

impl Watched {
    /// Looked at once, with nothing counted yet.
    fn begin() -> Self {
        let (series, snapshot, wall) = (Series::default(), fixture::cluster(), fixture::now());
        let watched = Self { series, snapshot, begun: Instant::now(), age: Duration::ZERO, wall };
        watched.look();
        watched
    }

    fn look(&self) {
        let Snapshot { frontends, backends, .. } = &self.snapshot;
        self.series.note(self.begun + self.age, self.wall, frontends, backends);
    }

    /// Time passes, and it is looked once after.
    fn after(&mut self, seconds: u64) {
        self.age += Duration::from_secs(seconds);
        self.wall += Duration::from_secs(seconds);
        self.look();
    }

    /// Looks as the app does: once a second.
    fn every_second(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.after(1));
    }

    fn server(&mut self) -> &mut ServerSnapshot {
        self.snapshot.backends[0].servers.iter_mut().find(|server| server.name.as_str() == NAME).unwrap()
    }

    fn subject(&self) -> Subject {
        Subject::Server(self.snapshot.backends[0].name.clone(), ServerName::new(NAME).unwrap())
    }

    fn course(&self, span: Span) -> Course {
        self.series.course(&self.subject(), span).unwrap()
    }

    /// The last steps of a figure, the last one last.
    fn last<const N: usize>(&self, span: Span, figure: Figure) -> [Option<f32>; N] {
        let all = self.course(span).of(figure);
        assert_eq!(all.len(), span.length());
        all[all.len() - N..].try_into().unwrap()
    }
}

#[test]
fn figures_stand_in_the_order_of_their_numbers() {
    for (place, figure) in Figure::ALL.into_iter().enumerate() {
        assert_eq!(figure as usize, place, "{}", figure.name());
    }
}

// Seen to fail with the last number of sessions in place of the most, and with sums in place of rates.
#[test]
fn a_step_has_the_most_sessions_and_what_came_in_its_time() {
    let mut watched = Watched::begin();
    watched.every_second(4);
    let server = watched.server();
    server.counts.sessions = 90;
    server.counts.sessions_total += 20;
    server.counts.bytes_in += 5_000;
    server.counts.bytes_out += 70_000;
    server.counts.connect_errors += 2;
    server.counts.response_errors += 1;
    watched.after(1);
    watched.server().counts.sessions = 40;
    watched.every_second(5);
    let one = |figure| watched.last::<2>(Span::Hour, figure);
    assert_eq!(one(Figure::Sessions), [None, Some(90.0)]);
    assert_eq!(one(Figure::NewSessions), [None, Some(2.0)]);
    assert_eq!(one(Figure::BytesIn), [None, Some(500.0)]);
    assert_eq!(one(Figure::BytesOut), [None, Some(7_000.0)]);
    assert_eq!(one(Figure::Errors), [None, Some(3.0)]);
    watched.every_second(10);
    assert_eq!(watched.last(Span::Hour, Figure::Sessions), [Some(90.0), Some(40.0)]);
    assert_eq!(watched.last(Span::Hour, Figure::Errors), [Some(3.0), Some(0.0)]);
    assert_eq!(watched.last(Span::Day, Figure::Sessions), [None], "five minutes are not over");
}

// Seen to fail with failed probes that are divided by time.
#[test]
fn times_are_means_of_what_took_them_and_unknown_where_nothing_did() {
    let mut watched = Watched::begin();
    watched.every_second(3);
    let server = watched.server();
    server.counts.dialled += 4;
    server.counts.dial_time += Duration::from_millis(10);
    let probes = &mut server.check.as_mut().unwrap().probes;
    *probes = ProbeTotals { ended: probes.ended + 5, failed: 2, time: probes.time + Duration::from_millis(15) };
    watched.every_second(17);
    assert_eq!(watched.last(Span::Hour, Figure::DialTime), [Some(0.0025), None]);
    assert_eq!(watched.last(Span::Hour, Figure::ProbeTime), [Some(0.003), None]);
    assert_eq!(watched.last(Span::Hour, Figure::FailedProbes), [Some(2.0), Some(0.0)]);
    watched.server().check = None;
    watched.every_second(10);
    assert_eq!(watched.last(Span::Hour, Figure::FailedProbes), [Some(0.0), None], "nobody probes it");
}

#[test]
fn a_day_is_of_the_same_looks() {
    let mut watched = Watched::begin();
    for minute in 0..10 {
        watched.server().counts.sessions = 100 + minute;
        watched.server().counts.bytes_in += 600;
        watched.server().counts.connect_errors += 1;
        watched.every_second(60);
    }
    assert_eq!(watched.last(Span::Day, Figure::Sessions), [None, Some(104.0), Some(109.0)]);
    assert_eq!(watched.last(Span::Day, Figure::BytesIn), [None, Some(10.0), Some(10.0)]);
    assert_eq!(watched.last(Span::Day, Figure::Errors), [None, Some(5.0), Some(5.0)]);
}

// Seen to fail with a late look that counts like any other.
#[test]
fn a_sleep_is_a_gap_and_what_came_in_it_is_of_no_step() {
    let mut watched = Watched::begin();
    watched.every_second(20);
    watched.server().counts.bytes_in += 1_000_000;
    watched.after(37);
    watched.every_second(13);
    let around = |known| [known, known, None, None, None, known, known];
    assert_eq!(watched.last(Span::Hour, Figure::Sessions), around(Some(35.0)));
    assert_eq!(watched.last(Span::Hour, Figure::BytesIn), around(Some(0.0)));
    watched.after(2 * 24 * 3_600);
    watched.every_second(10);
    let course = watched.course(Span::Hour).of(Figure::Sessions);
    assert_eq!(course.iter().flatten().count(), 1, "nothing of two days ago is left");
}

#[test]
fn what_is_new_has_gaps_before_and_what_has_gone_is_forgotten() {
    let mut watched = Watched::begin();
    let vienna = watched.snapshot.backends[0].servers.remove(1);
    watched.every_second(20);
    assert_eq!(watched.series.course(&watched.subject(), Span::Hour), None);
    watched.snapshot.backends[0].servers.push(vienna);
    watched.every_second(20);
    assert_eq!(watched.last(Span::Hour, Figure::Sessions), [None, Some(35.0), Some(35.0)]);
    let vienna = watched.snapshot.backends[0].servers.pop().unwrap();
    watched.after(1);
    assert_eq!(watched.series.course(&watched.subject(), Span::Hour), None);
    watched.snapshot.backends[0].servers.insert(0, vienna);
    watched.every_second(10);
    let known = watched.course(Span::Hour).of(Figure::Sessions).into_iter().flatten().count();
    assert_eq!(known, 1, "it is another one of the same name");
}

#[test]
fn a_count_that_begins_anew_is_no_flood() {
    let mut watched = Watched::begin();
    watched.every_second(5);
    watched.server().counts.bytes_in = 300;
    watched.server().counts.sessions_total = 0;
    watched.every_second(5);
    assert_eq!(watched.last(Span::Hour, Figure::BytesIn), [Some(30.0)]);
    assert_eq!(watched.last(Span::Hour, Figure::NewSessions), [Some(0.0)]);
}

// Seen to fail with times that are counted back from the last look.
#[test]
fn a_wall_clock_that_is_set_changes_names_and_no_figure() {
    let mut watched = Watched::begin();
    watched.every_second(20);
    watched.wall += Duration::from_secs(7_200);
    watched.every_second(20);
    watched.wall -= Duration::from_secs(86_400);
    watched.every_second(10);
    let known = Some(35.0);
    assert_eq!(watched.last(Span::Hour, Figure::Sessions), [None, known, known, known, known, known]);
    let times = watched.course(Span::Hour).times;
    let since: Vec<i64> = times[times.len() - 5..]
        .iter()
        .map(|end| match end.duration_since(fixture::now()) {
            Ok(after) => after.as_secs() as i64,
            Err(before) => -(before.duration().as_secs() as i64),
        })
        .collect();
    assert_eq!(since, [10, 20, 7_230, 7_240, 7_250 - 86_400]);
}

#[test]
fn steps_before_the_beginning_have_the_times_that_they_would_have_had() {
    let mut watched = Watched::begin();
    watched.after(3);
    for span in Span::ALL {
        let Course { times, .. } = watched.course(span);
        assert_eq!((times.len(), times[times.len() - 1]), (span.length(), watched.wall));
        assert!(times.windows(2).all(|pair| pair[1].duration_since(pair[0]).unwrap() == span.step()));
    }
    watched.every_second(10);
    let times = watched.course(Span::Hour).times;
    assert_eq!(times[times.len() - 1], fixture::now() + Duration::from_secs(10));
    assert_eq!(times[0], fixture::now() + Duration::from_secs(10) - Span::Hour.step() * 359);
}

#[test]
fn only_so_many_are_kept_and_each_takes_what_is_said() {
    let mut watched = Watched::begin();
    watched.snapshot = fixture::large(2 * u32::try_from(Series::MOST).unwrap());
    watched.every_second(10);
    let book = watched.series.lock();
    let book = book.as_ref().unwrap();
    assert_eq!(book.tracks.len(), Series::MOST);
    assert!(book.tracks.contains_key(&Subject::Backend(watched.snapshot.backends[0].name.clone())), "before servers");
    let last = Subject::Server(watched.snapshot.backends[0].name.clone(), ServerName::new("controller-1000").unwrap());
    assert!(!book.tracks.contains_key(&last));
    assert_eq!(Series::BYTES_EACH, 20_736);
    for track in book.tracks.values() {
        assert_eq!(track.points(0).capacity(), Span::Hour.length());
        assert_eq!(track.points(1).capacity(), 0, "five minutes are not over");
    }
}

proptest! {
    /// However looks come and go, and whatever the wall says, a course is whole, and knows nothing that was not seen.
    #[test]
    fn a_course_is_always_whole(
        looks in proptest::collection::vec((0..40_u64, -90_000..90_000_i64, any::<bool>()), 1..80),
    ) {
        let mut watched = Watched::begin();
        let vienna = watched.snapshot.backends[0].servers[1].clone();
        for (seconds, set, is_there) in looks {
            watched.snapshot.backends[0].servers.truncate(1);
            watched.snapshot.backends[0].servers.extend(is_there.then(|| vienna.clone()));
            watched.wall = if set > 80_000 { watched.wall + Duration::from_secs(7_000) } else { watched.wall };
            watched.wall = if set < -80_000 { watched.wall - Duration::from_secs(7_000) } else { watched.wall };
            watched.after(seconds);
            let Some(course) = watched.series.course(&watched.subject(), Span::Hour) else {
                prop_assert!(!is_there);
                continue;
            };
            prop_assert!(is_there);
            prop_assert_eq!(course.times.len(), Span::Hour.length());
            for value in course.of(Figure::Sessions).into_iter().flatten() {
                prop_assert_eq!(value, 35.0);
            }
            for value in course.of(Figure::BytesIn).into_iter().flatten() {
                prop_assert_eq!(value, 0.0);
            }
        }
    }
}
