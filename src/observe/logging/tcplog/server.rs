//! What becomes of servers, in HAProxy's words and as gravely as it tells of them.

use crate::event::{CheckReport, ForcedOver, ServerChange, ServerState};
use crate::model::Severity;

/// A line that HAProxy writes, too.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::observe) struct Haproxys {
    pub severity: Severity,
    pub text: String,
}

/// A server's change of state; `None` for what only evenkeel knows, such as servers that are kept.
pub(in crate::observe) fn of_server(change: &ServerChange) -> Option<Haproxys> {
    let inherited = change.via.is_some();
    let (severity, what, tail) = match (change.from, change.to) {
        (ServerState::Maint, ServerState::Ready) if inherited => {
            (Severity::Notice, "is UP/READY (leaving maintenance)", Tail::None)
        }
        (ServerState::Maint, ServerState::Down(_)) if inherited => {
            (Severity::Notice, "is DOWN/READY (leaving maintenance)", Tail::None)
        }
        (ServerState::Maint, ServerState::Drain) if inherited => {
            (Severity::Notice, "is UP/DRAIN (leaving maintenance)", Tail::None)
        }
        (ServerState::Drain, ServerState::Ready) if inherited => {
            (Severity::Notice, "is UP (leaving drain)", Tail::None)
        }
        // Whoever ends what an operator has set is not told how many there are then.
        (ServerState::Maint, ServerState::Ready) => {
            (Severity::Notice, "is UP/READY (leaving forced maintenance)", Tail::None)
        }
        (ServerState::Maint, ServerState::Down(_)) => {
            (Severity::Notice, "is DOWN/READY (leaving forced maintenance)", Tail::None)
        }
        (ServerState::Maint, ServerState::Drain) => {
            (Severity::Notice, "is UP/DRAIN (leaving forced maintenance)", Tail::None)
        }
        (ServerState::Drain, ServerState::Ready) => (Severity::Notice, "is UP (leaving forced drain)", Tail::None),
        (ServerState::Down(_), ServerState::Maint) => {
            (Severity::Notice, "was DOWN and now enters maintenance", Tail::None)
        }
        // One that got no new sessions is missed less.
        (ServerState::Drain, ServerState::Down(_)) => (Severity::Notice, "is DOWN", Tail::Left),
        (ServerState::Drain, ServerState::Maint) => (Severity::Notice, "is going DOWN for maintenance", Tail::Left),
        (_, ServerState::Ready) => (Severity::Notice, "is UP", Tail::Online),
        (_, ServerState::Down(_)) => (Severity::Alert, "is DOWN", Tail::Left),
        (_, ServerState::Draining) => (Severity::Notice, "is stopping", Tail::Online),
        (_, ServerState::Drain) => (Severity::Notice, "enters drain state", Tail::Online),
        (_, ServerState::Maint) => (Severity::Alert, "is going DOWN for maintenance", Tail::Left),
        (_, ServerState::Kept(_) | ServerState::Stranger) => return None,
    };
    let kind = if change.backup { "Backup " } else { "" };
    let ServerChange { backend, server, .. } = change;
    let text = format!("{kind}Server {backend}/{server} {what}{}{}.", reason(change), tail.of(change));
    Some(Haproxys { severity, text })
}

/// What stands behind a change: how many servers there are then, and what becomes of the sessions.
#[derive(Clone, Copy)]
enum Tail {
    None,
    /// The server may have sessions.
    Online,
    /// It has none any more.
    Left,
}

impl Tail {
    fn of(self, change: &ServerChange) -> String {
        let (active, backup) = (change.active_left, change.backup_left);
        let on_backup = if active == 0 && backup > 0 { " Running on backup." } else { "" };
        match self {
            Self::None => String::new(),
            Self::Online => format!(
                ". {active} active and {backup} backup servers online.{on_backup} 0 sessions requeued, 0 total in queue"
            ),
            Self::Left => format!(
                ". {active} active and {backup} backup servers left.{on_backup} {} sessions active, 0 requeued, 0 \
                 remaining in queue",
                change.sessions
            ),
        }
    }
}

