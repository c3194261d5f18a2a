//! The table: a row for each figure, a column for each proxy, and what is held against the bar.

use crate::figures::{Against, Figure, Measured, Run, Spread};
use crate::proxies::Kind;

/// One row.
pub struct Row {
    figure: Figure,
    /// Medians by proxy.
    values: Vec<(Kind, f64)>,
    opponent: Option<Kind>,
    judged: Option<Spread>,
    /// Against the evenkeel before a change.
    change: Option<Spread>,
    rounds: usize,
    busy: f64,
    waited: f64,
}

/// The rows of an axis.
pub fn rows(measured: &Measured) -> Vec<Row> {
    let figures = measured.axis.figures().iter().enumerate().filter(|(_, figure)| figure.shown);
    figures.map(|(place, figure)| row(measured, place, *figure)).collect()
}

fn row(measured: &Measured, place: usize, figure: Figure) -> Row {
    let kinds = measured.samples.keys();
    Row {
        figure,
        values: kinds.filter_map(|kind| Some((*kind, measured.spread(*kind, place)?.median))).collect(),
        opponent: measured.opponent(place),
        judged: measured.judged(place),
        change: measured.ratio(Kind::Evenkeel, Kind::Before, place),
        rounds: measured.rounds(),
        busy: measured.overall(|sample| sample.busy),
        waited: measured.overall(|sample| sample.waited),
    }
}

impl Row {
    /// What is held against the bar: a ratio with quartiles and whose, or evenkeel's own value.
    fn verdict(&self) -> String {
        let Some(Spread { low, median, high }) = self.judged else { return "–".to_owned() };
        match (self.figure.against, self.opponent) {
            (Against::Best | Against::Defaults, Some(opponent)) => {
                format!("{median:.2} ({low:.2}–{high:.2}) of {}", opponent.name())
            }
            (_, _) => {
                let unit = self.figure.unit;
                format!("{} ({}–{})", unit.show(median), unit.number(low), unit.number(high))
            }
        }
    }

    fn bar(&self) -> String {
        let show = |bar: f64| match self.figure.against {
            Against::Nothing => self.figure.unit.show(bar),
            Against::Best | Against::Defaults => format!("{bar:.2}"),
        };
        match (self.figure.bar, self.figure.stretch) {
            (None, _) => "–".to_owned(),
            (Some(bar), None) => format!("≤ {}", show(bar)),
            (Some(bar), Some(stretch)) => format!("≤ {}, better {}", show(bar), show(stretch)),
        }
    }

    fn outcome(&self) -> &'static str {
        let (Some(Spread { median, .. }), Some(bar)) = (self.judged, self.figure.bar) else { return "–" };
        // As exact as what is printed: nobody can see a difference that the table does not show.
        let median = (median * 100.0).round() / 100.0;
        match self.figure.stretch {
            Some(stretch) if median <= stretch => "better",
            _ if median <= bar => "met",
            _ => "**missed**",
        }
    }
}

/// A row in a line, for a terminal.
pub fn text(row: &Row) -> String {
    let values: Vec<_> =
        row.values.iter().map(|(kind, value)| format!("{} {}", kind.name(), row.figure.unit.show(*value))).collect();
    let change = row.change.map_or(String::new(), |Spread { low, median, high }| {
        format!("; {median:.3} ({low:.3}–{high:.3}) of {}", Kind::Before.name())
    });
    format!(
        "{}: {}; bar {}: {}{change}\n    {} ({} rounds; on a core {:.0} % of the time, waiting for one {:.0} % of that)",
        row.figure.title,
        row.verdict(),
        row.bar(),
        row.outcome(),
        values.join(", "),
        row.rounds,
        row.busy * 100.0,
        row.waited * 100.0
    )
}

/// The whole table.
pub fn markdown(run: &Run, kinds: &[Kind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let mut table = format!("| | {} | evenkeel against | bar | | pairs |\n", names.join(" | "));
    table += &format!("|---|{}---|---|---|---|\n", "---|".repeat(kinds.len()));
    for row in run.axes.iter().flat_map(rows) {
        let value = |kind: &Kind| row.values.iter().find(|(of, _)| of == kind).map(|(_, value)| *value);
        let cells: Vec<_> =
            kinds.iter().map(|kind| value(kind).map_or("–".to_owned(), |value| row.figure.unit.show(value))).collect();
        let (verdict, bar, outcome) = (row.verdict(), row.bar(), row.outcome());
        table += &format!(
            "| {} | {} | {verdict} | {bar} | {outcome} | {} |\n",
            row.figure.title,
            cells.join(" | "),
            row.rounds
        );
    }
    table
}
