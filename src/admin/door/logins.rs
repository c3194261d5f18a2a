//! Those who have logged in with a browser: each has a cookie, of which only a hash is kept here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use hyper::HeaderMap;
use hyper::header::COOKIE;
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use crate::event::CredentialUsed;

/// The cookie's name.
pub const NAME: &str = "evenkeel";

/// Logins at a time; one more, and the oldest has ended.
pub const MOST: usize = 64;

/// How long a login lasts that nobody uses, and any.
pub const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// SHA-256 of something that is not to be kept itself.
pub type Fingerprint = [u8; 32];

/// Who has logged in, and with what: the login ends once that is right no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub used: CredentialUsed,
    pub credential: Fingerprint,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Logins(Mutex<Vec<Held>>);

#[derive(Debug)]
struct Held {
    cookie: Fingerprint,
    login: Login,
    begun: Instant,
    seen: Instant,
}

impl Logins {
    /// Begins one, and gives the cookie's value, which nobody can guess.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn begin(&self, login: Login, now: Instant) -> Result<String, Unspecified> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret)?;
        let value = Base64UrlUnpadded::encode_string(&secret);
        let mut held = self.lock();
        held.retain(|held| held.lasts(now));
        if held.len() == MOST {
            // They stand in the order in which they began.
            held.remove(0);
        }
        held.push(Held { cookie: fingerprint(&[value.as_bytes()]), login, begun: now, seen: now });
        Ok(value)
    }

    /// Whose cookie this is, if the login lasts; it is in use now.
    pub fn find(&self, cookie: &str, now: Instant) -> Option<Login> {
        let cookie = fingerprint(&[cookie.as_bytes()]);
        let mut all = self.lock();
        let held = all.iter_mut().find(|held| held.cookie == cookie && held.lasts(now))?;
        held.seen = now;
        Some(held.login.clone())
    }

    /// Ends one; whose it was.
    pub fn end(&self, cookie: &str) -> Option<CredentialUsed> {
        let cookie = fingerprint(&[cookie.as_bytes()]);
        let mut all = self.lock();
        let place = all.iter().position(|held| held.cookie == cookie)?;
        Some(all.remove(place).login.used)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn lasts(&self, now: Instant) -> bool {
        now.duration_since(self.seen) < IDLE && now.duration_since(self.begun) < LONGEST
    }
}

/// Of these parts, none of which runs into the next.
pub fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut whole = Vec::new();
    for part in parts {
        whole.extend((part.len() as u64).to_be_bytes());
        whole.extend(*part);
    }
    digest(&SHA256, &whole).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The value of the one cookie of ours that a request shows (RFC 6265, section 5.4). Of two nobody knows which is meant.
pub fn shown(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value);
    match (ours.next(), ours.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Login {
        Login { used: CredentialUsed::Password(name.into()), credential: fingerprint(&[name.as_bytes()]) }
    }

    // Seen to fail without LONGEST.
    #[tokio::test(start_paused = true)]
    async fn a_login_lasts_as_long_as_it_is_used_and_a_day_at_most() {
        let (logins, begun) = (Logins::default(), Instant::now());
        let second = Duration::from_secs(1);
        let cookie = logins.begin(of("ops"), begun).unwrap();
        assert_eq!(cookie.len(), 43, "256 bits");
        assert_eq!(logins.find("", begun), None);
        assert_eq!(logins.find(&cookie[1..], begun), None);
        let mut now = begun;
        while now + IDLE < begun + LONGEST {
            now += IDLE - second;
            assert_eq!(logins.find(&cookie, now), Some(of("ops")));
        }
        assert_eq!(logins.find(&cookie, begun + LONGEST - second), Some(of("ops")));
        assert_eq!(logins.find(&cookie, begun + LONGEST), None);
        let idle = logins.begin(of("ops"), begun).unwrap();
        assert_eq!(logins.find(&idle, begun + IDLE), None);
    }

    // Seen to fail with the newest pushed out.
    #[tokio::test(start_paused = true)]
    async fn one_too_many_ends_the_oldest_and_one_can_be_ended() {
        let (logins, now) = (Logins::default(), Instant::now());
        let cookies: Vec<_> = (0..=MOST).map(|n| logins.begin(of(&n.to_string()), now).unwrap()).collect();
        assert_eq!(logins.find(&cookies[0], now), None);
        assert_eq!(logins.find(&cookies[1], now), Some(of("1")));
        assert_eq!(logins.end(&cookies[1]), Some(of("1").used));
        assert_eq!((logins.end(&cookies[1]), logins.find(&cookies[1], now)), (None, None));
        assert_eq!(logins.find(&cookies[MOST], now), Some(of(&MOST.to_string())));
    }

    // Seen to fail with the first of two taken.
    #[test]
    fn one_cookie_of_ours_is_found_among_others() {
        let shown_in = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            shown(&headers).map(str::to_owned)
        };
        assert_eq!(shown_in(&["a=b; evenkeel=x=y;c=d"]).as_deref(), Some("x=y"));
        assert_eq!(shown_in(&["a=b", "evenkeel=x"]).as_deref(), Some("x"));
        assert_eq!(shown_in(&["evenkeel=x; evenkeel=y"]), None);
        assert_eq!(shown_in(&["notevenkeel=x", "evenkeel"]), None);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }
}
