//! The bytes of one source: the values of a row, or a reject with its code, position and reason.
//!
//! The dialect is declared: RFC 4180, with the delimiter, the encoding and the columns of the dataset, found by the names in the header. Nothing
//! is detected. The steps are decoding (`source/decode.rs`), the delimiter of the first line, records and fields, the header, and the values.

mod bounds;
mod decode;
mod delimiter;
mod field;
mod header;
mod key;
mod layout;
mod number;
mod records;
mod values;

use jiff::Timestamp;

pub use self::key::KeyParser;
use self::{decode::Source, field::FieldValue, layout::Layout, records::Records};
use crate::{
    count::count,
    dataset::{Dataset, Value},
    reject::{Notice, Reason, Reject, RejectCode},
    text::{grouped, is_same_name},
};

/// Maximum size of a CSV that is read, in bytes: two names of 1,000 bytes, a number, a header, and additional columns.
pub const CSV_BYTES_MAX: u64 = 64 * 1024;

/// The values of an accepted source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRow {
    /// The values of the columns in the content, in the order of the declaration; none where there is no value.
    pub values: Vec<Option<Value>>,
    /// What was unusual, each notice at most once.
    pub notices: Vec<Notice>,
}

/// The reject of a CSV whose listed size is over the limit; such a CSV is never read. `entity` is what it contains.
pub fn too_large(entity: &str, size: u64) -> Option<Reject> {
    let reason = || {
        Reason::new(
            format!("the file has {} bytes", grouped(size)),
            format!("at most {} bytes (64 KiB): a header and one {entity}", grouped(CSV_BYTES_MAX)),
            format!("store one file per {entity}, and remove what does not belong to the {entity}"),
        )
    };
    (size > CSV_BYTES_MAX).then(|| Reject::whole(RejectCode::TooLarge, reason()))
}

/// Parses the CSVs of a dataset with buffers that it reuses. The bytes are those after decompression, and the format of the dataset is CSV.
#[derive(Debug)]
pub struct RowParser<'d> {
    layout: Layout<'d>,
    records: Records,
    /// The text of a source whose encoding is not UTF-8.
    decoded: String,
}

impl<'d> RowParser<'d> {
    /// A parser without buffers.
    pub fn new(dataset: &'d Dataset) -> Self {
        Self {
            layout: Layout::new(dataset),
            records: Records::default(),
            decoded: String::new(),
        }
    }

    /// Parses all bytes of a CSV. Times are compared with `run_at`, the time of the run.
    pub fn parse(&mut self, bytes: &[u8], run_at: Timestamp) -> Result<ParsedRow, Reject> {
        let Self { layout, records, decoded } = self;
        if let Some(reject) = too_large(layout.entity, count(bytes.len())) {
            return Err(reject);
        }
        let source = Source::decode(bytes, layout, decoded)?;
        delimiter::check_first_line(&source, layout)?;
        records.read(&source, layout.delimiter.byte)?;
        let mut rows = records.indices();
        let Some(header) = rows.next() else {
            return Err(empty(
                layout,
                match bytes.len() {
                    0 => "the file has 0 bytes",
                    _ => "the file has only blank lines",
                },
            ));
        };
        let header = header::Header::read(&source, layout, records, header)?;
        let mut first: Option<Row<'_>> = None;
        let mut is_repeated = false;
        for row in rows {
            let fields = records.fields(row.clone());
            header.check_width(&source, fields)?;
            let read = |position: &Option<usize>| position.map(|position| FieldValue::read(&source, &fields[position]));
            let values = header.positions.iter().map(read).collect();
            match &first {
                None => first = Some(Row { layout, values }),
                Some(first) => {
                    first.check_repeated(&source, &Row { layout, values }, records.offset(row), run_at)?;
                    is_repeated = true;
                }
            }
        }
        let Some(row) = first else {
            return Err(empty(layout, "the file has a header and no row"));
        };
        let mut notices = Vec::new();
        if is_repeated {
            notices.push(Notice::RepeatedRow);
        }
        let values = row.parse(&source, run_at, &mut notices)?;
        Ok(ParsedRow { values, notices })
    }
}

fn empty(layout: &Layout<'_>, found: &str) -> Reject {
    let reason = Reason::new(
        found,
        format!("{} and one row", layout.expected_header()),
        format!("add what is missing; remove the file if the {} is to be removed", layout.entity),
    );
    Reject::whole(RejectCode::Empty, reason)
}

/// The values of the declared columns; none for an optional column that the header does not have.
#[derive(Debug)]
struct Row<'a> {
    layout: &'a Layout<'a>,
    values: Vec<Option<FieldValue<'a>>>,
}

impl Row<'_> {
    fn parse(&self, source: &Source<'_>, run_at: Timestamp, notices: &mut Vec<Notice>) -> Result<Vec<Option<Value>>, Reject> {
        if self.values.iter().flatten().any(|value| value.is_trimmed) {
            notices.push(Notice::Trimmed);
        }
        let columns = self.layout.columns.iter().zip(&self.values);
        columns
            .map(|(column, value)| match value {
                Some(value) => value.parse(source, self.layout, column, run_at, notices),
                None => Ok(None),
            })
            .collect()
    }

    /// Rejects another row whose parsed values differ.
    fn check_repeated(&self, source: &Source<'_>, other: &Self, at: usize, run_at: Timestamp) -> Result<(), Reject> {
        let differs = || {
            let values = self.values.iter().zip(&other.values);
            let columns = self.layout.columns.iter().zip(values);
            columns
                .filter(|(_, (own, other))| own.as_ref().map(|own| &own.text) != other.as_ref().map(|other| &other.text))
                .map(|(column, _)| column.header)
        };
        if differs().next().is_none() {
            return Ok(());
        }
        let parse = |row: &Self| row.parse(source, run_at, &mut Vec::new()).ok();
        if let (Some(own), Some(other)) = (parse(self), parse(other))
            && own == other
        {
            return Ok(());
        }
        let mut texts = other.values.iter().zip(&self.layout.columns);
        let found = if texts.all(|(value, column)| value.as_ref().is_none_or(|value| is_same_name(&value.text, column.header))) {
            "the header is repeated in this line".to_owned()
        } else {
            format!(
                "this row differs from the first one in {}",
                differs().collect::<Vec<_>>().join(", ")
            )
        };
        let entity = self.layout.entity;
        let reason = Reason::new(
            found,
            format!("one row: a file contains one {entity}"),
            format!("keep the row of this {entity}"),
        );
        Err(source.reject(RejectCode::MultipleRows, None, at, reason))
    }
}

#[cfg(test)]
mod tests;
