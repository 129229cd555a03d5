//! Why a source is not accepted: every code of the input rules, the reason, and its place in the source.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;

use crate::{
    keys::{self, NameDifference},
    plan::SourceVersion,
    report::RunId,
    text,
    user::UserId,
};

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
    /// Why a source was rejected: it is not accepted, and the user's last valid row is kept.
    RejectCode {
        /// Two or more different rows in one user's CSV.
        MultipleRows = "multiple_rows",
        /// No row: 0 bytes, a header only, blank lines only.
        Empty = "empty",
        /// A file of another format behind `.csv`.
        NotCsv = "not_csv",
        /// The header lacks a column.
        MissingColumn = "missing_column",
        /// The header names a column twice.
        DuplicateColumn = "duplicate_column",
        /// The first record names none of the columns.
        NoHeader = "no_header",
        /// The columns are separated by something else than commas.
        Delimiter = "delimiter",
        /// A record has more or fewer fields than the header.
        FieldCount = "field_count",
        /// A quote that is never closed, text after a closing quote, or a quote in a value without quotes.
        Quote = "quote",
        /// Bytes that are not UTF-8.
        Encoding = "encoding",
        /// A NUL or another control character in a name.
        ControlCharacter = "control_character",
        /// A name without a visible character.
        ValueEmpty = "value_empty",
        /// A name of over 1,000 bytes.
        ValueTooLong = "value_too_long",
        /// A CSV of over 64 KiB.
        TooLarge = "too_large",
        /// A value that is not of its column's type.
        Type = "type",
        /// A birth before 1850.
        OutOfRange = "out_of_range",
        /// A birth over 24 hours after the run.
        InFuture = "in_future",
        /// A file of another format behind `.png`.
        ImageNotPng = "image_not_png",
        /// A PNG that does not decode completely.
        ImageDamaged = "image_damaged",
        /// A PNG of over 8 MiB or over 64 megapixels.
        ImageTooLarge = "image_too_large",
        /// A source that cannot be read for a reason of its own.
        Unreadable = "unreadable",
        /// A source that changes faster than it can be read.
        Unstable = "unstable",
    }
}

codes! {
    /// Why an object under `src-data/` is not a source: it is counted and listed, and never read.
    IgnoreCode {
        /// The name before the extension is not a user ID.
        BadId = "bad_id",
        /// Both spellings of the extension exist: the lower-case one is the source.
        Shadowed = "shadowed",
        /// Neither `.csv` nor `.png`.
        UnknownKind = "unknown_kind",
        /// The name of a temporary or sidecar file of an editor, a copy tool or a file system.
        Temporary = "temporary",
        /// In a folder below `src-data/`.
        Nested = "nested",
        /// On folders: a FIFO, a socket, a device, a folder, or a link that leads nowhere or out of the lake.
        NotAFile = "not_a_file",
        /// An image without a CSV.
        OrphanImage = "orphan_image",
    }
}

codes! {
    /// What was unusual about a source that was accepted.
    Notice {
        /// The same row more than once: normalized.
        RepeatedRow = "repeated_row",
        /// White space or zero-width characters around a value: normalized.
        Trimmed = "trimmed",
        /// A number with a plus sign or a fraction of zero: normalized.
        NumberFormat = "number_format",
        /// A time within 116 days of 1970, as if it were in seconds: a warning, the value is accepted unchanged.
        MaybeSeconds = "maybe_seconds",
    }
}

impl Notice {
    /// Whether the source was normalized, not only remarked on.
    pub fn is_normalized(self) -> bool {
        !matches!(self, Self::MaybeSeconds)
    }
}

/// A place in a source's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// From 1; lines end with LF, CRLF or CR, also within quotes. None in a source that has no lines: an image.
    pub line: Option<u32>,
    /// From 1, in bytes of the line.
    pub column: Option<u32>,
    /// From 0, in bytes of the source.
    pub byte_offset: u64,
}

/// Why an object is not accepted, as messages state it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The cause: what was found, with its value.
    pub found: Box<str>,
    /// What was expected instead.
    pub expected: Box<str>,
    /// What to do about it.
    pub remedy: Box<str>,
}

