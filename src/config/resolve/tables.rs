//! Tables, and what rules and conditions say of them.

use std::collections::HashSet;

use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Span, Stated};
use super::super::table::StoredText;
use super::{Known, Section, filled, needed, text};
use crate::model::condition::Test;
use crate::model::{Condition, Count, Counted, Counter, Stored, Table, TableName, Track};

/// The tables in file order; what is wrong with one is noted, and it is left out.
pub fn resolve(raw: &[raw::Table], known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<Table> {
    raw.iter().filter_map(|raw| table(raw, known, mistakes)).collect()
}

fn table(raw: &raw::Table, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Table> {
    let section = Section { thing: "table", name: text(&raw.name), at: raw.at, stated: &raw.stated, known };
    let name = needed(&raw.name, "name", &section, mistakes);
    let store = needed(&raw.store, "store", &section, mistakes);
    Some(Table {
        name: name?,
        key: filled(&raw.key),
        size: filled(&raw.size).0,
        expire: filled(&raw.expire).on().map(|wait| wait.0),
        on_full: filled(&raw.on_full),
        store: in_order(&store?.0, mistakes),
    })
}

/// Each count once, as they are shown.
fn in_order(stated: &[Stated<StoredText>], mistakes: &mut Mistakes) -> Vec<Stored> {
    let mut seen = HashSet::new();
    for stored in stated {
        let count = stored.value.0.count();
        if !seen.insert(count) {
            mistakes.push(stored.span(), Mistake::StoredTwice { count: count.name() });
        }
    }
    let mut store: Vec<Stored> = stated.iter().map(|stored| stored.value.0).collect();
    store.sort_by_key(|stored| stored.count());
    store
}

/// What a rule tracks that says so.
pub fn track(raw: &raw::Rule, section: &Section<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Track> {
    let table = needed(&raw.table, "table", section, mistakes)?;
    note_unknown(&table, raw.table.as_ref().and_then(Stated::span), known, mistakes);
    let counter = raw.counter.as_ref().map_or(0, |counter| counter.value.0);
    let counter = u8::try_from(counter).ok().and_then(Counter::new).expect("the key's range is the counters'");
    Some(Track { counter, table })
}

/// Notes keys that only a rule which tracks has.
pub fn note_of_track_alone(raw: &raw::Rule, mistakes: &mut Mistakes) {
    let keys = [("table", raw.table.as_ref().map(Stated::span)), ("counter", raw.counter.as_ref().map(Stated::span))];
    for (key, at) in keys.into_iter().filter_map(|(key, at)| Some((key, at?))) {
        mistakes.push(at, Mistake::NotOfThisVerdict { key });
    }
}

/// Notes counts that a condition asks for and that no table keeps. What a counter tracks is said by rules: which table that
/// is may be one or the other.
pub fn note_uncounted(when: &Stated<Condition>, known: &Known<'_>, mistakes: &mut Mistakes) {
    for test in when.value.tests() {
        let Test::Count { of, count, .. } = test else { continue };
        match of {
            Counted::Source(table) | Counted::Tracked { table: Some(table), .. } => {
                note_unknown(table, when.span(), known, mistakes);
                note_not_stored(table, *count, when.span(), known, mistakes);
            }
            Counted::Tracked { table: None, .. } => {}
        }
    }
}

/// Notes counts that are asked of a counter, and that no table keeps which the frontend has it track.
pub fn note_unkept(frontend: &raw::Frontend, known: &Known<'_>, mistakes: &mut Mistakes) {
    let rules = || frontend.rule.iter().flat_map(|rules| &rules.value.0).map(|rule| &rule.value);
    let routes = frontend.route.iter().flat_map(|routes| &routes.value.0).map(|route| &route.value);
    let conditions =
        rules().filter_map(|rule| rule.when.as_ref()).chain(routes.filter_map(|route| route.when.as_ref()));
    let tracked = |wanted: Counter| {
        let is_it =
            move |rule: &&raw::Rule| rule.counter.as_ref().map_or(0, |it| it.value.0) == u32::from(wanted.number());
        rules().filter(is_it).filter_map(|rule| Some(&rule.table.as_ref()?.value))
    };
    for when in conditions {
        for test in when.value.tests() {
            let Test::Count { of: Counted::Tracked { counter, table: None }, count, .. } = test else { continue };
            let is_kept = |table: &TableName| known.tables.stores(table).is_none_or(|store| store.contains(count));
            if let Some(table) = tracked(*counter).next().filter(|_| !tracked(*counter).any(is_kept)) {
                note_not_stored(table, *count, when.span(), known, mistakes);
            }
        }
    }
}

/// Notes a condition of a stats section that asks for a count: no session asks there.
pub fn note_counts_of_pages(when: &Stated<Condition>, mistakes: &mut Mistakes) {
    if when.value.tests().any(|test| matches!(test, Test::Count { .. })) {
        mistakes.push(when.span(), Mistake::CountForPage);
    }
}

fn note_unknown(table: &TableName, at: Option<Span>, known: &Known<'_>, mistakes: &mut Mistakes) {
    if !known.tables.is_incomplete && known.tables.stores(table).is_none() {
        let names = known.tables.names().map(ToString::to_string).collect();
        mistakes.push(at, Mistake::UnknownTable { name: table.to_string(), known: names });
    }
}

fn note_not_stored(table: &TableName, count: Count, at: Option<Span>, known: &Known<'_>, mistakes: &mut Mistakes) {
    if known.tables.stores(table).is_some_and(|store| !store.contains(&count)) {
        mistakes.push(at, Mistake::NotStored { table: table.to_string(), count: count.name() });
    }
}

/// The tables that there are, and what each stores.
#[derive(Default)]
pub struct Stores<'a> {
    tables: Vec<(&'a TableName, Vec<Count>)>,
    /// Whether a mistake hides others.
    is_incomplete: bool,
}

impl<'a> Stores<'a> {
    pub fn of(raw: &'a [raw::Table], is_incomplete: bool) -> Self {
        let hides = |raw: &raw::Table| raw.refused.contains(&"name") || raw.refused.contains(&"store");
        let tables = raw.iter().filter_map(|raw| {
            let store = raw.store.iter().flat_map(|store| &store.value.0).map(|stored| stored.value.0.count());
            Some((&raw.name.as_ref()?.value, store.collect()))
        });
        Self { tables: tables.collect(), is_incomplete: is_incomplete || raw.iter().any(hides) }
    }

    fn names(&self) -> impl Iterator<Item = &TableName> {
        self.tables.iter().map(|(name, _)| *name)
    }

    fn stores(&self, table: &TableName) -> Option<&Vec<Count>> {
        self.tables.iter().find(|(name, _)| *name == table).map(|(_, store)| store)
    }
}
