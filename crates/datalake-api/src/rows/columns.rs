//! Rows as JSON by column, in the layout of pandas: `{"a":{"0":"x","1":"y"},"b":{…}}`.

use datalake_core::{calendar::Ages, query::column::Column};
use datalake_table::memory::row_cursor::RowCursor;

use crate::rows::text::write_value;

/// Encodes rows column by column. It reads the rows once per column.
#[derive(Clone, Debug)]
pub struct ColumnsText {
    start: RowCursor,
    columns: Box<[Column]>,
    ages: Ages,
    /// The index of the current column.
    column: usize,
    /// The rows that are left in the current column.
    rows: RowCursor,
    /// The number of the next row.
    row: u64,
    is_ended: bool,
}

impl ColumnsText {
    /// Encodes these rows.
    pub fn new(rows: RowCursor, columns: &[Column], ages: Ages) -> Self {
        Self {
            start: rows.clone(),
            columns: columns.into(),
            ages,
            column: 0,
            rows,
            row: 0,
            is_ended: false,
        }
    }

    /// Appends at least `bytes_min` bytes, or the rest.
    pub fn write(&mut self, text: &mut Vec<u8>, bytes_min: usize) {
        let until = text.len() + bytes_min;
        while text.len() < until && !self.is_ended {
            let Some(column) = self.columns.get(self.column).copied() else {
                text.push(b'}');
                self.is_ended = true;
                return;
            };
            if self.row == 0 {
                text.extend_from_slice(if self.column == 0 { b"{\"" } else { b",\"" });
                let name = column.name(self.rows.dataset());
                text.extend_from_slice(name.as_bytes());
                text.extend_from_slice(b"\":{");
            }
            if let Some(row) = self.rows.next_row() {
                text.extend_from_slice(if self.row == 0 { b"\"" } else { b",\"" });
                text.extend_from_slice(itoa::Buffer::new().format(self.row).as_bytes());
                text.extend_from_slice(b"\":");
                write_value(text, &row, column, self.ages);
                self.row += 1;
            } else {
                text.push(b'}');
                self.column += 1;
                self.row = 0;
                self.rows = self.start.clone();
            }
        }
    }

    /// Whether every row that is read is written.
    pub fn returns_every_row(&self) -> bool {
        self.rows.returns_every_row()
    }

    /// Whether the whole text has been written.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }
}
