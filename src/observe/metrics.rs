//! Prometheus text of a [`Snapshot`]. The names are an interface: all of them stand in one table, with their help.

#[cfg(test)]
mod monitoring;
mod table;

use std::time::SystemTime;

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use self::table::{Count, Family, Kind, Level, States};
use crate::event::{BackendSnapshot, Counts, Snapshot};

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

/// Families are written one after the other from the same [`Rows`]: the labels of a thousand servers are made once, not
/// once for each metric.
struct Text {
    out: String,
    encoder: TextEncoder,
}

impl Text {
    fn process(&mut self, snapshot: &Snapshot) {
        let process = &snapshot.process;
        let mut build = Rows::new([(vec![label("version", process.version)], &process.counts, process)]);
        self.write(table::BUILD_INFO, table::BUILD_INFO_HELP, Kind::Gauge, &mut build, |_, _| Some(1.0));
        let mut rows = Rows::new([(Vec::new(), &process.counts, process)]);
        self.families(table::PROCESS, &mut rows);
        let targets = process.log_targets.iter();
        let mut targets =
            Rows::new(targets.map(|target| (vec![label("target", &target.name)], &process.counts, target)));
        self.families(table::LOG_TARGET, &mut targets);
        self.states(table::PROCESS_STATES, &rows);
        self.counts(Level::Process, &mut rows);
    }

    fn frontends(&mut self, snapshot: &Snapshot) {
        let mut rows = Rows::new(snapshot.frontends.iter().map(|frontend| {
            let labels = vec![label("frontend", frontend.name.as_str())];
            (labels, &frontend.counts, frontend)
        }));
        self.families(table::FRONTEND, &mut rows);
        self.counts(Level::Frontend, &mut rows);
    }

    fn backends(&mut self, snapshot: &Snapshot) {
        let counts: Vec<Counts> = snapshot.backends.iter().map(BackendSnapshot::all_counts).collect();
        let mut rows = Rows::new(snapshot.backends.iter().zip(&counts).map(|(backend, counts)| {
            let labels = vec![label("backend", backend.name.as_str())];
            (labels, counts, backend)
        }));
        self.families(table::BACKEND, &mut rows);
        self.counts(Level::Backend, &mut rows);
    }

    fn servers(&mut self, snapshot: &Snapshot) {
        let servers = snapshot.backends.iter().flat_map(|backend| backend.servers.iter().map(move |s| (backend, s)));
        let mut rows = Rows::new(servers.map(|(backend, server)| {
            let labels = vec![label("backend", backend.name.as_str()), label("server", server.name.as_str())];
            (labels, &server.counts, server)
        }));
        self.families(table::SERVER, &mut rows);
        self.states(table::SERVER_STATES, &rows);
        self.counts(Level::Server, &mut rows);
    }

    fn families<T>(&mut self, families: &[Family<T>], rows: &mut Rows<'_, T>) {
        for Family { name, help, kind, value } in families {
            self.write(name, help, *kind, rows, |_, item| value(item));
        }
    }

    fn counts<T>(&mut self, level: Level, rows: &mut Rows<'_, T>) {
        for Count { name, help, kind, levels, value } in table::COUNTS {
            if levels.contains(&level) {
                self.write(&format!("{}{name}", level.prefix()), help, *kind, rows, |counts, _| Some(value(counts)));
            }
        }
    }

    /// One series for each possible word, 1 for the one that holds.
    fn states<T>(&mut self, families: &[States<T>], rows: &Rows<'_, T>) {
        for family in families {
            let mut samples = Vec::with_capacity(rows.items.len() * family.words.len());
            for ((_, item), blank) in rows.items.iter().zip(&rows.blanks) {
                let now = (family.now)(item);
                for word in family.words {
                    let mut labels = blank.get_label().to_vec();
                    labels.push(label(family.label, word));
                    let mut sample = Metric::from_label(labels);
                    set(&mut sample, Kind::Gauge, f64::from(u8::from(now == Some(*word))));
                    samples.push(sample);
                }
            }
            self.family(family.name, family.help, Kind::Gauge, samples);
        }
    }

    /// One family; a row without a value has no series in it.
    fn write<T>(
        &mut self,
        name: &str,
        help: &str,
        kind: Kind,
        rows: &mut Rows<'_, T>,
        value: impl Fn(&Counts, &T) -> Option<f64>,
    ) {
        let mut samples = std::mem::take(&mut rows.blanks);
        let mut lacking = false;
        for (sample, (counts, item)) in samples.iter_mut().zip(&rows.items) {
            match value(counts, item) {
                Some(value) => set(sample, kind, value),
                None => lacking = true,
            }
        }
        if lacking {
            let known = samples.iter().zip(&rows.items).filter(|(_, (counts, item))| value(counts, item).is_some());
            self.family(name, help, kind, known.map(|(sample, _)| sample.clone()).collect());
            rows.blanks = samples;
        } else {
            rows.blanks = self.family(name, help, kind, samples);
        }
    }

    /// Gives the samples back. Without any, nothing is written: the format has no word for an empty family.
    fn family(&mut self, name: &str, help: &str, kind: Kind, samples: Vec<Metric>) -> Vec<Metric> {
        if samples.is_empty() {
            return samples;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(match kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        family.set_metric(samples);
        let mut family = [family];
        self.encoder.encode_utf8(&family, &mut self.out).expect("a family with a name and samples can be written");
        family[0].take_metric()
    }
}

/// What is counted of the items of one level, and for each of them a sample with its labels, whose value is set anew
/// for each family.
struct Rows<'a, T> {
    items: Vec<(&'a Counts, &'a T)>,
    blanks: Vec<Metric>,
}

impl<'a, T> Rows<'a, T> {
    fn new(rows: impl IntoIterator<Item = (Vec<LabelPair>, &'a Counts, &'a T)>) -> Self {
        let (items, blanks) =
            rows.into_iter().map(|(labels, counts, item)| ((counts, item), Metric::from_label(labels))).unzip();
        Self { items, blanks }
    }
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn set(sample: &mut Metric, kind: Kind, value: f64) {
    match kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        }
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
    }
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
    use crate::event::{CheckStatus, DownCause, Kept, ServerState};

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
        let states =
            [ServerState::Ready, ServerState::Draining, ServerState::Stranger, ServerState::Drain, ServerState::Maint];
        let kept = Kept::ALL.map(ServerState::Kept);
        let downs = DownCause::ALL.map(ServerState::Down);
        for state in states.into_iter().chain(kept).chain(downs) {
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
