use std::time::Duration;

use super::*;
use crate::event::{DownCause, fixture};
use crate::model::ServerName;

const DOWN: ServerState = ServerState::Down(DownCause::Refused);

/// The ends of so many steps of ten seconds; the last one is now.
fn ends(steps: u32) -> Vec<SystemTime> {
    (0..steps).rev().map(|ago| fixture::now() - Duration::from_secs(10) * ago).collect()
}

fn change(from: ServerState, to: ServerState, seconds_ago: u64) -> StateChange {
    StateChange {
        at: fixture::now() - Duration::from_secs(seconds_ago),
        server: ServerName::new("vie").unwrap(),
        from,
        to,
        text: "vie is <b>down</b>".into(),
    }
}

fn chart(unit: Unit, lines: Vec<(&'static str, Vec<Option<f32>>)>, changes: &[StateChange]) -> Chart {
    let times = ends(u32::try_from(lines[0].1.len()).unwrap());
    let state = changes.last().map(|change| change.to);
    Chart::of(&Wanted { title: "Sessions", unit, span: Span::Hour, times: &times, lines, changes, state })
}

// Seen to fail with a gap that is drawn over, and with one that is drawn as 0.
#[test]
fn a_gap_ends_a_line_and_one_value_alone_is_a_dash() {
    let of = |values: &[Option<f32>]| path(values, 100.0);
    assert_eq!(of(&[Some(0.0), Some(50.0), Some(100.0)]), "M0.5 100L1.5 50L2.5 0");
    assert_eq!(of(&[Some(20.0), Some(30.0), None, Some(1.0), Some(2.0)]), "M0.5 80L1.5 70M3.5 99L4.5 98");
    assert_eq!(of(&[None, Some(12.34), None]), "M1 87.7h1");
    assert_eq!(of(&[None, None]), "");
    assert_eq!(of(&[Some(5.0); 5]), "M0.5 95L4.5 95", "a level line has two ends and no more");
    assert_eq!(of(&[Some(400.0)]), "M0 0h1", "never above the top");
}

#[test]
fn values_stand_on_round_lines_that_hold_the_largest() {
    let ticks = |most, unit| {
        let scale = axis::Scale::to(most, unit);
        assert!(scale.top as f32 >= most, "{most}");
        let ticks = scale.ticks(unit, 0.0, 100.0);
        ticks.into_iter().map(|tick| tick.text).collect::<Vec<_>>()
    };
    assert_eq!(ticks(0.0, Unit::Count), ["0", "1"]);
    assert_eq!(ticks(2.0, Unit::Count), ["0", "1", "2"]);
    assert_eq!(ticks(300.0, Unit::Count), ["0", "100", "200", "300"]);
    assert_eq!(ticks(310.0, Unit::Count), ["0", "200", "400"]);
    assert_eq!(ticks(48_211.0, Unit::Count), ["0", "20,000", "40,000", "60,000"]);
    assert_eq!(ticks(0.35, Unit::PerSecond), ["0/s", "0.2/s", "0.4/s"]);
    assert_eq!(ticks(1_250_000.0, Unit::BytesPerSecond), ["0 B/s", "500 kB/s", "1 MB/s", "1.5 MB/s"]);
    assert_eq!(ticks(0.004, Unit::Seconds), ["0 ms", "2 ms", "4 ms"]);
    for most in [1e-9, 0.99, 7.0, 999.0, 1e6, 4e9, 1e30, f32::MAX] {
        for unit in [Unit::Count, Unit::PerSecond, Unit::BytesPerSecond, Unit::Seconds] {
            assert!((2..=4).contains(&ticks(most, unit).len()), "{most}: {:?}", ticks(most, unit));
        }
    }
}

#[test]
fn the_foot_is_the_lowest_line() {
    let ticks = axis::Scale::to(2.0, Unit::Count).ticks(Unit::Count, 14.0, 110.0);
    assert_eq!(ticks.iter().map(|tick| tick.y).collect::<Vec<_>>(), [124.0, 69.0, 14.0]);
}

#[test]
fn times_are_round_ones() {
    let hour: Vec<_> = axis::times(&ends(360), Span::Hour).into_iter().map(|tick| tick.text).collect();
    assert_eq!(hour, ["02:30", "02:40", "02:50", "03:00", "03:10"], "03:20 was fifteen seconds ago: it has no room");
    let first = axis::times(&ends(360), Span::Hour).remove(0);
    assert_eq!((first.at.as_str(), first.x.as_str()), ("2026-11-22T02:30:00.000Z", "16.4%"));
    let steps = (0..288).rev().map(|ago| fixture::now() - Duration::from_secs(300) * ago);
    let day: Vec<_> = axis::times(&steps.collect::<Vec<_>>(), Span::Day).into_iter().map(|tick| tick.text).collect();
    assert_eq!(day, ["08:00", "12:00", "16:00", "20:00", "00:00"]);
}

#[test]
fn a_time_has_its_place_whatever_the_clock_did() {
    let ends = ends(6);
    let of = |ago: i64| {
        let now = fixture::now();
        let age = Duration::from_secs(ago.unsigned_abs());
        place(&ends, if ago < 0 { now + age } else { now - age })
    };
    assert_eq!([0, 5, 10, 41, 500, -3].map(of), [6.0, 5.5, 5.0, 1.9, 0.0, 6.0]);
    let mut set_back = ends.clone();
    set_back[4] -= Duration::from_secs(3_600);
    set_back[5] -= Duration::from_secs(3_600);
    assert_eq!(place(&set_back, set_back[3]), 4.0);
    assert!((0.0..=6.0).contains(&place(&set_back, set_back[5])));
}

// Seen to fail with the colour of the state before the change.
#[test]
fn what_was_not_well_is_coloured_from_change_to_change() {
    let changes = [change(ServerState::Maint, ServerState::Ready, 50), change(ServerState::Ready, DOWN, 20)];
    let chart = chart(Unit::Count, vec![("open", vec![Some(1.0); 6])], &changes);
    let band = |from, width, class, word: &str| Band { from, width, class, title: word.into() };
    assert_eq!(chart.bands, [band(0.0, 1.0, "notice", "maint"), band(4.0, 2.0, "bad", "down")]);
    let marks: Vec<_> = chart.marks.iter().map(|mark| (mark.at, mark.class)).collect();
    assert_eq!(marks, [(1.0, "good"), (4.0, "bad")]);
    assert_eq!(chart.marks[1].title, "2026-11-22 03:19:55 UTC: vie is <b>down</b>");
}

#[test]
fn a_chart_is_told_in_words_to_those_who_dont_see_it() {
    let one = chart(Unit::Count, vec![("open", vec![Some(12.0), None, Some(310.0), Some(288.0)])], &[]);
    assert_eq!(one.label, "Sessions, last hour: 12 to 310, now 288");
    let lines = vec![("in", vec![Some(0.0), Some(1_500.0)]), ("out", vec![Some(7.0), None])];
    let two = chart(Unit::BytesPerSecond, lines, &[]);
    assert_eq!(two.label, "Sessions, last hour: in 0 B/s to 1.5 kB/s, now 1.5 kB/s; out 7 B/s, now unknown");
    assert_eq!(chart(Unit::Count, vec![("open", vec![None])], &[]).label, "Sessions, last hour: nothing is known");
    let sparkline = sparkline("sessions, last hour", Unit::Count, &[None, Some(3.0), Some(3.0)]);
    assert!(sparkline.contains(r#"aria-label="sessions, last hour: 3, now 3""#), "{sparkline}");
}

#[test]
fn a_pointer_finds_a_minute_at_a_time() {
    let mut values = vec![Some(14.0); 15];
    values[2] = Some(12.0);
    values[6..12].fill(None);
    let chart = chart(Unit::Count, vec![("open", values)], &[]);
    let told: Vec<_> = chart.columns.iter().map(|column| (column.from, column.width, column.title.as_str())).collect();
    let expected = [
        (0.0, 6, "until 03:18 UTC\nopen: 12 to 14"),
        (6.0, 6, "until 03:19 UTC\nopen: unknown"),
        (12.0, 3, "until 03:20 UTC\nopen: 14"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_chart_is_markup_without_styles_and_scripts_and_words_in_it_stay_words() {
    let changes = [change(ServerState::Ready, DOWN, 20)];
    let html = chart(Unit::Count, vec![("in", vec![Some(1.0); 6]), ("out", vec![Some(2.0); 6])], &changes).to_string();
    assert!(html.contains("&#60;b&#62;") && !html.contains("<b>down"), "{html}");
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert_eq!(html.matches(r#"<path class="line "#).count(), 2);
    assert!(html.contains(r#"class="key two">out <i>2</i>"#), "{html}");
    for word in ["style=", "<script", "onclick", "http"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn a_sparkline_stays_small() {
    let values: Vec<_> = (0..360).map(|step| Some((step * 7_919 % 1_000) as f32)).collect();
    let html = sparkline("sessions, last hour", Unit::Count, &values);
    assert!(html.len() < 1_000, "{} bytes", html.len());
    assert!(html.contains(r#"viewBox="0 -4 60 108""#) && html.contains(r#"role="img""#), "{html}");
    assert!(sparkline("sessions", Unit::Count, &[]).contains("nothing is known"));
    assert!(sparkline("sessions", Unit::Count, &[Some(0.0); 9]).contains("M0.5 100L8.5 100"), "at the foot");
}
