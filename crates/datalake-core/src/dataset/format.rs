//! The formats of sources, and the dialect of CSVs.

/// The format of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// A CSV with a header and one row.
    Csv,
    /// One JSON object.
    Json,
    /// All data is in the key; the content is not read.
    KeyOnly,
}

impl SourceFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::KeyOnly];

    /// The name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::KeyOnly => "none",
        }
    }

    /// The format of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// The format of a key by its extension; none if the extension is unknown. A final `.gz` is ignored.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        match key.strip_suffix(".gz").unwrap_or(key).rsplit_once('.')?.1 {
            "csv" | "tsv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// How the content of a source is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// With gzip: the key ends with `.gz`. The limit of the size applies to the decompressed bytes.
    Gzip,
}

impl Compression {
    /// The compression of a key by its extension.
    pub(super) fn of_key(key: &str) -> Self {
        match key.strip_suffix(".gz") {
            Some(_) => Self::Gzip,
            None => Self::Plain,
        }
    }
}

/// The encoding of a CSV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// Windows-1252, one byte for each character.
    Windows1252,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 2] = [Self::Utf8, Self::Windows1252];

    /// The name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// The encoding of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == name)
    }
}

/// What is done with columns of a CSV that are not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExtraColumns {
    /// They are accepted, and are not part of the row.
    #[default]
    Ignore,
    /// The source is rejected.
    Reject,
}

impl ExtraColumns {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Ignore, Self::Reject];

    /// The name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Reject => "reject",
        }
    }

    /// The choice of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == name)
    }
}

/// The dialect of the CSVs: RFC 4180 apart from these. Declared, never detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CsvDialect {
    /// Separates fields: one ASCII character.
    pub delimiter: u8,
    /// The encoding of the bytes.
    pub encoding: Encoding,
    /// Separates the digits of a fraction.
    pub decimal: char,
    /// May separate groups of digits; none means that nothing may.
    pub group: Option<char>,
    /// What is done with columns that are not declared.
    pub extra_columns: ExtraColumns,
}

impl CsvDialect {
    /// The dialect without declaration: commas, or tabs for `.tsv`.
    pub(super) fn of_key(key: &str) -> Self {
        let is_tsv = key.strip_suffix(".gz").unwrap_or(key).strip_suffix(".tsv").is_some();
        Self {
            delimiter: if is_tsv { b'\t' } else { b',' },
            encoding: Encoding::Utf8,
            decimal: '.',
            group: None,
            extra_columns: ExtraColumns::Ignore,
        }
    }
}
