//! The rejects of invalid images.

use super::header::SIGNATURE;
use crate::{
    file_format,
    reject::{Reason, Reject, RejectCode, excerpt},
};

/// A PNG in the format of Apple's own tools.
pub(super) fn apple_png(at: usize) -> Reject {
    let reason = Reason::new(
        "the file is a PNG in Apple's own format (CgBI), which other decoders do not read",
        "a PNG as the specification defines it",
        "export the original image as PNG, or convert it back with `pngcrush -revert-iphone-optimizations`",
    );
    Reject::whole(RejectCode::ImageNotPng, reason).at_byte(at)
}

/// A file that does not begin with the signature of a PNG.
pub(super) fn without_signature(bytes: &[u8]) -> Reject {
    const TRANSLATED: &str = "the signature is changed as by a transfer in text mode";
    if bytes.is_empty() {
        let reason = Reason::new("the file is empty", "a PNG", "upload the image again");
        return Reject::whole(RejectCode::ImageNotPng, reason);
    }
    if SIGNATURE.starts_with(bytes) {
        return changed("the file ends within the signature", bytes.len());
    }
    let translated: [&[u8]; 5] = [b"\x89PNG", b"\x09PNG\r\n", b"\xef\xbf\xbdPNG", b"\xc2\x89PNG", b"PNG\r\n\x1a\n"];
    if translated.iter().any(|beginning| bytes.starts_with(beginning)) {
        return changed(TRANSLATED, 0);
    }
    let (found, remedy) = match file_format::recognize(bytes) {
        Some(format) => (format!("the file is {}", format.name), format.png_remedy()),
        None if bytes.iter().all(|byte| *byte == 0) => ("the file has only NUL bytes".to_owned(), "upload the image again"),
        None => (
            format!("the file begins with the bytes {}", bytes[..bytes.len().min(8)].escape_ascii()),
            "store the image as PNG",
        ),
    };
    let expected = format!("a PNG, which begins with {}", SIGNATURE.escape_ascii());
    let (excerpt, excerpt_offset) = is_text(bytes).then(|| excerpt(bytes, 0, 0)).flatten().unzip();
    Reject {
        excerpt,
        excerpt_offset,
        ..Reject::whole(RejectCode::ImageNotPng, Reason::new(found, expected, remedy)).at_byte(0)
    }
}

/// Whether the bytes begin with readable text.
fn is_text(bytes: &[u8]) -> bool {
    let beginning = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_long = beginning.len() >= bytes.len().min(64);
    is_long
        && !beginning
            .bytes()
            .take(64)
            .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}

/// An image whose bytes were lost or changed after it was written: its checksums or lengths are wrong. There is no excerpt, because compressed
/// bytes are not readable.
pub(super) fn changed(found: impl Into<Box<str>>, at: usize) -> Reject {
    image_damaged(
        found,
        "upload the image again; if the file is damaged before the upload too, export it again",
        at,
    )
}

/// An image that was damaged when it was written: its checksums are correct.
pub(super) fn damaged(found: impl Into<Box<str>>, at: usize) -> Reject {
    image_damaged(
        found,
        "export the image as PNG again with another program; another upload of the same file does not help",
        at,
    )
}

fn image_damaged(found: impl Into<Box<str>>, remedy: &str, at: usize) -> Reject {
    let reason = Reason::new(found, "a PNG that decodes completely", remedy);
    Reject::whole(RejectCode::ImageDamaged, reason).at_byte(at)
}
