//! Prometheus text of a [`Snapshot`]. The names are an interface: all of them stand in [`table`], with their help.

mod table;

use std::time::SystemTime;

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use self::table::{Count, Family, Kind, Level, States};
use crate::event::{Counts, Snapshot};

/// The text's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The snapshot in Prometheus's text format, version 0.0.4.
pub fn encode(snapshot: &Snapshot) -> String {
    let mut text = Text { out: String::new(), encoder: TextEncoder::new() };
    text.process(snapshot);
    text.frontends(snapshot);
    text.backends(snapshot);
    text.servers(snapshot);
    text.out
}

/// Families are built and written one after the other: a thousand servers never stand in memory as metrics at once.
struct Text {
    out: String,
    encoder: TextEncoder,
}

impl Text {
    fn process(&mut self, snapshot: &Snapshot) {
        let build = vec![label("version", snapshot.process.version)];
        self.family(table::BUILD_INFO, table::BUILD_INFO_HELP, Kind::Gauge, vec![sample(Kind::Gauge, &build, 1.0)]);
        let rows = [Row { labels: Vec::new(), counts: &snapshot.process.counts, item: &snapshot.process }];
        self.families(table::PROCESS, &rows);
        self.states(table::PROCESS_STATES, &rows);
        self.counts(Level::Process, &rows);
    }

    fn frontends(&mut self, snapshot: &Snapshot) {
        let rows: Vec<_> = (snapshot.frontends.iter())
            .map(|frontend| Row {
                labels: vec![label("frontend", frontend.name.as_str())],
                counts: &frontend.counts,
                item: frontend,
            })
            .collect();
        self.families(table::FRONTEND, &rows);
        self.counts(Level::Frontend, &rows);
    }

    fn backends(&mut self, snapshot: &Snapshot) {
        let rows: Vec<_> = (snapshot.backends.iter())
            .map(|backend| Row {
                labels: vec![label("backend", backend.name.as_str())],
                counts: &backend.counts,
                item: backend,
            })
            .collect();
        self.families(table::BACKEND, &rows);
        self.counts(Level::Backend, &rows);
    }

    fn servers(&mut self, snapshot: &Snapshot) {
        let rows: Vec<_> = (snapshot.backends.iter())
            .flat_map(|backend| backend.servers.iter().map(move |server| (backend, server)))
            .map(|(backend, server)| Row {
                labels: vec![label("backend", backend.name.as_str()), label("server", server.name.as_str())],
                counts: &server.counts,
                item: server,
            })
            .collect();
        self.families(table::SERVER, &rows);
        self.states(table::SERVER_STATES, &rows);
        self.counts(Level::Server, &rows);
    }

