//! Tables: columns as wide as what is in them, or as the terminal has room for.

use super::screen::{Screen, Tone};

/// Between two columns.
const GAP: &str = "  ";

/// A column that gives way keeps so much.
const LEAST: usize = 8;

pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    title: &'static str,
    is_number: bool,
    gives_way: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Column {
    /// Names and words.
    pub(super) const fn text(title: &'static str) -> Self {
        Self { title, is_number: false, gives_way: false }
    }

    /// Words that can be cut where the terminal is too narrow for all.
    pub(super) const fn long(title: &'static str) -> Self {
        Self { title, is_number: false, gives_way: true }
    }

    pub(super) const fn number(title: &'static str) -> Self {
        Self { title, is_number: true, gives_way: false }
    }
}

impl Cell {
    pub(super) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Some(tone) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: None }
    }
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; cells that are left out are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn render(&self, screen: Screen) -> String {
        let widths = self.widths(screen.columns);
        let titles = self.columns.iter().map(|column| Cell::toned(Tone::Heading, column.title)).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            text += &self.line(row, &widths, screen);
            text.push('\n');
        }
        text
    }

    fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let widest = |(place, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(place)).map(|cell| length(&cell.text));
            cells.chain([length(column.title)]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(widest).collect();
        let gaps = GAP.len() * self.columns.len().saturating_sub(1);
        let room = room.unwrap_or(usize::MAX).saturating_sub(gaps);
        while widths.iter().sum::<usize>() > room {
            let giving = (0..widths.len()).filter(|place| self.columns[*place].gives_way && widths[*place] > LEAST);
            let Some(place) = giving.max_by_key(|place| widths[*place]) else { break };
            widths[place] -= 1;
        }
        widths
    }

    fn line(&self, row: &[Cell], widths: &[usize], screen: Screen) -> String {
        let mut line = String::new();
        for (place, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            let Some(cell) = row.get(place) else { break };
            let text = cut(&cell.text, *width);
            let blank = " ".repeat(width - length(&text));
            let painted = cell.tone.map_or_else(|| text.clone(), |tone| screen.paint(tone, &text));
            let gap = if place == 0 { "" } else { GAP };
            line += &match column.is_number {
                true => format!("{gap}{blank}{painted}"),
                false => format!("{gap}{painted}{blank}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Names are ASCII; what else stands in a table has no letters of double width.
fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    match length(text) > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([Column::text("NAME"), Column::number("SESSIONS"), Column::long("SAYS")]);
        table.row(["k0s-ch-sion-1".into(), "1,204".into(), "everything is as it should be here".into()]);
        table.row(["b".into(), "7".into()]);
        table
    }

    // Seen to fail with cells of a number aligned left, and with the blanks at a line's end left there.
    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let expected = "\
NAME           SESSIONS  SAYS
k0s-ch-sion-1     1,204  everything is as it should be here
b                     7
";
        assert_eq!(table().render(Screen::PIPE), expected);
    }

    #[test]
    fn on_a_narrow_terminal_the_long_column_gives_way_and_no_other() {
        let screen = |columns| Screen { columns: Some(columns), ..Screen::PIPE };
        let narrow = table().render(screen(40));
        assert_eq!(narrow.lines().nth(1), Some("k0s-ch-sion-1     1,204  everything is …"));
        let narrowest = table().render(screen(10));
        assert_eq!(narrowest.lines().nth(1), Some("k0s-ch-sion-1     1,204  everyth…"));
        assert_eq!(table().render(screen(59)), table().render(Screen::PIPE));
    }
}
