//! The bytes of one `{user_id}.png`: whole and sound, or a reject. Pixels are never decoded.

use crate::reject::{Place, Reject, RejectCode};

/// Largest picture that is read. A passport photo at 600 dpi is under 2 MiB; four times that leaves room.
pub const IMAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most pixels that a picture may announce: a viewer that decodes 64 megapixels needs 256 MB.
pub const IMAGE_PIXELS_MAX: u64 = 64_000_000;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Checks signature, chunk order, chunk checksums and limits of a whole PNG (PNG specification, third edition, section 5).
/// What lies behind the `IEND` chunk is not looked at, as viewers do.
pub fn check(bytes: &[u8]) -> Result<(), Reject> {
    if over_limit(bytes.len()) {
        return Err(too_large_bytes());
    }
    let Some(mut rest) = bytes.strip_prefix(SIGNATURE) else {
        let cut_short = !bytes.is_empty() && SIGNATURE.starts_with(bytes);
        return Err(if cut_short {
            damaged(bytes, bytes, "the file ends within the signature")
        } else {
            not_png(bytes)
        });
    };
    let mut seen_data = false;
    let mut first = true;
    loop {
        let chunk = Chunk::split_from(rest).map_err(|reason| damaged(bytes, rest, reason))?;
        match (chunk.kind, first) {
            (b"IHDR", true) => check_header(chunk.content).map_err(|problem| problem.at(bytes, rest))?,
            (_, true) => return Err(damaged(bytes, rest, "the first chunk is not IHDR")),
            (b"IHDR", false) => return Err(damaged(bytes, rest, "there is a second IHDR chunk")),
            (b"IDAT", false) => seen_data = true,
            (b"IEND", false) if seen_data => return Ok(()),
            (b"IEND", false) => return Err(damaged(bytes, rest, "there is no IDAT chunk")),
            (_, false) => {}
        }
        first = false;
        rest = chunk.rest;
    }
}

/// The reject of a picture whose listed size is over the limit: it is never fetched.
pub fn too_large_bytes() -> Reject {
    Reject::whole(RejectCode::ImageTooLarge, "the picture is over 8 MiB; store a smaller one")
}

fn over_limit(length: usize) -> bool {
    u64::try_from(length).map_or(true, |length| length > IMAGE_BYTES_MAX)
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Length, type, content, CRC-32 of type and content; all numbers are big-endian.
    fn split_from(bytes: &'a [u8]) -> Result<Self, &'static str> {
        const CUT_SHORT: &str = "the file is cut short";
        let (length, typed) = bytes.split_first_chunk::<4>().ok_or(CUT_SHORT)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| CUT_SHORT)?;
        let checked = typed.get(..length.checked_add(4).ok_or(CUT_SHORT)?).ok_or(CUT_SHORT)?;
        let (kind, content) = checked.split_first_chunk::<4>().ok_or(CUT_SHORT)?;
        let (checksum, rest) = typed[checked.len()..].split_first_chunk::<4>().ok_or(CUT_SHORT)?;
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err("a chunk's type is not made of letters");
        }
        if crc32fast::hash(checked) != u32::from_be_bytes(*checksum) {
            return Err("a chunk's checksum is wrong");
        }
        Ok(Self { kind, content, rest })
    }
}

