//! What may stand behind a key as a list, or as one value that stands for a list of one.

use std::borrow::Cow;
use std::collections::hash_map::{Entry, HashMap};

use toml::de::DeValue;

use super::leaf::Whole;
use super::mistake::Mistake;
use super::raw::{Backend, Frontend, Runtime, Table};
use super::read::{Found, Origin, Reader, Stated, Value, in_file_order};
use super::show::{Writer, quoted};
use super::text::Machine;
use super::value;
use crate::model::ServerName;

/// A list of at least `MIN` values.
#[derive(Debug, Clone)]
pub struct List<T, const MIN: usize>(pub Vec<Stated<T>>);

impl<T: Value, const MIN: usize> Value for List<T, MIN> {
    fn wanted() -> Cow<'static, str> {
        format!("a list, each {}", T::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = found.value else {
            return reader.wrong_type::<Self>(found, in_a_list(found));
        };
        if items.len() < MIN {
            return reader.refuse(found, Mistake::EmptyList { key: found.key.to_owned() });
        }
        Some(Self(items.iter().filter_map(|item| reader.field(found.key, item)).collect()))
    }

    fn literal(&self) -> Option<String> {
        let items: Option<Vec<String>> = self.0.iter().map(|item| item.value.literal()).collect();
        Some(format!("[{}]", items?.join(", ")))
    }

    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        match self.literal() {
            Some(literal) => out.value(key, &literal, origin),
            None => {
                for item in &self.0 {
                    out.table_of_list(key);
                    item.value.write("", item.origin, out);
                }
            }
        }
    }
}

/// For one value where a list is wanted.
fn in_a_list(found: &Found<'_>) -> Option<String> {
    let DeValue::Table(table) = found.value else { return Some("write it in brackets: [ … ]".to_owned()) };
    let (key, own) = match found.key {
        "frontend" => ("frontend", Frontend::KEYS),
        "backend" => ("backend", Backend::KEYS),
        "runtime" => ("runtime", Runtime::KEYS),
        "table" => ("table", Table::KEYS),
        _ => return None,
    };
    // `[frontend.kubeAPI]`
    let named = in_file_order(table).into_iter().find_map(|(name, _, value)| {
        (matches!(value.get_ref(), DeValue::Table(_)) && !own.contains(&name)).then_some(name)
    });
    Some(match named {
        Some(name) => format!("write `[[{key}]]`, and `name = \"{name}\"` below it"),
        None => format!("write `[[{key}]]`, with two brackets on each side"),
    })
}

/// One value, or a list of at least one.
#[derive(Debug, Clone)]
pub struct OneOrMore<T>(pub Vec<Stated<T>>);

impl<T: Value> Value for OneOrMore<T> {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or a list of such", T::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if matches!(found.value, DeValue::Array(_)) {
            return List::<T, 1>::read(found, reader).map(|list| Self(list.0));
        }
        let value = T::read(found, reader)?;
        Some(Self(vec![reader.stated(value, found.span)]))
    }

    fn literal(&self) -> Option<String> {
        match self.0.as_slice() {
            [one] => one.value.literal(),
            more => List::<T, 1>(more.to_vec()).literal(),
        }
    }

    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        match self.literal() {
            Some(literal) => out.value(key, &literal, origin),
            None => List::<T, 1>(self.0.clone()).write(key, origin, out),
        }
    }
}

/// Statuses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    pub first: u16,
    pub last: u16,
}

impl Value for Statuses {
    fn wanted() -> Cow<'static, str> {
        "a status such as 200, or a range such as \"200-299\"".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::Integer(_) => {
                let status = Whole::<100, 599>::read(found, reader)?.0 as u16;
                Some(Self { first: status, last: status })
            }
            DeValue::String(text) => {
                let range = value::statuses(text).or_else(|| value::status(text).map(|status| (status, status)));
                let reason = "it is neither a status from 100 to 599 nor a range such as \"200-299\"";
                match range {
                    Some((first, last)) => Some(Self { first, last }),
                    None => reader
                        .refuse(found, Mistake::BadText { key: found.key.to_owned(), text: text.to_string(), reason }),
                }
            }
            _ => reader.wrong_type::<Self>(found, None),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(match self.first == self.last {
            true => self.first.to_string(),
            false => quoted(&format!("{}-{}", self.first, self.last)),
        })
    }
}

/// The machines of a preset: a list of addresses, or a table of names with theirs.
#[derive(Debug, Clone)]
pub struct Controllers(pub Vec<Controller>);

/// One machine of a preset.
#[derive(Debug, Clone)]
pub struct Controller {
    pub name: Stated<ServerName>,
    pub machine: Stated<Machine>,
}

impl Value for Controllers {
    fn wanted() -> Cow<'static, str> {
        "a list of addresses, or a table of names with addresses".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let controllers = match found.value {
            DeValue::Array(_) => Self::from_list(List::<Machine, 1>::read(found, reader)?, found, reader),
            DeValue::Table(table) if table.is_empty() => {
                return reader.refuse(found, Mistake::EmptyList { key: found.key.to_owned() });
            }
            DeValue::Table(_) => Self::from_table(found, reader),
            _ => return reader.wrong_type::<Self>(found, Some("write it in brackets: [ … ]".to_owned())),
        };
        Some(controllers.each_once(reader))
    }

    fn literal(&self) -> Option<String> {
        None
    }
}

impl Controllers {
    /// Each is called as its address is written.
    fn from_list(machines: List<Machine, 1>, found: &Found<'_>, reader: &mut Reader<'_>) -> Self {
        let named = |machine: Stated<Machine>| {
            let span = machine.span().unwrap_or(found.span);
            let name = name(&machine.value.written, span, reader)?;
            Some(Controller { name, machine })
        };
        Self(machines.0.into_iter().filter_map(named).collect())
    }

    /// Notes each machine that is there for the second time, and leaves it out: it would be so in every backend.
    fn each_once(mut self, reader: &mut Reader<'_>) -> Self {
        let mut seen = HashMap::new();
        self.0.retain(|Controller { machine, .. }| match seen.entry(machine.value.host.clone()) {
            Entry::Occupied(first) => {
                let mistake = Mistake::DuplicateController { address: machine.value.written.clone() };
                reader.mistakes.push_pair(machine.span(), *first.get(), "first here", mistake);
                false
            }
            Entry::Vacant(place) => {
                place.insert(machine.span());
                true
            }
        });
        self
    }

    fn from_table(found: &Found<'_>, reader: &mut Reader<'_>) -> Self {
        let DeValue::Table(table) = found.value else { return Self(Vec::new()) };
        let mut controllers = Vec::new();
        for (key, span, value) in in_file_order(table) {
            let (name, machine) = (name(key, span, reader), reader.field::<Machine>(key, value));
            if let (Some(name), Some(machine)) = (name, machine) {
                controllers.push(Controller { name, machine });
            }
        }
        Self(controllers)
    }
}

fn name(text: &str, span: super::read::Span, reader: &mut Reader<'_>) -> Option<Stated<ServerName>> {
    match ServerName::new(text) {
        Ok(name) => Some(reader.stated(name, span)),
        Err(error) => {
            reader.mistakes.push(Some(span), Mistake::BadName { text: text.to_owned(), error });
            None
        }
    }
}