impl Reason {
    /// A reason of these three texts, each without a final period.
    pub fn new(found: impl Into<Box<str>>, expected: impl Into<Box<str>>, remedy: impl Into<Box<str>>) -> Self {
        Self {
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected {}; {}", self.found, self.expected, self.remedy)
    }
}

/// Why one source was rejected, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reject {
    /// The stable code.
    pub code: RejectCode,
    /// The name of the column, if the reason concerns one.
    pub column_name: Option<Box<str>>,
    /// Where the reason is, if it is in one place.
    pub position: Option<Position>,
    /// The line around the place, at most [`Reject::EXCERPT_BYTES_MAX`] bytes; characters that cannot be seen are shown by their code points.
    pub excerpt: Option<Box<str>>,
    /// Where in the excerpt's text the place is, in bytes: at the start of a character, or at the end of the text where the place is the
    /// end of the line. None without an excerpt.
    pub excerpt_offset: Option<u8>,
    /// What was found and expected, and what to do.
    pub reason: Box<Reason>,
    /// From when on a run accepts the same bytes; none where time alone changes nothing.
    pub valid_from: Option<Timestamp>,
}

impl Reject {
    /// The input rules allow an excerpt of 80 bytes.
    pub const EXCERPT_BYTES_MAX: usize = 80;

    /// A reject of a source as a whole.
    pub fn whole(code: RejectCode, reason: Reason) -> Self {
        Self {
            code,
            column_name: None,
            position: None,
            excerpt: None,
            excerpt_offset: None,
            reason: Box::new(reason),
            valid_from: None,
        }
    }

    /// Whether a run at this time may come to another result although the listing is the same, so that the source is read again.
    pub fn may_change_by(&self, run_at: Timestamp) -> bool {
        match self.code {
            // Permissions and writers are not part of a listing.
            RejectCode::Unreadable | RejectCode::Unstable => true,
            _ => self.valid_from.is_some_and(|from| run_at >= from),
        }
    }

    /// A source that cannot be read for a reason of its own, which `cause` states.
    pub fn unreadable(cause: &str) -> Self {
        let reason = Reason::new(
            format!("the object cannot be read: {cause}"),
            "an object that the processor may read",
            "check the permissions, the storage class and the encryption key of this object",
        );
        Self::whole(RejectCode::Unreadable, reason)
    }

    /// A source that changed during each of so many attempts to read it.
    pub fn unstable(attempts: u32) -> Self {
        let reason = Reason::new(
            format!("the object changed during each of {attempts} attempts to read it"),
            "an object that stays the same while it is read",
            "wait until its writer has finished; the next run reads it again",
        );
        Self::whole(RejectCode::Unstable, reason)
    }

    /// Adds the place of a byte in a source without lines.
    pub(crate) fn at_byte(mut self, offset: usize) -> Self {
        self.position = Some(Position {
            line: None,
            column: None,
            byte_offset: u64::try_from(offset).unwrap_or(u64::MAX),
        });
        self
    }
}

