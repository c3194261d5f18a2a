//! Where a frontend listens, as a file says it: an address, or a table with what holds there.

mod place;

pub use self::place::DoorAddress;

use std::borrow::Cow;

use toml::de::DeValue;

use super::leaf::{Switch, Whole, words};
use super::list::OneOrMore;
use super::mistake::Mistake;
use super::people::{GroupName, OwnerName};
use super::raw::{Long, Sessions};
use super::read::{Found, Origin, Reader, Stated, Value, section};
use super::show::{Writer, quoted};
use super::text::{Mode, Text, bad_text};
use crate::model::{AcceptProxy, Listen, Network, OnSilence, RuleStage};

section! {
    /// One address to listen on.
    Door, "an entry of `listen`";
    "address" => address: DoorAddress,
    "name" => name: DoorName,
    "accept_proxy" => accept_proxy: Switch<AcceptFrom>,
    "max_sessions" => max_sessions: Switch<Sessions>,
    "backlog" => backlog: Whole<1, 65_535>,
    "interface" => interface: Interface,
    "user_timeout" => user_timeout: Switch<Long>,
    "transparent" => transparent: bool,
    "mode" => mode: Mode,
    "user" => user: OwnerName,
    "group" => group: GroupName,
}

/// An entry of the list: a table, or its address alone.
#[derive(Debug, Clone)]
pub struct DoorEntry(pub Door);

impl DoorEntry {
    /// One of which nothing but its address is said.
    pub fn at(address: Stated<DoorAddress>) -> Self {
        let at = address.span().unwrap_or_default();
        Self(Door { at, stated: vec!["address"], address: Some(address), ..Door::default() })
    }

    /// Its address; `None` if it has none that can be read.
    pub fn address(&self) -> Option<&Stated<DoorAddress>> {
        self.0.address.as_ref()
    }

    /// What it comes to in a frontend that accepts these headers where the entry says nothing of them.
    pub fn resolved(&self, accept_proxy: &AcceptProxy) -> Option<Listen> {
        let Self(door) = self;
        let wait = |wait: &Option<Stated<Switch<Long>>>| Some(wait.as_ref()?.value.on()?.0);
        Some(Listen {
            address: door.address.as_ref()?.value.0,
            name: door.name.as_ref().map(|name| name.value.0.clone()),
            accept_proxy: door.accept_proxy.as_ref().map_or(accept_proxy.clone(), |stated| accepted(&stated.value)),
            max_sessions: door.max_sessions.as_ref().and_then(|max| Some(max.value.on()?.0)),
            backlog: door.backlog.as_ref().map(|backlog| backlog.value.0),
            interface: door.interface.as_ref().map(|interface| interface.value.0.clone()),
            user_timeout: wait(&door.user_timeout),
            transparent: door.transparent.as_ref().is_some_and(|transparent| transparent.value),
            file: door.file(),
        })
    }
}

/// From whom headers of the PROXY protocol are wanted.
pub fn accepted(stated: &Switch<AcceptFrom>) -> AcceptProxy {
    match stated.on() {
        None => AcceptProxy::Nobody,
        Some(AcceptFrom::Everybody) => AcceptProxy::Everybody,
        Some(AcceptFrom::Networks(networks)) => {
            AcceptProxy::From(networks.0.iter().map(|network| network.value).collect())
        }
    }
}

impl Value for DoorEntry {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or a table", DoorAddress::WANTED).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::Table(table) => {
                let door = Door::read_table(table, found.span, reader);
                if door.address.is_none() && !door.stated.contains(&"address") {
                    let place = "this entry of `listen`".to_owned();
                    let hint = Some(r#"add `address = ":6443"`"#.to_owned());
                    reader.mistakes.push(Some(found.span), Mistake::MissingKey { key: "address", place, hint });
                }
                door.note_misplaced(reader.mistakes);
                Some(Self(door))
            }
            _ => DoorAddress::read(found, reader).map(|address| Self::at(reader.stated(address, found.span))),
        }
    }

    fn literal(&self) -> Option<String> {
        let Self(door) = self;
        let address = door.address.as_ref().and_then(|address| address.value.literal());
        let parts = [
            ("address", address.clone()),
            ("name", literal(&door.name)),
            ("accept_proxy", literal(&door.accept_proxy)),
            ("max_sessions", literal(&door.max_sessions)),
            ("backlog", literal(&door.backlog)),
            ("interface", literal(&door.interface)),
            ("user_timeout", literal(&door.user_timeout)),
            ("transparent", literal(&door.transparent)),
            ("mode", literal(&door.mode)),
            ("user", literal(&door.user)),
            ("group", literal(&door.group)),
        ];
        let stated: Vec<String> =
            parts.into_iter().filter_map(|(key, literal)| Some(format!("{key} = {}", literal?))).collect();
        match stated.as_slice() {
            [_] => address,
            _ => Some(format!("{{ {} }}", stated.join(", "))),
        }
    }
}

fn literal<T: Value>(stated: &Option<Stated<T>>) -> Option<String> {
    stated.as_ref()?.value.literal()
}

/// Who must send a PROXY protocol header.
#[derive(Debug, Clone)]
pub enum AcceptFrom {
    Everybody,
    Networks(OneOrMore<Network>),
}

impl Value for AcceptFrom {
    fn wanted() -> Cow<'static, str> {
        format!("{}, or \"everybody\"", OneOrMore::<Network>::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::String(text) if text == "everybody" => Some(Self::Everybody),
            DeValue::Boolean(true) => reader.wrong_type::<Self>(found, Some("write \"everybody\"".to_owned())),
            _ => OneOrMore::read(found, reader).map(Self::Networks),
        }
    }

    fn literal(&self) -> Option<String> {
        match self {
            Self::Everybody => Some(quoted("everybody")),
            Self::Networks(networks) => networks.literal(),
        }
    }

    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        if let Some(literal) = self.literal() {
            out.value(key, &literal, origin);
        }
    }
}

/// What HAProxy's outputs call a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorName(pub String);

impl Text for DoorName {
    const WANTED: &'static str = "a name";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let fits = (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        let reason = "a listener's name is 1 to 128 characters without a space";
        fits.then(|| Self(text.to_owned())).ok_or_else(|| bad_text(key, text, reason))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A network interface's name, as the kernel takes it (dev_valid_name in net/core/dev.c).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface(pub String);

impl Text for Interface {
    const WANTED: &'static str = "an interface such as \"eth0\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let is_name = (1..=15).contains(&text.len()) && ![".", ".."].contains(&text);
        let fits = is_name && text.chars().all(|c| c.is_ascii_graphic() && !"/:".contains(c));
        let reason = "an interface's name is 1 to 15 characters without `/` and `:`";
        fits.then(|| Self(text.to_owned())).ok_or_else(|| bad_text(key, text, reason))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

words!(OnSilence { "close" => OnSilence::Close, "judge" => OnSilence::Judge, });
words!(RuleStage {
    "connection" => RuleStage::Connection,
    "session" => RuleStage::Session,
    "content" => RuleStage::Content,
});
