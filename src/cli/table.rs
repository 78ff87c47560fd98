//! Aligned columns.

/// On which side a column's texts meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// The columns of a table whose lines are not all held: each is measured first, then each is printed.
#[derive(Debug)]
pub(super) struct Columns<const N: usize> {
    columns: [(&'static str, Align); N],
    widths: [usize; N],
}

impl<const N: usize> Columns<N> {
    /// Columns with these titles.
    pub(super) fn new(columns: [(&'static str, Align); N]) -> Self {
        Self { widths: columns.map(|(title, _)| title.chars().count()), columns }
    }

    /// Makes room for a line.
    pub(super) fn measure(&mut self, cells: &[String; N]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// The line of titles.
    pub(super) fn titles(&self) -> String {
        self.line(&self.columns.map(|(title, _)| title.to_owned()))
    }

    /// A line, without spaces at its end.
    pub(super) fn line(&self, cells: &[String; N]) -> String {
        let cells = cells.iter().zip(&self.widths).zip(&self.columns).map(|((cell, width), (_, align))| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

/// A table of texts with a line of titles.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: Columns<N>,
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these titles.
    pub(super) fn new(columns: [(&'static str, Align); N]) -> Self {
        Self { columns: Columns::new(columns), rows: Vec::new() }
    }

    /// Adds a line.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.columns.measure(&cells);
        self.rows.push(cells);
    }

    /// The lines, without spaces at their ends.
    pub(super) fn lines(&self) -> Vec<String> {
        std::iter::once(self.columns.titles()).chain(self.rows.iter().map(|row| self.columns.line(row))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_meet_on_their_side_and_lines_have_no_tail() {
        let mut table = Table::new([("NAME", Align::Left), ("SIZE", Align::Right), ("NOTE", Align::Left)]);
        table.row(["a".into(), "1.0 KiB".into(), String::new()]);
        table.row(["longer".into(), "2 B".into(), "x".into()]);
        assert_eq!(table.lines(), ["NAME       SIZE  NOTE", "a       1.0 KiB", "longer      2 B  x"]);
    }
}
