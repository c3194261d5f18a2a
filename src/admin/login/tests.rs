use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};

use super::*;
use crate::admin::router::answer;
use crate::admin::tests::{remote, views};
use crate::admin::{Site, Views, leaving};
use crate::model::{PasswordHash, StatsAccess, Token, TokenFile, User};

/// A door for the token `s3cret`, whose file stays for as long as the test.
struct House {
    door: Arc<Door>,
    _directory: tempfile::TempDir,
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the browser sends from now on.
    fn cookie(&self) -> String {
        format!("cookie: {}", self.header("set-cookie").split(';').next().unwrap())
    }
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "s3cret").unwrap();
        let token = Some(TokenFile { file, token: Token::read(b"s3cret").unwrap() });
        Self { door: Arc::new(Door::new(&StatsAccess { token, user: None })), _directory: directory }
    }

    async fn asks_as(&self, caller: Caller, method: Method, path: &str, headers: &[&str], body: &str) -> Seen {
        let views = Arc::new(Views { door: Arc::clone(&self.door), ..Arc::into_inner(views()).unwrap() });
        let mut request = Request::builder().method(method).uri(path).header("host", "lb1:9000");
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let (_leave, leaving) = leaving();
        let (head, body) = answer(request, caller, Site::socket(), views, leaving).await.unwrap().into_parts();
        // One that is followed has no end.
        let ends = head.headers.get("content-type").is_none_or(|kind| kind != "text/event-stream");
        let body = if ends { body.collect().await.unwrap().to_bytes().to_vec() } else { Vec::new() };
        let body = String::from_utf8(body).unwrap();
        Seen { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn gets(&self, path: &str, headers: &[&str]) -> Seen {
        self.asks_as(remote(), Method::GET, path, headers, "").await
    }

    async fn posts(&self, path: &str, headers: &[&str], body: &str) -> Seen {
        self.asks_as(remote(), Method::POST, path, headers, body).await
    }
}

#[tokio::test]
async fn who_logs_in_sees_and_acts_until_they_log_out() {
    let house = House::new();
    let form = house.gets("/login?next=/x%3Fy", &[]).await;
    assert_eq!(form.status, 200);
    assert!(form.body.contains("name=\"token\"") && !form.body.contains("name=\"user\""), "{}", form.body);
    assert!(form.body.contains("value=\"/x?y\"") && form.body.contains("plain HTTP"), "{}", form.body);

    let entered = house.posts("/login", &["origin: http://lb1:9000"], "token=s3cret&next=%2Fx%3Fy").await;
    assert_eq!((entered.status, entered.header("location")), (303, "/x?y"));
    let cookie = entered.header("set-cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = entered.cookie();
    assert_eq!(house.gets("/api/v1/sessions", &[&cookie]).await.status, 200);
    assert!(house.gets("/login", &[&cookie]).await.body.contains("Logged in as the token&#39;s holder"));

    let action = ["content-type: application/json", "x-evenkeel-action: 1", cookie.as_str()];
    let drain = "/api/v1/servers/api/sion/state";
    let done = house.posts(drain, &action, r#"{"state":"drain"}"#).await;
    assert!(done.status == 200 && done.body.contains("the token's holder at 192.0.2.1:40000"), "{}", done.body);
    let forged = [&action[..], &["origin: http://evil.example"]].concat();
    assert_eq!(house.posts(drain, &forged, r#"{"state":"drain"}"#).await.status, 403);

    let left = house.posts("/logout", &[&cookie], "").await;
    assert_eq!((left.status, left.header("location")), (303, "/"));
    assert!(left.header("set-cookie").starts_with("evenkeel=;") && left.header("set-cookie").ends_with("Max-Age=0"));
    assert_eq!(house.gets("/api/v1/sessions", &[&cookie]).await.status, 401);
    assert_eq!(house.posts(drain, &action, r#"{"state":"drain"}"#).await.status, 401);
}

#[tokio::test]
async fn a_wrong_one_is_told_so_and_counted_and_gets_no_cookie() {
    let house = House::new();
    for body in ["token=other", "user=ops&password=x", "next=/x", "token="] {
        let seen = house.posts("/login", &[], body).await;
        assert_eq!((seen.status, seen.header("set-cookie")), (401, ""), "{body}");
        assert!(seen.body.contains("That was not right."), "{}", seen.body);
    }
    assert_eq!(house.door.refused(), 4);
    assert_eq!(house.posts("/login", &[], "").await.status, 411);
    assert_eq!(house.posts("/login", &[], &"x".repeat(MAX_FORM + 1)).await.status, 413);
    assert_eq!(house.posts("/login", &[], "token=s3cret&go=1").await.status, 400);
}

// Seen to fail with an origin of `null` let through.
#[tokio::test]
async fn no_other_site_logs_anybody_in_or_out() {
    let house = House::new();
    for origin in ["origin: http://evil.example", "origin: null", "sec-fetch-site: cross-site"] {
        let seen = house.posts("/login", &[origin], "token=s3cret").await;
        assert_eq!((seen.status, seen.header("set-cookie")), (403, ""), "{origin}");
        let seen = house.posts("/logout", &[origin], "").await;
        assert_eq!((seen.status, seen.header("set-cookie")), (403, ""), "{origin}");
    }
}

// Seen to fail with `//evil.example` taken for a path.
#[tokio::test]
async fn a_login_leads_nowhere_else() {
    let house = House::new();
    for next in ["//evil.example", "/\\evil.example", "http://evil.example", "evil", "/a\\b", "/a%0d%0aX: y", ""] {
        let seen = house.posts("/login", &[], &format!("token=s3cret&next={next}")).await;
        assert_eq!((seen.status, seen.header("location")), (303, "/"), "{next}");
    }
}

// Seen to fail without `Secure`.
#[tokio::test]
async fn over_tls_the_cookie_stays_there_and_nothing_is_said_of_plain_http() {
    let house = House::new();
    let caller = || Caller::Remote { address: "192.0.2.1:40000".parse().unwrap(), local: None, secure: true };
    let entered = house.asks_as(caller(), Method::POST, "/login", &[], "token=s3cret").await;
    assert!(entered.header("set-cookie").ends_with("SameSite=Strict; Secure"), "{}", entered.header("set-cookie"));
    assert!(!house.asks_as(caller(), Method::GET, "/login", &[], "").await.body.contains("plain HTTP"));
}

// Seen to fail with events that are for anybody.
#[tokio::test]
async fn strangers_are_told_how_to_get_in() {
    let house = House::new();
    for path in ["/api/v1/sessions", "/api/v1/events"] {
        let seen = house.gets(path, &[]).await;
        assert_eq!((seen.status, seen.header("content-type")), (401, "application/json"), "{path}");
        assert!(seen.body.contains("/login") && seen.body.contains("Authorization: Bearer TOKEN"), "{}", seen.body);
    }
    assert_eq!(house.door.refused(), 0, "they have tried nothing");
    assert_eq!(house.gets("/api/v1/events", &["authorization: Bearer other"]).await.status, 401);
    assert_eq!(house.door.refused(), 1);
    assert_eq!(house.gets("/api/v1/events", &["authorization: Bearer s3cret"]).await.status, 200);
    let local = || Caller::Remote { address: "127.0.0.1:40000".parse().unwrap(), local: None, secure: false };
    assert_eq!(house.asks_as(local(), Method::GET, "/api/v1/events", &[], "").await.status, 200);
    let nobody = House { door: Arc::new(Door::new(&StatsAccess::default())), ..House::new() };
    let seen = nobody.gets("/api/v1/sessions", &[]).await;
    assert!(seen.status == 403 && seen.body.contains("[stats] token_file"), "{}", seen.body);
    assert!(nobody.gets("/login", &[]).await.body.contains("Nobody can log in here"));
}

// Seen to fail with `Basic` for pages, too.
#[tokio::test]
async fn a_page_that_is_open_is_asked_for_nothing_that_a_browser_has_a_window_for() {
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$qLml5cfqFAO86tsQNVLq7BHBQkFwaJ0b0zUxfVu4nEg";
    let user = Some(User { name: "ops".into(), password: PasswordHash::new(HASH).unwrap() });
    let house = House { door: Arc::new(Door::new(&StatsAccess { token: None, user })), ..House::new() };
    let asked = async |headers: &[&str]| {
        house.gets("/api/v1/events", headers).await.header("www-authenticate").split(' ').next().unwrap().to_owned()
    };
    assert_eq!(asked(&[]).await, "Basic");
    assert_eq!(asked(&["referer: http://lb1:9000/"]).await, "Bearer");
    assert_eq!(asked(&["sec-fetch-site: same-origin"]).await, "Bearer");
    let form = house.gets("/login", &[]).await.body;
    assert!(form.contains("name=\"password\"") && !form.contains("name=\"token\""), "{form}");
}

// Seen to fail with events as Markdown that are for anybody.
#[tokio::test]
async fn browsers_get_the_form_which_leads_back() {
    let house = House::new();
    for path in ["/sessions?source=10.0.0.0/8", "/events", "/events.md"] {
        let seen = house.gets(path, &[]).await;
        assert_eq!((seen.status, seen.header("www-authenticate")), (401, "Bearer realm=\"evenkeel\""), "{path}");
        assert!(seen.body.contains(&format!("value=\"{path}\"")) && seen.body.contains("strangers"), "{}", seen.body);
        assert_eq!(house.gets(path, &["authorization: Bearer s3cret"]).await.status, 200, "{path}");
    }
}

// Seen to fail with pages that are followed whoever they are for.
#[tokio::test]
async fn strangers_follow_no_page_that_they_may_not_see() {
    let house = House::new();
    for page in ["%2Fsessions", "%2Fevents%3Flevel%3Dwarn"] {
        assert_eq!(house.gets(&format!("/live?page={page}"), &[]).await.status, 401, "{page}");
    }
    let overview = house.gets("/", &[]).await.body;
    assert!(!overview.contains("id=\"lately\""), "events are none of theirs");
    assert!(house.gets("/", &["authorization: Bearer s3cret"]).await.body.contains("id=\"lately\""));
}
