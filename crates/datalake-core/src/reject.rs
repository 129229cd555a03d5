//! Why a source is not taken: every code of the input rules, and where in the source the reason lies.

use std::fmt;

use crate::{report::RunId, user::UserId};

/// Declares an enum of stable codes with their text, in both directions.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every code, in the order of the input rules.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable text of the code.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The code of a stable text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

codes! {
    /// Why a source was rejected: it is not taken, and the user's last good row stays.
    RejectCode {
        /// Two or more different rows in one user's CSV.
        MultipleRows = "multiple_rows",
        /// No row: 0 bytes, a header only, blank lines only.
        Empty = "empty",
        /// The header lacks one of the three columns.
        MissingColumn = "missing_column",
        /// The header names one of the three columns twice.
        DuplicateColumn = "duplicate_column",
        /// The first record names none of the three columns.
        NoHeader = "no_header",
        /// The header is separated by something else than commas.
        Delimiter = "delimiter",
        /// A record has more or fewer fields than the header.
        FieldCount = "field_count",
        /// A quote that is never closed, or text after a closing quote.
        Quote = "quote",
        /// Bytes that are not UTF-8.
        Encoding = "encoding",
        /// A NUL or another control character in a name.
        ControlCharacter = "control_character",
        /// A name without a visible character.
        NameEmpty = "name_empty",
        /// A name of over 1,000 bytes.
        NameTooLong = "name_too_long",
        /// A CSV of over 64 KiB.
        TooLarge = "too_large",
        /// `birthts` is no whole number of milliseconds.
        BirthtsType = "birthts_type",
        /// A birth before 1850.
        BirthtsRange = "birthts_range",
        /// A birth over 24 hours in the future of the run.
        BirthtsFuture = "birthts_future",
        /// The bytes behind `.png` are no PNG.
        ImageNotPng = "image_not_png",
        /// A PNG that is cut short, or whose checksums or chunks are wrong.
        ImageDamaged = "image_damaged",
        /// A PNG of over 8 MiB or over 64 megapixels.
        ImageTooLarge = "image_too_large",
    }
}

impl RejectCode {
    /// Whether the passing of time alone may turn the verdict, so that the same bytes are judged again in every run.
    pub fn may_pass_with_time(self) -> bool {
        self == Self::BirthtsFuture
    }

    /// Whether the code is about a user's picture, and not about the CSV.
    pub fn is_about_image(self) -> bool {
        matches!(self, Self::ImageNotPng | Self::ImageDamaged | Self::ImageTooLarge)
    }
}

codes! {
    /// Why an object under `src-data/` is no source of a user: it is counted and listed, and never read.
    IgnoreCode {
        /// The name before the extension is no user id.
        BadId = "bad_id",
        /// Both spellings of the extension exist: the lower-case one counts.
        Shadowed = "shadowed",
        /// Neither `.csv` nor `.png`.
        UnknownKind = "unknown_kind",
        /// In a folder below `src-data/`.
        Nested = "nested",
        /// A picture without a CSV.
        OrphanImage = "orphan_image",
    }
}

codes! {
    /// What was unusual about a source that was accepted.
    Notice {
        /// The same row more than once: mended.
        RepeatedRow = "repeated_row",
        /// `birthts` with a plus sign or a fraction of zero: mended.
        BirthtsSpelling = "birthts_spelling",
        /// `birthts` within 116 days of 1970, as if it were in seconds: a warning, the value is taken as it stands.
        BirthtsMaybeSeconds = "birthts_maybe_seconds",
    }
}

impl Notice {
    /// Whether the source was mended, not only remarked on.
    pub fn is_mended(self) -> bool {
        !matches!(self, Self::BirthtsMaybeSeconds)
    }
}

/// A place in a source's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// From 1; lines end with LF, CRLF or CR, also within quotes. None in a source that has no lines: a picture.
    pub line: Option<u32>,
    /// From 1, in bytes of the line.
    pub column: Option<u32>,
    /// From 0, in bytes of the source.
    pub byte_offset: u64,
}

/// Why one source was rejected, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reject {
    /// The stable code.
    pub code: RejectCode,
    /// Where the reason lies, if it lies anywhere.
    pub place: Option<Place>,
    /// At most [`Reject::EXCERPT_BYTES_MAX`] bytes of the source about the place; control characters are shown as `·`.
    pub excerpt: Option<Box<str>>,
    /// Where in the excerpt's text the place is, in bytes: at a character's beginning, or at the text's end where the place is the
    /// source's. None without an excerpt, and for a reject of a time when that was not recorded.
    pub excerpt_offset: Option<u8>,
    /// What is wrong in words, and what to do about it. Never a value from the source.
    pub message: Box<str>,
}

impl Reject {
    /// The input rules allow an excerpt of 80 bytes.
    pub const EXCERPT_BYTES_MAX: usize = 80;

    /// A reject of a source as a whole.
    pub fn whole(code: RejectCode, message: impl Into<Box<str>>) -> Self {
        Self {
            code,
            place: None,
            excerpt: None,
            excerpt_offset: None,
            message: message.into(),
        }
    }
}