/// The line around `offset` as text of at most 80 bytes: all of it where that fits, else from a little before the place. With it comes the
/// offset of the place in that text.
pub(crate) fn excerpt(bytes: &[u8], line_start: usize, offset: usize) -> Option<(Box<str>, u8)> {
    const BEFORE_MAX: usize = 20;
    const MAX: usize = Reject::EXCERPT_BYTES_MAX;
    let (line_start, offset) = (line_start.min(bytes.len()), offset.min(bytes.len()));
    let line_end = bytes[offset..]
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes.len(), |length| offset + length);
    // Each byte is shown as at least one, so that more than the limit to either side is never shown.
    let is_within = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    let mut start = line_start.max(offset.saturating_sub(MAX));
    while start > line_start && start < offset && is_within(&start) {
        start += 1;
    }
    let mut end = line_end.min(offset + MAX + 4);
    while end < line_end && end > offset && is_within(&end) {
        end -= 1;
    }
    let pieces = pieces(&bytes[start..end]);
    let (mut at, mut place) = (start, pieces.len());
    for (index, (_, length)) in pieces.iter().enumerate() {
        at += length;
        if offset < at {
            place = index;
            break;
        }
    }
    let length_of = |pieces: &[(Cow<'static, str>, usize)]| pieces.iter().map(|(text, _)| text.len()).sum::<usize>();
    let before_max = BEFORE_MAX.max(MAX.saturating_sub(length_of(&pieces[place..])));
    let (mut first, mut before) = (place, 0);
    while first > 0 && before + pieces[first - 1].0.len() <= before_max {
        first -= 1;
        before += pieces[first].0.len();
    }
    let mut text = String::new();
    for (piece, _) in &pieces[first..] {
        if text.len() + piece.len() > MAX {
            break;
        }
        text.push_str(piece);
    }
    let place = u8::try_from(before.min(text.len())).ok()?;
    (!text.is_empty()).then(|| (text.into(), place))
}

/// What bytes are shown as, each piece with the number of bytes that it stands for.
fn pieces(bytes: &[u8]) -> Vec<(Cow<'static, str>, usize)> {
    let chunks = bytes.utf8_chunks().flat_map(|chunk| {
        let characters = chunk
            .valid()
            .chars()
            .map(|character| (text::shown(character), character.len_utf8()));
        let undecodable = chunk.invalid().iter().map(|byte| (Cow::from(text::shown_byte(*byte)), 1));
        characters.chain(undecodable)
    });
    chunks.collect()
}

/// The reason why an object of this key is ignored.
fn ignored(code: IgnoreCode, key: &str) -> Reason {
    let name = key.strip_prefix(keys::SOURCES).unwrap_or(key);
    let shown = text::quoted(name);
    match code {
        IgnoreCode::BadId => bad_id(name),
        IgnoreCode::Shadowed => Reason::new(
            format!("the name {shown} exists with its extension in lower case too, and that object is the source"),
            "one object per user and kind",
            "remove one of the two",
        ),
        IgnoreCode::UnknownKind => unknown_kind(name),
        IgnoreCode::Temporary => Reason::new(
            format!("the name {shown} is that of a temporary or sidecar file"),
            "{user_id}.csv or {user_id}.png",
            "remove the file if its program has ended; rename it if it is a source",
        ),
        IgnoreCode::Nested => Reason::new(
            format!("{shown} is in a folder below src-data/"),
            "sources directly in src-data/",
            "move the sources up; the processor does not read folders",
        ),
        IgnoreCode::NotAFile => Reason::new(
            format!("{shown} is not a regular file: a FIFO, a socket, a device, a folder, or a link that leads nowhere or out of the lake"),
            "a regular file",
            "replace it by the file itself",
        ),
        IgnoreCode::OrphanImage => Reason::new(
            format!("there is no CSV of the user of {shown}"),
            "a CSV for each user",
            "upload the CSV, and the next run links the image; or remove the image",
        ),
    }
}

fn bad_id(name: &str) -> Reason {
    const EXPECTED: &str = "an ID of 1 to 64 characters of A-Z a-z 0-9 . _ - before the extension";
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_foreign = |character: &char| !character.is_ascii_alphanumeric() && !matches!(character, '.' | '_' | '-');
    let found = match stem {
        "" => "the name has nothing before its extension".to_owned(),
        "." | ".." => format!("the ID would be {}, which names a folder", text::quoted(stem)),
        _ if stem.contains(|character| is_foreign(&character)) => format!(
            "the ID {} contains {}",
            text::quoted(stem),
            text::code_points(stem.chars().filter(is_foreign))
        ),
        _ => format!("the ID {} has {} characters", text::quoted(stem), stem.len()),
    };
    Reason::new(found, EXPECTED, "rename the object")
}

fn unknown_kind(name: &str) -> Reason {
    let shown = text::quoted(name);
    let Some(near) = keys::near_miss(name) else {
        let found = match name.rsplit_once('.') {
            Some((_, extension)) => format!("the name {shown} ends with {}", text::quoted(&format!(".{extension}"))),
            None => format!("the name {shown} has no extension"),
        };
        return Reason::new(
            found,
            "{user_id}.csv or {user_id}.png",
            "rename the object if it is a source, else remove it",
        );
    };
    let target = near.key.strip_prefix(keys::SOURCES).unwrap_or(&near.key).to_owned();
    match near.difference {
        NameDifference::Case => Reason::new(
            format!("the name {shown} differs from {target} only in case"),
            "an extension in lower or in upper case: .csv, .CSV, .png, .PNG",
            format!("rename it to {target}"),
        ),
        NameDifference::Blank => Reason::new(
            format!(
                "the name {shown} differs from {target} only by {}",
                text::code_points(name.chars().filter(|character| text::is_invisible(*character)))
            ),
            "a name without white space",
            format!("rename it to {target}"),
        ),
        NameDifference::SecondExtension => Reason::new(
            format!("the name {shown} has another extension after that of {target}"),
            "a name that ends with .csv or .png",
            format!("store the plain file as {target}"),
        ),
        NameDifference::ImageType => Reason::new(
            format!("the name {shown} is that of an image that is not a PNG"),
            format!("a PNG named {target}"),
            format!("convert the image to PNG and store it as {target}"),
        ),
        NameDifference::TableType => Reason::new(
            format!("the name {shown} is that of a table that is not a CSV"),
            format!("a CSV named {target}"),
            format!("export the user's row as CSV and store it as {target}"),
        ),
    }
}

/// Whether a source was evaluated and rejected, or is not a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// It was read, or was too large to be read.
    Rejected(Reject),
    /// It is not a source.
    Ignored(IgnoreCode),
}

