use std::time::Duration;

use super::*;
use crate::event::SessionId;
use crate::model::{Counter, Stored};

const PERIOD: Duration = Duration::from_secs(3);

fn spec(size: u32, expire: Option<u64>, on_full: OnTableFull) -> model::Table {
    model::Table {
        name: TableName::new("t").unwrap(),
        key: TableKey::Ip,
        size,
        expire: expire.map(Duration::from_secs),
        on_full,
        store: vec![
            Stored::ConnCnt,
            Stored::ConnRate(PERIOD),
            Stored::ConnCur,
            Stored::SessCnt,
            Stored::SessRate(PERIOD),
        ],
    }
}

fn table(size: u32, expire: Option<u64>, on_full: OnTableFull) -> Arc<Table> {
    Table::new(spec(size, expire, on_full))
}

fn source(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// Its connections so far, those that are open, and those of the last period; as who asks sees it now.
fn counts(table: &Arc<Table>, last: u8) -> [u32; 3] {
    [Count::ConnCnt, Count::ConnCur, Count::ConnRate]
        .map(|count| table.count(source(last), count, Instant::now()).expect("it is stored"))
}

fn used(table: &Arc<Table>) -> u32 {
    table.snapshot(Instant::now()).used
}

fn track(table: &Arc<Table>, last: u8) -> Option<Tracking> {
    table.track(source(last), Instant::now())
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

// Seen to fail with a lookup that makes an entry, and with a guard that leaves its connection open.
#[tokio::test(start_paused = true)]
async fn a_connection_counts_from_its_tracking_to_its_end_and_asking_counts_nothing() {
    let table = table(10, None, OnTableFull::Forget);
    assert_eq!((counts(&table, 1), used(&table)), ([0, 0, 0], 0));
    let first = track(&table, 1);
    let second = track(&table, 1);
    assert_eq!((counts(&table, 1), counts(&table, 2)), ([2, 2, 2], [0, 0, 0]));
    drop(first);
    assert_eq!(counts(&table, 1), [2, 1, 2]);
    drop(second);
    assert_eq!((counts(&table, 1), used(&table)), ([2, 0, 2], 1));
    pass(6).await;
    assert_eq!(counts(&table, 1), [2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_session_counts_once_it_is_one() {
    let table = table(10, None, OnTableFull::Forget);
    let tracking = track(&table, 1).unwrap();
    let sessions = || [Count::SessCnt, Count::SessRate].map(|count| table.count(source(1), count, Instant::now()));
    assert_eq!(sessions(), [Some(0), Some(0)]);
    tracking.begin_session(Instant::now());
    assert_eq!(sessions(), [Some(1), Some(1)]);
}

// Seen to fail with a time that begins at the first connection, and with one that asking begins anew.
#[tokio::test(start_paused = true)]
async fn a_source_is_known_for_its_time_after_its_last_connection_began_or_ended() {
    let table = table(10, Some(10), OnTableFull::Forget);
    let tracking = track(&table, 1);
    pass(60).await;
    assert_eq!(counts(&table, 1)[..2], [1, 1], "one that is open is never too old");
    drop(tracking);
    pass(9).await;
    assert_eq!(counts(&table, 1)[0], 1);
    drop(track(&table, 1));
    pass(9).await;
    assert_eq!(counts(&table, 1)[0], 2);
    pass(1).await;
    assert_eq!((counts(&table, 1)[0], used(&table)), (0, 0));
    drop(track(&table, 1));
    assert_eq!(counts(&table, 1)[0], 1, "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn those_who_have_left_are_forgotten_some_at_a_time() {
    let table = table(1_000, Some(10), OnTableFull::Forget);
    (0..200).for_each(|last| drop(track(&table, last)));
    pass(10).await;
    drop(track(&table, 250));
    assert_eq!(table.known().used(), 201 - 64, "what one who comes in sweeps away");
    assert_eq!((counts(&table, 199)[0], used(&table)), (0, 1), "nobody sees the others");
}

// Seen to fail with a table that keeps to its size whoever is there.
#[tokio::test(start_paused = true)]
async fn a_full_table_forgets_who_has_been_away_for_the_longest_and_nobody_who_is_there() {
    let table = table(2, None, OnTableFull::Forget);
    let there = track(&table, 1);
    drop(track(&table, 2));
    drop(track(&table, 3));
    assert_eq!([1, 2, 3].map(|last| counts(&table, last)[0]), [1, 0, 1]);
    let others: Vec<_> = (4..10).map(|last| track(&table, last)).collect();
    assert!(others.iter().all(Option::is_some));
    assert_eq!((used(&table), counts(&table, 3)[0]), (7, 0));
    drop((there, others));
    drop(track(&table, 20));
    assert_eq!((used(&table), counts(&table, 9)[0]), (2, 1));
}

// Seen to fail with a table that makes room all the same.
#[tokio::test(start_paused = true)]
async fn a_full_table_that_keeps_counts_nobody_who_is_new() {
    let table = table(2, Some(10), OnTableFull::Keep);
    drop((track(&table, 1), track(&table, 2)));
    assert!(track(&table, 3).is_none() && track(&table, 1).is_some());
    pass(10).await;
    assert!(track(&table, 3).is_some(), "there is room again");
}

#[test]
fn a_table_of_ipv4_knows_who_has_such_an_address_and_one_of_ipv6_knows_everybody() {
    let key = |kind, address: &str| Some(Key::of(address.parse().unwrap(), kind)?.address(kind).to_string());
    for (address, ip, ipv6) in [
        ("10.0.0.1", Some("10.0.0.1"), "::ffff:10.0.0.1"),
        ("::ffff:10.0.0.1", Some("10.0.0.1"), "::ffff:10.0.0.1"),
        ("2002:a00:1::5", Some("10.0.0.1"), "2002:a00:1::5"),
        ("::1", Some("0.0.0.1"), "::1"),
        ("fd00::1", None, "fd00::1"),
        ("64:ff9b::10.0.0.1", None, "64:ff9b::a00:1"),
    ] {
        assert_eq!(key(TableKey::Ip, address).as_deref(), ip, "{address}");
        assert_eq!(key(TableKey::Ipv6, address).as_deref(), Some(ipv6), "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_or_has_no_key_is_no_count() {
    let spec = model::Table { store: vec![Stored::ConnCur], ..spec(10, None, OnTableFull::Forget) };
    let table = Table::new(spec);
    let _tracking = track(&table, 1);
    assert_eq!(table.count(source(1), Count::ConnCur, Instant::now()), Some(1));
    assert_eq!(table.count(source(1), Count::ConnCnt, Instant::now()), None);
    let ipv6 = "fd00::1".parse().unwrap();
    assert!(table.track(ipv6, Instant::now()).is_none());
    assert_eq!(table.count(ipv6, Count::ConnCur, Instant::now()), None);
}

// Seen to fail with a session whose tracks stay when it ends.
#[tokio::test(start_paused = true)]
async fn what_a_counter_tracks_stays_until_the_session_ends_and_may_be_looked_up_elsewhere() {
    let named =
        |name, key| model::Table { name: TableName::new(name).unwrap(), key, ..spec(9, None, OnTableFull::Keep) };
    let others = [named("other", TableKey::Ip), named("ipv6", TableKey::Ipv6)];
    let tables = Tables::new(&[&[spec(9, None, OnTableFull::Keep)], &others[..]].concat());
    let [first, other, with_another_key] = tables.own.as_slice() else { panic!() };
    let (tracked, counter, now) = (Tracked::default(), Counter::new(1).unwrap(), Instant::now());
    let [session, beside] = [1, 2].map(|slot| SessionId { worker: 0, slot, generation: 1 });
    let count = |table: Option<&Arc<Table>>| {
        let name = table.map(|table| &table.spec.name);
        tracked.of(session, |tracks| tracks.count(counter, name, &tables, Count::ConnCur, now)).flatten()
    };
    assert_eq!((count(None), count(Some(other))), (None, None), "it tracks nothing");
    tracked.begin(session, counter, || track(first, 1));
    tracked.begin(session, counter, || track(other, 1));
    tracked.begin(beside, counter, || track(other, 1));
    let _known_there = track(with_another_key, 1);
    assert_eq!((count(None), count(Some(other)), count(Some(with_another_key))), (Some(1), Some(1), Some(0)));
    tracked.end(session);
    assert_eq!((count(None), counts(first, 1)[1], counts(other, 1)[1]), (None, 0, 1));
}

// Seen to fail with a table that begins anew.
#[tokio::test(start_paused = true)]
async fn a_table_goes_on_counting_under_another_configuration() {
    let tables = Tables::new(&[spec(10, None, OnTableFull::Forget)]);
    let tracking = track(&tables.own[0], 1);
    let again = tables.renewed(&[spec(20, Some(10), OnTableFull::Keep)]);
    let _second = track(&again.own[0], 1);
    assert_eq!((counts(&again.own[0], 1), again.own[0].spec.size), ([2, 2, 2], 20));
    drop(tracking);
    assert_eq!(counts(&again.own[0], 1), [2, 1, 2]);
    // One that is made from the first of all configurations goes on as well.
    let other_period =
        model::Table { store: vec![Stored::ConnCnt, Stored::ConnRate(2 * PERIOD)], ..again.own[0].spec.clone() };
    let third = tables.renewed(&[other_period]);
    let known = [Count::ConnCnt, Count::ConnRate].map(|count| third.own[0].count(source(1), count, Instant::now()));
    assert_eq!(known, [Some(2), Some(0)]);
    assert!(Arc::ptr_eq(&tables.current()[0], &third.own[0]));
    let other_key = model::Table { key: TableKey::Ipv6, ..spec(10, None, OnTableFull::Forget) };
    assert_eq!(used(&tables.renewed(&[other_key]).own[0]), 0);
}

// Seen to fail with sources that are forgotten while they are tracked.
#[tokio::test(start_paused = true)]
async fn sources_are_told_in_order_and_forgotten_if_nobody_tracks_them() {
    let table = table(1_000, Some(10), OnTableFull::Forget);
    let there = track(&table, 7);
    (0..=255).rev().for_each(|last| drop(track(&table, last)));
    (0..=255).for_each(|last| drop(table.track(IpAddr::from([10, 0, 1, last]), Instant::now())));
    pass(4).await;
    let all = table.sources(Instant::now(), &|_| true);
    assert!(all.len() == 512 && all.is_sorted_by_key(|source| source.source));
    let seventh = &all[7];
    assert_eq!((seventh.source, seventh.trackers, seventh.expires), (source(7), 1, Duration::from_secs(6)));
    assert_eq!((seventh.count(Count::ConnCnt), seventh.count(Count::ConnCur)), (Some(2), Some(1)));
    let several = table.sources(Instant::now(), &|source| source.count(Count::ConnCnt) > Some(1));
    assert_eq!(several.as_slice(), std::slice::from_ref(seventh));
    assert_eq!(table.forget(&[source(7), source(8), source(8)]), 1);
    drop(there);
    assert_eq!((table.forget(&[source(7)]), used(&table)), (1, 510));
    pass(7).await;
    assert_eq!(table.sources(Instant::now(), &|_| true), []);
}

/// So many bytes a source are what docs/configuration.md says.
#[test]
fn a_source_costs_little() {
    assert!(size_of::<(Key, known::Source)>() + size_of::<(u64, Key)>() <= 144);
}
