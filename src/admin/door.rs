//! Who may act over the stats listener: whoever shows the token, or logs in with the password.
//!
//! A password costs tens of milliseconds to verify, which is what makes it hard to guess. So it is verified on a thread
//! of its own, one at a time, and a wrong one holds that place for a moment longer: whoever guesses slows down those who
//! guess, and those who log in, but neither the control thread nor those with a token.
//!
//! A browser that has shown either has a cookie instead ([`logins`]), which is cheap to look at.

mod logins;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

pub(super) use self::logins::NAME as COOKIE;
use self::logins::{Fingerprint, Login, Logins, fingerprint};
use super::password;
use super::refusal::Refusal;
use crate::check::probe::LiveToken;
use crate::event::CredentialUsed;
use crate::model::{StatsAccess, User};

/// How long the token's file may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Logins that wait for their turn, and for how long.
const WAITING: usize = 8;
const WAIT: Duration = Duration::from_secs(5);

/// How long a wrong password holds its place: at most four guesses a second.
const PENANCE: Duration = Duration::from_millis(250);

/// How long after a line on a refusal there is no other.
const QUIET: Duration = Duration::from_secs(10);

/// The stats listener's door, with the credentials that open it.
#[derive(Debug)]
pub struct Door {
    /// A reload exchanges them.
    known: RwLock<Arc<Known>>,
    line: Semaphore,
    turn: Arc<Semaphore>,
    refused: AtomicU64,
    /// When a refusal was last told of.
    told: Mutex<Option<Instant>>,
    logins: Logins,
    /// Times that logins may have ended before their time.
    logins_ended: AtomicU64,
}

/// The credentials that are right.
#[derive(Debug)]
struct Known {
    token: Option<LiveToken>,
    user: Option<Arc<User>>,
}

/// What a request, or the form of a login, shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Token(String),
    Password { user: String, password: String },
}

impl Door {
    pub fn new(access: &StatsAccess) -> Self {
        Self {
            known: RwLock::new(Known::of(access)),
            line: Semaphore::new(WAITING),
            turn: Arc::new(Semaphore::new(1)),
            refused: AtomicU64::new(0),
            told: Mutex::default(),
            logins: Logins::default(),
            logins_ended: AtomicU64::new(0),
        }
    }

