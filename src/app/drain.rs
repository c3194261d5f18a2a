//! Drains over a time: a server gets no new sessions, and those that it has are closed evenly, idle ones first.
//!
//! Each goes on in a task of its own until nobody is left, or until something else is wanted of the server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::closing::{Session, close_evenly, most_idle_first};
use super::workers::Watched;
use crate::clock;
use crate::event::{Change, DrainSnapshot, Drained};
use crate::model::{BackendName, ServerName};
use crate::pool::Observe;
use crate::pool::server::Server;
use crate::pool::sessions::{Command, Live};

/// The drains under way.
pub struct Drains {
    workers: Vec<Watched>,
    observe: Observe,
    /// At most one for each server.
    running: Mutex<HashMap<(BackendName, ServerName), AbortHandle>>,
    wishes: broadcast::Sender<Wish>,
}

/// What an operator wants of a server's sessions. Those of processes that this one has replaced are meant as well.
#[derive(Debug, Clone)]
pub struct Wish {
    pub backend: BackendName,
    pub server: Arc<Server>,
    /// They are to be closed over this time; `None` if no more of them are.
    pub over: Option<Duration>,
}

/// Wishes that may wait to be passed on. They are typed by people.
const WISHES: usize = 256;

/// How often it is looked whether nobody is left.
const LOOK: Duration = Duration::from_millis(50);

/// How long those are waited for whose connection to the server was just being made when the time was up.
const STRAGGLERS: Duration = Duration::from_secs(60);

impl Drains {
    pub fn new(workers: Vec<Watched>, observe: Observe) -> Self {
        Self { workers, observe, running: Mutex::default(), wishes: broadcast::Sender::new(WISHES) }
    }

    /// Everything that is wanted from now on.
    pub fn wishes(&self) -> broadcast::Receiver<Wish> {
        self.wishes.subscribe()
    }

    /// Begins to close a server's sessions; it must have been taken out of the choice before. Takes the place of a drain
    /// that is under way there.
    pub fn begin(&self, backend: &BackendName, server: &Arc<Server>, over: Duration) {
        let drain = Drain { workers: self.workers.clone(), server: Arc::clone(server), closed: AtomicUsize::new(0) };
        let (observe, name) = (Arc::clone(&self.observe), backend.clone());
        let sessions = server.counters.sessions();
        let task = tokio::spawn(async move {
            let closed = drain.run(over).await;
            drain.server.set_drain(None);
            if let Some(closed) = closed {
                let server = drain.server.name.clone();
                observe(&Change::Drained(Drained { backend: name, server, closed, at: clock::wall() }));
            }
        });
        self.replace((backend.clone(), server.name.clone()), Some(task.abort_handle()));
        server.set_drain(Some(DrainSnapshot { begun: clock::wall(), over, sessions }));
        self.pass_on(backend, server, Some(over));
    }

    /// Closes no more of a server's sessions; whether some were still to be closed.
    pub fn stop(&self, backend: &BackendName, server: &Arc<Server>) -> bool {
        self.pass_on(backend, server, None);
        server.set_drain(None);
        self.replace((backend.clone(), server.name.clone()), None)
    }

    fn pass_on(&self, backend: &BackendName, server: &Arc<Server>, over: Option<Duration>) {
        // Nobody listens if no process has been replaced.
        let _ = self.wishes.send(Wish { backend: backend.clone(), server: Arc::clone(server), over });
    }

    fn replace(&self, key: (BackendName, ServerName), next: Option<AbortHandle>) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match next {
            Some(next) => running.insert(key, next),
            None => running.remove(&key),
        };
        before.is_some_and(|before| {
            before.abort();
            !before.is_finished()
        })
    }
}

/// One server's.
struct Drain {
    workers: Vec<Watched>,
    server: Arc<Server>,
    closed: AtomicUsize,
}

impl Drain {
    /// How many sessions were closed once nobody is left; `None` if somebody stays.
    async fn run(&self, over: Duration) -> Option<usize> {
        tokio::select! {
            biased;
            () = self.emptied() => {}
            () = close_evenly(self.open(), over, |session| self.close(session)) => {}
        }
        let emptied = timeout(STRAGGLERS, async {
            while self.server.counters.sessions() > 0 {
                self.open().iter().for_each(|session| self.close(session));
                sleep(LOOK).await;
            }
        });
        emptied.await.is_ok().then(|| self.closed.load(Relaxed))
    }

    /// Its sessions that nobody has told to end.
    fn open(&self) -> Vec<Session> {
        let is_here = |live: &Live| live.server.as_ref().is_some_and(|server| Arc::ptr_eq(server, &self.server));
        most_idle_first(&self.workers, |live| is_here(live) && live.cell.command().is_none())
    }

    fn close(&self, (sessions, id): &Session) {
        if sessions.command(*id, Command::Close) {
            self.closed.fetch_add(1, Relaxed);
        }
    }

