//! What the process is told while it serves: by signals, by a change of its file, and by operators.
//!
//! All of it is done in one place, one after another, because each may change what is served. A stop alone does not wait
//! for its turn. What a signal means is in `shape`; what operators may do meanwhile is in `actions`.

use std::io;
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::process::Facts;
use super::serving::Serving;
use super::shape::{Caught, Shape, Stop, Word};
use super::states;
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
    shape: Shape,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// SIGUSR2.
    second: Signal,
    /// SIGUSR1, and the others that mean something in HAProxy's shape alone.
    first: Option<Signal>,
    quit: Option<Signal>,
    pause: Option<Signal>,
    resume: Option<Signal>,
    requests: mpsc::Receiver<Request>,
}

/// What has come in.
#[derive(Debug)]
enum Incoming {
    Stop(Stop),
    Request(Request),
    /// What changes nothing, or is at once undone again.
    Aside(Word),
}

/// Why the process serves no longer.
#[derive(Debug)]
pub enum End {
    Stopped(Stop),
    /// Another process does.
    Replaced(Successor),
}

impl Signals {
    pub fn listen(shape: Shape, requests: mpsc::Receiver<Request>) -> io::Result<Self> {
        let if_meant = |caught: Caught| {
            let kind = SignalKind::from_raw(caught.number());
            shape.means(caught).map(|_| signal(kind)).transpose()
        };
        Ok(Self {
            file: None,
            shape,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            second: signal(SignalKind::user_defined2())?,
            first: if_meant(Caught::Usr1)?,
            quit: if_meant(Caught::Quit)?,
            pause: if_meant(Caught::Ttou)?,
            resume: if_meant(Caught::Ttin)?,
            requests,
        })
    }

    /// Counts a change of this file as SIGHUP.
    pub fn watch(&mut self, file: &Path) {
        self.file = Some(FileWatch::new(file));
    }

    /// The next one. However many signals of a kind came meanwhile, they are one.
    async fn next(&mut self) -> Incoming {
        loop {
            let caught = tokio::select! {
                biased;
                _ = self.terminate.recv() => Caught::Term,
                _ = self.interrupt.recv() => Caught::Int,
                () = received(&mut self.first) => Caught::Usr1,
                _ = self.hang_up.recv() => Caught::Hup,
                _ = self.second.recv() => Caught::Usr2,
                () = received(&mut self.quit) => Caught::Quit,
                () = received(&mut self.pause) => Caught::Ttou,
                () = received(&mut self.resume) => Caught::Ttin,
                Some(request) = self.requests.recv() => return Incoming::Request(request),
                () = change_of(&mut self.file) => {
                    return Incoming::Request(Request::of_nobody(Order::Reload, Actor::FileChange));
                }
            };
            if let Some(incoming) = self.meaning(caught) {
                return incoming;
            }
        }
    }

    fn meaning(&self, caught: Caught) -> Option<Incoming> {
        let request = |order| Some(Incoming::Request(Request::of_nobody(order, Actor::Signal(caught.name()))));
        match self.shape.means(caught)? {
            Word::Stop(stop) => Some(Incoming::Stop(stop)),
            Word::Reload => request(Order::Reload),
            Word::Upgrade => request(Order::Upgrade),
            word @ (Word::States | Word::Figures | Word::Pause | Word::Resume) => Some(Incoming::Aside(word)),
            Word::Nothing => None,
        }
    }

    /// Waits for a stop; all else keeps waiting for its turn.
    async fn stop(&mut self) -> Stop {
        let caught = tokio::select! {
            biased;
            _ = self.terminate.recv() => Caught::Term,
            _ = self.interrupt.recv() => Caught::Int,
            () = received(&mut self.first) => Caught::Usr1,
        };
        match self.shape.means(caught) {
            Some(Word::Stop(stop)) => stop,
            // None of the three means anything else in any shape.
            _ => Stop::Orderly,
        }
    }

    /// Waits for a stop of a process that takes no orders any more, because it is in this state.
    pub async fn end(&mut self, state: &str, facts: &Facts) -> Stop {
        loop {
            match self.next().await {
                Incoming::Stop(stop) => return stop,
                Incoming::Request(request) => request.refuse(state),
                Incoming::Aside(Word::States) => states::tell(facts),
                Incoming::Aside(Word::Figures) => states::tell_figures(facts),
                // Nobody comes in any more as it is.
                Incoming::Aside(_) => {}
            }
        }
    }
}

/// Never, of a signal that means nothing.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
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
                Incoming::Stop(stop) => return End::Stopped(stop),
                Incoming::Request(request) if request.is_void() => continue,
                Incoming::Request(request) => request,
                Incoming::Aside(word) => {
                    self.heard(word);
                    continue;
                }
            };
            let Request { order, by, asker } = request;
            let verb = order.verb();
            let mut successor = None;
            // Whatever waits has changed nothing yet: it can be given up.
            let done = tokio::select! {
                done = self.carry_out(order, by, &mut successor) => done,
                stop = signals.stop() => {
                    let why = format!("told to stop meanwhile: it does not {verb} any more");
                    tracing::warn!("{why}");
                    answer(asker, Err(Denied::Conflict(why)));
                    return End::Stopped(stop);
                }
            };
            answer(asker, done);
            if let Some(successor) = successor {
                return End::Replaced(successor);
            }
        }
    }

    /// Does what is not an order, because nothing of what is served changes.
    fn heard(&mut self, word: Word) {
        match word {
            Word::States => states::tell(&self.facts),
            Word::Figures => states::tell_figures(&self.facts),
            Word::Pause => self.switch_all(FrontendState::Paused, Actor::Signal(Caught::Ttou.name())),
            Word::Resume => self.switch_all(FrontendState::Open, Actor::Signal(Caught::Ttin.name())),
            Word::Stop(_) | Word::Reload | Word::Upgrade | Word::Nothing => {}
        }
    }

    fn switch_all(&mut self, to: FrontendState, by: Actor) {
        let current = self.facts.current();
        for frontend in &current.config.frontends {
            if let Err(Denied::Conflict(why)) = self.switch_frontend(frontend.name.as_str(), to, by.clone()) {
                tracing::warn!("{by}: {why}");
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
