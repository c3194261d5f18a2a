//! The dashboard in a real browser: what a reader finds, what changes before their eyes, and that it can be used by
//! everybody at every size. Pictures of all of it are left in `target/tmp/screenshots`.

mod driver;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use self::driver::{Browser, SCHEMES, SIZES};
use crate::harness::app::{App, Config};
use crate::harness::namespace::{Host, cable};
use crate::harness::peers::{Peer, Server, connect};
use crate::harness::ports;
use crate::harness::program::Program;
use crate::harness::wait::until;

const CHECK: &str = "check = { type = \"tcp\", interval = \"200ms\", fast_interval = \"100ms\", timeout = \"100ms\" }";

/// How soon a page that is open has to show what has happened.
const SOON: Duration = Duration::from_secs(2);

/// Three machines, as far as the page can tell.
fn three() -> [Server; 3] {
    [2, 3, 4].map(|last| Server::echo_on(([127, 0, 0, last], ports::free()).into()))
}

fn config(servers: &[Server; 3]) -> Config {
    Config::to(&servers.each_ref().map(Server::address)).backend(CHECK)
}

fn start(config: &Config) -> App {
    let app = App::start(config);
    ["a", "b", "c"].iter().for_each(|name| app.server_is(name, "ready"));
    app
}

/// Looks at a page at every size, light and dark, and leaves its pictures.
fn look_at_all_sizes(browser: &Browser, url: &str, name: &str) {
    for size in SIZES {
        for scheme in SCHEMES {
            browser.resize(size);
            browser.prefer(scheme);
            browser.goto(url);
            browser.is_live();
            browser.is_sound(&format!("{name} at {} px, {scheme}", size.0));
            browser.photograph(&format!("{name}-{}-{scheme}", size.0));
        }
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_reader_of_the_open_overview_sees_who_goes_down_within_two_seconds() {
    let servers = three();
    let app = start(&config(&servers));
    let browser = Browser::open();
    let url = format!("http://{}/", app.stats());
    look_at_all_sizes(&browser, &url, "overview");
    assert!(browser.text().contains("All three controllers serve."), "{}", browser.text());

    // The same document all along: what it is told of arrives without another visit.
    browser.evaluate("window.mark = 'the same page'");
    let [_, stopped, _] = servers;
    stopped.stop();
    app.server_is("b", "down");
    let known = Instant::now();
    let text = browser.reads("b is down since");
    assert!(known.elapsed() < SOON, "it took {:?}", known.elapsed());
    assert!(text.contains("refused") && text.contains("Affected") && text.contains("new sessions go to a and c"));
    assert_eq!(browser.evaluate("return window.mark"), "the same page");
    assert!(browser.evaluate("return document.title").as_str().unwrap().starts_with("b is down since"));
    look_at_all_sizes(&browser, &url, "overview-down");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn an_open_page_says_that_it_is_stale_and_goes_on_with_the_next_process() {
    let servers = three();
    let config = config(&servers);
    let app = start(&config);
    let browser = Browser::open();
    browser.goto(&format!("http://{}/", app.stats()));
    browser.is_live();
    browser.evaluate("window.mark = 'the same page'");
    drop(app);
    let text = browser.reads("No update since");
    assert!(text.contains("All three controllers serve."), "what was known stays: {text}");
    browser.photograph("stale");
    // Chromium notes that nobody answered; that is no complaint of the page's.
    browser.complaints();
    let _app = start(&config);
    browser.is_live();
    until("the notice is gone", || (!browser.text().contains("No update since")).then_some(()));
    assert_eq!(browser.evaluate("return window.mark"), "the same page", "nobody had to load it anew");
    browser.is_sound("after a restart");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn without_a_script_every_page_is_whole() {
    let servers = three();
    let app = start(&config(&servers));
    let browser = Browser::open();
    browser.run_scripts(false);
    for (path, words) in [
        ("/", "All three controllers serve."),
        ("/classic", "All three controllers serve."),
        ("/sessions", "No session is like that."),
        ("/events", "serves, pid"),
    ] {
        browser.goto(&format!("http://{}{path}", app.stats()));
        // What evaluates is the driver's, which may still run.
        let text = browser.text();
        assert!(text.contains(words) && text.contains("All times are UTC."), "{path}: {text}");
        browser.photograph(&format!("no-script-{}", path.trim_start_matches('/').replace('/', "-")));
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn events_can_be_filtered_linked_to_and_taken_along() {
    let servers = three();
    let app = start(&config(&servers));
    let browser = Browser::open();
    let [_, stopped, _] = servers;
    stopped.stop();
    app.server_is("b", "down");
    let url = format!("http://{}/events", app.stats());
    look_at_all_sizes(&browser, &url, "events");
    let all = browser.evaluate("return document.querySelectorAll('.events > li[id]').length").as_u64().unwrap();
    browser.choose("select[name=level]", "warn");
    let shown = "return [...document.querySelectorAll('.events > li[id] .level')].map(e => e.innerText.slice(2))";
    until("only warnings", || {
        let levels = browser.evaluate(shown);
        let levels = levels.as_array().unwrap();
        (!levels.is_empty() && levels.iter().all(|level| level == "warn") && (levels.len() as u64) < all).then_some(())
    });
    assert!(browser.evaluate("return location.search").as_str().unwrap().contains("level=warn"));
    browser.fill("input[name=q]", "b is down");
    browser.reads("b is down");
    browser.click("[data-copy]");
    browser.reads("Copied");
    browser.click(".events .when");
    let target = browser.evaluate("return document.querySelector(':target')?.innerText");
    assert!(target.as_str().is_some_and(|text| text.contains("b is down")), "{target}");
    browser.is_sound("a linked event");
}

/// Sessions that a drain has to close.
const DRAINED: usize = 200;

/// A page of another site, which makes a browser send what it may not.
fn forging(target: &str) -> SocketAddr {
    let html = format!(
        "<form method=post enctype=text/plain action='{target}'><input name='{{\"state\":\"maint\",\"x\":\"' value='\"}}'>\
         <button>Win</button></form>"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _head = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
            let _sent = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{html}", html.len());
        }
    });
    address
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn who_logs_in_drains_a_server_and_sees_how_far_it_is_and_a_forged_action_is_refused() {
    let (port, python) = (ports::free(), "/usr/bin/python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/browser/hold.py");
    let servers = Program::start(Command::new(python).args([script, "serve", &port.to_string()]));
    servers.wait_for("serving");
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cret-of-the-browser\n").unwrap();
    let stats_lines = format!("token_file = \"{}\"", token.display());
    let address = ([127, 0, 0, 1], port).into();
    let app = App::start(&Config::to(&[address, address]).stats_lines(&stats_lines));
    let front = app.front().port().to_string();
    let clients = Program::start(Command::new(python).args([script, "open", &front, &DRAINED.to_string()]));
    clients.wait_for("open");
    let browser = Browser::open();
    let url = format!("http://{}/servers/back/a", app.stats());
    look_at_all_sizes(&browser, &url, "server");
    look_at_all_sizes(&browser, &format!("http://{}/backends/back", app.stats()), "backend");
    browser.goto(&url);
    browser.click("a[href^='/login']");
    browser.reads("Log in");
    browser.is_sound("the login");
    browser.photograph("login");
    browser.fill("input[name=token]", "not-the-token");
    browser.click("form button");
    browser.reads("That was not right.");
    // The refusal's status is in the console.
    browser.complaints();
    browser.fill("input[name=token]", "s3cret-of-the-browser");
    browser.click("form button");
    browser.is_live();
    assert!(browser.evaluate("return location.pathname").as_str().unwrap().ends_with("/servers/back/a"));

    // Another page of the same browser, whose cookie it has: ports make no other site.
    let there = forging(&format!("http://{}/api/v1/servers/back/a/state", app.stats()));
    browser.goto(&format!("http://{there}/"));
    browser.click("button");
    let text = browser.reads("X-Evenkeel-Action");
    assert!(text.contains("actions carry the header"), "{text}");
    app.server_is("a", "ready");
    browser.complaints();

    browser.goto(&url);
    browser.is_live();
    browser.click("[data-opens=ask-drain]");
    browser.reads("100 sessions are open there.");
    browser.photograph("drain-asked");
    browser.is_sound("a question");
    browser.choose("#ask-drain select", "60");
    browser.click("#ask-drain .do");
    browser.reads("back/a: ready → drain");
    browser.reads("Draining: ");
    let left = || {
        let text = browser.text();
        text.split("Draining: ").nth(1)?.split(' ').next()?.parse::<u32>().ok()
    };
    until("fewer are left", || left().filter(|left| (1..100).contains(left)));
    browser.photograph("drain");
    browser.is_sound("a drain under way");
    browser.goto(&format!("http://{}/events?kind=action", app.stats()));
    let text = browser.reads("the token's holder at");
    assert!(text.contains("back/a: ready → drain"), "{text}");

    browser.goto(&format!("http://{}/", app.stats()));
    browser.is_live();
    browser.click("[data-opens=ask-reload]");
    browser.reads("nothing would change");
    browser.photograph("reload-asked");
}

/// Where the page is, and who looks at it from another host, and is a client there.
const LB: [u8; 4] = [10, 77, 0, 1];
const READER: &str = "10.77.0.2";

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_stranger_from_another_host_sees_how_things_are_and_no_client_until_the_login() {
    let (lb, reader) = (Host::new("lb"), Host::new("reader"));
    cable((&lb, "eth0", "10.77.0.1/24"), (&reader, "eth0", &format!("{READER}/24")));
    lb.on(|| {
        let servers = three();
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "s3cret-of-the-browser\n").unwrap();
        let [front, stats] = [(); 2].map(|()| SocketAddr::from((LB, ports::free())));
        let config = config(&servers).listen(&front.to_string(), front).on_stats(stats);
        let app = start(&config.stats_lines(&format!("token_file = \"{}\"", token.display())));
        reader.on(|| {
            let mut client = connect(front);
            client.say("hello");
            client.hears("hello");
            stranger(stats);
        });
        drop(app);
    });
}

/// What a browser on another host finds, and what it does once somebody has logged in.
fn stranger(stats: SocketAddr) {
    let browser = Browser::open();
    let shows_the_client = || {
        let document = browser.evaluate("return document.documentElement.outerHTML");
        document.as_str().unwrap().contains(READER)
    };
    let at = |path: &str| format!("http://{stats}{path}");
    look_at_all_sizes(&browser, &at("/"), "stranger");
    for path in ["/", "/backends/back", "/servers/back/a", "/classic"] {
        browser.goto(&at(path));
        let text = browser.text();
        assert!(text.contains("ready") && !shows_the_client() && !text.contains("Lately"), "{path}: {text}");
    }
    for path in ["/sessions", "/events"] {
        browser.goto(&at(path));
        let text = browser.reads("Log in");
        assert!(!shows_the_client(), "{path}: {text}");
    }
    browser.photograph("stranger-asked");
    // The refusals' status is in the console.
    browser.complaints();
    browser.fill("input[name=token]", "s3cret-of-the-browser");
    browser.click("form button");
    browser.is_live();
    browser.goto(&at("/sessions"));
    browser.reads(READER);
    browser.is_sound("the sessions after a login from afar");
}

/// Sessions that are open at once; with both of their ends they need most of the descriptors that a process may have.
const MANY: usize = 9_000;

/// How soon a filter has to have its result on the screen, and a scroll its picture.
const AT_ONCE: Duration = Duration::from_millis(100);

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn nine_thousand_sessions_are_filtered_and_scrolled_at_once() {
    let (port, python) = (ports::free(), "/usr/bin/python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/browser/hold.py");
    let servers = Program::start(Command::new(python).args([script, "serve", &port.to_string()]));
    servers.wait_for("serving");
    let app = App::start(&Config::to(&[([127, 0, 0, 1], port).into()]));
    let front = app.front().port().to_string();
    let clients = Program::start(Command::new(python).args([script, "open", &front, &MANY.to_string()]));
    clients.wait_for("open");
    let browser = Browser::open();
    let url = format!("http://{}/sessions", app.stats());
    look_at_all_sizes(&browser, &url, "sessions");
    browser.reads("9,000 sessions, page 1 of 90");
    // From the choice to the first frame that shows its result, by the page's own clock; the best of three counts, because
    // a busy machine may take a moment from anybody.
    let took = (0..3).map(|round| {
        let word = if round % 2 == 0 { "source" } else { "server" };
        let script = format!(
            "const list = document.querySelector('select[name=group]'); const begun = performance.now(); \
             list.value = '{word}'; list.dispatchEvent(new Event('input', {{ bubbles: true }})); \
             document.addEventListener('evenkeel:updated', () => requestAnimationFrame(() => done(performance.now() - begun)), {{ once: true }});"
        );
        browser.evaluate_later(&script).as_f64().unwrap()
    });
    let took = took.fold(f64::INFINITY, f64::min);
    assert!(took < AT_ONCE.as_secs_f64() * 1e3, "a filter takes {took} ms");
    browser.photograph("sessions-grouped");
    browser.choose("select[name=group]", "");
    browser.fill("input[name=source]", "127.0.7.1");
    browser.reads("225 of 9,000 sessions");
    let longest = browser.evaluate_later(
        "let last = performance.now(), longest = 0, turns = 0; const place = document.querySelector('#session-list .scroll');\
         const step = (now) => { longest = Math.max(longest, now - last); last = now; window.scrollBy(0, 200); \
         if (++turns < 40) requestAnimationFrame(step); else done(longest); }; requestAnimationFrame(step);",
    );
    assert!(longest.as_f64().unwrap() < AT_ONCE.as_secs_f64() * 1e3, "a frame takes {longest} ms");
}
