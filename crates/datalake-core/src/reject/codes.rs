//! The stable codes of rejected, ignored and accepted sources. The documentation describes each (docs/src/rejects.md).

use std::fmt;

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
    /// Why a source was rejected: it is not accepted, and the last valid row is kept.
    RejectCode {
        /// Two or more different rows in one CSV.
        MultipleRows = "multiple_rows",
        /// No row: 0 bytes, a header only, blank lines only.
        Empty = "empty",
        /// A file of another format under the name of a CSV.
        NotCsv = "not_csv",
        /// The header lacks a column.
        MissingColumn = "missing_column",
        /// The header names a column twice.
        DuplicateColumn = "duplicate_column",
        /// The first record names none of the columns.
        NoHeader = "no_header",
        /// The columns are not separated by commas.
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
        /// A value below the minimum or above the maximum of its column, such as a birth before 1850.
        OutOfRange = "out_of_range",
        /// A time after the latest one that the run accepts, such as a birth over 24 hours after the run.
        InFuture = "in_future",
        /// A value that violates another constraint of its column, which the message names, or a column that is not declared.
        Constraint = "constraint",
        /// A file of another format under the name of a PNG.
        ImageNotPng = "image_not_png",
        /// A PNG or a JPEG that does not decode completely.
        ImageDamaged = "image_damaged",
        /// A PNG of over 8 MiB, a PNG or a JPEG of over 64 megapixels, or a JPEG that needs too much memory.
        ImageTooLarge = "image_too_large",
        /// A file of another type than those that the dataset declares, or a kind of JPEG that is not supported.
        FileType = "file_type",
        /// A file that is larger than the dataset declares.
        FileTooLarge = "file_too_large",
        /// A source that cannot be read although the store is available, for example because access to it is denied.
        Unreadable = "unreadable",
        /// A source that changes faster than it can be read.
        Unstable = "unstable",
    }
}

codes! {
    /// Why an object under `src-data/` is not a source: it is counted and listed, and never read.
    IgnoreCode {
        /// The name before the extension is not an ID.
        BadId = "bad_id",
        /// The same name exists with its extension in lower case, and that object is the source.
        Shadowed = "shadowed",
        /// Neither `.csv` nor `.png`.
        UnknownKind = "unknown_kind",
        /// The name of a temporary or sidecar file of an editor, a copy tool or a file system.
        Temporary = "temporary",
        /// In a folder below `src-data/`.
        Nested = "nested",
        /// In a lake on a file system: a FIFO, a socket, a device, a folder, or a link that leads nowhere or out of the lake.
        NotAFile = "not_a_file",
        /// An image without a CSV.
        OrphanImage = "orphan_image",
    }
}

codes! {
    /// What was unusual about an accepted source.
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
    /// Whether the source was accepted after repair. Otherwise the notice is a warning.
    pub fn is_normalized(self) -> bool {
        !matches!(self, Self::MaybeSeconds)
    }
}

#[cfg(test)]
mod tests;
