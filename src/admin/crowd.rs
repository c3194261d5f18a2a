//! Those who are connected to one listener: so many at a time, and who only sits there makes room for who comes.
//!
//! Whoever opens connections and says nothing could otherwise keep everybody else from looking, for as long as a request
//! may take to come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::task::{AbortHandle, JoinSet};

/// The connections of a listener, each a task.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    open: JoinSet<()>,
    /// Those that had asked for nothing when they were last looked at, the oldest first.
    silent: VecDeque<(AbortHandle, Asked)>,
}

/// Whether a connection has asked for anything yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub fn note(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_noted(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Crowd {
    pub fn new(most: usize) -> Self {
        Self { most, open: JoinSet::new(), silent: VecDeque::new() }
    }

    /// Lets one more in. If there are too many, the one that has been silent for longest goes; if all have asked for
    /// something, the new one does.
    pub fn admit<F>(&mut self, connection: impl FnOnce(Asked) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.open.try_join_next().is_some() {}
        self.silent.retain(|(task, asked)| !asked.is_noted() && !task.is_finished());
        if self.open.len() >= self.most {
            let Some((longest, _)) = self.silent.pop_front() else { return };
            longest.abort();
        }
        let asked = Asked::default();
        let task = self.open.spawn(connection(asked.clone()));
        self.silent.push_back((task, asked));
    }

    /// Waits until one of them has ended; for ever while there is none.
    pub async fn one_less(&mut self) {
        if self.open.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until all have ended.
    pub async fn ended(mut self) {
        while self.open.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    // Seen to fail with the newest sent away, and with those that have asked sent away as well.
    #[tokio::test]
    async fn who_says_nothing_makes_room_for_who_comes() {
        let (sender, mut gone) = mpsc::unbounded_channel();
        struct Guest(u32, mpsc::UnboundedSender<u32>);
        impl Drop for Guest {
            fn drop(&mut self) {
                let _ = self.1.send(self.0);
            }
        }
        let mut crowd = Crowd::new(3);
        let mut admit = |number: u32, asks: bool| {
            let guest = Guest(number, sender.clone());
            crowd.admit(|asked| async move {
                if asks {
                    asked.note();
                }
                let _guest = guest;
                std::future::pending::<()>().await;
            });
        };
        for (number, asks) in [(1, true), (2, false), (3, false)] {
            admit(number, asks);
        }
        tokio::task::yield_now().await;
        admit(4, true);
        assert_eq!(gone.recv().await, Some(2), "the oldest of the silent");
        tokio::task::yield_now().await;
        admit(5, true);
        assert_eq!(gone.recv().await, Some(3));
        tokio::task::yield_now().await;
        admit(6, true);
        assert_eq!(gone.recv().await, Some(6), "nobody is silent any more");
    }
}
