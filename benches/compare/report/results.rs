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

/// One object; each axis and each configuration is a line, so that two runs can be laid side by side.
pub fn json(run: &Run) -> Result<String> {
    let versions: Map<_, _> =
        run.versions.iter().map(|(kind, version)| (kind.name().to_owned(), json!(version))).collect();
    let mut lines: Vec<(String, Value)> = vec![
        ("date".to_owned(), json!(run.date)),
        ("machine".to_owned(), json!(run.machine)),
        ("versions".to_owned(), versions.into()),
        ("pairs".to_owned(), json!(run.pairs)),
        ("realtime".to_owned(), json!(run.realtime)),
        ("load_average".to_owned(), json!([run.load.0, run.load.1])),
        ("notes".to_owned(), json!(run.notes)),
    ];
    lines.extend(run.axes.iter().map(|measured| (format!("axis {}", measured.axis.name()), axis(measured))));
    lines.extend(run.configurations.iter().map(|(name, text)| (format!("configuration {name}"), json!(text))));
    let lines = lines.into_iter().map(|(key, value)| Ok(format!("{}: {value}", serde_json::to_string(&key)?)));
    Ok(format!("{{\n{}\n}}\n", lines.collect::<Result<Vec<_>>>()?.join(",\n")))
}

/// Figures by name, and for each proxy a list of their values in each round.
fn axis(measured: &Measured) -> Value {
    let figures: Vec<_> = measured.axis.figures().iter().map(|figure| figure.title).collect();
    let units: Vec<_> = measured.axis.figures().iter().map(|figure| format!("{:?}", figure.unit)).collect();
    let samples: Map<_, _> = measured
        .samples
        .iter()
        .map(|(kind, samples)| {
            let rounds: Vec<_> = samples
                .iter()
                .map(|sample| json!({ "values": sample.values, "busy": sample.busy, "waited": sample.waited }))
                .collect();
            (kind.name().to_owned(), Value::from(rounds))
        })
        .collect();
    json!({ "figures": figures, "units": units, "samples": samples })
}
