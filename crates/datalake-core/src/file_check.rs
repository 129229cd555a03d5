//! The bytes of one file of a row: a file of a declared type, or a reject.
//!
//! PNGs and JPEGs are decoded (`image.rs`, `jpeg.rs`); the other types are recognized by their first bytes.

use crate::{
    count::count,
    dataset::{FILE_BYTES_MAX, FileColumn, FileType},
    file_format, image, jpeg,
    reject::{Reason, Reject, RejectCode},
    text::grouped,
};

/// Checks the bytes of a file. Returns its length: bytes after the end of a PNG are not part of it, and those
/// after the end of a JPEG are, because cameras append previews and videos.
pub fn check(file: &FileColumn, bytes: &[u8]) -> Result<usize, Reject> {
    if let Some(reject) = too_large(file, count(bytes.len())) {
        return Err(reject);
    }
    let found = FileType::recognize(bytes).filter(|found| file.types.contains(found));
    match found {
        Some(FileType::Png) => image::check(bytes).map(|image| image.length),
        // The reject says what is wrong with the PNG.
        None if is_png(file) => image::check(bytes).map(|image| image.length),
        Some(FileType::Jpeg) => jpeg::check(bytes).map(|()| bytes.len()),
        Some(_) => Ok(bytes.len()),
        None => Err(other_type(file, bytes)),
    }
}

/// Bytes of memory that [`check`] needs beside the bytes of the file, apart from 1 MB; at most [`jpeg::DECODER_MIB_MAX`].
pub fn memory(file: &FileColumn, bytes: &[u8]) -> u64 {
    match FileType::recognize(bytes).filter(|found| file.types.contains(found)) {
        Some(FileType::Jpeg) if too_large(file, count(bytes.len())).is_none() => jpeg::memory(bytes),
        _ => 0,
    }
}

/// The reject of a file whose listed size is over the limit; such a file is never read.
pub fn too_large(file: &FileColumn, size: u64) -> Option<Reject> {
    if is_png(file) && file.bytes_max == FILE_BYTES_MAX {
        return image::too_large_bytes(size);
    }
    let reason = || {
        Reason::new(
            format!("the {} has {} bytes", file.name, grouped(size)),
            format!("at most {} bytes", grouped(file.bytes_max.into())),
            "store a smaller file, or declare a greater max_bytes",
        )
    };
    (size > u64::from(file.bytes_max)).then(|| Reject::whole(RejectCode::FileTooLarge, reason()))
}

fn is_png(file: &FileColumn) -> bool {
    matches!(*file.types, [FileType::Png])
}

fn other_type(file: &FileColumn, bytes: &[u8]) -> Reject {
    let types: Vec<_> = file.types.iter().map(|file_type| file_type.as_str()).collect();
    let found = match file_format::recognize(bytes) {
        _ if bytes.is_empty() => "the file is empty".to_owned(),
        Some(format) => format!("the file is {}", format.name),
        None => format!("the file begins with the bytes {}", bytes[..bytes.len().min(8)].escape_ascii()),
    };
    let reason = Reason::new(
        found,
        format!("a file of the type {}", types.join(" or ")),
        "store a file of this type, or declare its type",
    );
    Reject::whole(RejectCode::FileType, reason).at_byte(0)
}

impl FileType {
    /// Recognizes the type by the first bytes.
    pub fn recognize(bytes: &[u8]) -> Option<Self> {
        let brand = bytes.get(4..8).filter(|kind| kind == b"ftyp").and_then(|_| bytes.get(8..12));
        let begins_with = |signature: &[u8]| bytes.starts_with(signature);
        match () {
            () if begins_with(b"\x89PNG\r\n\x1a\n") => Some(Self::Png),
            () if begins_with(b"\xff\xd8\xff") => Some(Self::Jpeg),
            () if begins_with(b"GIF87a") || begins_with(b"GIF89a") => Some(Self::Gif),
            () if begins_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some(Self::WebP),
            () if begins_with(b"II*\0") || begins_with(b"MM\0*") => Some(Self::Tiff),
            () if begins_with(b"BM") => Some(Self::Bmp),
            () if matches!(brand, Some(b"avif" | b"avis")) => Some(Self::Avif),
            () if matches!(brand, Some(b"heic" | b"heix" | b"hevc" | b"mif1")) => Some(Self::Heic),
            () if begins_with(b"%PDF-") => Some(Self::Pdf),
            () if begins_with(b"PK\x03\x04") || begins_with(b"PK\x05\x06") => Some(Self::Zip),
            () if begins_with(b"\x1f\x8b") => Some(Self::Gzip),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;

    #[track_caller]
    fn check_file(types: &str, bytes: &[u8], expected: Result<usize, RejectCode>) {
        let text =
            format!("[source]\nkey = 'src-data/{{id}}.csv'\n[files.scan]\nkey = 'src-data/{{id}}.scan'\nmax_bytes = 20\ntypes = {types}");
        let dataset = Dataset::parse(&text).expect("the declaration is valid");
        let found = check(&dataset.files()[0], bytes).map_err(|reject| reject.code);
        assert_eq!(found, expected, "{types}: {:?}", bytes.escape_ascii().to_string());
    }

    #[test]
    fn files_have_a_declared_type() {
        check_file("['application/pdf']", b"%PDF-1.7\n", Ok(9));
        check_file(
            "['application/pdf', 'image/jpeg']",
            b"\xff\xd8\xff\xe0",
            Err(RejectCode::ImageDamaged),
        );
        check_file("['image/jpeg']", b"%PDF-1.7\n", Err(RejectCode::FileType));
        check_file("['image/jpeg']", b"\xff\xd8", Err(RejectCode::FileType));
        check_file(
            "['image/jpeg']",
            b"\xff\xd8\xff\xe0 and over 20 bytes",
            Err(RejectCode::FileTooLarge),
        );
        check_file("['application/pdf']", b"\xff\xd8\xff\xe0", Err(RejectCode::FileType));
        check_file("['application/pdf']", b"", Err(RejectCode::FileType));
        check_file("['application/pdf']", b"%PDF-1.7 and over 20 bytes", Err(RejectCode::FileTooLarge));
        check_file("['image/png']", b"%PDF-1.7\n", Err(RejectCode::ImageNotPng));
        check_file("['image/png', 'image/gif']", b"\x89PNG\r\n\x1a\n", Err(RejectCode::ImageDamaged));
        check_file("['image/webp', 'image/heic']", b"RIFF\x04\0\0\0WEBP", Ok(12));
        check_file("['image/webp', 'image/heic']", b"\0\0\0\x18ftypheic", Ok(12));
    }
}
