//! Rows as text, as the simple query protocol gives them.
//!
//! Place in the flow: `session` → **[`Rows`]** → `map`.
//!
//! Text, because every value becomes a label or a float: no table of types is needed, and a
//! fixture written by `psql --csv` is the same thing.
//!
//! Not here: SQL.

/// An answer: named columns and rows of optional texts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    columns: &'r [String],
    cells: &'r [Option<String>],
}

impl<'r> Row<'r> {
    /// The text under a column; `None` for NULL and for a column that is not there.
    pub(super) fn text(self, column: &str) -> Option<&'r str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.cells.get(index)?.as_deref()
    }

    /// The number under a column; the error names the column.
    pub(super) fn number(self, column: &str) -> Result<Option<f64>, String> {
        let parse = |text: &str| match text {
            "t" | "true" | "on" => Ok(1.0),
            "f" | "false" | "off" => Ok(0.0),
            _ => text.parse().map_err(|_| format!("column {column}: {text:?} is not a number")),
        };
        self.text(column).map(parse).transpose()
    }
}
