//! The file with every sample, for whoever wants to reckon differently.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::figures::{Measured, Run};
use crate::options::BenchOptions;

/// The file's name: a full run has its date, others what they measured.
pub fn name(run: &Run, options: &BenchOptions) -> String {
    let date = run.date.split(' ').next().unwrap_or_default();
    if options.is_full() {
        return date.to_owned();
    }
    if options.quick {
        return format!("{date}-quick");
    }
    let axes: Vec<_> = options.axis.iter().map(|axis| axis.name()).collect();
    format!("{date}-{}", if axes.is_empty() { "some".to_owned() } else { axes.join("-") })
}

pub fn json(run: &Run) -> Result<String> {
    let versions: Map<_, _> =
        run.versions.iter().map(|(kind, version)| (kind.name().to_owned(), json!(version))).collect();
    let axes: Map<_, _> = run.axes.iter().map(|measured| (measured.axis.name(), axis(measured))).collect();
    let text = serde_json::to_string_pretty(&json!({
        "date": run.date,
        "machine": run.machine,
        "versions": versions,
        "pairs": run.pairs,
        "realtime": run.realtime,
        "load_average": [run.load.0, run.load.1],
        "axes": axes,
        "notes": run.notes,
        "configurations": run.configurations,
    }))?;
    Ok(text + "\n")
}

/// Figures by name, and for each proxy a list of their values in each round.
fn axis(measured: &Measured) -> Value {
    let figures: Vec<_> = measured.axis.figures().iter().map(|figure| figure.title).collect();
    let units: Vec<_> = measured.axis.figures().iter().map(|figure| format!("{:?}", figure.unit)).collect();
    let samples: Map<_, _> = measured
        .samples
        .iter()
        .map(|(kind, samples)| {
            let rounds: Vec<_> =
                samples.iter().map(|sample| json!({ "values": sample.values, "waited": sample.waited })).collect();
            (kind.name().to_owned(), Value::from(rounds))
        })
        .collect();
    json!({ "figures": figures, "units": units, "samples": samples })
}
