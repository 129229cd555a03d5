//! The bytes of one `{user_id}.csv`: a user's record, or a reject that states its code, place and reason.
//!
//! The dialect is fixed: RFC 4180, comma, UTF-8, columns by the header's names. Nothing is detected.

use std::{borrow::Cow, ops::Range};

use jiff::{SignedDuration, Timestamp};

use crate::{
    format,
    reject::{Notice, Position, Reason, Reject, RejectCode, excerpt},
    text::{self, code_point, code_points, grouped, quoted},
    user::{BirthTimestamp, UserRecord},
};

mod delimiter;
mod header;
mod records;

use records::{Field, Records};

/// Largest CSV that is read: two names of 1,000 bytes, a number, a header, and additional columns.
pub const CSV_BYTES_MAX: u64 = 64 * 1024;

/// Longest name. The longest on record have some 700 letters.
pub const NAME_BYTES_MAX: usize = 1_000;

/// A birth may be this far after the run: time zones and clocks differ by less.
pub const FUTURE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// As milliseconds this is within 116 days of 1970; as seconds it is any birth from 1653 to 2286.
const MAYBE_SECONDS_BELOW: u64 = 10_000_000_000;

const COLUMNS: [&str; 3] = ["first_name", "last_name", "birthts"];

/// What an accepted CSV contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The user, without the ID, which is part of the key.
    pub record: UserRecord,
    /// What was unusual; each at most once.
    pub notices: Vec<Notice>,
}

/// The reject of a CSV whose listed size is over the limit, which is never fetched.
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

/// Parses CSVs one after the other, with buffers that it keeps.
#[derive(Debug, Default)]
pub struct SourceParser {
    records: Records,
}

impl SourceParser {
    /// A parser without any buffer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the whole bytes of a user's CSV. `run_at` is the time of the run, for births in the future.
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

/// The value of one field, without quotes and without the blanks around it.
#[derive(Debug)]
struct Value<'a> {
    text: Cow<'a, str>,
    raw: Range<usize>,
    is_trimmed: bool,
}

impl<'a> Value<'a> {
    fn read(source: &Source<'a>, field: &Field) -> Self {
        let (text, is_trimmed) = match field.content(source) {
            Cow::Borrowed(content) => (Cow::Borrowed(text::trim(content)), text::trim(content).len() != content.len()),
            Cow::Owned(content) => (
                Cow::Owned(text::trim(&content).to_owned()),
                text::trim(&content).len() != content.len(),
            ),
        };
        Self {
            text,
            raw: field.content.clone(),
            is_trimmed: is_trimmed || field.has_blanks_around,
        }
    }

    fn reject(&self, source: &Source<'_>, code: RejectCode, column: &str, reason: Reason) -> Reject {
        source.reject(code, Some(column), self.raw.start, reason)
    }
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

    /// Rejects another row that does not have the same parsed values.
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

fn name(source: &Source<'_>, value: &Value<'_>, column: &str) -> Result<Box<str>, Reject> {
    let text = &*value.text;
    if text.chars().all(text::is_invisible) && !text.chars().any(is_forbidden_control) {
        let raw = source.text.get(value.raw.clone()).unwrap_or_default();
        let found = match code_points(raw.chars()) {
            characters if characters.is_empty() => format!("{column} is empty"),
            characters => format!("{column} has only characters that cannot be seen: {characters}"),
        };
        let reason = Reason::new(found, "a name", "write the name; a user without one cannot be accepted");
        return Err(value.reject(source, RejectCode::ValueEmpty, column, reason));
    }
    if text.len() > NAME_BYTES_MAX {
        let reason = Reason::new(
            format!("{column} has {} bytes", grouped(u64::try_from(text.len()).unwrap_or(u64::MAX))),
            format!("at most {} bytes", grouped(u64::try_from(NAME_BYTES_MAX).unwrap_or(u64::MAX))),
            "shorten it; check that no quote is missing",
        );
        return Err(value.reject(source, RejectCode::ValueTooLong, column, reason));
    }
    if let Some(character) = text.chars().find(|character| is_forbidden_control(*character)) {
        let raw = source.text.get(value.raw.clone()).unwrap_or_default();
        let at = value.raw.start + raw.find(is_forbidden_control).unwrap_or_default();
        let reason = Reason::new(
            format!("{column} contains the control character {}", code_point(character)),
            "a name without control characters",
            "remove the character",
        );
        return Err(source.reject(RejectCode::ControlCharacter, Some(column), at, reason));
    }
    Ok(text.into())
}

/// A quoted name may span lines (RFC 4180, section 2.6); every other control character is an accident or an attack.
fn is_forbidden_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r')
}

