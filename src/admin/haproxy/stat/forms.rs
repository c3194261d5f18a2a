//! The forms of the statistics: CSV, typed lines (`show stat typed`), JSON (`show stat json`).

use std::fmt::Write;

use serde::Serialize;

use super::super::tags::{Field, Tags};
use super::{COLUMNS, Cell, Kind, Row};

/// Lines of values with commas behind each, the first one naming the columns. The `-` marks where HAProxy's modules would
/// begin to add columns of theirs.
pub fn csv(rows: &[Row<'_>]) -> String {
    let mut out = String::from("# ");
    for column in COLUMNS {
        out += column.name;
        out.push(',');
    }
    out += "-,\n";
    for row in rows {
        for (_, cell) in row.cells() {
            write_cell(&cell, &mut out);
            out.push(',');
        }
        out += "-,\n";
    }
    out
}

fn write_cell(cell: &Cell, out: &mut String) {
    let _infallible = match cell {
        Cell::Empty => Ok(()),
        Cell::U32(value) => write!(out, "{value}"),
        Cell::U64(value) => write!(out, "{value}"),
        Cell::S32(value) => write!(out, "{value}"),
        Cell::Text(text) if text.contains([',', '"', '\r', '\n']) => {
            write!(out, "\"{}\"", text.replace('"', "\"\"").replace(['\r', '\n'], " "))
        }
        Cell::Text(text) => out.write_str(text),
    };
}

/// A line for each value that there is: whose it is, what, and of which type.
pub fn typed(rows: &[Row<'_>]) -> String {
    let mut out = String::new();
    for row in rows {
        for (place, (column, cell)) in row.cells().enumerate() {
            let (letter, iid, sid, name) = (row.kind.letter(), row.iid, row.sid, column.name);
            let Some((kind, value)) = typed_value(&cell) else { continue };
            let tags = column.tags(row.kind);
            let _infallible = writeln!(out, "{letter}.{iid}.{sid}.{place}.{name}.1:{tags}:{kind}:{value}");
        }
    }
    out
}

/// `None` for a value that there isn't.
fn typed_value(cell: &Cell) -> Option<(&'static str, String)> {
    Some(match cell {
        Cell::Empty => return None,
        Cell::U32(value) => ("u32", value.to_string()),
        Cell::U64(value) => ("u64", value.to_string()),
        Cell::S32(value) => ("s32", value.to_string()),
        Cell::Text(text) => ("str", text.clone()),
    })
}

/// A list of lists of objects, on one line.
pub fn json(rows: &[Row<'_>]) -> String {
    let rows: Vec<Vec<Object>> = rows.iter().map(objects).collect();
    serde_json::to_string(&rows).expect("numbers and strings have a form") + "\n"
}

/// A value with all that the typed form tells of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    obj_type: &'static str,
    proxy_id: u32,
    id: u32,
    field: Field,
    process_num: u32,
    tags: Tags,
    value: Value,
}

#[derive(Serialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
enum Value {
    U32(u32),
    U64(u64),
    S32(i32),
    Str(String),
}

fn objects(row: &Row<'_>) -> Vec<Object> {
    let values = row.cells().enumerate().filter_map(|(pos, (column, cell))| {
        Some(Object {
            obj_type: row.kind.word(),
            proxy_id: row.iid,
            id: row.sid,
            field: Field { pos, name: column.name },
            process_num: 1,
            tags: Tags::of(column.tags(row.kind)),
            value: Value::of(cell)?,
        })
    });
    values.collect()
}

impl Value {
    /// `None` for a value that there isn't.
    fn of(cell: Cell) -> Option<Self> {
        Some(match cell {
            Cell::Empty => return None,
            Cell::U32(value) => Self::U32(value),
            Cell::U64(value) => Self::U64(value),
            Cell::S32(value) => Self::S32(value),
            Cell::Text(text) => Self::Str(text),
        })
    }
}

impl Kind {
    /// HAProxy's number for it, in the column `type`.
    pub fn number(self) -> usize {
        match self {
            Self::Frontend => 0,
            Self::Backend => 1,
            Self::Server => 2,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Frontend => 'F',
            Self::Backend => 'B',
            Self::Server => 'S',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Frontend => "Frontend",
            Self::Backend => "Backend",
            Self::Server => "Server",
        }
    }
}