    fn families<T>(&mut self, families: &[Family<T>], rows: &[Row<'_, T>]) {
        for family in families {
            let samples = (rows.iter())
                .filter_map(|row| Some(sample(family.kind, &row.labels, (family.value)(row.item)?)))
                .collect();
            self.family(family.name, family.help, family.kind, samples);
        }
    }

    /// One series for each possible word, 1 for the one that holds.
    fn states<T>(&mut self, families: &[States<T>], rows: &[Row<'_, T>]) {
        for family in families {
            let mut samples = Vec::with_capacity(rows.len() * family.words.len());
            for row in rows {
                let now = (family.now)(row.item);
                for word in family.words {
                    let mut labels = row.labels.clone();
                    labels.push(label(family.label, word));
                    samples.push(sample(Kind::Gauge, &labels, f64::from(u8::from(now == Some(*word)))));
                }
            }
            self.family(family.name, family.help, Kind::Gauge, samples);
        }
    }

    fn counts<T>(&mut self, level: Level, rows: &[Row<'_, T>]) {
        for Count { name, help, kind, levels, value } in table::COUNTS {
            if levels.contains(&level) {
                let samples = rows.iter().map(|row| sample(*kind, &row.labels, value(row.counts))).collect();
                self.family(&format!("{}{name}", level.prefix()), help, *kind, samples);
            }
        }
    }

    /// A family without a sample is left out: the format has no word for it.
    fn family(&mut self, name: &str, help: &str, kind: Kind, samples: Vec<Metric>) {
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(match kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        family.set_metric(samples);
        self.encoder.encode_utf8(&[family], &mut self.out).expect("a family with a name and samples can be written");
    }
}

/// What one line's labels and value are taken from.
struct Row<'a, T> {
    labels: Vec<LabelPair>,
    counts: &'a Counts,
    item: &'a T,
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn sample(kind: Kind, labels: &[LabelPair], value: f64) -> Metric {
    let mut metric = Metric::from_label(labels.to_vec());
    match kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
    }
    metric
}

/// Seconds since 1970; before it, negative.
fn unix_seconds(at: SystemTime) -> f64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::fixture;
    use crate::event::{CheckStatus, DownCause, ServerState};

    /// Series by their name and labels as written.
    fn series(text: &str) -> BTreeMap<&str, f64> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let all: Vec<_> = lines.map(|line| line.rsplit_once(' ').unwrap()).collect();
        let distinct: BTreeMap<_, f64> = all.iter().map(|(name, value)| (*name, value.parse().unwrap())).collect();
        assert_eq!(distinct.len(), all.len(), "each series stands once");
        distinct
    }

    #[test]
    fn figures_of_the_snapshot_come_out_in_base_units() {
        let mut snapshot = fixture::cluster();
        snapshot.take_down("k0s-at-vie-1");
        let text = encode(&snapshot);
        let series = series(&text);
        let server = r#"backend="kubeAPI_backend",server="k0s-at-vie-1""#;
        let value = |name: &str| *series.get(name).unwrap_or_else(|| panic!("no series {name}"));
        assert_eq!(value(r#"evenkeel_build_info{version="0.1.0"}"#), 1.0);
        assert_eq!(value("evenkeel_sessions"), 312.0);
        assert_eq!(value("evenkeel_cpu_seconds_total"), 1284.33);
        assert_eq!(value(r#"evenkeel_frontend_sessions_limit{frontend="kubeAPI"}"#), 3000.0);
        assert_eq!(value(r#"evenkeel_backend_active_servers{backend="kubeAPI_backend"}"#), 2.0);
        assert_eq!(value(&format!("evenkeel_server_downtime_seconds_total{{{server}}}")), 488.0);
        assert_eq!(value(&format!("evenkeel_server_check_duration_seconds{{{server}}}")), 0.00031);
        assert_eq!(value(&format!("evenkeel_server_check_passed{{{server}}}")), 0.0);
        let expires = format!("evenkeel_server_certificate_not_after_timestamp_seconds{{{server}}}");
        assert_eq!(value(&expires), unix_seconds(fixture::now()) + 287.0 * 86_400.0);
    }

    #[test]
    fn of_each_state_metric_exactly_the_present_word_is_1() {
        let states = [ServerState::Ready, ServerState::Draining, ServerState::Drain, ServerState::Maint];
        let downs = DownCause::ALL.map(ServerState::Down);
        for state in states.into_iter().chain(downs) {
            let mut snapshot = fixture::cluster();
            snapshot.set_state("k0s-at-vie-1", state);
            let text = encode(&snapshot);
            let ones = |family: &str| -> Vec<String> {
                let start = format!(r#"{family}{{backend="kubeAPI_backend",server="k0s-at-vie-1","#);
                let series = series(&text);
                let ones = series.iter().filter(|(name, value)| name.starts_with(&start) && **value == 1.0);
                ones.map(|(name, _)| name.rsplit('"').nth(1).unwrap().to_owned()).collect()
            };
            assert_eq!(ones("evenkeel_server_state"), [state.word()]);
            let cause = if let ServerState::Down(cause) = state { vec![cause.words()] } else { vec![] };
            assert_eq!(ones("evenkeel_server_down_cause"), cause);
        }
    }

    #[test]
    fn every_check_status_has_its_series() {
        for status in CheckStatus::ALL {
            let mut snapshot = fixture::cluster();
            for server in snapshot.servers_named("k0s-at-vie-1") {
                server.check.as_mut().unwrap().last.as_mut().unwrap().status = status;
            }
            let text = encode(&snapshot);
            let name = format!(
                r#"evenkeel_server_check_status{{backend="kubeAPI_backend",server="k0s-at-vie-1",status="{}"}}"#,
                status.name()
            );
            assert_eq!(series(&text).get(name.as_str()), Some(&1.0), "{name}");
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        let text = encode(&fixture::cluster());
        let (mut counters, mut gauges) = (0, 0);
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(name.starts_with("evenkeel_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
            if kind == "counter" { counters += 1 } else { gauges += 1 }
        }
        assert!(counters > 20 && gauges > 20, "{counters} counters, {gauges} gauges");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut snapshot = fixture::cluster();
        snapshot.frontends[0].max_sessions = None;
        for server in snapshot.servers_named("k0s-at-vie-1") {
            server.check = None;
        }
        let text = encode(&snapshot);
        assert!(!text.contains(r#"evenkeel_frontend_sessions_limit{frontend="kubeAPI"}"#));
        assert!(!text.contains(r#"evenkeel_server_check_passed{backend="kubeAPI_backend",server="k0s-at-vie-1"}"#));
        assert!(!text.contains("NaN"));
    }
}
