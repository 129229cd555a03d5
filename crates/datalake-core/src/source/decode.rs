//! The text of a source, and rejects at positions of it.

use super::layout::Layout;
use crate::{
    dataset::Encoding,
    file_format,
    reject::{Position, Reason, Reject, RejectCode, excerpt},
    text::quoted,
};

/// The remedy for other encodings than UTF-8.
pub(super) const STORE_AS_UTF_8: &str = "store it as UTF-8; in Excel, save as \"CSV UTF-8\"";

/// The text of a source.
pub(super) struct Source<'a> {
    /// The text without its byte order mark. Offsets refer to it.
    pub(super) text: &'a str,
    /// Bytes of the source before the text.
    skipped: usize,
    /// Whether each character of the text is one byte of the source. Otherwise the text is part of the source.
    is_single_byte: bool,
}

impl<'a> Source<'a> {
    /// Decodes the bytes of a source, and rejects bytes that are not text or are another format. The text of an encoding other than UTF-8 is
    /// in the buffer.
    pub(super) fn decode(bytes: &'a [u8], layout: &Layout<'_>, buffer: &'a mut String) -> Result<Self, Reject> {
        const BOM: &str = "\u{feff}";
        let encoding = layout.dialect.encoding;
        let expected = match encoding {
            Encoding::Utf8 => "a CSV in UTF-8",
            Encoding::Windows1252 => "a CSV in windows-1252",
        };
        let undecoded = Source {
            text: "",
            skipped: 0,
            is_single_byte: false,
        };
        if let Some(format) = file_format::recognize(bytes) {
            let reason = Reason::new(format!("the file is {}", format.name), expected, format.csv_remedy());
            return Err(undecoded.reject_in(bytes, RejectCode::NotCsv, None, 0, reason));
        }
        if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) {
            let reason = Reason::new("the file has only NUL bytes", expected, "upload the file again");
            return Err(undecoded.reject_in(bytes, RejectCode::NotCsv, None, 0, reason));
        }
        let remedy = match encoding {
            Encoding::Utf8 => STORE_AS_UTF_8,
            Encoding::Windows1252 => "store it as windows-1252, or declare the encoding",
        };
        if let Some(name) = wide_encoding(bytes) {
            let reason = Reason::new(format!("the file is encoded in {name}"), expected, remedy);
            return Err(undecoded.reject_in(bytes, RejectCode::Encoding, None, 0, reason));
        }
        if encoding == Encoding::Windows1252 {
            if bytes.starts_with(BOM.as_bytes()) {
                let reason = Reason::new("the file begins with the byte order mark of UTF-8", expected, remedy);
                return Err(undecoded.reject_in(bytes, RejectCode::Encoding, None, 0, reason));
            }
            buffer.clear();
            buffer.extend(bytes.iter().map(|byte| windows_1252(*byte)));
            return Ok(Self {
                text: buffer,
                skipped: 0,
                is_single_byte: true,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            let remedy = match error.error_len() {
                None => remedy,
                Some(_) => layout.words.decode,
            };
            let found = match error.error_len() {
                None => "the file ends within a character of several bytes".to_owned(),
                // ISO 8859-1 and windows-1252 agree on these.
                Some(_) if byte >= 0xa0 => format!(
                    "the byte 0x{byte:02X} is not UTF-8; in ISO 8859-1 it is {}",
                    quoted(&char::from(byte).to_string())
                ),
                Some(_) => format!("the byte 0x{byte:02X} is not UTF-8"),
            };
            undecoded.reject_in(bytes, RejectCode::Encoding, None, at, Reason::new(found, expected, remedy))
        })?;
        let skipped = if text.starts_with(BOM) { BOM.len() } else { 0 };
        Ok(Self {
            text: &text[skipped..],
            skipped,
            is_single_byte: false,
        })
    }

    /// A reject at an offset of the text.
    pub(super) fn reject(&self, code: RejectCode, column_name: Option<&str>, offset: usize, reason: Reason) -> Reject {
        self.reject_in(self.text.as_bytes(), code, column_name, offset, reason)
    }

    fn reject_in(&self, bytes: &[u8], code: RejectCode, column_name: Option<&str>, offset: usize, reason: Reason) -> Reject {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = before.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        // CRLF ends one line, so its CR is not counted.
        let ends = |at: usize| before[at] == b'\n' || (before[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        let number = |count: usize| u32::try_from(count).ok();
        let line = number(1 + (0..before.len()).filter(|at| ends(*at)).count());
        // The number of bytes of the source in a part of the text.
        let width = |range: std::ops::Range<usize>| match self.is_single_byte {
            true => self.text.get(range).map_or(0, |part| part.chars().count()),
            false => range.len(),
        };
        let column = number(1 + width(line_start..offset));
        let byte_offset = u64::try_from(self.skipped + width(0..offset)).unwrap_or(u64::MAX);
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

/// The character of a byte in windows-1252, as browsers decode it: the five bytes without a character are control characters.
fn windows_1252(byte: u8) -> char {
    const FROM_0X80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•',
        '–', '—', '\u{2dc}', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => FROM_0X80[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The encoding of a text with two or four bytes per character, detected by its byte order mark or by the zero bytes of its first ASCII
/// characters.
fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    /// Characters that must match: a single NUL does not prove an encoding.
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