    /// Sessions count from the choice of their server on, also before they are connected.
    async fn emptied(&self) {
        while self.server.counters.sessions() > 0 {
            sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::model::FrontendName;
    use crate::pool::sessions::{Entered, Sessions, Way};
    use crate::pool::{Lease, Leased, Pool};
    use crate::proxy::worker::Pulse;

    /// A server with sessions that end as soon as they are told to, and one of another server.
    struct Scene {
        drains: Drains,
        pool: Arc<Pool>,
        server: Arc<Server>,
        open: Vec<(Entered, Leased)>,
        elsewhere: Entered,
        told: Arc<Mutex<Vec<usize>>>,
    }

    fn way() -> Way {
        Way { frontend: FrontendName::new("f").unwrap(), backend: BackendName::new("b").unwrap() }
    }

    impl Scene {
        async fn of(sessions: usize) -> Self {
            let text = "[[frontend]]\nname = 'f'\nlisten = ':6443'\nbackend = 'b'\n[[backend]]\nname = 'b'\n\
                        servers = ['192.0.2.1:6443', '192.0.2.2:6443']\ncheck = 'off'";
            let spec = crate::config::parse(text, "test.toml").unwrap().backends.remove(0);
            let pool = Pool::alone(spec, Arc::new(|_| {}));
            let [server, other] = [0, 1].map(|place| pool.servers().remove(place));
            pool.set_admin_state(&other, crate::event::AdminState::Drain);
            let registry = Sessions::new(0);
            let client: std::net::SocketAddr = "192.0.2.7:40000".parse().unwrap();
            let mut open = Vec::new();
            for _ in 0..sessions {
                let entered = registry.enter(client, way());
                entered.set_server(&server, None);
                let Lease::Leased(leased) = pool.lease(client.ip(), &Vec::new()) else { panic!("it is free") };
                open.push((entered, leased));
                // Each a second idler than the next.
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            let elsewhere = registry.enter(client, way());
            elsewhere.set_server(&other, None);
            let told: Arc<Mutex<Vec<usize>>> = Arc::default();
            let telling = Arc::clone(&told);
            let observe = move |change: &Change| {
                if let Change::Drained(drained) = change {
                    telling.lock().unwrap().push(drained.closed);
                }
            };
            let drains = Drains::new(vec![Watched { sessions: registry, pulse: Pulse::new() }], Arc::new(observe));
            Self { drains, pool, server, open, elsewhere, told }
        }

        fn begin(&self, seconds: u64) {
            self.drains.begin(&self.pool.spec.name, &self.server, Duration::from_secs(seconds));
        }

        /// Lets time pass a tenth at a time, and those end that were told to; the places of those who did.
        async fn pass(&mut self, seconds: f64) -> Vec<(usize, f64)> {
            let begun = Instant::now();
            let mut ended = Vec::new();
            while begun.elapsed().as_secs_f64() < seconds {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let ids: Vec<u32> = self.open.iter().map(|(entered, _)| entered.cell().id.generation).collect();
                self.open.retain(|(entered, _)| entered.cell().command().is_none());
                let gone = ids.into_iter().filter(|id| self.open.iter().all(|(e, _)| e.cell().id.generation != *id));
                ended.extend(gone.map(|id| (id as usize, begun.elapsed().as_secs_f64())));
            }
            ended
        }
    }

    // Seen to fail with the order turned round, and with the closing at once.
    #[tokio::test(start_paused = true)]
    async fn sessions_are_closed_evenly_the_idlest_first_and_the_end_is_told() {
        let mut scene = Scene::of(4).await;
        scene.begin(40);
        let ended = scene.pass(41.0).await;
        assert_eq!(ended.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3, 4]);
        for ((_, at), due) in ended.iter().zip([5.0, 15.0, 25.0, 35.0]) {
            assert!((due..due + 0.3).contains(at), "{ended:?}");
        }
        assert_eq!(*scene.told.lock().unwrap(), [4]);
        assert_eq!(scene.elsewhere.cell().command(), None, "it has another server");
    }

    // Seen to fail with a task that is not aborted.
    #[tokio::test(start_paused = true)]
    async fn a_drain_that_is_stopped_closes_no_more() {
        let mut scene = Scene::of(4).await;
        scene.begin(40);
        assert_eq!(scene.pass(16.0).await.len(), 2);
        assert!(scene.drains.stop(&scene.pool.spec.name, &scene.server));
        assert_eq!(scene.pass(60.0).await, []);
        assert!(!scene.drains.stop(&scene.pool.spec.name, &scene.server), "there is none any more");
        scene.begin(0);
        assert_eq!(scene.pass(1.0).await.len(), 2, "at once");
        assert_eq!(*scene.told.lock().unwrap(), [2]);
    }

    // Seen to fail without the second look at who is open.
    #[tokio::test(start_paused = true)]
    async fn one_that_was_connecting_is_closed_when_the_time_is_up() {
        let mut scene = Scene::of(0).await;
        let client: std::net::SocketAddr = "192.0.2.8:1".parse().unwrap();
        let Lease::Leased(leased) = scene.pool.lease(client.ip(), &Vec::new()) else { panic!("it is free") };
        scene.begin(1);
        scene.pass(3.0).await;
        let entered = scene.drains.workers[0].sessions.enter(client, way());
        entered.set_server(&scene.server, None);
        scene.open.push((entered, leased));
        assert_eq!(scene.pass(1.0).await.len(), 1);
        assert_eq!(*scene.told.lock().unwrap(), [1]);
    }
}
