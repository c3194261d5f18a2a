//! How a balance method looks upon servers that are full, where sessions may wait for one of them
//! ([`OnFull::Wait`](crate::model::OnFull::Wait)): pure.
//!
//! The rules are HAProxy's. A session waits in one of two places: in the queue of the server that it is tied to, or in that
//! of the backend, where it has whichever server is free first.

use super::room::Occupancy;
use crate::model::Balance;

/// What being full means to a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Regard {
    /// The next one is asked.
    PassesOver,
    /// The next one is asked, but queues with a limit are filled first.
    FillsQueues,
    /// It is this server or none.
    Insists,
    /// A lot that falls on it is a lot lost: the session waits for any.
    Draws,
}

/// Where a session goes for which the method has found a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whither {
    Slot,
    /// The server's own queue.
    Queue,
    /// The backend's.
    AnyQueue,
    /// Away: its server's queue is full.
    Away,
}

impl Regard {
    /// That of a method; `alone` stands for a backup that has all sessions because it is the first.
    pub fn of(method: Balance, alone: bool) -> Self {
        match method {
            Balance::Source | Balance::SourceMap | Balance::SourceMixedMap | Balance::SourceRing => Self::Insists,
            Balance::Random => Self::Draws,
            Balance::StaticRoundRobin if alone => Self::Draws,
            _ if alone => Self::Insists,
            Balance::LeastConn | Balance::IdleFirst => Self::FillsQueues,
            Balance::RoundRobin | Balance::StaticRoundRobin | Balance::First | Balance::Spread => Self::PassesOver,
        }
    }

    /// Whether a server that is so full may be chosen.
    pub fn considers(self, server: Occupancy) -> bool {
        match self {
            Self::PassesOver => !server.is_full(),
            Self::FillsQueues => server.has_place(),
            Self::Insists | Self::Draws => true,
        }
    }

    /// Where the session goes, now that this server is chosen.
    pub fn whither(self, server: Occupancy) -> Whither {
        match self {
            _ if !server.is_full() => Whither::Slot,
            Self::PassesOver | Self::Draws => Whither::AnyQueue,
            Self::FillsQueues | Self::Insists if server.is_crowded() => Whither::Away,
            Self::FillsQueues | Self::Insists => Whither::Queue,
        }
    }

    /// Whether it takes the backend's queue for a sign that all are full, and goes there without looking.
    pub fn trusts_the_queue(self) -> bool {
        self == Self::PassesOver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(sessions: u32, waiting: u32, max_waiting: Option<u32>) -> Occupancy {
        Occupancy { sessions, limit: Some(1), dialled: false, waiting, max_waiting }
    }

    /// Where a session goes by each method: with a free server, with a full one, and with one whose queue is full as well;
    /// `None` if the method looks further.
    fn ways(method: Balance, alone: bool) -> [Option<Whither>; 4] {
        let regard = Regard::of(method, alone);
        let servers = [server(0, 0, None), server(1, 0, None), server(1, 0, Some(1)), server(1, 1, Some(1))];
        servers.map(|server| regard.considers(server).then(|| regard.whither(server)))
    }

    /// As HAProxy 3.2.26 was seen to do it.
    #[test]
    fn each_method_has_haproxys_way_with_full_servers() {
        use Whither::{AnyQueue, Away, Queue, Slot};
        for method in [Balance::RoundRobin, Balance::StaticRoundRobin, Balance::First] {
            assert_eq!(ways(method, false), [Some(Slot), None, None, None], "{method:?}");
        }
        for method in [Balance::LeastConn, Balance::IdleFirst] {
            assert_eq!(ways(method, false), [Some(Slot), None, Some(Queue), None], "{method:?}");
        }
        let tied = [Some(Slot), Some(Queue), Some(Queue), Some(Away)];
        for method in [Balance::SourceMap, Balance::SourceMixedMap, Balance::SourceRing, Balance::Source] {
            assert_eq!(ways(method, false), tied, "{method:?}");
        }
        assert_eq!(ways(Balance::Random, false), [Some(Slot), Some(AnyQueue), Some(AnyQueue), Some(AnyQueue)]);
    }

    /// The same of the first backup.
    #[test]
    fn the_first_backup_is_waited_for() {
        use Whither::{AnyQueue, Away, Queue, Slot};
        for method in [Balance::RoundRobin, Balance::First, Balance::IdleFirst, Balance::SourceMap] {
            assert_eq!(ways(method, true), [Some(Slot), Some(Queue), Some(Queue), Some(Away)], "{method:?}");
        }
        for method in [Balance::StaticRoundRobin, Balance::Random] {
            assert_eq!(ways(method, true), [Some(Slot), Some(AnyQueue), Some(AnyQueue), Some(AnyQueue)], "{method:?}");
        }
    }
}
