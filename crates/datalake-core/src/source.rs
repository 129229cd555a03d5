//! The bytes of one `{user_id}.csv`: a user's record, or a reject that names its code and place.
//!
//! The dialect is fixed: RFC 4180, comma, UTF-8, columns by the header's names. Nothing is sniffed.

use csv_core::{ReadRecordResult, Reader};
use jiff::{SignedDuration, Timestamp};

use crate::{
    reject::{Notice, Place, Reject, RejectCode, excerpt},
    user::{BirthTimestamp, UserRecord},
};

/// Largest CSV that is read: two names of 1,000 bytes, a number, a header, and room for columns beyond them.
pub const CSV_BYTES_MAX: u64 = 64 * 1024;

/// Longest name. The longest on record have some 700 letters.
pub const NAME_BYTES_MAX: usize = 1_000;

/// A birth may lie this far in the run's future: time zones and clocks differ by less.
pub const FUTURE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// As milliseconds this is within 116 days of 1970; as seconds it is any birth from 1653 to 2286.
const MAYBE_SECONDS_BELOW: u64 = 10_000_000_000;

const COLUMNS: [&str; 3] = ["first_name", "last_name", "birthts"];

/// What an accepted CSV says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The user, without the id, which the key has.
    pub record: UserRecord,
    /// What was unusual, in the order of its finding.
    pub notices: Vec<Notice>,
}

/// The reject of a CSV whose listed size is over the limit: it is never fetched.
pub fn too_large() -> Reject {
    Reject::whole(
        RejectCode::TooLarge,
        "the file is over 64 KiB; it must hold one header and one user",
    )
}

/// Reads CSVs one after the other into buffers that it keeps.
#[derive(Debug)]
pub struct SourceParser {
    layout: Layout,
    reader: Reader,
    header: Record,
    row: Record,
    repeated: Record,
}

impl Default for SourceParser {
    fn default() -> Self {
        Self::new()
    }
}

impl SourceParser {
    /// A parser without any buffer yet.
    pub fn new() -> Self {
        // `Reader::default` would leave its table of transitions empty.
        let reader = Reader::new();
        Self {
            layout: Layout::default(),
            reader,
            header: Record::default(),
            row: Record::default(),
            repeated: Record::default(),
        }
    }

    /// Takes the whole bytes of a user's CSV. `run_at` is the time of the run, for births in the future.
    pub fn parse(&mut self, bytes: &[u8], run_at: Timestamp) -> Result<Accepted, Reject> {
        if u64::try_from(bytes.len()).map_or(true, |length| length > CSV_BYTES_MAX) {
            return Err(too_large());
        }
        let source = Source::decode(bytes)?;
        // Before anything is said of quotes: `"first_name";"last_name"` is well quoted, but for another delimiter.
        if let Some((at, delimiter)) = other_delimiter(source.text.as_bytes()) {
            return Err(source.reject(RejectCode::Delimiter, at, delimiter_hint(delimiter)));
        }
        self.layout.read(&source)?;
        self.reader.reset();

        let mut canonical = self.layout.canonical.as_slice();
        if !self.header.read(&mut self.reader, &mut canonical) {
            return Err(Reject::whole(
                RejectCode::Empty,
                "there is no user: the file needs a header and one row",
            ));
        }
        let columns = self.columns(&source)?;
        if !self.row.read(&mut self.reader, &mut canonical) {
            return Err(Reject::whole(RejectCode::Empty, "there is a header and no row; add the user's row"));
        }
        self.check_width(&source, &self.row, 1)?;

        let mut notices = Vec::new();
        let mut index = 2;
        while self.repeated.read(&mut self.reader, &mut canonical) {
            self.check_width(&source, &self.repeated, index)?;
            if self.repeated != self.row {
                let message = "there are two different rows, and a file holds one user; keep one row";
                return Err(source.reject(RejectCode::MultipleRows, self.layout.offset(index, 0), message));
            }
            index += 1;
        }
        if index > 2 {
            notices.push(Notice::RepeatedRow);
        }
        let record = self.record(&source, columns, run_at, &mut notices)?;
        Ok(Accepted { record, notices })
    }