impl Exclusion {
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
pub struct ExcludedSource {
    /// The raw key.
    pub key: Box<str>,
    /// The user whose source it is or would be; none where the key names no user.
    pub user_id: Option<UserId>,
    /// The tag of the bytes that were refused.
    pub etag: Box<str>,
    /// Their number.
    pub size: u64,
    /// Why.
    pub exclusion: Exclusion,
    /// The run that refused the key with this code first, …
    pub run_id: RunId,
    /// … and when that run began.
    pub since: Timestamp,
    /// Of a rejected CSV of a user without a row: the state of the user's valid image, which no row records. It needs no second look.
    pub valid_image: Option<SourceVersion>,
}

impl ExcludedSource {
    /// Whether the object is not a source.
    pub fn is_ignored(&self) -> bool {
        matches!(self.exclusion, Exclusion::Ignored(_))
    }

    /// What was found and expected, and what to do.
    pub fn reason(&self) -> Cow<'_, Reason> {
        match &self.exclusion {
            Exclusion::Rejected(reject) => Cow::Borrowed(&reject.reason),
            Exclusion::Ignored(code) => Cow::Owned(ignored(*code, &self.key)),
        }
    }

    /// Whether both mean the same to a reader of the rejects. The ETag, the run and its time do not count, and neither does the store's own
    /// text on why it cannot be read: it may name the request.
    pub fn is_visibly_equal(&self, other: &Self) -> bool {
        let is_same = match (&self.exclusion, &other.exclusion) {
            (Exclusion::Rejected(own), Exclusion::Rejected(other)) if own.code == RejectCode::Unreadable => own.code == other.code,
            (own, other) => own == other,
        };
        self.key == other.key && is_same
    }
}