enum HeaderProblem {
    Damaged(&'static str),
    TooLarge,
}

impl HeaderProblem {
    fn at(self, bytes: &[u8], rest: &[u8]) -> Reject {
        match self {
            Self::Damaged(reason) => damaged(bytes, rest, reason),
            Self::TooLarge => Reject::whole(RejectCode::ImageTooLarge, "the picture has over 64 megapixels; store a smaller one"),
        }
    }
}

/// Width, height, bit depth, colour type, compression, filter, interlace.
fn check_header(content: &[u8]) -> Result<(), HeaderProblem> {
    let Ok([w0, w1, w2, w3, h0, h1, h2, h3, depth, colour, compression, filter, interlace]) = <[u8; 13]>::try_from(content) else {
        return Err(HeaderProblem::Damaged("the IHDR chunk does not have 13 bytes"));
    };
    let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
    if width == 0 || height == 0 || width > i32::MAX.unsigned_abs() || height > i32::MAX.unsigned_abs() {
        return Err(HeaderProblem::Damaged("the IHDR chunk gives no possible width and height"));
    }
    let depth_fits = match colour {
        0 => matches!(depth, 1 | 2 | 4 | 8 | 16),
        3 => matches!(depth, 1 | 2 | 4 | 8),
        2 | 4 | 6 => matches!(depth, 8 | 16),
        _ => false,
    };
    if !depth_fits || compression != 0 || filter != 0 || interlace > 1 {
        return Err(HeaderProblem::Damaged("the IHDR chunk gives a pixel format that there is not"));
    }
    if u64::from(width) * u64::from(height) > IMAGE_PIXELS_MAX {
        return Err(HeaderProblem::TooLarge);
    }
    Ok(())
}

fn not_png(bytes: &[u8]) -> Reject {
    let message = match bytes {
        [] => "the file is empty",
        [0xff, 0xd8, 0xff, ..] => "this is a JPEG under the name of a PNG; convert it",
        [b'<', ..] => "this is a text of markup under the name of a PNG, an error page perhaps; store the picture again",
        _ => "the file does not begin like a PNG; store it as a PNG",
    };
    Reject {
        place: (!bytes.is_empty()).then_some(at(0)),
        ..Reject::whole(RejectCode::ImageNotPng, message)
    }
}

/// `rest` is the end of `bytes` from the faulty chunk on. An excerpt of a picture would tell nobody anything, so there is none.
fn damaged(bytes: &[u8], rest: &[u8], reason: &str) -> Reject {
    let message = format!("{reason}; upload the picture again");
    Reject {
        place: Some(at(bytes.len() - rest.len())),
        ..Reject::whole(RejectCode::ImageDamaged, message)
    }
}

fn at(offset: usize) -> Place {
    Place {
        line: None,
        column: None,
        byte_offset: u64::try_from(offset).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
        let checked = [kind.as_slice(), content].concat();
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [length.as_slice(), &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
    }

    fn header(width: u32, height: u32, format: [u8; 5]) -> Vec<u8> {
        chunk(*b"IHDR", &[width.to_be_bytes().as_slice(), &height.to_be_bytes(), &format].concat())
    }

    const RGB: [u8; 5] = [8, 2, 0, 0, 0];

    fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
        [SIGNATURE.as_slice(), &chunks.concat()].concat()
    }

    fn good() -> Vec<u8> {
        png(&[
            header(64, 64, RGB),
            chunk(*b"tEXt", b"a"),
            chunk(*b"IDAT", b"xy"),
            chunk(*b"IDAT", b"z"),
            chunk(*b"IEND", b""),
        ])
    }

    #[track_caller]
    fn check_code(bytes: impl AsRef<[u8]>, expected: Option<RejectCode>) {
        let bytes = bytes.as_ref();
        assert_eq!(check(bytes).err().map(|reject| reject.code), expected, "{} bytes", bytes.len());
    }

    /// A picture of these chunks, with data and an end behind them.
    fn ending_well(chunks: &[Vec<u8>]) -> Vec<u8> {
        png(&[chunks.concat(), chunk(*b"IDAT", b"xy"), chunk(*b"IEND", b"")])
    }

    #[rstest]
    #[case::good(good())]
    #[case::trailing([good(), b"trailing".to_vec()].concat())]
    #[case::largest(ending_well(&[header(8_000, 8_000, RGB)]))]
    fn accepted(#[case] bytes: Vec<u8>) {
        check_code(bytes, None);
    }

    #[rstest]
    #[case::no_bytes(b"")]
    #[case::jpeg(b"\xff\xd8\xff\xe0JFIF")]
    #[case::html(b"<html>")]
    #[case::text(b"some text")]
    fn image_not_png(#[case] bytes: &[u8]) {
        check_code(bytes, Some(RejectCode::ImageNotPng));
    }

    #[rstest]
    #[case::no_data(png(&[header(64, 64, RGB), chunk(*b"IEND", b"")]))]
    #[case::no_header(ending_well(&[]))]
    #[case::two_headers(ending_well(&[header(64, 64, RGB), header(64, 64, RGB)]))]
    #[case::no_width(ending_well(&[header(0, 64, RGB)]))]
    #[case::impossible_depth(ending_well(&[header(64, 64, [3, 2, 0, 0, 0])]))]
    #[case::impossible_colour(ending_well(&[header(64, 64, [8, 5, 0, 0, 0])]))]
    #[case::short_header(ending_well(&[chunk(*b"IHDR", b"short")]))]
    #[case::wrong_checksum(png(&[header(64, 64, RGB), [chunk(*b"IDAT", b"xy")[..10].to_vec(), vec![0; 4]].concat()]))]
    #[case::cut_short(good()[..good().len() - 1].to_vec())]
    fn image_damaged(#[case] bytes: Vec<u8>) {
        check_code(bytes, Some(RejectCode::ImageDamaged));
    }

    #[rstest]
    #[case::pixels(ending_well(&[header(8_001, 8_000, RGB)]))]
    #[case::bytes(vec![0; usize::try_from(IMAGE_BYTES_MAX).unwrap() + 1])]
    fn image_too_large(#[case] bytes: Vec<u8>) {
        check_code(bytes, Some(RejectCode::ImageTooLarge));
    }

    #[test]
    fn every_cut_is_damage() {
        let whole = good();
        for length in 1..whole.len() {
            check_code(&whole[..length], Some(RejectCode::ImageDamaged));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let whole = good();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(check(&flipped).is_err(), "byte {at}");
        }
    }
}
