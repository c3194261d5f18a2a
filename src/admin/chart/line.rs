//! A line's path: one unit of width for each step, a hundred of height for the whole scale. A gap ends it.

use std::fmt::Write as _;

/// Of the path's `d`.
pub(super) fn path(values: &[Option<f32>], top: f32) -> String {
    let mut path = String::new();
    let height = |value: f32| 100.0 - 100.0 * (value / top).clamp(0.0, 1.0);
    for step in 0..values.len() {
        let Some(value) = values[step] else { continue };
        let before = step.checked_sub(1).and_then(|before| values[before]);
        let after = values.get(step + 1).copied().flatten();
        let (x, y) = (step as f64 + 0.5, height(value));
        // Writing to a String can't fail.
        let _ = match (before, after) {
            (None, None) => write!(path, "M{step} {}h1", short(y)),
            (None, Some(_)) => write!(path, "M{x} {}", short(y)),
            // Between two of the same height it is where the line is anyway.
            (Some(before), Some(after)) if before == value && after == value => Ok(()),
            (Some(_), _) => write!(path, "L{x} {}", short(y)),
        };
    }
    path
}

/// A tenth is finer than a screen shows.
fn short(y: f32) -> String {
    let text = format!("{y:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
