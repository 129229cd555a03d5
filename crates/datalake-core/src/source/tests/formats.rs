//! Files of other formats.

use rstest::rstest;

use super::check_message;
use crate::reject::RejectCode;

#[rstest]
#[case::gzip(b"\x1f\x8b\x08\0\0\0\0\0", "gzip")]
#[case::zip(b"PK\x03\x04\x14\0\0\0\x08\0", "zip archive")]
#[case::empty_zip(b"PK\x05\x06\0\0\0\0", "zip archive")]
#[case::empty_zip_64(b"PK\x06\x06\x2c\0\0\0", "zip archive")]
#[case::xlsx(b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0xl/workbook.xml", ".xlsx")]
#[case::ods(b"PK\x03\x04\x14\0\0\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet", ".ods")]
#[case::docx(b"PK\x03\x04\x14\0\0\0\0\0word/document.xml", "Word")]
#[case::xls(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", ".xls")]
#[case::pdf(b"%PDF-1.7\n", "a PDF")]
#[case::rtf(b"{\\rtf1\\ansi", "RTF")]
#[case::png(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image")]
#[case::jpeg(b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image")]
#[case::gif(b"GIF89a\x01\0", "a GIF image")]
#[case::webp(b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image")]
#[case::tiff(b"II*\0\x08\0\0\0", "a TIFF image")]
#[case::bmp(b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", "a BMP image")]
#[case::heic(b"\0\0\0\x18ftypheic", "a HEIC image")]
#[case::avif(b"\0\0\0\x20ftypavif", "an AVIF image")]
#[case::apple_double(b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "AppleDouble")]
#[case::ds_store(b"\0\0\0\x01Bud1", ".DS_Store")]
#[case::html(b"<!DOCTYPE html>\n<html><head>", "an HTML page")]
#[case::html_after_white_space(b"\xef\xbb\xbf\n  <html lang=\"en\">", "an HTML page")]
#[case::html_in_upper_case(b"<HTML><BODY>", "an HTML page")]
#[case::xml(b"<?xml version=\"1.0\"?><users/>", "XML")]
#[case::error_of_a_store(
    b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
    "error response of an object store"
)]
#[case::svg(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "an SVG image")]
#[case::json(b"{\"first_name\":\"Susan\"}", "JSON")]
#[case::json_in_lines(b"{\"first_name\":\"Susan\"}\n{\"first_name\":\"Susan\"}\n", "JSON")]
#[case::json_list(b"[\n  {\"first_name\":\"Susan\"}]", "JSON")]
#[case::git_lfs(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer")]
#[case::git_annex(b"/annex/objects/SHA256E-s1--00.csv\n", "git-annex")]
#[case::sqlite(b"SQLite format 3\0", "SQLite")]
#[case::parquet(b"PAR1\x15\x04", "Parquet")]
#[case::arrow(b"ARROW1\0\0\xff\xff\xff\xff", "Arrow")]
#[case::arrow_stream(b"\xff\xff\xff\xff\x78\x01\0\0\x10\0\0\0", "Arrow")]
#[case::avro(b"Obj\x01\x04\x16", "Avro")]
#[case::orc(b"ORC\x0a\x0b", "ORC")]
#[case::duckdb(b"\x01\x02\x03\x04\x05\x06\x07\x08DUCK\x40\0", "DuckDB")]
#[case::zstandard(b"\x28\xb5\x2f\xfd\x04", "Zstandard")]
#[case::bzip2(b"BZh91AY&SY", "bzip2")]
#[case::xz(b"\xfd7zXZ\0\0\x04", "xz")]
#[case::seven_zip(b"7z\xbc\xaf\x27\x1c\0\x04", "7z")]
#[case::rar(b"Rar!\x1a\x07\x01\0", "RAR")]
#[case::executable(b"\x7fELF\x02\x01", "ELF")]
#[case::merge_conflict(b"<<<<<<< HEAD\nfirst_name,last_name,birthts\n", "merge conflicts")]
#[case::private_key(b"-----BEGIN PRIVATE KEY-----\n", "PEM")]
#[case::nul_bytes(&[0; 100], "only NUL bytes")]
fn other_formats_are_recognized(#[case] source: &[u8], #[case] format: &str) {
    check_message(source, RejectCode::NotCsv, None, &[format]);
}

#[test]
fn tar_archive_is_recognized() {
    let mut source = vec![0; 512];
    source[..5].copy_from_slice(b"1.csv");
    source[257..262].copy_from_slice(b"ustar");
    check_message(&source, RejectCode::NotCsv, None, &["a tar archive", "decompress it"]);
}
