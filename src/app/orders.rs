//! What the process is told while it serves: by signals, by a change of its file, and by operators.
//!
//! All of it is done in one place, one after another, because each may change what is served. A stop alone does not wait
//! for its turn. What operators may do meanwhile is in `actions`.

use std::io;
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::serving::Serving;
use super::upgrade::Successor;
use super::watch_file::FileWatch;
use crate::admin::{Denied, Done, NewServer, Outcome, Target, Tuning};
use crate::event::{Actor, FrontendState, counted};

/// Orders of operators that wait for their turn at most.
const WAITING: usize = 16;

/// What can be ordered.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Reload,
    /// What a reload would change.
    Plan,
    Upgrade,
    AddServer(NewServer),
    RemoveServer(Target),
    Tune(Tuning),
    SwitchFrontend(String, FrontendState),
}

impl Order {
    /// To follow "the process is stopping and does not".
    fn verb(&self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Plan => "plan a reload",
            Self::Upgrade => "upgrade",
            Self::AddServer(_) => "add a server",
            Self::RemoveServer(_) => "remove a server",
            Self::Tune(_) => "change a setting",
            Self::SwitchFrontend(..) => "open or close a frontend",
        }
    }
}

/// What becomes of an order.
pub type Answer = Result<Done, Denied>;

/// An order, whose it is, and where the answer goes if somebody waits for it.
#[derive(Debug)]
pub struct Request {
    order: Order,
    by: Actor,
    asker: Option<oneshot::Sender<Answer>>,
}

impl Request {
    fn of_nobody(order: Order, by: Actor) -> Self {
        Self { order, by, asker: None }
    }

    /// Whoever asked has left before it was begun.
    fn is_void(&self) -> bool {
        self.asker.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Does nothing, because the process does nothing of the kind any more.
    fn refuse(self, state: &str) {
        let Self { order, by, asker } = self;
        let why = format!("the process {state} and does not {}", order.verb());
        tracing::warn!("{by}: {why}");
        answer(asker, Err(Denied::Conflict(why)));
    }
}

fn answer(asker: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(asker) = asker {
        // Who has left wants to know no more.
        let _ = asker.send(answer);
    }
}

/// Where operators hand in their orders.
#[derive(Debug, Clone)]
pub struct Desk(mpsc::Sender<Request>);

impl Desk {
    /// The desk, and what is handed in there.
    pub fn open() -> (Self, mpsc::Receiver<Request>) {
        let (desk, requests) = mpsc::channel(WAITING);
        (Self(desk), requests)
    }

    /// Hands in an order; gives what becomes of it, once its turn has come.
    pub fn order(&self, order: Order, by: Actor) -> impl Future<Output = Answer> + Send + use<> {
        let (asker, answer) = oneshot::channel();
        let taken = self.0.try_send(Request { order, by, asker: Some(asker) });
        async move {
            taken.map_err(|_| Denied::Conflict(format!("{WAITING} orders are waiting already: try again later")))?;
            answer.await.unwrap_or_else(|_| Err(Denied::Failed("the process has ended meanwhile".to_owned())))
        }
    }
}

/// All that orders come by.
#[derive(Debug)]
pub struct Signals {
    file: Option<FileWatch>,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    upgrade: Signal,
    requests: mpsc::Receiver<Request>,
}

/// What has come in.
#[derive(Debug)]
enum Incoming {
    Stop,
    Request(Request),
}

/// Why the process serves no longer.
#[derive(Debug)]
pub enum End {
    Stopped,
    /// Another process does.
    Replaced(Successor),
}

impl Signals {
    pub fn listen(requests: mpsc::Receiver<Request>) -> io::Result<Self> {
        Ok(Self {
            file: None,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            requests,
        })
    }

    /// Counts a change of this file as SIGHUP.
    pub fn watch(&mut self, file: &Path) {
        self.file = Some(FileWatch::new(file));
    }

    /// The next one. However many signals of a kind came meanwhile, they are one.
    async fn next(&mut self) -> Incoming {
        let request = tokio::select! {
            biased;
            _ = self.terminate.recv() => return Incoming::Stop,
            _ = self.interrupt.recv() => return Incoming::Stop,
            _ = self.hang_up.recv() => Request::of_nobody(Order::Reload, Actor::Signal("SIGHUP")),
            _ = self.upgrade.recv() => Request::of_nobody(Order::Upgrade, Actor::Signal("SIGUSR2")),
            Some(request) = self.requests.recv() => request,
            () = change_of(&mut self.file) => Request::of_nobody(Order::Reload, Actor::FileChange),
        };
        Incoming::Request(request)
    }

