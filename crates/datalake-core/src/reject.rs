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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1; lines end with LF, CRLF or CR, also within quotes. None in a source that has no lines: a picture.
    pub line: Option<u32>,
    /// From 1, in bytes of the line.
    pub column: Option<u32>,
    /// From 0, in bytes of the source.
    pub byte_offset: u64,
}

/// Why one source was rejected, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The stable code.
    pub code: RejectCode,
    /// Where the reason lies, if it lies anywhere.
    pub place: Option<Place>,
    /// At most [`Reject::EXCERPT_BYTES_MAX`] bytes of the source about the place; control characters are shown as `·`.
    pub excerpt: Option<Box<str>>,
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
            message: message.into(),
        }
    }
}

/// The bytes about `offset` as text of at most 80 bytes: from the line's beginning where that is near, else from a little before.
pub(crate) fn excerpt(bytes: &[u8], line_start: usize, offset: usize) -> Option<Box<str>> {
    const BEFORE_MAX: usize = 20;
    let start = line_start.max(offset.saturating_sub(BEFORE_MAX)).min(bytes.len());
    let window = bytes.get(start..bytes.len().min(start + Reject::EXCERPT_BYTES_MAX))?;
    let mut text = String::new();
    for character in String::from_utf8_lossy(window).chars() {
        let shown = if character.is_control() { '·' } else { character };
        // A character that the window cut, or that a replacement lengthened, must not lengthen the whole.
        if text.len() + shown.len_utf8() > Reject::EXCERPT_BYTES_MAX {
            break;
        }
        text.push(shown);
    }
    (!text.is_empty()).then(|| text.into())
}

/// Whether a source was looked at and rejected, or never was one.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let text = excerpt(long.as_bytes(), 0, 101).expect("there are bytes");
        assert!(text.len() <= Reject::EXCERPT_BYTES_MAX, "{} bytes", text.len());
        assert_eq!(excerpt(b"a\0b\tc", 0, 0).as_deref(), Some("a·b·c"));
        assert!(excerpt(&[0xff; 200], 0, 0).expect("there are bytes").len() <= Reject::EXCERPT_BYTES_MAX);
        assert_eq!(excerpt(b"", 0, 0), None);
        assert_eq!(excerpt(b"abc", 0, 3).as_deref(), Some("abc"));
    }
}
