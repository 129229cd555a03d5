//! Recognition of other formats that are stored under the name of a CSV or a PNG by mistake, by their first bytes.

use Family::{AppleDouble, Compressed, Data, Image, Json, Markup, Other, Pointer, Spreadsheet};

/// The kind of a format, which determines the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// The file may contain the source, compressed.
    Compressed,
    /// A workbook.
    Spreadsheet,
    /// An image in another format than PNG.
    Image,
    /// HTML or XML.
    Markup,
    /// JSON, as one document or one document per line.
    Json,
    /// A table or a database in a binary format.
    Data,
    /// Metadata that macOS writes next to a file.
    AppleDouble,
    /// A text that refers to a file in large-file storage.
    Pointer,
    /// Any other format.
    Other,
}

/// A recognized format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The name with its article.
    pub(crate) name: &'static str,
    pub(crate) family: Family,
}

impl Format {
    const fn new(name: &'static str, family: Family) -> Self {
        Self { name, family }
    }

    /// The remedy for this format under the name of a CSV.
    pub(crate) fn csv_remedy(self) -> &'static str {
        match self.family {
            Compressed => "decompress it and store the CSV that it contains",
            Spreadsheet => "export the sheet as CSV (comma-separated, UTF-8)",
            Image => "store the CSV under this name and the image as .png",
            Markup => "store the CSV itself; a download may have returned a page or an error instead",
            Json => "convert it to CSV",
            Data => "export the row as CSV",
            AppleDouble => "remove it; copy from macOS with COPYFILE_DISABLE=1",
            Pointer => "fetch the content of the pointer, for example with `git lfs pull`, and upload it",
            Other => "store the CSV under this name, or remove the file",
        }
    }

    /// The remedy for this format under the name of a PNG.
    pub(crate) fn png_remedy(self) -> &'static str {
        match self.family {
            Image => "convert it to PNG; another name does not change the format",
            Compressed => "decompress it and store the PNG that it contains",
            Markup => "store the PNG itself; a download may have returned a page or an error instead",
            AppleDouble => "remove it; copy from macOS with COPYFILE_DISABLE=1",
            Pointer => "fetch the content of the pointer, for example with `git lfs pull`, and upload it",
            Spreadsheet | Json | Data | Other => "store a PNG under this name, or remove the file",
        }
    }
}

