//! Session limits: a permit is taken before a connection is accepted, and given back when its session has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use tokio::sync::Notify;

/// A number of sessions that must not be exceeded, shared by all workers.
#[derive(Debug)]
pub struct Limit {
    max: u32,
    used: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
    full: AtomicBool,
    reached: AtomicU64,
}

/// One session's part of a [`Limit`].
#[derive(Debug)]
pub struct Permit {
    limit: Arc<Limit>,
}

impl Limit {
    pub fn new(max: u32) -> Arc<Self> {
        Arc::new(Self {
            max,
            used: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            freed: Notify::new(),
            full: AtomicBool::new(false),
            reached: AtomicU64::new(0),
        })
    }

    pub fn max(&self) -> u32 {
        self.max
    }

    /// A permit, if one is left.
    pub fn take(self: &Arc<Self>) -> Option<Permit> {
        let take = |used| (used < self.max).then_some(used + 1);
        self.used.fetch_update(SeqCst, SeqCst, take).ok()?;
        Some(Permit { limit: Arc::clone(self) })
    }

    /// Notes that clients have to wait; `true` for the first of an episode, which is the one to tell about.
    ///
    /// An episode ends when a tenth of the limit is free again, so that one which is merely brushed against is told
    /// once and not for every session.
    pub fn note_full(&self) -> bool {
        let begins = !self.full.swap(true, Relaxed);
        if begins {
            self.reached.fetch_add(1, Relaxed);
        }
        begins
    }

    /// Whether an episode is going on.
    pub fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Episodes so far.
    pub fn reached(&self) -> u64 {
        self.reached.load(Relaxed)
    }

    /// Waits until a permit may be had; another may take it first.
    pub async fn freed(&self) {
        let _waiting = Waiting::new(&self.waiting);
        let freed = self.freed.notified();
        tokio::pin!(freed);
        // Listening begins before the count is read: a permit given back in between is not missed.
        freed.as_mut().enable();
        if self.used.load(SeqCst) >= self.max {
            freed.await;
        }
    }

    fn give_back(&self) {
        let used = self.used.fetch_sub(1, SeqCst) - 1;
        if used <= self.max - self.max.div_ceil(10) {
            self.full.store(false, Relaxed);
        }
        if self.waiting.load(SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.give_back();
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_permits_than_the_limit() {
        let limit = Limit::new(2);
        let (first, _second) = (limit.take().unwrap(), limit.take().unwrap());
        assert!(limit.take().is_none());
        drop(first);
        assert!(limit.take().is_some());
    }

    #[test]
    fn an_episode_is_told_once() {
        let limit = Limit::new(10);
        let mut permits: Vec<_> = (0..10).map(|_| limit.take().unwrap()).collect();
        assert!(limit.note_full());
        assert!(!limit.note_full());
        permits.clear();
        assert!(!limit.is_full());
        assert!(limit.note_full());
        assert_eq!(limit.reached(), 2);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_a_permit_given_back() {
        let limit = Limit::new(1);
        let permit = limit.take().unwrap();
        let freed = tokio::spawn({
            let limit = Arc::clone(&limit);
            async move { limit.freed().await }
        });
        while limit.waiting.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(permit);
        freed.await.unwrap();
        limit.freed().await;
    }
}