    /// The places of the three columns in the header.
    fn columns(&self, source: &Source<'_>) -> Result<[usize; 3], Reject> {
        let mut found = [None; 3];
        for (position, name) in self.header.fields().enumerate() {
            let Some(column) = COLUMNS.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())) else {
                continue;
            };
            if found[column].replace(position).is_some() {
                let message = format!("the column {} is named twice; keep one", COLUMNS[column]);
                return Err(source.reject(RejectCode::DuplicateColumn, self.layout.offset(0, position), message));
            }
        }
        if let [Some(first_name), Some(last_name), Some(birthts)] = found {
            return Ok([first_name, last_name, birthts]);
        }
        let mut names = self.header.fields();
        // A whole line in quotes, as some spreadsheets write it.
        if let (Some(only), None) = (names.next(), names.next())
            && let Some(delimiter) = only.iter().find(|byte| is_other_delimiter(**byte))
        {
            return Err(source.reject(RejectCode::Delimiter, self.layout.offset(0, 0), delimiter_hint(*delimiter)));
        }
        if found == [None; 3] {
            let message = "the first line names no column; begin with first_name,last_name,birthts";
            return Err(source.reject(RejectCode::NoHeader, self.layout.offset(0, 0), message));
        }
        let missing: Vec<_> = COLUMNS
            .iter()
            .zip(found)
            .filter(|(_, place)| place.is_none())
            .map(|(name, _)| *name)
            .collect();
        let message = format!("the header lacks {}; add it", missing.join(" and "));
        Err(source.reject(RejectCode::MissingColumn, self.layout.offset(0, 0), message))
    }

    fn check_width(&self, source: &Source<'_>, record: &Record, index: usize) -> Result<(), Reject> {
        let (expected, found) = (self.header.len(), record.len());
        if expected == found {
            return Ok(());
        }
        let message = format!("the header has {expected} fields and the row {found}; quote values that hold a comma");
        Err(source.reject(RejectCode::FieldCount, self.layout.offset(index, 0), message))
    }

    fn record(
        &self,
        source: &Source<'_>,
        [first_name, last_name, birthts]: [usize; 3],
        run_at: Timestamp,
        notices: &mut Vec<Notice>,
    ) -> Result<UserRecord, Reject> {
        let at = |column| self.layout.offset(1, column);
        let name = |column, what| check_name(self.row.text(column), what, source, at(column));
        let first_name = name(first_name, "first_name")?;
        let last_name = name(last_name, "last_name")?;
        let birth =
            check_birthts(self.row.text(birthts), run_at, notices).map_err(|(code, message)| source.reject(code, at(birthts), message))?;
        Ok(UserRecord {
            first_name,
            last_name,
            birth,
        })
    }
}

fn is_other_delimiter(byte: u8) -> bool {
    matches!(byte, b';' | b'\t' | b'|')
}

/// Where the first record begins and what separates it, if that is no comma. Quotes only hide what is between them here: whether they
/// are well set is another question.
fn other_delimiter(bytes: &[u8]) -> Option<(usize, u8)> {
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\r' | b'\n'))?;
    let (mut is_quoted, mut found) = (false, None);
    for byte in &bytes[start..] {
        match byte {
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'\r' | b'\n' => break,
            b',' => return None,
            delimiter if is_other_delimiter(*delimiter) => found = found.or(Some(*delimiter)),
            _ => {}
        }
    }
    found.map(|delimiter| (start, delimiter))
}

fn delimiter_hint(delimiter: u8) -> String {
    let delimiters = match delimiter {
        b'\t' => "tabs",
        b'|' => "vertical bars",
        _ => "semicolons",
    };
    format!("the columns are separated by {delimiters}; separate them by commas")
}

fn check_name(name: &str, what: &str, source: &Source<'_>, offset: usize) -> Result<Box<str>, Reject> {
    if name.trim().is_empty() {
        return Err(source.reject(RejectCode::NameEmpty, offset, format!("{what} is empty; give the name")));
    }
    if name.len() > NAME_BYTES_MAX {
        let message = format!("{what} is over {NAME_BYTES_MAX} bytes; shorten it");
        return Err(source.reject(RejectCode::NameTooLong, offset, message));
    }
    // A quoted name may span lines (RFC 4180, section 2.6); every other control character is an accident or an attack.
    let forbidden = |character: char| character.is_control() && !matches!(character, '\n' | '\r');
    if let Some(at) = name.find(forbidden) {
        let offset = offset + source.text[offset..].find(forbidden).unwrap_or(at);
        return Err(source.reject(
            RejectCode::ControlCharacter,
            offset,
            format!("{what} holds a control character; remove it"),
        ));
    }
    Ok(name.into())
}