fn birth(
    source: &Source<'_>,
    value: &Value<'_>,
    column: &str,
    run_at: Timestamp,
    notices: &mut Vec<Notice>,
) -> Result<BirthTimestamp, Reject> {
    let text = &*value.text;
    let reject = |code, reason| value.reject(source, code, column, reason);
    let number = Number::read(text).map_err(|(found, remedy)| {
        const EXPECTED: &str = "a whole number of milliseconds since 1970-01-01 UTC, like 612302400000";
        let found = match text {
            "" => format!("{column} is empty"),
            _ => format!("{column} is {}, {found}", quoted(text)),
        };
        reject(RejectCode::Type, Reason::new(found, EXPECTED, remedy))
    })?;
    let birthts_ms = number.value;
    let shown = quoted(text);
    let day = |birthts_ms| BirthTimestamp::from_ms(birthts_ms).map_or(String::new(), |birth| format!(", {}", birth.day().date()));
    if birthts_ms < BirthTimestamp::EARLIEST.as_ms() {
        let reason = Reason::new(
            format!("{column} is {shown}{}", day(birthts_ms)),
            format!("a birth of 1850 or later, at least {}", BirthTimestamp::EARLIEST.as_ms()),
            "check the value and its unit, which is milliseconds",
        );
        return Err(reject(RejectCode::OutOfRange, reason));
    }
    let latest = run_at.saturating_add(FUTURE_MAX).map_or(i64::MAX, Timestamp::as_millisecond);
    let birth = BirthTimestamp::from_ms(birthts_ms).filter(|birth| birth.as_ms() <= latest);
    let Some(birth) = birth else {
        let reason = Reason::new(
            format!("{column} is {shown}{}, after the day of the run", day(birthts_ms)),
            "a birth at most 24 hours after the run",
            "check the value and its unit, which is milliseconds",
        );
        let valid_from = Timestamp::from_millisecond(birthts_ms).ok();
        let valid_from = valid_from.filter(|_| BirthTimestamp::from_ms(birthts_ms).is_some());
        return Err(Reject {
            valid_from: valid_from.and_then(|birth| birth.checked_sub(FUTURE_MAX).ok()),
            ..reject(RejectCode::InFuture, reason)
        });
    };
    if number.is_normalized {
        notices.push(Notice::NumberFormat);
    }
    if birthts_ms.unsigned_abs() < MAYBE_SECONDS_BELOW {
        notices.push(Notice::MaybeSeconds);
    }
    Ok(birth)
}

struct Number {
    value: i64,
    /// Whether it was written with a plus sign or a fraction of zero.
    is_normalized: bool,
}

impl Number {
    /// A whole number, or what the text is instead and what to do.
    fn read(text: &str) -> Result<Self, (Cow<'static, str>, &'static str)> {
        const CONVERT: &str = "convert it to milliseconds since 1970-01-01 UTC";
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, fraction) = unsigned
            .split_once('.')
            .map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_separator = |character: char| {
            matches!(character, ',' | '.' | '\'' | '_' | '’' | '٬') || (character.is_whitespace() && !matches!(character, '\n' | '\r'))
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
        if is_digits(whole) && fraction.is_none_or(is_digits) {
            if fraction.is_some_and(|digits| digits.bytes().any(|digit| digit != b'0')) {
                return Err(("a number with a fraction".into(), "round it to whole milliseconds"));
            }
            let sign = if text.starts_with('-') { "-" } else { "" };
            let value = format!("{sign}{whole}").parse();
            let value = value.map_err(|_| {
                (
                    "a number beyond 64 bits".into(),
                    "check the value and its unit, which is milliseconds",
                )
            })?;
            return Ok(Self {
                value,
                is_normalized: fraction.is_some() || text.starts_with('+'),
            });
        }
        Err(match text {
            "" => ("empty".into(), "write the birth time"),
            _ if is_digits(&mantissa.replace(['.', ','], "")) && is_digits(exponent.trim_start_matches(['+', '-'])) => (
                "a number with an exponent".into(),
                "write all digits; in a spreadsheet, format the column as a number without decimals",
            ),
            _ if is_date(text) => ("a date".into(), CONVERT),
            _ if is_digits(&unsigned.replace(is_separator, "")) => {
                let separators = code_points(unsigned.chars().filter(|character| is_separator(*character)));
                (format!("a number with separators: {separators}").into(), "write the digits alone")
            }
            _ if text
                .chars()
                .any(|character| !character.is_ascii() && (character.is_numeric() || character == '\u{2212}')) =>
            {
                let foreign = code_points(text.chars().filter(|character| !character.is_ascii()));
                (
                    format!("which contains {foreign}").into(),
                    "write it with the digits 0 to 9 and the ASCII sign -",
                )
            }
            _ if text.chars().any(text::is_invisible) => {
                let foreign = code_points(text.chars().filter(|character| text::is_invisible(*character)));
                (format!("which contains {foreign}").into(), "write the digits alone")
            }
            _ => ("which is not a number".into(), CONVERT),
        })
    }
}

