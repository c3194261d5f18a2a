//! The thinnest of event loops: level-triggered epoll, and sockets by number.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};

/// Most events taken at a time.
const EVENTS: usize = 256;

/// What a socket is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Reading,
    Writing,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Reading => EventFlags::IN,
            Self::Writing => EventFlags::OUT,
        }
    }
}

pub struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub fn new() -> Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS) })
    }

    /// Watches a socket until it is closed.
    pub fn add(&self, socket: impl AsFd, number: usize, interest: Interest) -> Result<()> {
        epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), interest.flags())
    }

    pub fn change(&self, socket: impl AsFd, number: usize, interest: Interest) -> Result<()> {
        epoll::modify(&self.epoll, socket, EventData::new_u64(number as u64), interest.flags())
    }

    /// Waits; puts the numbers of the sockets that are ready into `ready`.
    pub fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        self.events.clear();
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), limit.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error),
        }
        ready.extend(self.events.iter().map(|event| usize::try_from(event.data.u64()).expect("we made it of one")));
        Ok(())
    }
}
