//! A Prometheus of the test's own: what it scrapes each second, the rules that it has, and what it answers.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::program::Program;
use crate::harness::wait::until;
use crate::harness::{http, ports};

/// What is scraped: the job's name, where, and by which path.
pub struct Job<'a>(pub &'a str, pub SocketAddr, pub &'a str);

/// A Prometheus that ends with the test.
pub struct Prometheus {
    address: SocketAddr,
    _program: Program,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it, with these rules as a file of rules has them.
    pub fn start(jobs: &[Job<'_>], rules: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let rules = file("rules.yml", rules);
        let config = file("prometheus.yml", &configuration(jobs, &rules));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let program = Program::start(Command::new("prometheus").args([
            format!("--config.file={config}"),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ]));
        until("Prometheus is ready", || http::get(address, "/-/ready").filter(|answer| answer.status == 200));
        Self { address, _program: program, _directory: directory }
    }

    /// What an expression gives now: a sample for each series.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        self.ask(&format!("/api/v1/query?query={}", encoded(expression)))["result"].as_array().unwrap().clone()
    }

    /// Waits until an expression gives something.
    pub fn returns(&self, expression: &str) -> Vec<Value> {
        until(&format!("data for {expression}"), || Some(self.query(expression)).filter(|samples| !samples.is_empty()))
    }

    /// Waits until an alert fires that has these labels, written as in a selector.
    pub fn fires(&self, alert: &str, labels: &str) {
        self.returns(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",{labels}}}"));
    }

    /// The alerts that fire, by name and without repetition, once all rules have been looked at anew.
    pub fn firing(&self) -> Vec<String> {
        let looked_at = || -> Vec<Value> { self.rules().iter().map(|rule| rule["lastEvaluation"].clone()).collect() };
        let before = looked_at();
        until("all rules are looked at", || {
            looked_at().iter().zip(&before).all(|(now, before)| now != before).then_some(())
        });
        for rule in self.rules() {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
        let alerts = self.query("count by (alertname) (ALERTS{alertstate=\"firing\"})");
        alerts.iter().map(|alert| alert["metric"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// Values of a label in the series of a selector.
    pub fn label_values(&self, label: &str, selector: &str) -> Vec<String> {
        let values = self.ask(&format!("/api/v1/label/{label}/values?match[]={}", encoded(selector)));
        values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }

    fn rules(&self) -> Vec<Value> {
        let groups = self.ask("/api/v1/rules");
        groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect()
    }

    fn ask(&self, path: &str) -> Value {
        let mut answer = http::get(self.address, path).expect("Prometheus answers").json();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].take()
    }
}

fn configuration(jobs: &[Job<'_>], rules: &str) -> String {
    let mut text = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s\n\
         rule_files: [\"{rules}\"]\nscrape_configs:\n"
    );
    for Job(name, target, path) in jobs {
        let _ = writeln!(
            text,
            "  - job_name: {name}\n    metrics_path: {path}\n    static_configs: [{{targets: [\"{target}\"]}}]"
        );
    }
    text
}

/// As it may stand in a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02X}");
        out
    })
}