fn check_birthts(text: &str, run_at: Timestamp, notices: &mut Vec<Notice>) -> Result<BirthTimestamp, (RejectCode, &'static str)> {
    const HINT: &str = "birthts must be a whole number of milliseconds since 1970-01-01 UTC, like 612302400000";
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned
        .split_once('.')
        .map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_number = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = fraction.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte == b'0'));
    if !is_number || !is_whole {
        return Err((RejectCode::BirthtsType, HINT));
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let birthts_ms: i64 = format!("{sign}{whole}").parse().map_err(|_| (RejectCode::BirthtsType, HINT))?;

    if birthts_ms < BirthTimestamp::EARLIEST.as_ms() {
        return Err((RejectCode::BirthtsRange, "birthts is before 1850; check its unit, milliseconds"));
    }
    let latest = run_at.saturating_add(FUTURE_MAX).map_or(i64::MAX, Timestamp::as_millisecond);
    if birthts_ms > latest {
        return Err((RejectCode::BirthtsFuture, "birthts is in the future; check its unit, milliseconds"));
    }
    let birth =
        BirthTimestamp::from_ms(birthts_ms).ok_or((RejectCode::BirthtsFuture, "birthts is in the future; check its unit, milliseconds"))?;
    if fraction.is_some() || text.starts_with('+') {
        notices.push(Notice::BirthtsSpelling);
    }
    if birthts_ms.unsigned_abs() < MAYBE_SECONDS_BELOW {
        notices.push(Notice::BirthtsMaybeSeconds);
    }
    Ok(birth)
}

/// A source's text; offsets are into `text`, which begins `skipped` bytes after the source.
struct Source<'a> {
    text: &'a str,
    skipped: usize,
}

