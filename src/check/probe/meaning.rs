//! What a server's HTTP answer says of it, by the type of its check: pure.

use std::time::Duration;

use super::http::{Answer, printable};
use super::seen::{Seen, in_words};
use crate::event::{CheckStatus, DownCause, Readiness, Remark};

/// How statuses are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// As the check lists them.
    Listed { accept: Vec<u16>, draining: Vec<u16> },
    /// As a kube-apiserver's word on its readiness, to somebody whom it knows or not.
    Apiserver { known: bool },
    /// As the answer of k0s's join API, which has no page but lives if it says so.
    JoinApi,
}

impl Meaning {
    /// What the status alone says.
    pub fn state(&self, code: u16) -> Readiness {
        const DOWN: Readiness = Readiness::Down(DownCause::Unexpected);
        match self {
            Self::Listed { accept, .. } if accept.contains(&code) => Readiness::Ready,
            Self::Listed { draining, .. } if draining.contains(&code) => Readiness::Draining,
            Self::Listed { .. } => DOWN,
            Self::Apiserver { .. } => match code {
                200 | 401 | 403 => Readiness::Ready,
                429 | 500 | 503 => Readiness::Draining,
                _ => DOWN,
            },
            Self::JoinApi if code < 500 => Readiness::Ready,
            Self::JoinApi => Readiness::Draining,
        }
    }

    /// The whole answer, which came after such a time.
    pub fn read(&self, answer: &Answer, took: Duration) -> Seen {
        let code = answer.code;
        let (state, remark) = (self.state(code), self.remark(code));
        let detail = match (state, remark) {
            (_, Some(remark)) => remark.words().to_owned(),
            (Readiness::Ready, None) => format!("HTTP {code} in {}", in_words(took)),
            (Readiness::Draining | Readiness::Down(_), None) => self.complaint(answer),
        };
        Seen { code: Some(code), remark, ..Seen::new(state, self.status(code), detail) }
    }

    fn status(&self, code: u16) -> CheckStatus {
        match (self.state(code), self) {
            (Readiness::Draining | Readiness::Down(_), _) => CheckStatus::L7Sts,
            (Readiness::Ready, Self::JoinApi) => CheckStatus::L7Ok,
            (Readiness::Ready, _) if (200..400).contains(&code) => CheckStatus::L7Ok,
            (Readiness::Ready, _) => CheckStatus::L7Okc,
        }
    }

    fn remark(&self, code: u16) -> Option<Remark> {
        match (self, code) {
            (Self::Apiserver { known: false }, 401 | 403) => Some(Remark::Anonymous),
            (Self::Apiserver { known: true }, 401) => Some(Remark::CredentialRefused),
            (Self::Apiserver { known: true }, 403) => Some(Remark::CredentialTooWeak),
            _ => None,
        }
    }

    /// Why it does not take sessions, in its own words.
    fn complaint(&self, Answer { code, body }: &Answer) -> String {
        let failing = if matches!(self, Self::Apiserver { .. }) { failing(body) } else { Vec::new() };
        match (failing.is_empty(), printable(body)) {
            (false, _) => format!("failing: {}", printable(failing.join(&b", "[..]).as_slice())),
            (true, body) if body.is_empty() => format!("HTTP {code}"),
            (true, body) => format!("HTTP {code}: {body}"),
        }
    }
}

/// The checks that an apiserver's `/readyz` lists as failed, each `[-]name failed: reason withheld`.
fn failing(body: &[u8]) -> Vec<&[u8]> {
    let lines = body.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"[-]"));
    lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Readiness = Readiness::Down(DownCause::Unexpected);

    fn read(meaning: &Meaning, code: u16, body: &str) -> (Readiness, CheckStatus, String, Option<Remark>) {
        let seen = meaning.read(&Answer { code, body: body.into() }, Duration::from_millis(12));
        assert_eq!(seen.code, Some(code));
        (seen.state, seen.status, seen.detail, seen.remark)
    }

    const STRANGER: Meaning = Meaning::Apiserver { known: false };
    const KNOWN: Meaning = Meaning::Apiserver { known: true };

    // Seen to fail with 401 taken for down, and with 429 left out of those that drain.
    #[test]
    fn an_apiserver_is_ready_alive_draining_or_down_by_its_own_word() {
        use CheckStatus::{L7Ok, L7Okc, L7Sts};
        let ready = |detail: &str| (Readiness::Ready, L7Ok, detail.to_owned(), None);
        let remark = |remark: Remark| (Readiness::Ready, L7Okc, remark.words().to_owned(), Some(remark));
        let not = |state, detail: &str| (state, L7Sts, detail.to_owned(), None);
        assert_eq!(read(&STRANGER, 200, ""), ready("HTTP 200 in 12 ms"));
        for code in [401, 403] {
            assert_eq!(read(&STRANGER, code, "Unauthorized"), remark(Remark::Anonymous));
        }
        assert_eq!(read(&KNOWN, 401, ""), remark(Remark::CredentialRefused));
        assert_eq!(read(&KNOWN, 403, ""), remark(Remark::CredentialTooWeak));
        for code in [429, 500, 503] {
            assert_eq!(read(&STRANGER, code, ""), not(Readiness::Draining, &format!("HTTP {code}")));
        }
        for code in [204, 301, 400, 404, 502] {
            assert_eq!(read(&KNOWN, code, "no"), not(DOWN, &format!("HTTP {code}: no")));
        }
    }

    // Seen to fail with the reason left on the name, and with the passed checks listed too.
    #[test]
    fn the_failing_checks_are_named() {
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]poststarthook/rbac failed: x\nreadyz check failed\n";
        let (state, _, detail, _) = read(&STRANGER, 500, body);
        assert_eq!((state, detail.as_str()), (Readiness::Draining, "failing: etcd, poststarthook/rbac"));
        assert_eq!(read(&STRANGER, 500, "[-]\x1b[31m\n[-] x").2, "failing: [31m");
        assert_eq!(read(&STRANGER, 503, "later").2, "HTTP 503: later");
        assert_eq!(read(&Meaning::JoinApi, 500, "[-]etcd failed").2, "HTTP 500: [-]etcd failed");
    }

    // Seen to fail with 404 refused, and with 5xx taken for down.
    #[test]
    fn the_join_api_lives_with_any_status_below_500_and_drains_above() {
        for code in [200, 301, 401, 404, 499] {
            let expected = (Readiness::Ready, CheckStatus::L7Ok, format!("HTTP {code} in 12 ms"), None);
            assert_eq!(read(&Meaning::JoinApi, code, "404 page not found"), expected);
        }
        for code in [500, 503, 599] {
            let (state, status, ..) = read(&Meaning::JoinApi, code, "");
            assert_eq!((state, status), (Readiness::Draining, CheckStatus::L7Sts));
        }
    }

    // Seen to fail with the draining list left out, and with anything that is not listed taken for draining.
    #[test]
    fn listed_statuses_mean_what_the_list_says() {
        let listed = Meaning::Listed { accept: vec![200, 401], draining: vec![503] };
        let state = |code| {
            let (state, status, ..) = read(&listed, code, "");
            (state, status)
        };
        assert_eq!(state(200), (Readiness::Ready, CheckStatus::L7Ok));
        assert_eq!(state(401), (Readiness::Ready, CheckStatus::L7Okc));
        assert_eq!(state(503), (Readiness::Draining, CheckStatus::L7Sts));
        assert_eq!(state(500), (DOWN, CheckStatus::L7Sts));
    }
}
