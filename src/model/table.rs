//! Tables: what is counted of each source under a name, for rules and routes to ask (HAProxy's stick tables).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::TableName;

/// A table of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: TableName,
    pub key: TableKey,
    /// Sources that it knows at a time. One with an open session is known beyond that, unless [`OnTableFull::Keep`] says no.
    pub size: u32,
    /// How long a source is known after its last session has begun or ended; `None` until another needs its place.
    pub expire: Option<Duration>,
    pub on_full: OnTableFull,
    /// What is counted, each once, in the order of [`Count::ALL`].
    pub store: Vec<Stored>,
}

impl Table {
    /// Sources of one table at most.
    pub const MOST: u32 = 10_000_000;

    /// Whether it counts this.
    pub fn stores(&self, count: Count) -> bool {
        self.store.iter().any(|stored| stored.count() == count)
    }
}

/// What a source is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKey {
    /// Its IPv4 address; a source of IPv6 is not counted, unless its address holds one of IPv4.
    Ip,
    /// Its IPv6 address, which one of IPv4 has, too (RFC 4291, section 2.5.5.2).
    Ipv6,
}

impl TableKey {
    /// HAProxy's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ipv6 => "ipv6",
        }
    }

    /// What a source is known by; `None` if it has no such address.
    pub fn of(self, source: IpAddr) -> Option<IpAddr> {
        Some(match (self, source) {
            (Self::Ip, IpAddr::V4(_)) | (Self::Ipv6, IpAddr::V6(_)) => source,
            (Self::Ip, IpAddr::V6(ip)) => within(ip)?.into(),
            (Self::Ipv6, IpAddr::V4(ip)) => ip.to_ipv6_mapped().into(),
        })
    }
}

/// The IPv4 address that an IPv6 address holds, as HAProxy sees it: IPv4-mapped and IPv4-compatible ones (RFC 4291) and
/// 6to4 (RFC 3056).
fn within(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.octets() {
        [0x20, 0x02, a, b, c, d, ..] => Some([a, b, c, d].into()),
        _ => ip.to_ipv4(),
    }
}

/// What becomes of a source that is new to a table which is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTableFull {
    /// It takes the place of the one that has been without a session for the longest.
    Forget,
    /// It is not counted.
    Keep,
}

/// What can be counted of a source. A connection that is tracked counts from the rule on that says so, a session once no
/// rule of the connection's and the session's stages has rejected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// Connections so far.
    ConnCnt,
    /// Connections over the last period.
    ConnRate,
    /// Connections that are open.
    ConnCur,
    /// Sessions so far.
    SessCnt,
    /// Sessions over the last period.
    SessRate,
}

impl Count {
    /// All of them, in the order in which HAProxy shows them.
    pub const ALL: [Self; 5] = [Self::ConnCnt, Self::ConnRate, Self::ConnCur, Self::SessCnt, Self::SessRate];

    /// What HAProxy's tables can store, and these can't: what rules set that there are not, what is of HTTP, and bytes.
    pub const OF_HAPROXY_ALONE: [&str; 22] = [
        "server_id",
        "server_key",
        "gpt",
        "gpt0",
        "gpc",
        "gpc_rate",
        "gpc0",
        "gpc0_rate",
        "gpc1",
        "gpc1_rate",
        "http_req_cnt",
        "http_req_rate",
        "http_err_cnt",
        "http_err_rate",
        "http_fail_cnt",
        "http_fail_rate",
        "glitch_cnt",
        "glitch_rate",
        "bytes_in_cnt",
        "bytes_in_rate",
        "bytes_out_cnt",
        "bytes_out_rate",
    ];

    /// HAProxy's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnCnt => "conn_cnt",
            Self::ConnRate => "conn_rate",
            Self::ConnCur => "conn_cur",
            Self::SessCnt => "sess_cnt",
            Self::SessRate => "sess_rate",
        }
    }

    /// The count of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|count| count.name() == name)
    }
}

/// A count that a table keeps, with the period of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    ConnCnt,
    ConnRate(Duration),
    ConnCur,
    SessCnt,
    SessRate(Duration),
}

impl Stored {
    pub fn count(self) -> Count {
        match self {
            Self::ConnCnt => Count::ConnCnt,
            Self::ConnRate(_) => Count::ConnRate,
            Self::ConnCur => Count::ConnCur,
            Self::SessCnt => Count::SessCnt,
            Self::SessRate(_) => Count::SessRate,
        }
    }

    /// The period that a rate is taken over.
    pub fn period(self) -> Option<Duration> {
        match self {
            Self::ConnRate(period) | Self::SessRate(period) => Some(period),
            Self::ConnCnt | Self::ConnCur | Self::SessCnt => None,
        }
    }
}

/// One of the places in which a session keeps what it tracks: HAProxy's sc0 to sc2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter(u8);

impl Counter {
    /// How many there are, as with HAProxy's `tune.stick-counters` unstated.
    pub const COUNT: u8 = 3;

    /// `None` from [`Counter::COUNT`] on.
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Has a session's source counted in a table until the session ends. What a counter tracks already stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    pub counter: Counter,
    pub table: TableName,
}

/// Whose count is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// That of the client's source, looked up in a table. One that is not there has nothing counted.
    Source(TableName),
    /// That of what a counter tracks; of one that tracks nothing there is none. With a table, what that knows of the same
    /// source; one with another key knows nothing of it.
    Tracked { counter: Counter, table: Option<TableName> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_known_by_their_names_and_there_are_three_counters() {
        for count in Count::ALL {
            assert_eq!(Count::named(count.name()), Some(count));
        }
        assert_eq!(Count::named("gpc0"), None);
        assert!(Counter::new(2).is_some() && Counter::new(3).is_none());
        assert!(Count::ALL.is_sorted());
    }
}