/// The number of ignored objects, if `open` does not have all of them.
pub fn ignored_total_if_truncated(open: &[ExcludedSource], ignored: u64) -> Option<u64> {
    let listed = open.iter().filter(|open| open.is_ignored()).count();
    Some(ignored).filter(|ignored| u64::try_from(listed).is_ok_and(|listed| *ignored > listed))
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
    fn texts_of_the_store_alone_are_no_difference() {
        let open = |reject| ExcludedSource {
            key: "src-data/1.csv".into(),
            user_id: None,
            etag: "tag".into(),
            size: 1,
            exclusion: Exclusion::Rejected(reject),
            run_id: RunId::parse("run-1").expect("an ID"),
            since: Timestamp::UNIX_EPOCH,
            valid_image: None,
        };
        let denied = |request| open(Reject::unreadable(&format!("access denied, request {request}")));
        assert!(denied(1).is_visibly_equal(&denied(2)));
        assert!(!denied(1).is_visibly_equal(&open(Reject::unstable(4))));
        assert!(!open(Reject::unstable(4)).is_visibly_equal(&open(Reject::unstable(5))));
    }

    #[test]
    fn every_code_is_documented() {
        const DOCUMENT: &str = include_str!("../../../docs/src/input.md");
        let rejected = RejectCode::ALL.iter().map(|code| code.as_str());
        let ignored = IgnoreCode::ALL.iter().map(|code| code.as_str());
        let notices = Notice::ALL.iter().map(|notice| notice.as_str());
        for code in rejected.chain(ignored).chain(notices) {
            assert!(DOCUMENT.contains(&format!("`{code}`")), "{code}");
        }
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        for bytes in [
            "ä".repeat(200).into_bytes(),
            vec![0xff; 200],
            vec![0; 200],
            "\u{200b}".repeat(200).into_bytes(),
        ] {
            for offset in [0, 1, 100, 101, 199, 200] {
                let (text, place) = excerpt(&bytes, 0, offset).expect("there are bytes");
                assert!(text.len() <= Reject::EXCERPT_BYTES_MAX, "{} bytes", text.len());
                assert!(text.is_char_boundary(place.into()), "{text:?}, {place}");
                assert!(
                    !text.chars().any(|character| character != ' ' && text::is_invisible(character)),
                    "{text:?}"
                );
            }
        }
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
    fn excerpts_show_the_line_of_the_place() {
        check_place(b"a\0b\tc", 0, 0, "|a<U+0000>b<U+0009>c");
        check_place(b"a\0b\tc", 0, 1, "a|<U+0000>b<U+0009>c");
        check_place(b"abc", 0, 3, "abc|");
        check_place(b"x\nabc\r\ny", 2, 3, "a|bc");
        check_place("a\u{200b}b".as_bytes(), 0, 1, "a|<U+200B>b");
        // A byte within a character is shown as the character.
        check_place("aäb".as_bytes(), 0, 2, "a|äb");
        check_place("aäb".as_bytes(), 0, 3, "aä|b");
        check_place(b"Jos\xe9,Lee", 0, 3, "Jos|<0xE9>,Lee");
        check_place(b"Jos\xe9,Lee", 0, 5, "Jos<0xE9>,|Lee");
        check_place(&[b'a'; 80], 0, 79, &format!("{}|a", "a".repeat(79)));
        check_place(&[b'a'; 200], 0, 100, &format!("{}|{}", "a".repeat(20), "a".repeat(60)));
        check_place(&[b'a'; 200], 0, 200, &format!("{}|", "a".repeat(80)));
    }

    fn reason_of(key: &str) -> String {
        let code = keys::parse_source(key).expect_err("the name is no source");
        ignored(code, key).to_string()
    }

    #[rstest::rstest]
    #[case::case("1.Png", "\"1.Png\" differs from 1.png only in case", "rename it to 1.png")]
    #[case::image_type("1.jpg", "an image that is not a PNG", "convert the image to PNG and store it as 1.png")]
    #[case::table_type("1.xlsx", "a table that is not a CSV", "store it as 1.csv")]
    #[case::second_extension("1.csv.txt", "another extension after that of 1.csv", "store the plain file as 1.csv")]
    #[case::blank("1.csv ", "only by U+0020 (SPACE)", "rename it to 1.csv")]
    #[case::extension("notes.md", "ends with \".md\"", "{user_id}.csv or {user_id}.png")]
    #[case::no_extension("README", "\"README\" has no extension", "rename the object")]
    #[case::space_in_the_id("a b.csv", "\"a b\" contains U+0020 (SPACE)", "1 to 64 characters of A-Z a-z 0-9 . _ -")]
    #[case::invisible_in_the_id("1\u{200b}.csv", "\"1<U+200B>\" contains U+200B (ZERO WIDTH SPACE)", "rename the object")]
    #[case::folder_name("..csv", "the ID would be \".\"", "rename the object")]
    #[case::nothing_before(".csv", "nothing before its extension", "rename the object")]
    #[case::long_id(&format!("{}.csv", "7".repeat(65)), "has 65 characters", "rename the object")]
    #[case::temporary("._1.csv", "a temporary or sidecar file", "remove the file")]
    #[case::nested("a/1.csv", "in a folder below src-data/", "move the sources up")]
    fn reasons_of_ignored_names_state_cause_and_remedy(#[case] name: &str, #[case] cause: &str, #[case] remedy: &str) {
        let reason = reason_of(&keys::source(name));
        assert!(reason.contains(cause) && reason.contains(remedy), "{reason}");
    }
}
