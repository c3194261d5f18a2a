//! Sources whose sessions are logged step by step for a while, because somebody wants to see what becomes of them.
//!
//! A session asks at each step whether its source is one of them: that is one load of a flag while there is none.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::record::Record;
use crate::model::Network;

/// The sources at the moment, each until its time is up.
#[derive(Debug, Default)]
pub struct Traced {
    any: AtomicBool,
    sources: Mutex<Vec<(Network, Instant)>>,
}

/// More sources are followed already than can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} sources are followed already, the most at a time: wait until one of them is over", Traced::MOST)]
pub struct TooMany;

impl Traced {
    /// Sources that are followed at a time: a log of everybody is no help.
    pub const MOST: usize = 16;

    /// Longest time that one is followed.
    pub const LONGEST: Duration = Duration::from_secs(60 * 60);

    /// Follows a source from now on for so long; one that is followed already gets this time instead.
    pub fn follow(&self, source: Network, time: Duration) -> Result<(), TooMany> {
        let now = Instant::now();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|(followed, until)| *until > now && *followed != source);
        if sources.len() >= Self::MOST {
            return Err(TooMany);
        }
        sources.push((source, now + time.min(Self::LONGEST)));
        self.any.store(true, Relaxed);
        Ok(())
    }

    /// Whether any source is followed, as far as is known without looking.
    pub fn has_any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Whether this client's source is followed.
    pub fn follows(&self, client: IpAddr) -> bool {
        self.has_any() && self.is_one(client)
    }

    fn is_one(&self, client: IpAddr) -> bool {
        let now = Instant::now();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|(_, until)| *until > now);
        self.any.store(!sources.is_empty(), Relaxed);
        sources.iter().any(|(source, _)| source.contains(client))
    }
}

/// A step of a session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Accepted,
    Proxied,
    Inspected,
    Routed,
    Leased,
    DialFailed,
    Connected,
    FirstBytesIn,
    FirstBytesOut,
    ClientFinished,
    ServerFinished,
    Ended,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Proxied => "stands for another client",
            Self::Inspected => "has begun TLS",
            Self::Routed => "led to another backend",
            Self::Leased => "leased to a server",
            Self::DialFailed => "dial failed",
            Self::Connected => "connected to the server",
            Self::FirstBytesIn => "first bytes of the client passed on",
            Self::FirstBytesOut => "first bytes of the server passed on",
            Self::ClientFinished => "the client has finished writing",
            Self::ServerFinished => "the server has finished writing",
            Self::Ended => "ended",
        }
    }
}

impl Record {
    /// Logs a step of a session whose source is followed.
    pub fn trace(&self, step: Step, detail: impl fmt::Display) {
        if self.client().ip().is_some_and(|source| self.frontend.process.traced.follows(source)) {
            self.tell_step(step, &detail);
        }
    }

    fn tell_step(&self, step: Step, detail: &dyn fmt::Display) {
        tracing::info!(
            debug = true,
            id = %self.cell().id,
            client = %self.client(),
            frontend = %self.frontend.spec.name,
            after_ms = (self.age().as_secs_f64() * 1e6).round() / 1e3,
            detail = %detail,
            "session {}",
            step.words()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        Network::of(address.parse().unwrap(), prefix).unwrap()
    }

    // Seen to fail with a time that is not looked at, and with one that is kept when the source is given anew.
    #[tokio::test(start_paused = true)]
    async fn a_source_is_followed_for_its_time_and_no_other_is() {
        let traced = Traced::default();
        let follows = |address: &str| traced.follows(address.parse().unwrap());
        assert!(!traced.has_any() && !follows("10.0.0.1"));
        traced.follow(network("10.0.0.0", 24), Duration::from_secs(60)).unwrap();
        assert!(follows("10.0.0.1") && follows("::ffff:10.0.0.1") && !follows("10.0.1.1"));
        tokio::time::advance(Duration::from_secs(30)).await;
        traced.follow(network("10.0.0.0", 24), Duration::from_secs(10)).unwrap();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(follows("10.0.0.1"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!follows("10.0.0.1") && !traced.has_any());
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_sources_at_a_time_and_those_that_are_over_make_room() {
        let traced = Traced::default();
        let follow = |last: usize| traced.follow(network(&format!("10.0.0.{last}"), 32), Duration::from_secs(60));
        (0..Traced::MOST).for_each(|last| follow(last).unwrap());
        assert_eq!(follow(200), Err(TooMany));
        follow(3).expect("it is one of them");
        tokio::time::advance(Duration::from_secs(60)).await;
        follow(200).unwrap();
    }
}