/// Formats that begin with fixed bytes. Signatures of fewer than four bytes contain a byte with which no text begins.
const SIGNATURES: &[(&[u8], Format)] = &[
    (b"\x1f\x8b", Format::new("a gzip file", Compressed)),
    (b"\x1f\x9d", Format::new("a compress (.Z) file", Compressed)),
    (b"BZh1", Format::new("a bzip2 file", Compressed)),
    (b"BZh2", Format::new("a bzip2 file", Compressed)),
    (b"BZh3", Format::new("a bzip2 file", Compressed)),
    (b"BZh4", Format::new("a bzip2 file", Compressed)),
    (b"BZh5", Format::new("a bzip2 file", Compressed)),
    (b"BZh6", Format::new("a bzip2 file", Compressed)),
    (b"BZh7", Format::new("a bzip2 file", Compressed)),
    (b"BZh8", Format::new("a bzip2 file", Compressed)),
    (b"BZh9", Format::new("a bzip2 file", Compressed)),
    (b"\xfd7zXZ\0", Format::new("an xz file", Compressed)),
    (b"\x28\xb5\x2f\xfd", Format::new("a Zstandard file", Compressed)),
    (b"\x04\x22\x4d\x18", Format::new("an LZ4 file", Compressed)),
    (b"\xff\x06\0\0sNaPpY", Format::new("a Snappy file", Compressed)),
    (b"LZIP", Format::new("an lzip file", Compressed)),
    (b"7z\xbc\xaf\x27\x1c", Format::new("a 7z archive", Compressed)),
    (b"Rar!\x1a\x07", Format::new("a RAR archive", Compressed)),
    (b"MSCF\0\0\0\0", Format::new("a Windows cabinet", Compressed)),
    (b"PK\x05\x06", Format::new("an empty zip archive", Compressed)),
    (b"PK\x06\x06", Format::new("an empty zip archive (ZIP64)", Compressed)),
    (b"PK\x07\x08", Format::new("a part of a split zip archive", Compressed)),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        Format::new("an OLE file, as .xls workbooks are", Spreadsheet),
    ),
    (b"\x09\x08\x10\0", Format::new("an Excel workbook (.xls)", Spreadsheet)),
    (b"%PDF-", Format::new("a PDF", Other)),
    (b"%!PS", Format::new("a PostScript file", Other)),
    (b"{\\rtf", Format::new("an RTF document", Other)),
    (b"\x89PNG\r\n\x1a\n", Format::new("a PNG image", Image)),
    (b"\x8aMNG\r\n\x1a\n", Format::new("an MNG animation", Image)),
    (b"\x8bJNG\r\n\x1a\n", Format::new("a JNG image", Image)),
    (b"\xff\xd8\xff", Format::new("a JPEG image", Image)),
    (b"GIF87a", Format::new("a GIF image", Image)),
    (b"GIF89a", Format::new("a GIF image", Image)),
    (b"II*\0", Format::new("a TIFF image", Image)),
    (b"MM\0*", Format::new("a TIFF image", Image)),
    (b"\0\0\x01\0", Format::new("a Windows icon", Image)),
    (b"8BPS", Format::new("a Photoshop image", Image)),
    (b"\xff\x0a", Format::new("a JPEG XL image", Image)),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format::new("a JPEG XL image", Image)),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Format::new("a JPEG 2000 image", Image)),
    (b"\xff\x4f\xff\x51", Format::new("a JPEG 2000 image", Image)),
    (b"qoif", Format::new("a QOI image", Image)),
    (b"gimp xcf ", Format::new("a GIMP image", Image)),
    (b"\x76\x2f\x31\x01", Format::new("an OpenEXR image", Image)),
    (b"SQLite format 3\0", Format::new("a SQLite database", Data)),
    (b"PAR1", Format::new("a Parquet file", Data)),
    (b"ARROW1\0\0", Format::new("an Arrow IPC file", Data)),
    (b"FEA1", Format::new("a Feather file", Data)),
    (b"ORC\x0a", Format::new("an ORC file", Data)),
    (b"Obj\x01", Format::new("an Avro file", Data)),
    (b"\x89HDF\r\n\x1a\n", Format::new("an HDF5 file", Data)),
    (b"\x93NUMPY", Format::new("a NumPy array", Data)),
    (b"RDX2\n", Format::new("an R data file", Data)),
    (b"RDX3\n", Format::new("an R data file", Data)),
    (b"$FL2", Format::new("an SPSS file", Data)),
    (b"<stata_dta>", Format::new("a Stata file", Data)),
    (b"\0\x01\0\0Standard ", Format::new("an Access database", Data)),
    (b"PGDMP", Format::new("a PostgreSQL dump", Data)),
    (b"\0\x05\x16\x07", Format::new("an AppleDouble file (macOS metadata)", AppleDouble)),
    (b"\0\x05\x16\0", Format::new("an AppleSingle file (macOS metadata)", AppleDouble)),
    (b"\0\0\0\x01Bud1", Format::new("a .DS_Store file (macOS metadata)", AppleDouble)),
    (b"bplist00", Format::new("a binary property list", Other)),
    (b"\x7fELF", Format::new("an ELF executable", Other)),
    (b"\xca\xfe\xba\xbe", Format::new("a Java class or Mach-O file", Other)),
    (b"\xcf\xfa\xed\xfe", Format::new("a Mach-O executable", Other)),
    (b"\x4c\0\0\0\x01\x14\x02\0", Format::new("a Windows shortcut", Other)),
    (b"\0asm", Format::new("a WebAssembly module", Other)),
    (b"ID3\x03", Format::new("an MP3 file", Other)),
    (b"ID3\x04", Format::new("an MP3 file", Other)),
    (b"OggS", Format::new("an Ogg file", Other)),
    (b"fLaC", Format::new("a FLAC file", Other)),
    (b"\x1a\x45\xdf\xa3", Format::new("a Matroska or WebM video", Other)),
    (b"Salted__", Format::new("an OpenSSL-encrypted file", Other)),
    (b"age-encryption.org/v1", Format::new("an age-encrypted file", Other)),
    (b"-----BEGIN ", Format::new("a PEM file", Other)),
    (b"BEGIN:VCARD", Format::new("a vCard", Other)),
    (b"BEGIN:VCALENDAR", Format::new("an iCalendar file", Other)),
    (b"<<<<<<< ", Format::new("a file with unresolved merge conflicts", Other)),
    (b"version https://git-lfs.github.com/", Format::new("a Git LFS pointer", Pointer)),
    (b"version https://hawser.github.com/", Format::new("a Git LFS pointer", Pointer)),
    (b"/annex/objects/", Format::new("a git-annex pointer", Pointer)),
];

/// Brands of the ISO base media format, which begins with the length of its first box.
const BRANDS: &[(&[u8], Format)] = &[
    (b"heic", Format::new("a HEIC image", Image)),
    (b"heix", Format::new("a HEIC image", Image)),
    (b"hevc", Format::new("a HEIC image", Image)),
    (b"mif1", Format::new("a HEIF image", Image)),
    (b"msf1", Format::new("a HEIF image", Image)),
    (b"avif", Format::new("an AVIF image", Image)),
    (b"avis", Format::new("an AVIF image", Image)),
];

/// Names within a zip archive that identify its format, in the order of the search.
const ZIP_CONTENTS: &[(&[u8], Format)] = &[
    (b"xl/", Format::new("an Excel workbook (.xlsx)", Spreadsheet)),
    (
        b"opendocument.spreadsheet",
        Format::new("an OpenDocument spreadsheet (.ods)", Spreadsheet),
    ),
    (b"Index/", Format::new("a Numbers spreadsheet", Spreadsheet)),
    (b"word/", Format::new("a Word document (.docx)", Other)),
    (b"opendocument.text", Format::new("an OpenDocument text (.odt)", Other)),
];

