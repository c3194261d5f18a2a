//! The stats page in a real browser, driven over WebDriver.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::app::{App, Config};
use crate::harness::peers::Server;
use crate::harness::program::Program;
use crate::harness::wait::until;
use crate::harness::{http, ports};

/// A headless Chromium with one window. It ends with the test.
struct Browser {
    driver: SocketAddr,
    session: String,
    _chromedriver: Program,
    _profile: TempDir,
}

impl Browser {
    fn open() -> Self {
        let port = ports::free();
        let chromedriver = Program::start(Command::new("chromedriver").arg(format!("--port={port}")));
        let driver = SocketAddr::from(([127, 0, 0, 1], port));
        until("chromedriver answers", || http::get(driver, "/status").filter(|answer| answer.status == 200));
        let profile = tempfile::tempdir().unwrap();
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--window-size=1440,1400", format!("--user-data-dir={}", profile.path().display()),
        ] } } } });
        let opened = http::request(driver, "POST", "/session", &wanted.to_string()).expect("an answer").json();
        let session = opened["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{opened}")).to_owned();
        Self { driver, session, _chromedriver: chromedriver, _profile: profile }
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{name}", self.session);
        let answer = http::request(self.driver, "POST", &path, &body.to_string()).expect("an answer");
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        answer.json()["value"].take()
    }

    fn goto(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// What a script in the page returns.
    fn evaluate(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Leaves a picture of the window where people can look at it after the run.
    fn photograph(&self, name: &str) {
        let answer = http::get(self.driver, &format!("/session/{}/screenshot", self.session)).expect("an answer");
        let coded = screenshots().join(name).with_extension("base64");
        std::fs::write(&coded, answer.json()["value"].as_str().expect("a picture in base64")).unwrap();
        let picture = File::create(coded.with_extension("png")).unwrap();
        let decoded = Command::new("base64").arg("--decode").arg(&coded).stdout(picture).status().unwrap();
        assert!(decoded.success());
        std::fs::remove_file(coded).unwrap();
    }

    /// The page's text as a reader sees it.
    fn text(&self) -> String {
        self.evaluate("return document.body.innerText").as_str().expect("a text").to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        http::request(self.driver, "DELETE", &format!("/session/{}", self.session), "");
    }
}

/// Where a run leaves what people may want to look at afterwards.
fn screenshots() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_reader_of_the_stats_page_is_told_who_is_down() {
    // Three machines, as far as the page can tell.
    let servers = [2, 3, 4].map(|last| Server::echo_on(([127, 0, 0, last], ports::free()).into()));
    let check = "check = { type = \"tcp\", interval = \"200ms\", fast_interval = \"100ms\", timeout = \"100ms\" }";
    let app = App::start(&Config::to(&servers.each_ref().map(Server::address)).backend(check));
    ["a", "b", "c"].iter().for_each(|name| app.server_is(name, "ready"));
    let browser = Browser::open();
    let page = format!("http://{}/", app.stats());
    browser.goto(&page);
    let text = browser.text();
    assert!(text.contains("serve") && !text.contains("is down"), "{text}");

    let [_, stopped, _] = servers;
    stopped.stop();
    app.server_is("b", "down");
    browser.goto(&page);
    let text = browser.text();
    assert!(text.contains("b is down since") && text.contains("refused"), "{text}");
    assert_eq!(
        browser.evaluate(
            "return performance.getEntriesByType('resource').filter(r => !r.name.startsWith(location.origin)).length"
        ),
        0
    );
    let wide = browser.evaluate("return document.documentElement.scrollWidth <= window.innerWidth");
    assert_eq!(wide, true, "the page itself doesn't scroll sideways");
    browser.photograph("stats-page");
}
