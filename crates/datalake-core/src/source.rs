//! The bytes of one `{user_id}.csv`: a user's record, or a reject with its code, position and reason.
//!
//! The dialect is fixed: RFC 4180, comma, UTF-8, columns by the names in the header. Nothing is detected. The steps are decoding
//! (`source/decode.rs`), the delimiter of the first line, records and fields, the header, and the values.

mod decode;
mod delimiter;
mod header;
mod number;
mod records;
mod values;

use jiff::{SignedDuration, Timestamp};

use self::{
    decode::Source,
    records::Records,
    values::{Value, birth, name},
};
use crate::{
    reject::{Notice, Reason, Reject, RejectCode},
    text::grouped,
    user::UserRecord,
};

/// Largest CSV that is read: two names of 1,000 bytes, a number, a header, and additional columns.
pub const CSV_BYTES_MAX: u64 = 64 * 1024;

/// Longest name. The longest on record have some 700 letters.
pub const NAME_BYTES_MAX: usize = 1_000;

/// How far a birth may be after the run: time zones and clocks differ by less.
pub const FUTURE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Below this, a value is within 116 days of 1970 in milliseconds, but any birth from 1653 to 2286 in seconds.
const MAYBE_SECONDS_BELOW: u64 = 10_000_000_000;

const COLUMNS: [&str; 3] = ["first_name", "last_name", "birthts"];

/// What an accepted CSV contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The user, without the ID, which is part of the key.
    pub record: UserRecord,
    /// What was unusual, each notice at most once.
    pub notices: Vec<Notice>,
}

/// The reject of a CSV whose listed size is over the limit; such a CSV is never read.
pub fn too_large(size: u64) -> Option<Reject> {
    let reason = || {
        Reason::new(
            format!("the file has {} bytes", grouped(size)),
            format!("at most {} bytes (64 KiB): a header and one user", grouped(CSV_BYTES_MAX)),
            "store one file per user, and remove what does not belong to the user",
        )
    };
    (size > CSV_BYTES_MAX).then(|| Reject::whole(RejectCode::TooLarge, reason()))
}

/// Parses CSVs with buffers that it reuses.
#[derive(Debug, Default)]
pub struct SourceParser {
    records: Records,
}

impl SourceParser {
    /// A parser without buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses all bytes of a user's CSV. Births are compared with `run_at`, the time of the run.
    pub fn parse(&mut self, bytes: &[u8], run_at: Timestamp) -> Result<Accepted, Reject> {
        if let Some(reject) = too_large(u64::try_from(bytes.len()).unwrap_or(u64::MAX)) {
            return Err(reject);
        }
        let source = Source::decode(bytes)?;
        delimiter::check_first_line(&source)?;
        self.records.read(&source)?;
        let (records, mut rows) = (&self.records, self.records.indices());
        let Some(header) = rows.next() else {
            return Err(empty(match bytes.len() {
                0 => "the file has 0 bytes",
                _ => "the file has only blank lines",
            }));
        };
        let header = header::Header::read(&source, records, header)?;
        let mut first: Option<Row<'_>> = None;
        let mut is_repeated = false;
        for row in rows {
            let fields = records.fields(row.clone());
            header.check_width(&source, fields)?;
            let values = header.positions.map(|position| Value::read(&source, &fields[position]));
            match &first {
                None => first = Some(Row { values }),
                Some(first) => {
                    first.check_repeated(&source, &Row { values }, records.offset(row), run_at)?;
                    is_repeated = true;
                }
            }
        }
        let Some(row) = first else {
            return Err(empty("the file has a header and no row"));
        };
        let mut notices = Vec::new();
        if is_repeated {
            notices.push(Notice::RepeatedRow);
        }
        let record = row.record(&source, run_at, &mut notices)?;
        Ok(Accepted { record, notices })
    }
}

fn empty(found: &str) -> Reject {
    let reason = Reason::new(
        found,
        "the header first_name,last_name,birthts and one row",
        "add what is missing; remove the file if the user is to be removed",
    );
    Reject::whole(RejectCode::Empty, reason)
}

/// The values of the declared columns.
#[derive(Debug)]
struct Row<'a> {
    values: [Value<'a>; 3],
}

impl Row<'_> {
    fn record(&self, source: &Source<'_>, run_at: Timestamp, notices: &mut Vec<Notice>) -> Result<UserRecord, Reject> {
        let [first_name, last_name, birthts] = &self.values;
        if self.values.iter().any(|value| value.is_trimmed) {
            notices.push(Notice::Trimmed);
        }
        Ok(UserRecord {
            first_name: name(source, first_name, COLUMNS[0])?,
            last_name: name(source, last_name, COLUMNS[1])?,
            birth: birth(source, birthts, COLUMNS[2], run_at, notices)?,
        })
    }

    /// Rejects another row whose parsed values differ.
    fn check_repeated(&self, source: &Source<'_>, other: &Self, at: usize, run_at: Timestamp) -> Result<(), Reject> {
        let texts = |row: &Self| row.values.each_ref().map(|value| value.text.to_string());
        let (own, others) = (texts(self), texts(other));
        if own == others {
            return Ok(());
        }
        let parse = |row: &Self| row.record(source, run_at, &mut Vec::new()).ok();
        if let (Some(own), Some(other)) = (parse(self), parse(other))
            && own == other
        {
            return Ok(());
        }
        let found = if others.iter().zip(COLUMNS).all(|(text, column)| text.eq_ignore_ascii_case(column)) {
            "the header is repeated in this line".to_owned()
        } else {
            let differs = COLUMNS.iter().zip(own.iter().zip(&others)).filter(|(_, (own, other))| own != other);
            let columns: Vec<_> = differs.map(|(column, _)| *column).collect();
            format!("this row differs from the first one in {}", columns.join(", "))
        };
        let reason = Reason::new(found, "one row: a file contains one user", "keep the row of this user");
        Err(source.reject(RejectCode::MultipleRows, None, at, reason))
    }
}

#[cfg(test)]
mod tests;