/// Bytes of a zip archive that are searched for names: its first entries.
const ZIP_SEARCHED: usize = 16 * 1024;

/// The format of bytes that are not a CSV; none if it is not recognized. A PNG is recognized, too.
pub(crate) fn recognize(bytes: &[u8]) -> Option<Format> {
    let begins = |(signature, _): &&(&[u8], Format)| bytes.starts_with(signature);
    if let Some((_, format)) = SIGNATURES.iter().find(begins) {
        return Some(*format);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(zip(bytes));
    }
    container(bytes).or_else(|| text(bytes))
}

fn zip(bytes: &[u8]) -> Format {
    let searched = &bytes[..bytes.len().min(ZIP_SEARCHED)];
    let has = |name: &[u8]| searched.windows(name.len()).any(|window| window == name);
    let known = ZIP_CONTENTS.iter().find(|(name, _)| has(name));
    known.map_or(Format::new("a zip archive", Compressed), |(_, format)| *format)
}

/// Formats whose signature is not at the start.
fn container(bytes: &[u8]) -> Option<Format> {
    let at = |offset: usize, signature: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(signature));
    if at(4, b"ftyp") {
        let brand = BRANDS.iter().find(|(brand, _)| at(8, brand));
        return Some(brand.map_or(Format::new("an MP4 or QuickTime video", Other), |(_, format)| *format));
    }
    if at(0, b"RIFF") && at(8, b"WEBP") {
        return Some(Format::new("a WebP image", Image));
    }
    if at(0, b"RIFF") && bytes.len() >= 12 {
        return Some(Format::new("a RIFF file, as WAV and AVI are", Other));
    }
    if at(257, b"ustar") {
        return Some(Format::new("a tar archive", Compressed));
    }
    // A continuation marker, then the length of the schema, which has under 16 MiB and is a multiple of 8.
    if at(0, &[0xff; 4]) && at(7, &[0]) && bytes.get(4).is_some_and(|low| *low % 8 == 0) {
        return Some(Format::new("an Arrow IPC stream", Data));
    }
    if at(8, b"DUCK") {
        return Some(Format::new("a DuckDB database", Data));
    }
    // Two letters alone begin texts too: the reserved fields of the header are zero.
    if at(0, b"BM") && at(6, &[0; 4]) {
        return Some(Format::new("a BMP image", Image));
    }
    if at(0, b"MZ") && bytes.iter().take(64).filter(|byte| **byte == 0).count() > 8 {
        return Some(Format::new("a Windows executable", Other));
    }
    None
}

/// Formats of text, after a byte order mark and white space.
fn text(bytes: &[u8]) -> Option<Format> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let (first, rest) = text.split_first()?;
    let next = rest.trim_ascii_start().first();
    match first {
        b'<' => markup(text),
        b'{' if matches!(next, Some(b'"' | b'}')) => Some(Format::new("JSON", Json)),
        b'[' if matches!(next, Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9')) => Some(Format::new("JSON", Json)),
        _ => None,
    }
}

fn markup(text: &[u8]) -> Option<Format> {
    let head = &text[..text.len().min(1024)];
    let has = |word: &[u8]| head.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    if !matches!(text.get(1), Some(b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z')) || !head.contains(&b'>') && text.len() < 1024 {
        return None;
    }
    if has(b"<svg") {
        return Some(Format::new("an SVG image", Image));
    }
    if has(b"<!doctype html") || has(b"<html") || has(b"<head") || has(b"<body") || has(b"<title") {
        return Some(Format::new("an HTML page", Markup));
    }
    if has(b"<Error>") && has(b"<Code>") {
        return Some(Format::new("an error response of an object store (XML)", Markup));
    }
    if has(b"urn:schemas-microsoft-com:office:spreadsheet") {
        return Some(Format::new("an Excel 2003 workbook (XML)", Spreadsheet));
    }
    match text.get(1) {
        Some(b'!') if has(b"<!--") => Some(Format::new("an HTML or XML document", Markup)),
        _ => Some(Format::new("an XML document", Markup)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::csv(b"first_name,last_name,birthts\nA,B,1\n")]
    #[case::no_bytes(b"")]
    #[case::less_than(b"<,>,x\n")]
    #[case::name_that_begins_with_bm(b"BMI,first_name,last_name,birthts\n")]
    #[case::name_that_begins_with_mz(b"MZ,first_name,last_name,birthts\n")]
    #[case::bracket(b"[id],first_name,last_name,birthts\n")]
    #[case::brace(b"{id},first_name,last_name,birthts\n")]
    #[case::utf_16(b"\xff\xfef\0i\0r\0s\0t\0")]
    #[case::version(b"version,first_name,last_name,birthts\n")]
    fn text_that_may_be_a_csv_is_not_recognized(#[case] bytes: &[u8]) {
        assert_eq!(recognize(bytes), None);
    }

    #[test]
    fn short_signatures_are_not_text() {
        for (signature, format) in SIGNATURES {
            assert!(signature.len() >= 4 || std::str::from_utf8(signature).is_err(), "{format:?}");
        }
    }
}
