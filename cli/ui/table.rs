//! Tables without borders: columns that line up, for people and for `awk`.

use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};

use super::text::clean;

/// A table that is filled row by row.
pub(crate) struct Table {
    grid: Grid,
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column<'a> {
    /// Text, from the left.
    Text(&'a str),
    /// Numbers, from the right.
    Number(&'a str),
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(columns: &[Column<'_>]) -> Self {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        grid.set_header(columns.iter().map(|column| match column {
            Column::Text(title) | Column::Number(title) => clean(title),
        }));
        for (cells, column) in grid.column_iter_mut().zip(columns) {
            cells.set_padding((0, 2));
            if matches!(column, Column::Number(_)) {
                cells.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { grid }
    }

    /// Adds a row. Whatever stands in a cell is shown on one line, without control characters.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.add(cells);
    }

    /// The same, where the number of columns is known only when they are shown.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.grid.add_row(cells.into_iter().map(|cell| clean(&cell)));
    }

    /// The table, each line indented by this many spaces and ended, without spaces at the end.
    pub(crate) fn render(&self, indent: usize) -> String {
        let line = |line: String| format!("{}\n", format!("{:indent$}{line}", "").trim_end());
        self.grid.lines().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[Column::Text("STEP"), Column::Number("TIME"), Column::Text("WHY")]);
        table.row(["ingest".into(), "420 ms".into(), "new".into()]);
        table.row(["train[fold=1]".into(), "12.3 s".into(), "a\nb\u{1b}[0m".into()]);
        table.row(["größe".into(), "1 s".into(), String::new()]);
        insta::assert_snapshot!(table.render(2), @r###"
        STEP             TIME  WHY
        ingest         420 ms  new
        train[fold=1]  12.3 s  a b
        größe             1 s
        "###);
    }
}
