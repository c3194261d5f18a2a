//! A headless Chromium, driven over WebDriver.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::program::Program;
use crate::harness::wait::until;
use crate::harness::{http, ports};

/// Rules of accessibility (axe-core, whose licence stands beside it).
const AXE: &str = include_str!("axe-core/axe.min.js");

/// Sizes that pages are looked at in: a phone, a tablet, a desk. Width and height in pixels.
pub const SIZES: [(u32, u32); 3] = [(360, 780), (768, 1024), (1440, 1000)];

pub const SCHEMES: [&str; 2] = ["light", "dark"];

/// One window. It ends with the test.
pub struct Browser {
    driver: SocketAddr,
    session: String,
    _chromedriver: Program,
    _profile: TempDir,
}

impl Browser {
    pub fn open() -> Self {
        let port = ports::free();
        let chromedriver = Program::start(Command::new("chromedriver").arg(format!("--port={port}")));
        let driver = SocketAddr::from(([127, 0, 0, 1], port));
        until("chromedriver answers", || http::get(driver, "/status").filter(|answer| answer.status == 200));
        let profile = tempfile::tempdir().unwrap();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--hide-scrollbars", "--window-size=1440,1000",
                format!("--user-data-dir={}", profile.path().display()),
            ] },
        } } });
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

    /// A command of Chromium's own protocol.
    fn chromium(&self, name: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    pub fn goto(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// What a script in the page returns.
    pub fn evaluate(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a script in the page hands to `done` in the end.
    pub fn evaluate_later(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.command("execute/async", &json!({ "script": script, "args": [] }))
    }

    /// The page's text as a reader sees it.
    pub fn text(&self) -> String {
        self.evaluate("return document.body.innerText").as_str().expect("a text").to_owned()
    }

    /// Waits until the page's text has these words.
    pub fn reads(&self, words: &str) -> String {
        until(words, || Some(self.text()).filter(|text| text.contains(words)))
    }

    /// Waits until the page is kept up to date.
    pub fn is_live(&self) {
        until("live", || {
            (self.evaluate("return document.getElementById('live')?.textContent") == "live").then_some(())
        });
    }

    pub fn click(&self, selector: &str) {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).expect("an element");
        self.command(&format!("element/{id}/click"), &json!({}));
    }

    /// Types into a field, in place of what it holds.
    pub fn fill(&self, selector: &str, text: &str) {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).expect("an element");
        self.command(&format!("element/{id}/clear"), &json!({}));
        self.command(&format!("element/{id}/value"), &json!({ "text": text }));
    }

    /// Chooses what a list offers under this value.
    pub fn choose(&self, selector: &str, value: &str) {
        let script = format!(
            "const list = document.querySelector({selector:?}); list.value = {value:?}; \
             list.dispatchEvent(new Event('input', {{ bubbles: true }}));"
        );
        self.evaluate(&script);
    }

    /// Another size of the window, as a device of this width would have it.
    pub fn resize(&self, (width, height): (u32, u32)) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.chromium("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the system wishes: `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.chromium("Emulation.setEmulatedMedia", &features);
    }

    /// From the next page on without scripts, or with them.
    pub fn run_scripts(&self, yes: bool) {
        self.chromium("Emulation.setScriptExecutionDisabled", &json!({ "value": !yes }));
    }

    /// Leaves a picture of the whole page where people can look at it after the run.
    pub fn photograph(&self, name: &str) {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.chromium("Page.captureScreenshot", &whole);
        let coded = screenshots().join(name).with_extension("base64");
        std::fs::write(&coded, picture["data"].as_str().expect("a picture in base64")).unwrap();
        let file = File::create(coded.with_extension("png")).unwrap();
        let decoded = Command::new("base64").arg("--decode").arg(&coded).stdout(file).status().unwrap();
        assert!(decoded.success());
        std::fs::remove_file(coded).unwrap();
    }

    /// What the console has said since it was last asked, as an error or a warning.
    pub fn complaints(&self) -> Vec<String> {
        let said = self.command("se/log", &json!({ "type": "browser" }));
        let is_grave = |line: &&Value| line["level"] == "SEVERE" || line["level"] == "WARNING";
        said.as_array().expect("lines").iter().filter(is_grave).map(|line| line["message"].to_string()).collect()
    }

    /// That the page complains of nothing, asks nobody else for anything, fits its window, and can be used by everybody.
    pub fn is_sound(&self, what: &str) {
        assert_eq!(self.complaints(), [""; 0], "{what}: the console");
        let elsewhere = "return performance.getEntriesByType('resource').map(entry => entry.name)\
                         .filter(name => !name.startsWith(location.origin))";
        assert_eq!(self.evaluate(elsewhere), json!([]), "{what}: requests to others");
        let fits = "return document.documentElement.scrollWidth - window.innerWidth";
        assert!(self.evaluate(fits).as_i64().unwrap() <= 0, "{what}: it scrolls sideways");
        let violations = self.violations();
        assert!(violations.is_empty(), "{what}: {violations:#?}");
    }

    /// What axe-core calls serious or critical, each with where it is.
    fn violations(&self) -> Vec<String> {
        if self.evaluate("return typeof axe") == "undefined" {
            self.chromium("Runtime.evaluate", &json!({ "expression": AXE }));
        }
        let found = self.evaluate_later(
            "axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations\
             .filter(one => ['serious', 'critical'].includes(one.impact))\
             .map(one => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map(node => `${node.html} ${node.failureSummary}`).join(' | ')}`)))",
        );
        found.as_array().expect("a list").iter().map(ToString::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        http::request(self.driver, "DELETE", &format!("/session/{}", self.session), "");
    }
}

/// Where a run leaves what people may want to look at afterwards.
pub fn screenshots() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
