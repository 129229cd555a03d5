//! The rows of the image data of a PNG.

use super::header::Header;
use crate::{count::count, text::grouped};

/// Offset and distance of the columns, then of the rows, of each pass of Adam7.
const ADAM7: [(u32, u32, u32, u32); 7] = [
    (0, 8, 0, 8),
    (4, 8, 0, 8),
    (0, 4, 4, 8),
    (2, 4, 0, 4),
    (0, 2, 2, 4),
    (1, 2, 0, 2),
    (0, 1, 1, 2),
];

/// Counts the rows of the decompressed image data: each is one byte for its filter and the packed pixels.
#[derive(Debug)]
pub(super) struct Rows {
    /// The bytes of a row, without its filter, and the number of rows: of the image, or of each pass of an interlaced image, in reverse order.
    passes: Vec<(u64, u32)>,
    /// Remaining bytes of the current row.
    in_row: u64,
    /// Remaining bytes of all rows, filters included.
    missing: u64,
}

impl Rows {
    pub(super) fn new(header: Header) -> Self {
        let row_bytes = |width: u32| (u64::from(width) * header.bits_per_pixel()).div_ceil(8);
        let along = |length: u32, from: u32, step: u32| length.saturating_sub(from).div_ceil(step);
        let mut passes: Vec<_> = match header.is_interlaced {
            false => vec![(row_bytes(header.width), header.height)],
            true => ADAM7
                .iter()
                .map(|(x, dx, y, dy)| (along(header.width, *x, *dx), along(header.height, *y, *dy)))
                .filter(|(width, height)| *width > 0 && *height > 0)
                .map(|(width, height)| (row_bytes(width), height))
                .collect(),
        };
        let missing = passes.iter().map(|(bytes, rows)| (bytes + 1) * u64::from(*rows)).sum();
        passes.reverse();
        Self {
            passes,
            in_row: 0,
            missing,
        }
    }

    /// Counts decompressed bytes, and fails if they are not rows of the image.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        let length = count(bytes.len());
        let Some(missing) = self.missing.checked_sub(length) else {
            return Err("there is more image data than the rows of the image need".to_owned());
        };
        self.missing = missing;
        loop {
            let in_row = usize::try_from(self.in_row).unwrap_or(usize::MAX).min(bytes.len());
            self.in_row -= u64::try_from(in_row).unwrap_or(self.in_row);
            bytes = &bytes[in_row..];
            let Some((filter, rest)) = bytes.split_first() else { return Ok(()) };
            if *filter > 4 {
                return Err(format!(
                    "a row of the image data has the filter {filter}, and the last that exists is 4"
                ));
            }
            bytes = rest;
            while self.passes.pop_if(|(_, rows)| *rows == 0).is_some() {}
            if let Some((row_bytes, rows)) = self.passes.last_mut() {
                *rows -= 1;
                self.in_row = *row_bytes;
            }
        }
    }

    /// Fails if rows are missing.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.missing {
            0 => Ok(()),
            missing => Err(format!("the image data ends {} bytes before the last row does", grouped(missing))),
        }
    }
}