/// The bytes about `offset` as text of at most 80 bytes: from the line's beginning where that is near, else from a little before. With it
/// comes where in that text `offset` is: what is shown of a byte may be longer or shorter than the byte.
pub(crate) fn excerpt(bytes: &[u8], line_start: usize, offset: usize) -> Option<(Box<str>, u8)> {
    const BEFORE_MAX: usize = 20;
    let start = line_start.max(offset.saturating_sub(BEFORE_MAX)).min(bytes.len());
    let window = bytes.get(start..bytes.len().min(start + Reject::EXCERPT_BYTES_MAX))?;
    let (mut text, mut place, mut behind) = (String::new(), None, start);
    for (shown, length) in shown(window) {
        // A character that the window cut, or that a replacement lengthened, must not lengthen the whole.
        if text.len() + shown.len_utf8() > Reject::EXCERPT_BYTES_MAX {
            break;
        }
        behind += length;
        if place.is_none() && offset < behind {
            place = Some(text.len());
        }
        text.push(shown);
    }
    let place = u8::try_from(place.unwrap_or(text.len())).ok()?;
    (!text.is_empty()).then(|| (text.into(), place))
}

/// The characters that bytes are shown as, each with the number of bytes that it stands for.
fn shown(bytes: &[u8]) -> impl Iterator<Item = (char, usize)> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let of_character = |character: char| {
            let shown = if character.is_control() { '·' } else { character };
            (shown, character.len_utf8())
        };
        let undecodable = chunk.invalid().len();
        let undecodable = (undecodable > 0).then_some((char::REPLACEMENT_CHARACTER, undecodable));
        chunk.valid().chars().map(of_character).chain(undecodable)
    })
}

/// Whether a source was looked at and rejected, or never was one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It was read, or was too large to be read.
    Rejected(Reject),
    /// It is nobody's source.
    Ignored(IgnoreCode),
}

impl Refusal {
    /// The stable text of the code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(reject) => reject.code.as_str(),
            Self::Ignored(code) => code.as_str(),
        }
    }
}

/// An object under `src-data/` that is refused now: part of the table's state, so that an unchanged bad source is not read again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenRefusal {
    /// The raw key.
    pub key: Box<str>,
    /// Whose source it would be; none where the key names nobody.
    pub user_id: Option<UserId>,
    /// The tag of the bytes that were refused.
    pub etag: Box<str>,
    /// Their number.
    pub size: u64,
    /// Why.
    pub refusal: Refusal,
    /// The run that refused the key with this code first, …
    pub run_id: RunId,
    /// … and when that run began.
    pub since: jiff::Timestamp,
}

impl OpenRefusal {
    /// Whether a reader of the rejects could tell the two apart. The tag of the bytes, the run and its time do not count.
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        self.key == other.key && self.refusal == other.refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for code in RejectCode::ALL {
            assert_eq!(RejectCode::parse(code.as_str()), Some(*code));
        }
        for code in IgnoreCode::ALL {
            assert_eq!(IgnoreCode::parse(code.as_str()), Some(*code));
        }
        assert_eq!(RejectCode::parse("bad_id"), None);
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        let long = "ä".repeat(200);
        let (text, _) = excerpt(long.as_bytes(), 0, 101).expect("there are bytes");
        assert!(text.len() <= Reject::EXCERPT_BYTES_MAX, "{} bytes", text.len());
        let (text, _) = excerpt(&[0xff; 200], 0, 0).expect("there are bytes");
        assert!(text.len() <= Reject::EXCERPT_BYTES_MAX, "{} bytes", text.len());
        assert_eq!(excerpt(b"", 0, 0), None);
    }

    /// The place is marked by a stroke before it.
    #[track_caller]
    fn check_place(bytes: &[u8], line_start: usize, offset: usize, expected: &str) {
        let (text, place) = excerpt(bytes, line_start, offset).expect("there are bytes");
        let (before, from) = text.split_at(place.into());
        assert_eq!(format!("{before}|{from}"), expected, "{bytes:?}, {line_start}, {offset}");
    }

    #[test]
    fn places_within_excerpts() {
        check_place(b"a\0b\tc", 0, 0, "|a·b·c");
        check_place(b"a\0b\tc", 0, 1, "a|·b·c");
        check_place(b"a\0b\tc", 0, 2, "a·|b·c");
        check_place(b"abc", 0, 3, "abc|");
        check_place(b"x\nabc", 2, 3, "a|bc");
        // A byte within a character is shown as the character.
        check_place("aäb".as_bytes(), 0, 2, "a|äb");
        check_place("aäb".as_bytes(), 0, 3, "aä|b");
        // What cannot be decoded is shown longer than it is.
        check_place(b"Jos\xe9,Lee", 0, 3, "Jos|\u{fffd},Lee");
        check_place(b"Jos\xe9,Lee", 0, 5, "Jos\u{fffd},|Lee");
        check_place(&[0xff; 200], 0, 100, &format!("{}|{}", "\u{fffd}".repeat(20), "\u{fffd}".repeat(6)));
        check_place(&[b'a'; 200], 0, 100, &format!("{}|{}", "a".repeat(20), "a".repeat(60)));
    }
}
