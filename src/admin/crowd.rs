//! Those who are connected to one listener: so many at a time, and who only sits there makes room for who comes.
//!
//! Whoever opens connections and says nothing could otherwise keep everybody else from looking, for as long as a request
//! may take to come; and whoever opens pages and leaves them open, for ever. A page whose connection ends is back within
//! a second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// The connections of a listener, each a task.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    open: JoinSet<()>,
    /// The same, those who came first at the front.
    guests: VecDeque<(AbortHandle, Asked)>,
}

/// What a connection has asked for so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<(AtomicU8, Notify)>);

impl Asked {
    const NOTHING: u8 = 0;
    const SOMETHING: u8 = 1;
    const WHATEVER_COMES: u8 = 2;

    /// Notes a request.
    pub fn note(&self) {
        self.0.0.store(Self::SOMETHING, Relaxed);
        self.0.1.notify_one();
    }

    /// Notes that its answer has no end of its own.
    pub fn note_endless(&self) {
        self.0.0.store(Self::WHATEVER_COMES, Relaxed);
    }

    /// Waits for the first request; only one at a time may.
    pub async fn something(&self) {
        if self.is(Self::NOTHING) {
            self.0.1.notified().await;
        }
    }

    fn is(&self, kind: u8) -> bool {
        self.0.0.load(Relaxed) == kind
    }
}

impl Crowd {
    pub fn new(most: usize) -> Self {
        Self { most, open: JoinSet::new(), guests: VecDeque::new() }
    }

    /// Lets one more in. If there are too many, the one that has been silent for longest goes; if all have asked for
    /// something, the one that has followed a page for longest; if there is none, the new one.
    pub fn admit<F>(&mut self, connection: impl FnOnce(Asked) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.open.try_join_next().is_some() {}
        self.guests.retain(|(task, _)| !task.is_finished());
        if self.open.len() >= self.most {
            let first = |kind| self.guests.iter().position(|(_, asked)| asked.is(kind));
            let Some(place) = first(Asked::NOTHING).or_else(|| first(Asked::WHATEVER_COMES)) else { return };
            if let Some((longest, _)) = self.guests.remove(place) {
                longest.abort();
            }
        }
        let asked = Asked::default();
        let task = self.open.spawn(connection(asked.clone()));
        self.guests.push_back((task, asked));
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

    #[derive(Clone, Copy)]
    enum Asks {
        Nothing,
        Once,
        ForWhateverComes,
    }

    /// A guest with a number, which is told once it has left.
    struct Guest(u32, mpsc::UnboundedSender<u32>);

    impl Drop for Guest {
        fn drop(&mut self) {
            let _ = self.1.send(self.0);
        }
    }

    // Seen to fail with readers that are kept whoever comes.
    #[tokio::test]
    async fn who_says_nothing_makes_room_for_who_comes_and_then_who_follows_a_page() {
        let (sender, mut gone) = mpsc::unbounded_channel();
        let mut crowd = Crowd::new(4);
        let mut admit = async |number: u32, asks: Asks| {
            let guest = Guest(number, sender.clone());
            crowd.admit(|asked| async move {
                match asks {
                    Asks::Nothing => {}
                    Asks::Once => asked.note(),
                    Asks::ForWhateverComes => asked.note_endless(),
                }
                let _guest = guest;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        };
        for (number, asks) in
            [(1, Asks::Once), (2, Asks::ForWhateverComes), (3, Asks::Nothing), (4, Asks::Nothing), (5, Asks::Once)]
        {
            admit(number, asks).await;
        }
        assert_eq!(gone.recv().await, Some(3), "the oldest of the silent");
        admit(6, Asks::Once).await;
        assert_eq!(gone.recv().await, Some(4));
        admit(7, Asks::Once).await;
        assert_eq!(gone.recv().await, Some(2), "nobody is silent any more, but one follows a page");
        admit(8, Asks::Once).await;
        assert_eq!(gone.recv().await, Some(8), "all others are being answered");
    }
}
