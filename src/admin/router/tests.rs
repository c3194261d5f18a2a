use hyper::Method;

use super::*;
use crate::admin::tests::{self, here, remote};
use crate::admin::{Denied, Door, leaving};
use crate::event::{SourceHeld, SourcesSnapshot};
use crate::model::{BackendName, ServerName, StatsAccess, Token, TokenFile};

fn views(ready: Fitness) -> Arc<Views> {
    let ready = move || -> FitnessFuture {
        let ready = ready.clone();
        Box::pin(async { ready })
    };
    Arc::new(Views { ready: Box::new(ready), ..Arc::into_inner(tests::views()).unwrap() })
}

struct Seen {
    status: u16,
    headers: hyper::HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask_with(views: Arc<Views>, method: Method, path: &str, body: &'static str) -> Seen {
    let request = Request::builder().method(method).uri(path).body(Full::new(Bytes::from(body))).unwrap();
    let (_leave, leaving) = leaving();
    let response = answer(request, here(), Site::socket(), views, leaving).await.unwrap();
    let (head, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Seen { status: head.status.as_u16(), headers: head.headers, body }
}

async fn ask(method: Method, path: &str) -> Seen {
    ask_with(views(Fitness::default()), method, path, "").await
}

#[tokio::test]
async fn each_path_has_its_answer() {
    let expected = [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/sessions?sort=idle", "text/html; charset=utf-8", "<!doctype html>"),
        ("/events?level=warn", "text/html; charset=utf-8", "<!doctype html>"),
        ("/events.md", "text/markdown; charset=utf-8", "## Events of"),
        ("/classic", "text/html; charset=utf-8", "<!doctype html>"),
        ("/api/v1/status", "application/json", "{\"at\":"),
        ("/api/v1/sessions?limit=5", "application/json", "{\"at\":"),
        ("/api/v1/events?after=0", "application/json", "{\"last\":0"),
        ("/api/v1/backends/kubeAPI_backend", "application/json", "{\"at\":"),
        ("/api/v1/servers/kubeAPI_backend/k0s-at-vie-1", "application/json", "{\"at\":"),
        ("/backends/kubeAPI_backend", "text/html; charset=utf-8", "<!doctype html>"),
        ("/servers/kubeAPI_backend/k0s-at-vie-1?span=day", "text/html; charset=utf-8", "<!doctype html>"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP evenkeel_"),
        ("/livez", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "text/plain; charset=utf-8", "ok\n"),
        ("/?refresh=1&x=/y", "text/html; charset=utf-8", "<!doctype html>"),
        ("http://lb-1:9000/livez?verbose", "text/plain; charset=utf-8", "ok\n"),
    ];
    for (path, kind, start) in expected {
        let seen = ask(Method::GET, path).await;
        assert_eq!((seen.status, seen.header("content-type")), (200, kind), "{path}");
        assert!(seen.body.starts_with(start), "{path}: {}", &seen.body[..60.min(seen.body.len())]);
        assert_eq!(seen.header("cache-control"), "no-store", "{path}");
        assert_eq!(ask(Method::HEAD, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_not_done_405() {
    for path in ["/x", "/livez/", "//", "/api/v1/status/", "/assets/", "/../etc/passwd", "/assets/style.0.css"] {
        assert_eq!(ask(Method::GET, path).await.status, 404, "{path}");
        assert_eq!(ask(Method::POST, path).await.status, 404, "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        let seen = ask(method.clone(), "/api/v1/status").await;
        assert_eq!((seen.status, seen.header("allow")), (405, "GET, HEAD"), "{method}");
    }
}

#[tokio::test]
async fn a_body_is_refused_and_ends_the_connection() {
    let seen = ask_with(views(Fitness::default()), Method::GET, "/", "x").await;
    assert_eq!((seen.status, seen.header("connection")), (413, "close"));
}

#[tokio::test]
async fn not_ready_is_503_with_a_reason_a_line() {
    let reasons = vec!["kubeAPI_backend has no usable server".to_owned(), "stopping".to_owned()];
    let views = views(Fitness { reasons });
    let seen = ask_with(Arc::clone(&views), Method::GET, "/readyz", "").await;
    assert_eq!((seen.status, seen.body.as_str()), (503, "kubeAPI_backend has no usable server\nstopping\n"));
    assert_eq!(ask_with(views, Method::GET, "/livez", "").await.status, 200, "it is its own question");
}

#[tokio::test(start_paused = true)]
async fn workers_that_do_not_answer_are_not_alive() {
    let stuck = Box::new(|| -> FitnessFuture { Box::pin(std::future::pending()) });
    let views = Arc::new(Views { live: stuck, ..Arc::into_inner(tests::views()).unwrap() });
    let seen = ask_with(views, Method::GET, "/livez", "").await;
    assert_eq!((seen.status, seen.body.as_str()), (503, "no answer from within the process in two seconds\n"));
}

#[tokio::test]
async fn every_answer_binds_the_browser() {
    for path in ["/", "/metrics", "/nothing"] {
        let seen = ask(Method::GET, path).await;
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert_eq!(seen.header("x-frame-options"), "DENY");
        assert_eq!(seen.header("referrer-policy"), "same-origin");
        let policy = seen.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn the_page_finds_its_stylesheet_and_may_keep_it() {
    let page = ask(Method::GET, "/").await.body;
    let paths: Vec<_> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
    let kinds = ["image/svg+xml", "text/css; charset=utf-8", "text/javascript; charset=utf-8"];
    assert_eq!(paths.len(), kinds.len(), "an icon, a stylesheet and a script");
    for (path, kind) in paths.into_iter().zip(kinds) {
        let seen = ask(Method::GET, path).await;
        assert_eq!((seen.status, seen.header("content-type")), (200, kind), "{path}");
        assert!(seen.header("cache-control").ends_with("immutable"));
        assert_eq!(seen.header("etag"), format!("\"{path}\""));
    }
}

// Seen to fail with the stream ended after its first message.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_open_is_told_what_changes_of_it() {
    let (leave, leaving) = leaving();
    let request = Request::builder().uri("/live?page=%2F").body(Full::new(Bytes::new())).unwrap();
    let response = answer(request, remote(), Site::socket(), views(Fitness::default()), leaving).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()[CONTENT_TYPE]),
        (StatusCode::OK, &"text/event-stream".parse().unwrap())
    );
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    };
    assert_eq!(next().await.unwrap(), "retry: 1000\n\n");
    let first = next().await.unwrap();
    assert!(first.starts_with("event: update\n") && first.contains("All three controllers serve."), "{first}");
    assert_eq!(next().await.unwrap(), "event: alive\ndata:\n\n", "nothing changes of the fixture");
    drop(leave);
    assert_eq!(next().await, None, "who leaves ends it");
}

#[tokio::test]
async fn only_pages_can_be_followed() {
    for path in ["/live", "/live?page=%2Fmetrics", "/live?page=%2F%2Fevil", "/live?page=%2Fsessions%3Fsort%3Dx"] {
        let seen = ask(Method::GET, path).await;
        assert_eq!(seen.status, 400, "{path}: {}", seen.body);
    }
}

// ---- actions ----

const DRAIN: &str = "/api/v1/servers/api/sion/state";

/// Somebody over the admin socket.
fn local() -> Caller {
    Caller::Local { pid: Some(7), uid: 0 }
}

/// An action as a client sends it, its headers written `name: value`.
async fn post<B>(caller: Caller, views: Arc<Views>, path: &str, headers: &[&str], body: B) -> Seen
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request = Request::builder().method(Method::POST).uri(path);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let (_leave, leaving) = leaving();
    let response = answer(request.body(body).unwrap(), caller, Site::socket(), views, leaving).await.unwrap();
    let (head, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Seen { status: head.status.as_u16(), headers: head.headers, body }
}

const SENT: [&str; 2] = ["content-type: application/json; charset=utf-8", "x-evenkeel-action: 1"];

fn drain() -> Full<Bytes> {
    Full::new(Bytes::from(r#"{"state":"drain","over_seconds":60}"#))
}

#[tokio::test]
async fn who_is_at_the_admin_socket_acts_and_is_known() {
    let seen = post(local(), tests::views(), DRAIN, &SENT, drain()).await;
    assert_eq!((seen.status, seen.header("content-type")), (200, "application/json"));
    assert!(seen.body.contains("root (uid 0, pid 7)") && seen.body.contains("Drain"), "{}", seen.body);
    assert!(seen.body.contains("60s") && seen.body.contains("sion"), "{}", seen.body);
}

// Seen to fail with each of the two headers not looked at.
#[tokio::test]
async fn what_a_page_of_another_site_could_send_is_refused() {
    let form = "content-type: application/x-www-form-urlencoded";
    for (headers, status, words) in [
        (&[][..], 403, "X-Evenkeel-Action"),
        (&["content-type: application/json"], 403, "X-Evenkeel-Action"),
        (&["content-type: application/json", "x-evenkeel-action: 0"], 403, "X-Evenkeel-Action"),
        (&["x-evenkeel-action: 1"], 415, "Content-Type"),
        (&["x-evenkeel-action: 1", "content-type: text/plain"], 415, "Content-Type"),
        (&["x-evenkeel-action: 1", form], 415, "Content-Type"),
        (&["x-evenkeel-action: 1", "content-type: application/jsonp"], 415, "Content-Type"),
    ] {
        let seen = post(local(), tests::views(), DRAIN, headers, drain()).await;
        assert_eq!((seen.status, seen.header("connection")), (status, "close"), "{headers:?}");
        assert!(seen.body.starts_with("{\"error\":\"") && seen.body.contains(words), "{}", seen.body);
    }
    let asked = ask(Method::OPTIONS, DRAIN).await;
    assert_eq!((asked.status, asked.header("allow")), (405, "POST"));
    assert_eq!(asked.header("access-control-allow-origin"), "", "no other site is given leave");
}

// Seen to fail with an actor that is made without the door.
#[tokio::test]
async fn over_the_stats_listener_actions_need_a_credential() {
    let seen = post(remote(), tests::views(), DRAIN, &SENT, drain()).await;
    assert_eq!(seen.status, 403);
    assert!(seen.body.contains("[stats] token_file"), "{}", seen.body);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret").unwrap();
    let token = Some(TokenFile { file, token: Token::read(b"s3cret").unwrap() });
    let door = Arc::new(Door::new(&StatsAccess { token, user: None }));
    let views = || Arc::new(Views { door: Arc::clone(&door), ..Arc::into_inner(tests::views()).unwrap() });
    let seen = post(remote(), views(), DRAIN, &SENT, drain()).await;
    assert_eq!((seen.status, seen.header("www-authenticate")), (401, "Bearer realm=\"evenkeel\""));
    let with = |token: &'static str| [SENT[0], SENT[1], token];
    assert_eq!(post(remote(), views(), DRAIN, &with("authorization: Bearer wrong"), drain()).await.status, 401);
    let seen = post(remote(), views(), DRAIN, &with("authorization: Bearer s3cret"), drain()).await;
    assert_eq!(seen.status, 200);
    assert!(seen.body.contains("the token's holder at 192.0.2.1:40000"), "{}", seen.body);
    assert_eq!(door.refused(), 2);
}

/// A body that never comes, or that is longer than it says.
struct Stuck;

impl Body for Stuck {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

// Seen to fail with a body that is read to its end.
#[tokio::test(start_paused = true)]
async fn a_body_has_a_size_and_a_time() {
    let views = tests::views;
    assert_eq!(post(local(), views(), DRAIN, &SENT, Full::new(Bytes::new())).await.status, 411);
    assert_eq!(
        post(local(), views(), DRAIN, &SENT, Full::new(Bytes::from(vec![b' '; MAX_BODY + 1]))).await.status,
        413
    );
    let begun = tokio::time::Instant::now();
    assert_eq!(post(local(), views(), DRAIN, &SENT, Stuck).await.status, 408);
    assert_eq!(begun.elapsed(), BODY_TIMEOUT);
    let seen = post(local(), views(), DRAIN, &SENT, Full::new(Bytes::from("drain it"))).await;
    assert_eq!(seen.status, 400);
    assert!(seen.body.contains("it must be JSON such as"), "{}", seen.body);
}

#[tokio::test]
async fn what_can_not_be_done_is_said() {
    for (denied, status) in [(Denied::Unknown("no such".into()), 404), (Denied::Conflict("not now".into()), 409)] {
        let act = move |_, _| -> crate::admin::ActionFuture {
            let denied = denied.clone();
            Box::pin(async { Err(denied) })
        };
        let views = Arc::new(Views { act: Box::new(act), ..Arc::into_inner(tests::views()).unwrap() });
        assert_eq!(post(local(), views, DRAIN, &SENT, drain()).await.status, status);
    }
}

#[tokio::test]
async fn a_query_that_can_not_be_meant_is_refused_as_json() {
    for path in ["/api/v1/sessions?client=1", "/api/v1/sessions?backend=x", "/api/v1/events?after=x"] {
        let seen = ask(Method::GET, path).await;
        assert_eq!((seen.status, seen.header("content-type")), (400, "application/json"), "{path}");
        assert!(seen.body.starts_with("{\"error\":\""), "{}", seen.body);
    }
    let seen = ask(Method::GET, "/api/v2/status").await;
    assert_eq!((seen.status, seen.body.as_str()), (404, "{\"error\":\"not found\"}\n"));
}

fn spreading() -> Arc<Views> {
    let sources = |_: &BackendName| {
        let least = vec![SourceHeld { address: "203.0.113.9".parse().unwrap(), sessions: vec![1] }];
        Some(SourcesSnapshot { servers: vec![ServerName::new("a").unwrap()], held: vec![0, 1], least })
    };
    Arc::new(Views { sources: Box::new(sources), ..Arc::into_inner(tests::views()).unwrap() })
}

// Seen to fail with addresses that everybody is shown.
#[tokio::test]
async fn who_holds_which_servers_is_shown_to_those_on_this_host() {
    let here = Caller::Remote { address: "127.0.0.1:40000".parse().unwrap(), local: None, secure: false };
    for path in ["/backends/konnectivity_backend", "/api/v1/backends/konnectivity_backend"] {
        for (caller, is_shown) in [(here.clone(), true), (remote(), false)] {
            let request = Request::builder().uri(path).body(Full::new(Bytes::new())).unwrap();
            let (_leave, leaving) = leaving();
            let response = answer(request, caller, Site::socket(), spreading(), leaving).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(String::from_utf8_lossy(&body).contains("203.0.113.9"), is_shown, "{path}");
        }
    }
}