/// Whether a text begins like a date: three numbers of one, two or four digits with the same separator between them.
fn is_date(text: &str) -> bool {
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    let is_number = |part: &str| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_three = |separator: char| date.split(separator).count() == 3 && date.split(separator).all(is_number);
    ['-', '/', '.'].into_iter().any(has_three)
}

/// A source's text; offsets are into `text`, which begins `skipped` bytes after the source.
struct Source<'a> {
    text: &'a str,
    skipped: usize,
}

impl<'a> Source<'a> {
    /// Rejects what is no text, and what is text of another format.
    fn decode(bytes: &'a [u8]) -> Result<Self, Reject> {
        const BOM: &str = "\u{feff}";
        const EXPECTED: &str = "a CSV in UTF-8";
        let raw = Source { text: "", skipped: 0 };
        if let Some(format) = format::recognize(bytes) {
            let reason = Reason::new(format!("the file is {}", format.name), EXPECTED, format.csv_remedy());
            return Err(raw.reject_in(bytes, RejectCode::NotCsv, None, 0, reason));
        }
        if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) {
            let reason = Reason::new("the file has only NUL bytes", EXPECTED, "upload the file again");
            return Err(raw.reject_in(bytes, RejectCode::NotCsv, None, 0, reason));
        }
        if let Some(encoding) = wide_encoding(bytes) {
            let reason = Reason::new(
                format!("the file is encoded in {encoding}"),
                EXPECTED,
                "store it as UTF-8; in Excel, save as \"CSV UTF-8\"",
            );
            return Err(raw.reject_in(bytes, RejectCode::Encoding, None, 0, reason));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            let found = match error.error_len() {
                None => "the file ends within a character of several bytes".to_owned(),
                // ISO 8859-1 and windows-1252 agree on these.
                Some(_) if byte >= 0xa0 => format!(
                    "the byte 0x{byte:02X} is not UTF-8; in ISO 8859-1 it is {}",
                    quoted(&char::from(byte).to_string())
                ),
                Some(_) => format!("the byte 0x{byte:02X} is not UTF-8"),
            };
            let reason = Reason::new(found, EXPECTED, "store it as UTF-8; in Excel, save as \"CSV UTF-8\"");
            raw.reject_in(bytes, RejectCode::Encoding, None, at, reason)
        })?;
        Ok(match text.strip_prefix(BOM) {
            Some(text) => Self { text, skipped: BOM.len() },
            None => Self { text, skipped: 0 },
        })
    }

    fn reject(&self, code: RejectCode, column_name: Option<&str>, offset: usize, reason: Reason) -> Reject {
        self.reject_in(self.text.as_bytes(), code, column_name, offset, reason)
    }

    fn reject_in(&self, bytes: &[u8], code: RejectCode, column_name: Option<&str>, offset: usize, reason: Reason) -> Reject {
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
            column_name: column_name.map(Box::from),
            position: Some(Position { line, column, byte_offset }),
            excerpt,
            excerpt_offset,
            ..Reject::whole(code, reason)
        }
    }
}

/// The encoding of several bytes per character that a text is in: by its byte order mark, or by the zero bytes of its first ASCII characters.
fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    /// Characters that must agree: a NUL by accident is no encoding.
    const CHARACTERS: usize = 4;
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => return Some("UTF-32 (little-endian, with a byte order mark)"),
        [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32 (big-endian, with a byte order mark)"),
        [0xff, 0xfe, ..] => return Some("UTF-16 (little-endian, with a byte order mark)"),
        [0xfe, 0xff, ..] => return Some("UTF-16 (big-endian, with a byte order mark)"),
        _ => {}
    }
    let all = |width: usize, is_text: fn(&[u8]) -> bool| {
        let characters = bytes.chunks_exact(width).take(CHARACTERS);
        characters.len() == CHARACTERS.min(bytes.len() / width).max(2) && characters.clone().all(is_text)
    };
    let is_wide = |little: bool, width: usize| match (little, width) {
        (true, 4) => all(4, |bytes| bytes[0] != 0 && bytes[1..] == [0; 3]),
        (false, 4) => all(4, |bytes| bytes[3] != 0 && bytes[..3] == [0; 3]),
        (true, _) => all(2, |bytes| bytes[0] != 0 && bytes[1] == 0),
        (false, _) => all(2, |bytes| bytes[0] == 0 && bytes[1] != 0),
    };
    [
        (true, 4, "UTF-32 (little-endian)"),
        (false, 4, "UTF-32 (big-endian)"),
        (true, 2, "UTF-16 (little-endian)"),
        (false, 2, "UTF-16 (big-endian)"),
    ]
    .into_iter()
    .find(|(little, width, _)| is_wide(*little, *width))
    .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests;
