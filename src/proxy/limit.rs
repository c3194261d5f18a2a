//! Session limits: a permit is taken before a connection is accepted, and given back when its session has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A number of sessions that must not be exceeded, shared by all workers.
#[derive(Debug)]
pub struct Limit {
    max: AtomicU32,
    used: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
    epoch: Instant,
    /// When all was last used, in milliseconds since `epoch`, and one more; 0 is never.
    last_full: AtomicU64,
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
            max: AtomicU32::new(max),
            used: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            freed: Notify::new(),
            epoch: Instant::now(),
            last_full: AtomicU64::new(0),
            reached: AtomicU64::new(0),
        })
    }

    pub fn max(&self) -> u32 {
        self.max.load(SeqCst)
    }

    /// Takes another number. Sessions beyond a lower one go on; nobody comes in until they have become few enough.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, SeqCst);
        self.freed.notify_waiters();
    }

    /// A permit, if one is left.
    pub fn take(self: &Arc<Self>) -> Option<Permit> {
        let max = self.max();
        let take = |used| (used < max).then_some(used + 1);
        self.used.fetch_update(SeqCst, SeqCst, take).ok()?;
        Some(Permit { limit: Arc::clone(self) })
    }

    /// How long there must have been a permit to have for an episode to be over: one that is given back and taken again
    /// at once, as by short sessions at the limit, ends none.
    const CALM: Duration = Duration::from_secs(10);

    /// Notes that clients have to wait; `true` for the first of an episode, which is the one to tell about.
    pub fn note_full(&self) -> bool {
        let now = self.moment();
        let last = self.last_full.swap(now, Relaxed);
        let begins = last == 0 || u128::from(now.saturating_sub(last)) >= Self::CALM.as_millis();
        if begins {
            self.reached.fetch_add(1, Relaxed);
        }
        begins
    }

    /// Whether all is used.
    pub fn is_full(&self) -> bool {
        self.used.load(Relaxed) >= self.max()
    }

    fn moment(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).map_or(u64::MAX, |elapsed| elapsed + 1)
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
        if self.used.load(SeqCst) >= self.max() {
            freed.await;
        }
    }

    fn give_back(&self) {
        if self.used.fetch_sub(1, SeqCst) == self.max() {
            // It was full until now, for however long: an episode that goes on has just been seen.
            let _ = self.last_full.fetch_update(Relaxed, Relaxed, |last| (last != 0).then(|| self.moment()));
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

    #[tokio::test(start_paused = true)]
    async fn an_episode_is_told_once_however_short_its_sessions_are() {
        let limit = Limit::new(2);
        let _one = limit.take().unwrap();
        let other = limit.take().unwrap();
        assert!(limit.is_full() && limit.note_full());
        drop(other);
        assert!(!limit.is_full());
        for _ in 0..100 {
            let _other = limit.take().unwrap();
            assert!(!limit.note_full());
            // Full for longer than a calm lasts, which it is no part of.
            tokio::time::advance(Limit::CALM).await;
        }
        assert_eq!(limit.reached(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_calm_another_episode_begins() {
        let limit = Limit::new(1);
        drop(limit.take().unwrap());
        for episode in 1..=2 {
            let permit = limit.take().unwrap();
            assert!(limit.note_full());
            drop(permit);
            tokio::time::advance(Limit::CALM).await;
            assert_eq!(limit.reached(), episode);
        }
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
