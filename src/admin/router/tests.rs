use http_body_util::{BodyExt, Full};

use super::*;
use crate::event::fixture;

fn views(ready: Fitness) -> Arc<Views> {
    Arc::new(Views {
        snapshot: Box::new(fixture::cluster),
        live: Box::new(|| Box::pin(async { Fitness::default() })),
        ready: Box::new(move || {
            let ready = ready.clone();
            Box::pin(async { ready })
        }),
    })
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
    let response = answer(request, Rights::Read, views).await.unwrap();
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
        ("/api/v1/status", "application/json", "{\"at\":"),
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
    let views = Arc::new(Views {
        snapshot: Box::new(fixture::cluster),
        live: Box::new(|| Box::pin(std::future::pending())),
        ready: Box::new(|| Box::pin(std::future::pending())),
    });
    let seen = ask_with(views, Method::GET, "/livez", "").await;
    assert_eq!((seen.status, seen.body.as_str()), (503, "no answer from within the process in two seconds\n"));
}

#[tokio::test]
async fn every_answer_binds_the_browser() {
    for path in ["/", "/metrics", "/nothing"] {
        let seen = ask(Method::GET, path).await;
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert_eq!(seen.header("x-frame-options"), "DENY");
        assert_eq!(seen.header("referrer-policy"), "no-referrer");
        let policy = seen.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn the_page_finds_its_stylesheet_and_may_keep_it() {
    let page = ask(Method::GET, "/").await.body;
    let paths: Vec<_> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert_eq!(paths.len(), 2, "a stylesheet and an icon");
    for (path, kind) in paths.into_iter().zip(["image/svg+xml", "text/css; charset=utf-8"]) {
        let seen = ask(Method::GET, path).await;
        assert_eq!((seen.status, seen.header("content-type")), (200, kind), "{path}");
        assert!(seen.header("cache-control").ends_with("immutable"));
    }
}