/// Why: the server that it follows, or what the check saw, unless a line of its own has told that.
fn reason(change: &ServerChange) -> String {
    // Whoever comes back from maintenance with another isn't told of it.
    if let Some(tracked) = change.via.as_ref().filter(|_| change.from != ServerState::Maint) {
        return format!(" via {}/{}", tracked.backend, tracked.server);
    }
    let by_state = matches!(
        (change.from, change.to),
        (_, ServerState::Drain | ServerState::Maint)
            | (ServerState::Maint, _)
            | (ServerState::Drain, ServerState::Ready)
    );
    match (change.forced, &change.evidence) {
        _ if by_state => String::new(),
        (Some(ForcedOver::Runtime), _) => ", changed from CLI".to_owned(),
        (Some(ForcedOver::Page), _) => ", changed from Web interface".to_owned(),
        (None, Some(evidence)) if !change.reported => evidence.in_haproxys_words(),
        (None, _) => String::new(),
    }
}

/// A check's result that differs from the one before.
pub(in crate::observe) fn of_check(report: &CheckReport) -> Haproxys {
    Haproxys { severity: Severity::Notice, text: format!("{}.", report.text()) }
}

/// The last server of a backend that went.
pub(in crate::observe) fn of_nobody_left(change: &ServerChange) -> Haproxys {
    let kind = if change.is_listen { "proxy" } else { "backend" };
    Haproxys { severity: Severity::Emergency, text: format!("{kind} {} has no server available!", change.backend) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::event::{CheckStatus, DownCause, Evidence};
    use crate::model::{BackendName, ServerName, Tracked};

    fn change(from: ServerState, to: ServerState, status: CheckStatus) -> ServerChange {
        ServerChange {
            backend: BackendName::new("back").unwrap(),
            server: ServerName::new("a").unwrap(),
            from,
            to,
            evidence: Some(Evidence::of(status, SystemTime::UNIX_EPOCH)),
            recent: Vec::new(),
            sessions: 3,
            active_left: 1,
            backup_left: 1,
            at: SystemTime::UNIX_EPOCH,
            backup: false,
            reported: false,
            via: None,
            is_listen: false,
            forced: None,
        }
    }

    fn down() -> ServerChange {
        let mut down = change(ServerState::Ready, ServerState::Down(DownCause::Refused), CheckStatus::L4Con);
        down.evidence.as_mut().unwrap().info = "Connection refused".to_owned();
        down
    }

    fn told(change: &ServerChange) -> (Severity, String) {
        let told = of_server(change).unwrap();
        (told.severity, told.text)
    }

    /// The lines of HAProxy 3.2.26.
    #[test]
    fn a_server_that_goes_and_comes_back_is_told_of_in_haproxys_words() {
        assert_eq!(
            told(&down()),
            (
                Severity::Alert,
                "Server back/a is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check \
                 duration: 0ms. 1 active and 1 backup servers left. 3 sessions active, 0 requeued, 0 remaining in queue."
                    .to_owned()
            )
        );
        let up = change(ServerState::Down(DownCause::Refused), ServerState::Ready, CheckStatus::L4Ok);
        assert_eq!(
            told(&up),
            (
                Severity::Notice,
                "Server back/a is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 1 backup servers \
                 online. 0 sessions requeued, 0 total in queue."
                    .to_owned()
            )
        );
        let last = ServerChange { active_left: 0, backup: true, reported: true, ..down() };
        assert_eq!(
            told(&last).1,
            "Backup Server back/a is DOWN. 0 active and 1 backup servers left. Running on backup. 3 sessions active, 0 \
             requeued, 0 remaining in queue."
        );
    }

    #[test]
    fn a_listen_section_without_a_server_is_a_proxy() {
        let listen = ServerChange { is_listen: true, ..down() };
        assert_eq!(of_nobody_left(&down()).text, "backend back has no server available!");
        assert_eq!(of_nobody_left(&listen).text, "proxy back has no server available!");
    }

    #[test]
    fn what_an_operator_sets_has_no_reason() {
        let set = |from, to| told(&change(from, to, CheckStatus::L4Ok));
        let online = "1 active and 1 backup servers online. 0 sessions requeued, 0 total in queue.";
        let ready = ServerState::Ready;
        assert_eq!(
            set(ready, ServerState::Drain),
            (Severity::Notice, format!("Server back/a enters drain state. {online}"))
        );
        assert_eq!(set(ServerState::Drain, ready).1, "Server back/a is UP (leaving forced drain).");
        let (severity, maintenance) = set(ready, ServerState::Maint);
        assert_eq!(severity, Severity::Alert);
        assert_eq!(
            maintenance,
            "Server back/a is going DOWN for maintenance. 1 active and 1 backup servers left. 3 sessions active, 0 \
             requeued, 0 remaining in queue."
        );
        let (severity, again) = set(ServerState::Drain, ServerState::Maint);
        assert_eq!((severity, again), (Severity::Notice, maintenance), "it got no new sessions before either");
        let down = ServerState::Down(DownCause::Refused);
        assert_eq!(
            set(down, ServerState::Maint),
            (Severity::Notice, "Server back/a was DOWN and now enters maintenance.".to_owned())
        );
        let drained = set(ServerState::Maint, ServerState::Drain);
        assert_eq!(drained.1, "Server back/a is UP/DRAIN (leaving forced maintenance).");
        let back = set(ServerState::Maint, ready);
        assert_eq!(back, (Severity::Notice, "Server back/a is UP/READY (leaving forced maintenance).".to_owned()));
    }

    // Seen to fail with the reason left out, and with the gravity of one that is in use.
    #[test]
    fn a_drained_server_that_goes_down_is_told_with_its_reason_and_as_less_grave() {
        let drained = ServerChange { from: ServerState::Drain, ..down() };
        let (severity, text) = told(&drained);
        assert_eq!(severity, Severity::Notice);
        assert!(text.starts_with("Server back/a is DOWN, reason: Layer4 "), "{text}");
    }

    // Seen to fail with what was said still told of maintenance.
    #[test]
    fn health_that_an_operator_has_set_is_told_with_where_it_was_said() {
        let set = |from, to, forced| {
            told(&ServerChange { evidence: None, forced: Some(forced), ..change(from, to, CheckStatus::L4Ok) }).1
        };
        let (ready, down) = (ServerState::Ready, ServerState::Down(DownCause::Ordered));
        let (runtime, page) = (ForcedOver::Runtime, ForcedOver::Page);
        assert!(set(ready, down, runtime).starts_with("Server back/a is DOWN, changed from CLI. 1 active "));
        assert!(set(down, ready, runtime).starts_with("Server back/a is UP, changed from CLI. 1 active "));
        let stopping = set(ready, ServerState::Draining, page);
        assert!(stopping.starts_with("Server back/a is stopping, changed from Web interface. "), "{stopping}");
        let maint = set(ready, ServerState::Maint, page);
        assert!(maint.starts_with("Server back/a is going DOWN for maintenance. 1 "), "{maint}");
    }

    #[test]
    fn one_that_follows_another_names_it() {
        let tracked = Tracked { backend: BackendName::new("api").unwrap(), server: ServerName::new("cp1").unwrap() };
        let follows = ServerChange { via: Some(tracked), ..down() };
        assert!(told(&follows).1.starts_with("Server back/a is DOWN via api/cp1. 1 active "));
        let between = |from, to| told(&ServerChange { from, to, ..follows.clone() }).1;
        let back = between(ServerState::Maint, ServerState::Ready);
        assert_eq!(back, "Server back/a is UP/READY (leaving maintenance).");
        let drained = between(ServerState::Drain, ServerState::Ready);
        assert_eq!(drained, "Server back/a is UP (leaving drain) via api/cp1.");
        let down = between(ServerState::Ready, ServerState::Maint);
        assert!(down.starts_with("Server back/a is going DOWN for maintenance via api/cp1. 1 active "));
    }

    #[test]
    fn what_only_evenkeel_knows_has_no_words_of_haproxys() {
        let slow = ServerState::Kept(crate::event::Kept::Slow);
        assert_eq!(of_server(&change(ServerState::Ready, slow, CheckStatus::L4Tout)), None);
    }

    #[test]
    fn what_a_server_says_can_not_end_the_line() {
        let mut down = down();
        down.evidence.as_mut().unwrap().info = "a\nb\"".to_owned();
        assert!(!told(&down).1.contains('\n'));
    }
}
