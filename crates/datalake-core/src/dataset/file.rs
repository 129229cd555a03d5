//! The files that a row may have beside its source, such as an image.

use super::{
    key_pattern::{KeyParts, KeyPattern},
    name::Name,
};
use crate::row_id::RowId;

/// Maximum size of a file, in bytes, if a declaration does not state `max_bytes`.
pub const FILE_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Maximum value of `max_bytes`: a run reads a file as a whole, within its budget of memory.
pub const DECLARED_FILE_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// The files of one name: at most one for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct FileColumn {
    /// The name, as in `/data/{…}/{name}` and `is_{name}_exists`.
    pub name: Name,
    /// The keys of the files.
    pub key: KeyPattern,
    /// The types that are accepted; at least one.
    pub types: Box<[FileType]>,
    /// Maximum size in bytes.
    pub bytes_max: u32,
    /// The column with the key of the file, or of its copy.
    pub column: Name,
    /// The keys of the copies; none if files are not copied.
    pub copy_to: Option<KeyPattern>,
}

impl FileColumn {
    /// The value of the column in a row with the file, in parts: the key of the copy, or that of the file if it is not copied. `id` is the text of an
    /// ID.
    pub fn path<'a>(&'a self, id: &'a str) -> KeyParts<'a> {
        self.linked().parts(id)
    }

    /// The value of the column in a row with the file.
    pub fn path_of(&self, row_id: &RowId) -> String {
        self.linked().key_of(row_id)
    }

    /// The keys in the column.
    fn linked(&self) -> &KeyPattern {
        self.copy_to.as_ref().unwrap_or(&self.key)
    }

    /// What rows show of the file: its name, and the name and the keys of its column. Which values the placeholders accept does not matter.
    pub fn shown(&self) -> (&Name, &Name, &str) {
        (&self.name, &self.column, self.linked().as_str())
    }
}

/// A type of files, recognized by the first bytes. PNGs and JPEGs are decoded, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// `image/png`
    Png,
    /// `image/jpeg`
    Jpeg,
    /// `image/gif`
    Gif,
    /// `image/webp`
    WebP,
    /// `image/tiff`
    Tiff,
    /// `image/bmp`
    Bmp,
    /// `image/avif`
    Avif,
    /// `image/heic`
    Heic,
    /// `application/pdf`
    Pdf,
    /// `application/zip`
    Zip,
    /// `application/gzip`
    Gzip,
}

impl FileType {
    /// Every type.
    pub const ALL: [Self; 11] = [
        Self::Png,
        Self::Jpeg,
        Self::Gif,
        Self::WebP,
        Self::Tiff,
        Self::Bmp,
        Self::Avif,
        Self::Heic,
        Self::Pdf,
        Self::Zip,
        Self::Gzip,
    ];

    /// The media type in declarations and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Pdf => "application/pdf",
            Self::Zip => "application/zip",
            Self::Gzip => "application/gzip",
        }
    }

    /// The type of a media type.
    pub fn parse(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file_type| file_type.as_str() == media_type)
    }

    /// The type that an extension usually means, in lower case and without its dot.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "gif" => Some(Self::Gif),
            "webp" => Some(Self::WebP),
            "tif" | "tiff" => Some(Self::Tiff),
            "bmp" => Some(Self::Bmp),
            "avif" => Some(Self::Avif),
            "heic" => Some(Self::Heic),
            "pdf" => Some(Self::Pdf),
            "zip" => Some(Self::Zip),
            "gz" => Some(Self::Gzip),
            _ => None,
        }
    }

    /// Whether the type is decoded, and not only recognized by its first bytes.
    pub fn is_decoded(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg)
    }
}
