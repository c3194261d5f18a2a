//! Who the process behaves like towards those who start and stop it: the shape of the command line says so, never the
//! format of the configuration.

use rustix::process::Signal;

/// What signals mean, and whether others may listen beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// `evenkeel run`.
    #[default]
    Evenkeel,
    /// `evenkeel haproxy`: HAProxy without a master.
    Haproxy,
    /// `evenkeel haproxy -W`: HAProxy's master and its worker in one process.
    HaproxyMaster,
}

/// What the process is told by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Stop(Stop),
    Reload,
    Upgrade,
    /// Tell the state of every server in the log.
    States,
    /// Tell what the process takes of the machine.
    Figures,
    /// Have the kernel refuse clients at every frontend, and no longer.
    Pause,
    Resume,
    /// Nothing: it is caught so that it does not end the process.
    Nothing,
}

/// How the process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are closed over a while.
    Orderly,
    /// With the last session; nobody new is taken.
    WithTheLast,
    /// Now, because of this signal.
    AtOnce(Caught),
}

/// A signal that can be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    Term,
    Int,
    Hup,
    Usr1,
    Usr2,
    Quit,
    Ttou,
    Ttin,
}

impl Caught {
    /// Its number (signal(7)).
    pub fn number(self) -> i32 {
        let signal = match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
            Self::Hup => Signal::HUP,
            Self::Usr1 => Signal::USR1,
            Self::Usr2 => Signal::USR2,
            Self::Quit => Signal::QUIT,
            Self::Ttou => Signal::TTOU,
            Self::Ttin => Signal::TTIN,
        };
        signal.as_raw()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Hup => "SIGHUP",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Quit => "SIGQUIT",
            Self::Ttou => "SIGTTOU",
            Self::Ttin => "SIGTTIN",
        }
    }
}

impl Shape {
    /// What a signal means; `None` leaves it to the kernel.
    pub fn means(self, signal: Caught) -> Option<Word> {
        use Caught::{Hup, Int, Quit, Term, Ttin, Ttou, Usr1, Usr2};
        match (self, signal) {
            (Self::Evenkeel, Term | Int) => Some(Word::Stop(Stop::Orderly)),
            (Self::Evenkeel, Hup) => Some(Word::Reload),
            (Self::Evenkeel, Usr2) => Some(Word::Upgrade),
            (Self::Evenkeel, Usr1 | Quit | Ttou | Ttin) => None,
            (Self::Haproxy | Self::HaproxyMaster, Term | Int) => Some(Word::Stop(Stop::AtOnce(signal))),
            (Self::Haproxy | Self::HaproxyMaster, Usr1) => Some(Word::Stop(Stop::WithTheLast)),
            (Self::Haproxy | Self::HaproxyMaster, Quit) => Some(Word::Figures),
            (Self::Haproxy | Self::HaproxyMaster, Ttou) => Some(Word::Pause),
            (Self::Haproxy | Self::HaproxyMaster, Ttin) => Some(Word::Resume),
            (Self::Haproxy, Hup) => Some(Word::States),
            (Self::Haproxy, Usr2) => Some(Word::Nothing),
            (Self::HaproxyMaster, Hup | Usr2) => Some(Word::Reload),
        }
    }

    /// Whether other processes may listen on its addresses, so that one can take the place of another.
    pub fn shares_ports(self) -> bool {
        self != Self::Evenkeel
    }
}