    /// Lets in who shows one of these from now on, and nobody else.
    pub fn renew(&self, access: &StatsAccess) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::of(access);
        self.logins_ended.fetch_add(1, Relaxed);
    }

    /// Another number whenever logins may have ended before their time: who is being shown something is to show again
    /// who they are.
    pub(super) fn logins_ended(&self) -> u64 {
        self.logins_ended.load(Relaxed)
    }

    /// Times that somebody was not let in.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Lets in who shows the right credential, or the cookie of a login with one.
    pub(super) async fn admit(&self, client: SocketAddr, headers: &HeaderMap) -> Result<CredentialUsed, Refusal> {
        match self.recognise(headers).await {
            Some(used) => Ok(used),
            None => self.let_in(client, shown(headers)).await,
        }
    }

    /// Whether these headers show who it is. Nothing is told of those who show nothing.
    pub(super) async fn knows(&self, client: SocketAddr, headers: &HeaderMap) -> bool {
        if self.recognise(headers).await.is_some() {
            return true;
        }
        let shows = headers.contains_key(AUTHORIZATION) && self.known().is_set();
        shows && self.let_in(client, shown(headers)).await.is_ok()
    }

    /// Why who has shown nothing, or nothing that is right, is not shown who the clients are.
    pub(super) fn unseen(&self) -> Refusal {
        let known = self.known();
        if !known.is_set() {
            return Refusal::new(
                hyper::StatusCode::FORBIDDEN,
                "who the clients are is shown to nobody over the network: ask on this host or at the admin socket, or \
                 set [stats] token_file, or user and password_hash",
            );
        }
        known.unauthorized("who the clients are is shown to those who log in (at /login)")
    }

    /// Who has logged in with the cookie in these headers, if that still holds.
    pub(super) async fn recognise(&self, headers: &HeaderMap) -> Option<CredentialUsed> {
        let Login { used, credential } = self.logins.find(logins::shown(headers)?, Instant::now())?;
        let is_right = self.known().fingerprint(&used).await? == credential;
        is_right.then_some(used)
    }

    /// Begins a login for who shows the right credential; the value of its cookie.
    pub(super) async fn log_in(&self, client: SocketAddr, shown: Shown) -> Result<String, Refusal> {
        let known = self.known();
        let used = self.let_in(client, Some(shown)).await?;
        let no_more = || Refusal::busy("the credentials have just changed: try again");
        let credential = known.fingerprint(&used).await.ok_or_else(no_more)?;
        tracing::info!(%client, by = %used, "a login on the stats listener");
        let no_chance = |_| {
            let words = "the system has no random numbers for a cookie";
            Refusal::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, words)
        };
        self.logins.begin(Login { used, credential }, Instant::now()).map_err(no_chance)
    }

    /// Ends the login whose cookie is in these headers.
    pub(super) fn log_out(&self, client: Option<SocketAddr>, headers: &HeaderMap) {
        if let Some(by) = logins::shown(headers).and_then(|cookie| self.logins.end(cookie)) {
            self.logins_ended.fetch_add(1, Relaxed);
            tracing::info!(client = client.map(tracing::field::display), %by, "a login has ended");
        }
    }

    /// Whether there is a token, and a user's name, to log in with.
    pub(super) fn takes(&self) -> (bool, bool) {
        let known = self.known();
        (known.token.is_some(), known.user.is_some())
    }

    async fn let_in(&self, client: SocketAddr, shown: Option<Shown>) -> Result<CredentialUsed, Refusal> {
        let admitted = self.judge(shown).await;
        if admitted.is_err() {
            self.note_refusal(client);
        }
        admitted
    }

    /// Has who has shown a wrong password of HAProxy's page wait as those do who have shown a wrong one here.
    pub(super) async fn hold_up(&self, client: Option<SocketAddr>) -> Result<(), Refusal> {
        client.into_iter().for_each(|client| self.note_refusal(client));
        let _place = self.line.try_acquire().map_err(|_| busy())?;
        let turn = timeout(WAIT, self.turn.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.expect("it is never closed");
        sleep(PENANCE).await;
        Ok(())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts it, and tells of it unless that was done just now: who guesses must not fill the log.
    fn note_refusal(&self, client: SocketAddr) {
        let refused = self.refused.fetch_add(1, Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= QUIET) {
            *told = Some(Instant::now());
            tracing::warn!(%client, refused, "an action or a login was refused on the stats listener: no right credential");
        }
    }

    async fn judge(&self, shown: Option<Shown>) -> Result<CredentialUsed, Refusal> {
        let known = self.known();
        if !known.is_set() {
            return Err(Refusal::new(
                hyper::StatusCode::FORBIDDEN,
                "this listener is for looking: use the admin socket, or set [stats] token_file, or user and password_hash",
            ));
        }
        match (shown, &known.token, &known.user) {
            (Some(Shown::Token(shown)), Some(token), _) => {
                let token = token.current(Instant::now() + READ_TIMEOUT).await;
                let right: bool = shown.as_bytes().ct_eq(token.as_str().as_bytes()).into();
                if right { Ok(CredentialUsed::Token) } else { Err(known.unauthorized("the token is another one")) }
            }
            (Some(Shown::Password { user: name, password }), _, Some(user)) => {
                if self.logs_in(user, &name, password).await? {
                    return Ok(CredentialUsed::Password(name));
                }
                Err(known.unauthorized("the name or the password is wrong"))
            }
            (Some(_), ..) => Err(known.unauthorized("this kind of credential is not set in [stats]")),
            (None, ..) => Err(known.unauthorized("actions need a credential here")),
        }
    }

    /// Whether name and password are the user's; an error if there is no turn to find out.
    async fn logs_in(&self, user: &Arc<User>, name: &str, password: String) -> Result<bool, Refusal> {
        let _place = self.line.try_acquire().map_err(|_| busy())?;
        let turn = timeout(WAIT, Arc::clone(&self.turn).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.expect("it is never closed");
        let verified = Arc::clone(user);
        // Verified whatever the name is: how long it takes must not tell which names there are.
        let right = tokio::task::spawn_blocking(move || password::is_of(&password, &verified.password));
        let right = right.await.unwrap_or(false);
        let named: bool = name.as_bytes().ct_eq(user.name.as_bytes()).into();
        if right && named {
            return Ok(true);
        }
        // On its own, so that the turn is held as long also if the client leaves.
        tokio::spawn(async move {
            sleep(PENANCE).await;
            drop(turn);
        });
        Ok(false)
    }
}

fn busy() -> Refusal {
    Refusal::busy("others are logging in: try again in a second")
}

impl Known {
    fn of(access: &StatsAccess) -> Arc<Self> {
        let token = access.token.as_ref().map(LiveToken::new);
        Arc::new(Self { token, user: access.user.clone().map(Arc::new) })
    }

    fn is_set(&self) -> bool {
        self.token.is_some() || self.user.is_some()
    }

    /// Of the credential of this kind as it is right now; `None` if there is none any more.
    async fn fingerprint(&self, used: &CredentialUsed) -> Option<Fingerprint> {
        match used {
            CredentialUsed::Token => {
                let token = self.token.as_ref()?.current(Instant::now() + READ_TIMEOUT).await;
                Some(fingerprint(&[b"token", token.as_str().as_bytes()]))
            }
            CredentialUsed::Password(name) => {
                let user = self.user.as_ref().filter(|user| user.name == *name)?;
                Some(fingerprint(&[b"password", name.as_bytes(), user.password.as_str().as_bytes()]))
            }
        }
    }

    fn unauthorized(&self, words: &str) -> Refusal {
        const BEARER: &str = "Bearer realm=\"evenkeel\"";
        const BASIC: &str = "Basic realm=\"evenkeel\", charset=\"UTF-8\"";
        const BOTH: &str = "Bearer realm=\"evenkeel\", Basic realm=\"evenkeel\", charset=\"UTF-8\"";
        let (schemes, how) = match (&self.token, &self.user) {
            (Some(_), Some(_)) => (BOTH, "`Authorization: Bearer TOKEN`, or log in with name and password"),
            (Some(_), None) => (BEARER, "`Authorization: Bearer TOKEN`"),
            (None, _) => (BASIC, "name and password (HTTP basic authentication)"),
        };
        Refusal::unauthorized(format!("{words}: send {how}"), schemes)
    }
}

/// Reads the one credential of a request (RFC 6750, section 2.1; RFC 7617, section 2).
fn shown(headers: &HeaderMap) -> Option<Shown> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
    let credential = credential.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(Shown::Token(credential.to_owned())),
        "basic" => {
            let login = String::from_utf8(Base64::decode_vec(credential).ok()?).ok()?;
            let (user, password) = login.split_once(':')?;
            Some(Shown::Password { user: user.to_owned(), password: password.to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::model::{PasswordHash, Token, TokenFile};

    fn somebody() -> SocketAddr {
        "192.0.2.1:40000".parse().unwrap()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn user() -> User {
        // Cheaper than those that are made for people, so that tests don't wait.
        let hash = "$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHRzb21l$";
        let params = argon2::Params::new(32, 1, 1, None).unwrap();
        let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut out = [0; 32];
        argon.hash_password_into(b"hunter2:x", b"somesaltsome", &mut out).unwrap();
        let hash = hash.to_owned() + &base64ct::Base64Unpadded::encode_string(&out);
        User { name: "ops".into(), password: PasswordHash::new(&hash).unwrap() }
    }

    fn token(directory: &tempfile::TempDir) -> TokenFile {
        let file = directory.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        TokenFile { file, token: Token::read(b"s3cret").unwrap() }
    }

    fn basic(login: &str) -> String {
        format!("Basic {}", Base64::encode_string(login.as_bytes()))
    }

    fn with_cookie(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(hyper::header::COOKIE, format!("{COOKIE}={value}").parse().unwrap());
        headers
    }

    // Seen to fail with a login that outlives its credential.
    #[tokio::test]
    async fn a_login_holds_until_it_is_ended_or_its_credential_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let token = token(&directory);
        let both = StatsAccess { token: Some(token.clone()), user: Some(user()) };
        let door = Door::new(&both);
        let password = || Shown::Password { user: "ops".into(), password: "hunter2:x".into() };
        let by_password = with_cookie(&door.log_in(somebody(), password()).await.unwrap());
        let by_token = with_cookie(&door.log_in(somebody(), Shown::Token("s3cret".into())).await.unwrap());
        assert_eq!(door.admit(somebody(), &by_password).await.unwrap(), CredentialUsed::Password("ops".into()));
        assert_eq!(door.recognise(&by_token).await, Some(CredentialUsed::Token));
        door.renew(&both);
        assert!(door.knows(somebody(), &by_password).await, "nothing has changed");
        std::fs::write(&token.file, "other").unwrap();
        assert_eq!(door.recognise(&by_token).await, None, "the token is another one");
        let renamed = User { name: "other".into(), ..user() };
        door.renew(&StatsAccess { token: None, user: Some(renamed) });
        assert!(!door.knows(somebody(), &by_password).await, "the user is another one");
        door.renew(&both);
        door.log_out(None, &by_password);
        assert_eq!(door.recognise(&by_password).await, None);
        assert_eq!(door.refused(), 0, "none of them has guessed");
        assert!(door.log_in(somebody(), Shown::Token("s3cret".into())).await.is_err());
        assert_eq!(door.refused(), 1);
    }

    #[tokio::test]
    async fn without_credentials_nobody_acts_and_what_to_set_is_said() {
        let door = Door::new(&StatsAccess::default());
        for shown in [&[][..], &["Bearer s3cret"]] {
            let words = door.admit(somebody(), &headers(shown)).await.unwrap_err().words().to_owned();
            assert!(words.contains("[stats] token_file"), "{words}");
        }
        assert_eq!(door.refused(), 2);
    }

    // Seen to fail with a comparison of the common length, and with a file that is read once.
    #[tokio::test]
    async fn the_token_lets_in_and_a_new_one_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let token = token(&directory);
        let door = Door::new(&StatsAccess { token: Some(token.clone()), user: None });
        let enters = async |shown: &str| door.admit(somebody(), &headers(&[shown])).await.ok();
        assert_eq!(enters("Bearer s3cret").await, Some(CredentialUsed::Token));
        assert_eq!(enters("bearer  s3cret").await, Some(CredentialUsed::Token));
        for wrong in ["Bearer s3cre", "Bearer s3crett", "Bearer ", "Token s3cret", "s3cret", &basic("s3cret:s3cret")] {
            assert_eq!(enters(wrong).await, None, "{wrong}");
        }
        assert!(
            door.admit(somebody(), &headers(&["Bearer s3cret", "Bearer s3cret"])).await.is_err(),
            "which of the two?"
        );
        std::fs::write(&token.file, "other").unwrap();
        assert_eq!((enters("Bearer s3cret").await, enters("Bearer other").await), (None, Some(CredentialUsed::Token)));
    }

    // Seen to fail with credentials that stay.
    #[tokio::test]
    async fn other_credentials_take_the_place_of_those_before() {
        let directory = tempfile::tempdir().unwrap();
        let door = Door::new(&StatsAccess { token: Some(token(&directory)), user: None });
        let enters = async |shown: &str| door.admit(somebody(), &headers(&[shown])).await.ok();
        assert_eq!(enters("Bearer s3cret").await, Some(CredentialUsed::Token));
        door.renew(&StatsAccess { token: None, user: Some(user()) });
        assert_eq!(enters("Bearer s3cret").await, None);
        assert_eq!(enters(&basic("ops:hunter2:x")).await, Some(CredentialUsed::Password("ops".into())));
        door.renew(&StatsAccess::default());
        assert_eq!(enters(&basic("ops:hunter2:x")).await, None);
        assert_eq!(door.refused(), 2, "it counts on");
    }

    // Seen to fail with a name that is not compared.
    #[tokio::test]
    async fn a_user_logs_in_with_the_password() {
        let door = Door::new(&StatsAccess { token: None, user: Some(user()) });
        let enters = async |login: &str| door.admit(somebody(), &headers(&[&basic(login)])).await.ok();
        assert_eq!(enters("ops:hunter2:x").await, Some(CredentialUsed::Password("ops".into())));
        for wrong in ["ops:hunter2", "ops:", "op:hunter2:x", ":hunter2:x", "ops"] {
            assert_eq!(enters(wrong).await, None, "{wrong}");
        }
        assert!(door.admit(somebody(), &headers(&["Basic !!!"])).await.is_err());
        assert!(door.admit(somebody(), &headers(&["Bearer hunter2:x"])).await.is_err());
    }

    // Seen to fail without PENANCE, and with a line that has no end.
    #[tokio::test(start_paused = true)]
    async fn who_guesses_waits_and_a_long_line_is_sent_away() {
        let door = Arc::new(Door::new(&StatsAccess { token: None, user: Some(user()) }));
        let begun = Instant::now();
        for _ in 0..4 {
            door.admit(somebody(), &headers(&[&basic("ops:wrong")])).await.unwrap_err();
        }
        let took = begun.elapsed();
        assert!((PENANCE * 3..PENANCE * 4).contains(&took), "{took:?}");
        let all: Vec<_> = (0..WAITING + 3)
            .map(|_| {
                let door = Arc::clone(&door);
                tokio::spawn(async move { door.admit(somebody(), &headers(&[&basic("ops:wrong")])).await.unwrap_err() })
            })
            .collect();
        let mut sent_away = 0;
        for one in all {
            sent_away += usize::from(one.await.unwrap().words().contains("try again"));
        }
        assert_eq!(sent_away, 3);
    }
}
