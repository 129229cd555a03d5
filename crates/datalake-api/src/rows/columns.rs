//! Rows by column, as pandas lays them out: `{"user_id":{"0":"1000","1":"1001"},"first_name":{…}}`.

use datalake_core::{query::column::Column, user::Ages};
use datalake_table::memory::row_cursor::RowCursor;

use crate::rows::text::write_value;

/// The text of the rows of a walk, a column after the other: the walk is gone once a column.
#[derive(Clone, Debug)]
pub struct ColumnsText {
    start: RowCursor,
    columns: Box<[Column]>,
    ages: Ages,
    /// The column under way, and where in it.
    column: usize,
    walk: RowCursor,
    row: u64,
    is_ended: bool,
}

impl ColumnsText {
    /// Writes the rows of the cursor, column by column.
    pub fn new(walk: RowCursor, columns: &[Column], ages: Ages) -> Self {
        Self {
            start: walk.clone(),
            columns: columns.into(),
            ages,
            column: 0,
            walk,
            row: 0,
            is_ended: false,
        }
    }

    /// Appends at least so many bytes, or what is left.
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
                text.extend_from_slice(column.name().as_bytes());
                text.extend_from_slice(b"\":{");
            }
            if let Some(row) = self.walk.next_row() {
                text.extend_from_slice(if self.row == 0 { b"\"" } else { b",\"" });
                text.extend_from_slice(itoa::Buffer::new().format(self.row).as_bytes());
                text.extend_from_slice(b"\":");
                write_value(text, &row, column, self.ages);
                self.row += 1;
            } else {
                text.push(b'}');
                self.column += 1;
                self.row = 0;
                self.walk = self.start.clone();
            }
        }
    }

    /// Whether no row is looked at that is not written.
    pub fn returns_every_row(&self) -> bool {
        self.walk.returns_every_row()
    }

    /// Whether all of it has been written.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }
}