impl<'a> Source<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Reject> {
        const BOM: &str = "\u{feff}";
        let raw = Source { text: "", skipped: 0 };
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.iter().take(4).any(|byte| *byte == 0) {
            return Err(raw.reject_in(bytes, RejectCode::Encoding, 0, "the file seems to be UTF-16; store it as UTF-8"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let message = "the file is not UTF-8, perhaps latin-1 or windows-1252; store it as UTF-8";
            raw.reject_in(bytes, RejectCode::Encoding, error.valid_up_to(), message)
        })?;
        Ok(match text.strip_prefix(BOM) {
            Some(text) => Self { text, skipped: BOM.len() },
            None => Self { text, skipped: 0 },
        })
    }

    fn reject(&self, code: RejectCode, offset: usize, message: impl Into<Box<str>>) -> Reject {
        self.reject_in(self.text.as_bytes(), code, offset, message)
    }

    fn reject_in(&self, bytes: &[u8], code: RejectCode, offset: usize, message: impl Into<Box<str>>) -> Reject {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = before.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        // CRLF is one end of a line: its CR does not count.
        let ends = |at: usize| before[at] == b'\n' || (before[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        let number = |count: usize| u32::try_from(count).ok();
        let line = number(1 + (0..before.len()).filter(|at| ends(*at)).count());
        let column = number(1 + offset - line_start);
        let byte_offset = u64::try_from(self.skipped + offset).unwrap_or(u64::MAX);
        let (excerpt, excerpt_offset) = excerpt(bytes, line_start, offset).unzip();
        Reject {
            code,
            place: Some(Place { line, column, byte_offset }),
            excerpt,
            excerpt_offset,
            message: message.into(),
        }
    }
}

/// Where each field begins, and the text in the canonical form that `csv-core` reads: no blanks about values, no blank lines.
///
/// `csv-core` takes any bytes for a CSV and never tells a quoted value from a plain one, so strictness and blanks are decided here.
#[derive(Debug, Default)]
struct Layout {
    canonical: Vec<u8>,
    /// Offset of each field of each record.
    starts: Vec<usize>,
    /// For each record, the index of its first field in `starts`.
    records: Vec<usize>,
}

impl Layout {
    fn read(&mut self, source: &Source<'_>) -> Result<(), Reject> {
        self.canonical.clear();
        self.starts.clear();
        self.records.clear();
        let bytes = source.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (first_field, canonical_before) = (self.starts.len(), self.canonical.len());
            at = self.read_record(source, bytes, at)?;
            let is_blank = self.starts.len() == first_field + 1 && self.canonical.len() == canonical_before;
            if is_blank {
                self.starts.truncate(first_field);
            } else {
                self.records.push(first_field);
                self.canonical.push(b'\n');
            }
        }
        Ok(())
    }

    /// Reads one record from `at` and gives the offset behind its line's end.
    fn read_record(&mut self, source: &Source<'_>, bytes: &[u8], mut at: usize) -> Result<usize, Reject> {
        loop {
            at += count_spaces(&bytes[at..]);
            self.starts.push(at);
            at = match bytes.get(at) {
                Some(b'"') => self.read_quoted(source, bytes, at)?,
                _ => self.read_plain(source, bytes, at)?,
            };
            match bytes.get(at) {
                Some(b',') => {
                    self.canonical.push(b',');
                    at += 1;
                }
                Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => return Ok(at + 2),
                Some(_) => return Ok(at + 1),
                None => return Ok(at),
            }
        }
    }

    fn read_quoted(&mut self, source: &Source<'_>, bytes: &[u8], start: usize) -> Result<usize, Reject> {
        let mut at = start + 1;
        loop {
            match (bytes.get(at), bytes.get(at + 1)) {
                (None, _) => return Err(source.reject(RejectCode::Quote, start, "a quote is opened and never closed; close it")),
                (Some(b'"'), Some(b'"')) => at += 2,
                (Some(b'"'), _) => break,
                _ => at += 1,
            }
        }
        self.canonical.extend_from_slice(&bytes[start..=at]);
        at += 1;
        at += count_spaces(&bytes[at..]);
        match bytes.get(at) {
            None | Some(b',' | b'\r' | b'\n') => Ok(at),
            Some(_) => Err(source.reject(
                RejectCode::Quote,
                at,
                "there is text after a closing quote; double the quotes within a value",
            )),
        }
    }

    fn read_plain(&mut self, source: &Source<'_>, bytes: &[u8], start: usize) -> Result<usize, Reject> {
        let length = bytes[start..]
            .iter()
            .position(|byte| matches!(byte, b',' | b'\r' | b'\n'))
            .unwrap_or(bytes.len() - start);
        let mut value = &bytes[start..start + length];
        while let [rest @ .., b' '] = value {
            value = rest;
        }
        if let Some(at) = value.iter().position(|byte| *byte == b'"') {
            let message = "there is a quote within a value that is not quoted; quote the value and double the quote";
            return Err(source.reject(RejectCode::Quote, start + at, message));
        }
        self.canonical.extend_from_slice(value);
        Ok(start + length)
    }

    /// Offset of a field; of the source's beginning where there is none.
    fn offset(&self, record: usize, field: usize) -> usize {
        self.records
            .get(record)
            .and_then(|first| self.starts.get(first + field))
            .copied()
            .unwrap_or_default()
    }
}

fn count_spaces(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b' ').count()
}

/// The unquoted fields of one record.
#[derive(Debug, Default)]
struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    length: usize,
    fields: usize,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.fields().eq(other.fields())
    }
}

impl Record {
    /// Reads the next record off `input`; false where there is none.
    fn read(&mut self, reader: &mut Reader, input: &mut &[u8]) -> bool {
        (self.length, self.fields) = (0, 0);
        loop {
            let (result, read, written, ended) = reader.read_record(input, &mut self.bytes[self.length..], &mut self.ends[self.fields..]);
            *input = &input[read..];
            self.length += written;
            self.fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.bytes.resize((self.bytes.len() * 2).max(256), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize((self.ends.len() * 2).max(8), 0),
                ReadRecordResult::Record => return true,
                ReadRecordResult::End => return false,
            }
        }
    }

    fn len(&self) -> usize {
        self.fields
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields).map(|index| self.field(index))
    }

    fn field(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    fn text(&self, index: usize) -> &str {
        std::str::from_utf8(self.field(index)).expect("a field of a UTF-8 text, cut at ASCII characters, is UTF-8")
    }
}

#[cfg(test)]
mod tests;