    /// Waits for a stop; all else keeps waiting for its turn.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for a stop of a process that takes no orders any more, because it is in this state.
    pub async fn end(&mut self, state: &str) {
        while let Incoming::Request(request) = self.next().await {
            request.refuse(state);
        }
    }
}

async fn change_of(file: &mut Option<FileWatch>) {
    match file {
        Some(file) => file.changed().await,
        None => std::future::pending().await,
    }
}

impl Serving {
    /// Does what it is told until it is told to stop, or another process serves.
    pub async fn obey(&mut self, signals: &mut Signals) -> End {
        loop {
            let request = match signals.next().await {
                Incoming::Stop => return End::Stopped,
                Incoming::Request(request) if request.is_void() => continue,
                Incoming::Request(request) => request,
            };
            let Request { order, by, asker } = request;
            let verb = order.verb();
            let mut successor = None;
            // Whatever waits has changed nothing yet: it can be given up.
            let done = tokio::select! {
                done = self.carry_out(order, by, &mut successor) => done,
                () = signals.stop() => {
                    let why = format!("told to stop meanwhile: it does not {verb} any more");
                    tracing::warn!("{why}");
                    answer(asker, Err(Denied::Conflict(why)));
                    return End::Stopped;
                }
            };
            answer(asker, done);
            if let Some(successor) = successor {
                return End::Replaced(successor);
            }
        }
    }

    async fn carry_out(&mut self, order: Order, by: Actor, successor: &mut Option<Successor>) -> Answer {
        match order {
            Order::Reload => self.reload_for(by).await,
            Order::Plan => self.plan().await,
            Order::Upgrade => {
                let new = self.upgrade_for(by).await?;
                let (old, pid) = (std::process::id(), new.pid);
                let left = counted(self.facts.process.counters.sessions() as usize, "session");
                let text = format!("upgraded: the new process serves, and pid {old} ends with its {left}");
                *successor = Some(new);
                Ok(Done { text, outcome: Outcome::Upgraded { pid } })
            }
            Order::AddServer(new) => self.add_server(new, by),
            Order::RemoveServer(target) => self.remove_server(&target, by),
            Order::Tune(tuning) => self.tune(&tuning, by),
            Order::SwitchFrontend(frontend, to) => self.switch_frontend(&frontend, to, by),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn order(desk: &Desk) -> impl Future<Output = Answer> + Send + use<> {
        desk.order(Order::Plan, Actor::FileChange)
    }

    // Seen to fail with a queue that has no end.
    #[tokio::test(start_paused = true)]
    async fn an_order_too_many_is_refused_and_those_that_nobody_does_are_told() {
        let (desk, requests) = Desk::open();
        let waiting: Vec<_> = (0..WAITING).map(|_| order(&desk)).collect();
        let refused = timeout(Duration::from_secs(1), order(&desk)).await.expect("it is not waited for").unwrap_err();
        assert_eq!(refused, Denied::Conflict("16 orders are waiting already: try again later".to_owned()));
        drop(requests);
        for answer in waiting {
            assert_eq!(answer.await, Err(Denied::Failed("the process has ended meanwhile".to_owned())));
        }
    }

    #[tokio::test]
    async fn who_has_left_before_the_turn_came_wants_nothing_any_more() {
        let (desk, mut requests) = Desk::open();
        let (stays, leaves) = (order(&desk), order(&desk));
        drop(leaves);
        assert!(!requests.recv().await.unwrap().is_void());
        assert!(requests.recv().await.unwrap().is_void());
        drop(stays);
        assert!(!Request::of_nobody(Order::Reload, Actor::FileChange).is_void(), "a signal waits for no answer");
    }

    #[tokio::test]
    async fn an_order_that_comes_too_late_is_answered() {
        let (desk, mut requests) = Desk::open();
        let late = order(&desk);
        requests.recv().await.unwrap().refuse("is stopping");
        assert_eq!(late.await, Err(Denied::Conflict("the process is stopping and does not plan a reload".to_owned())));
    }
}
