//! What the kernel says of a session's peer once it has been asked: pure, with the kernel's figures as arguments.
//!
//! To ask is to send a keepalive probe on an idle connection; one with data under way asks by itself, since the kernel
//! sends that again. A peer that lives acknowledges either, however slow its process is and whether or not it reads.

use std::time::Duration;

use crate::net::options::Signs;

/// What is to be thought of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Alive,
    /// It has not answered yet.
    Silent,
    Dead,
}

/// How long a peer has to answer once asked, if nothing is heard of its host meanwhile.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// How long if the host is heard: it lives, and what is missing may have been lost on the way. An answer takes a question
/// and an acknowledgement that both arrive, and Linux acknowledges such questions only twice a second
/// (`net.ipv4.tcp_invalid_ratelimit`), so that few of them count where packets are lost.
pub const LONG_PATIENCE: Duration = UNACKNOWLEDGED;

/// How long data may go unacknowledged without anybody having asked.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// An answer takes less than this.
const ANSWER: Duration = Duration::from_millis(300);

/// From one question to the next.
pub const PAUSE: Duration = Duration::from_millis(250);

/// Within this time an idle peer has been asked a few times.
const FEW_QUESTIONS: Duration = Duration::from_millis(1250);

/// Hosts are heard more often than this: they are probed every two seconds, and at once when one is late.
const SHORTLY: Duration = Duration::from_millis(2500);

/// Questions in a row that must have gone unanswered: one that is lost on the way says nothing.
const QUESTIONS: u8 = 2;

/// What these signs say of a peer that was asked so long ago; `host_heard` is whether anything of its host has been heard
/// since.
pub fn judge(signs: Signs, asked: Duration, host_heard: bool) -> Found {
    if signs.heard < asked {
        return Found::Alive;
    }
    // A connection that was idle has not been heard for long, and that says nothing: its probes are our own.
    let lost = is_lost(signs, Some(asked));
    let patience = if host_heard { LONG_PATIENCE } else { PATIENCE };
    let asked_in_vain = asked >= patience && signs.retransmits.max(signs.probes) >= QUESTIONS;
    if lost || asked_in_vain { Found::Dead } else { Found::Silent }
}

/// Between which times ago others must have been heard for the silence of a peer since `silent` to be its own: the longer
/// one first. They were heard while it was silent, before the last question that it has had time to answer, and shortly
/// before: what they said a while earlier does not speak for the network at the time of the question.
pub fn proof(signs: Signs, silent: Duration) -> (Duration, Duration) {
    // Data that is sent again asks by itself, after ever longer pauses.
    let question = if signs.unacknowledged > 0 { signs.sent.max(ANSWER) } else { FEW_QUESTIONS };
    (silent.min(question + SHORTLY), question)
}

/// Whether a peer has gone, nobody else's word being needed: it acknowledges neither data nor probes any more. One that
/// lives and does not read answers window probes, and has nothing under way. `asked` is how long ago it was asked, if it
/// was: probes are then those questions, and it has as long for them as for data.
pub fn is_lost(signs: Signs, asked: Option<Duration>) -> bool {
    let unanswered = if signs.unacknowledged > 0 { signs.retransmits } else { signs.probes };
    let had_time = signs.unacknowledged > 0 || asked.is_none_or(|asked| asked >= UNACKNOWLEDGED);
    signs.heard >= UNACKNOWLEDGED && had_time && unanswered > QUESTIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Signs = Signs {
        heard: Duration::from_secs(60),
        sent: Duration::from_secs(60),
        unacknowledged: 0,
        retransmits: 0,
        probes: 6,
    };

    fn milliseconds(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    // Seen to fail with the comparison of `heard` turned round, with a patience of 1 s and of 2 s, without QUESTIONS,
    // and with the two kinds of questions exchanged.

    #[test]
    fn who_acknowledges_anything_after_being_asked_lives() {
        for signs in [ASKED, Signs { unacknowledged: 3, retransmits: 9, ..ASKED }] {
            assert_eq!(judge(Signs { heard: milliseconds(1499), ..signs }, milliseconds(1500), false), Found::Alive);
        }
    }

    #[test]
    fn who_acknowledges_nothing_for_a_second_and_a_half_is_dead() {
        assert_eq!(judge(ASKED, milliseconds(1499), false), Found::Silent);
        assert_eq!(judge(ASKED, milliseconds(1500), false), Found::Dead);
        let resending = Signs { unacknowledged: 2, retransmits: 3, probes: 0, ..ASKED };
        assert_eq!(judge(resending, milliseconds(1500), false), Found::Dead);
    }

    // Seen to fail with one patience for both.
    #[test]
    fn a_peer_whose_host_is_heard_has_more_time() {
        assert_eq!(judge(ASKED, milliseconds(4999), true), Found::Silent);
        assert_eq!(judge(ASKED, milliseconds(5000), true), Found::Dead);
    }

    #[test]
    fn nobody_is_dead_for_a_question_that_was_lost_or_never_sent() {
        for questions in [0, 1] {
            assert_eq!(judge(Signs { probes: questions, ..ASKED }, milliseconds(4000), false), Found::Silent);
        }
    }

    #[test]
    fn data_without_an_acknowledgement_for_five_seconds_is_lost() {
        let lost = Signs { heard: milliseconds(5000), unacknowledged: 1, retransmits: 4, ..Signs::default() };
        assert!(is_lost(lost, None) && is_lost(lost, Some(milliseconds(1))));
        assert!(!is_lost(Signs { heard: milliseconds(4999), ..lost }, None));
        assert!(!is_lost(Signs { retransmits: 2, ..lost }, None), "it may be under way for the first time");
        assert_eq!(judge(lost, milliseconds(0), false), Found::Dead);
    }

    #[test]
    fn a_reader_that_pauses_is_not_lost_and_one_that_is_gone_meanwhile_is() {
        // Its window is shut: nothing is under way, and the kernel asks now and then whether it has opened.
        let paused = Signs { heard: Duration::from_secs(100), ..Signs::default() };
        assert!(!is_lost(paused, None), "the last probe was answered, and the next is not due yet");
        assert!(is_lost(Signs { probes: 3, ..paused }, None));
    }

    // Seen to fail with probes counted from whenever the peer was last heard.
    #[test]
    fn a_peer_that_was_asked_has_five_seconds_for_the_answer_though_it_was_idle_for_long() {
        assert!(!is_lost(ASKED, Some(milliseconds(4999))));
        assert!(is_lost(ASKED, Some(milliseconds(5000))));
    }

    // Seen to fail without SHORTLY, and with idle peers taken for busy ones.
    #[test]
    fn others_prove_the_network_shortly_before_the_last_question_and_not_before_the_silence() {
        let busy = Signs { sent: milliseconds(4000), unacknowledged: 1, ..Signs::default() };
        assert_eq!(
            proof(busy, milliseconds(10_000)),
            (milliseconds(6500), milliseconds(4000)),
            "its own cable fell later"
        );
        assert_eq!(proof(busy, milliseconds(5000)), (milliseconds(5000), milliseconds(4000)));
        assert_eq!(proof(ASKED, milliseconds(1500)), (milliseconds(1500), FEW_QUESTIONS));
        assert_eq!(proof(ASKED, milliseconds(60_000)).0, FEW_QUESTIONS + SHORTLY);
    }
}
