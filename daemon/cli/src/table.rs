//! Aligned tables and memory bars for people.

use unicode_width::UnicodeWidthStr;

/// On which side a column's cells are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table that is printed when it is whole.
#[derive(Debug)]
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading and the side of each column.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()],
        }
    }

    /// Adds a row. Control characters become spaces: names in a table may come from files.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let clean = |cell: String| {
            cell.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect()
        };
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// The table as text, one line a row, no spaces at the ends of lines.
    pub(crate) fn render(&self) -> String {
        let mut widths = vec![0; self.aligns.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.aligns) {
                let fill = " ".repeat(width - cell.width());
                match align {
                    Align::Left => line.extend([cell.as_str(), &fill]),
                    Align::Right => line.extend([&fill, cell.as_str()]),
                }
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Characters of a memory bar.
const BAR_WIDTH: u64 = 20;

/// `used` of `total` as a bar of fixed width; anything used shows.
pub(crate) fn bar(used: u64, total: u64) -> String {
    let used = used.min(total);
    let share = u128::from(used) * u128::from(BAR_WIDTH);
    let filled = if total == 0 {
        0
    } else {
        share.div_ceil(u128::from(total))
    };
    let filled = usize::try_from(filled).unwrap_or(0);
    let empty = usize::try_from(BAR_WIDTH).unwrap_or(0) - filled;
    format!("[{}{}]", "#".repeat(filled), ".".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::{Align, Table, bar};

    #[test]
    fn columns_line_up_also_under_wide_characters() {
        let mut table = Table::new(&[("NAME", Align::Left), ("TOKENS", Align::Right)]);
        table.row(["模型".to_owned(), "7".to_owned()]);
        table.row(["a\tb".to_owned(), "1234567".to_owned()]);
        assert_eq!(table.render(), "NAME   TOKENS\n模型        7\na b   1234567\n");
    }

    #[test]
    fn bars_show_what_is_used() {
        assert_eq!(bar(0, 10), "[....................]");
        assert_eq!(bar(1, 1_000_000), "[#...................]");
        assert_eq!(bar(20, 10), "[####################]");
        assert_eq!(bar(0, 0), "[....................]");
    }
}
