//! Other encodings than UTF-8.

use rstest::rstest;

use super::check_rejected;
use crate::reject::RejectCode;

#[rstest]
#[case::latin_1(
    b"first_name,last_name,birthts\nJos\xe9,Lee,612302400000\n",
    32,
    "the byte 0xE9 is not UTF-8; in ISO 8859-1 it is \"é\""
)]
#[case::windows_1252(b"first_name,last_name,birthts\nJos\x92,Lee,612302400000\n", 32, "the byte 0x92 is not UTF-8")]
#[case::cut_within_a_character(b"first_name,last_name,birthts\nJos\xc3", 32, "ends within a character")]
#[case::surrogate(b"first_name,last_name,birthts\n\xed\xa0\x80,Lee,1\n", 29, "the byte 0xED is not UTF-8")]
#[case::overlong(b"first_name,last_name,birthts\n\xc0\xaf,Lee,1\n", 29, "the byte 0xC0 is not UTF-8")]
#[case::utf_16_little_endian(b"\xff\xfef\0i\0r\0s\0t\0", 0, "UTF-16 (little-endian, with a byte order mark)")]
#[case::utf_16_big_endian(b"\xfe\xff\0f\0i\0r\0s\0t", 0, "UTF-16 (big-endian, with a byte order mark)")]
#[case::utf_16_without_mark(b"f\0i\0r\0s\0t\0", 0, "UTF-16 (little-endian)")]
#[case::utf_16_big_endian_without_mark(b"\0f\0i\0r\0s\0t", 0, "UTF-16 (big-endian)")]
#[case::utf_32_little_endian(b"\xff\xfe\0\0f\0\0\0", 0, "UTF-32 (little-endian, with a byte order mark)")]
#[case::utf_32_big_endian(b"\0\0\xfe\xff\0\0\0f", 0, "UTF-32 (big-endian, with a byte order mark)")]
#[case::utf_32_without_mark(b"f\0\0\0i\0\0\0r\0\0\0s\0\0\0", 0, "UTF-32 (little-endian)")]
fn other_encoding_is_rejected_with_its_byte_offset(#[case] source: &[u8], #[case] byte_offset: u64, #[case] cause: &str) {
    let reject = check_rejected(source, RejectCode::Encoding);
    assert_eq!(reject.position.map(|position| position.byte_offset), Some(byte_offset));
    assert!(reject.reason.found.contains(cause), "{reject:?}");
    assert_eq!(&*reject.reason.remedy, "store it as UTF-8; in Excel, save as \"CSV UTF-8\"");
}
