//! Two plots as SVG: what a short connection costs by how many there are, and what idle sessions take.

mod chart;

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::axes::{Axis, CONCURRENT, SESSIONS};
use crate::figures::Run;
use chart::{Chart, Line, Scale};

/// Writes those for which the run has samples.
pub fn write(run: &Run, into: &Path) -> Result<()> {
    let concurrency = Chart {
        title: "Cost of a short connection",
        across: "short connections at a time",
        up: "µs on a core",
        scale: Scale::Logarithmic,
        lines: lines(run, Axis::Concurrency, &CONCURRENT),
    };
    let memory = Chart {
        title: "Memory of idle sessions",
        across: "idle sessions",
        up: "MiB, private and anonymous",
        scale: Scale::Linear,
        lines: lines(run, Axis::Idle, &SESSIONS),
    };
    for (name, chart) in [("concurrency.svg", concurrency), ("memory.svg", memory)] {
        if !chart.lines.is_empty() {
            fs::write(into.join(name), chart.svg())?;
        }
    }
    Ok(())
}

/// A line for each proxy: the axis's first figures stand at these places.
fn lines(run: &Run, axis: Axis, places: &[usize]) -> Vec<Line> {
    let measured = run.axes.iter().filter(|measured| measured.axis == axis);
    measured
        .flat_map(|measured| {
            measured.samples.keys().map(|kind| {
                let value = |figure| measured.spread(*kind, figure).map(|spread| spread.median);
                let points = places.iter().enumerate();
                Line {
                    name: kind.name(),
                    points: points.filter_map(|(figure, at)| Some((*at as f64, value(figure)?))).collect(),
                }
            })
        })
        .collect()
}
