//! The input rules for PNGs: each rule, and further cases of the same class.

use std::io::Write as _;

use png::{BitDepth, ColorType, Encoder};
use rstest::rstest;

use super::*;
use crate::cpu_time::{LONGEST, fastest};

fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let checked = [kind.as_slice(), content].concat();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [length.as_slice(), &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
}

fn header(width: u32, height: u32, format: [u8; 5]) -> Vec<u8> {
    chunk(*b"IHDR", &[width.to_be_bytes().as_slice(), &height.to_be_bytes(), &format].concat())
}

const GREY: [u8; 5] = [8, 0, 0, 0, 0];
const RGB: [u8; 5] = [8, 2, 0, 0, 0];
const INDEXED: [u8; 5] = [2, 3, 0, 0, 0];
const INTERLACED: [u8; 5] = [8, 0, 0, 0, 1];

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    [SIGNATURE.as_slice(), &chunks.concat()].concat()
}

/// Image data as one zlib stream.
fn compressed(rows: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(rows).unwrap();
    encoder.finish().unwrap()
}

fn end() -> Vec<u8> {
    chunk(*b"IEND", b"")
}

/// A PNG of 4 × 4 grey pixels with this image data.
fn with_data(data: &[u8]) -> Vec<u8> {
    file(&[header(4, 4, GREY), chunk(*b"IDAT", data), end()])
}

/// Rows of 4 grey pixels without a filter.
const ROWS: [u8; 20] = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4];

/// A valid PNG of these chunks between the header and the image data.
fn with_chunks(format: [u8; 5], chunks: &[Vec<u8>]) -> Vec<u8> {
    let row_bytes = match format {
        RGB => 12,
        INDEXED => 1,
        _ => 4,
    };
    let data = compressed(&vec![0; (row_bytes + 1) * 4]);
    file(&[header(4, 4, format), chunks.concat(), chunk(*b"IDAT", &data), end()])
}

fn valid() -> Vec<u8> {
    let data = compressed(&ROWS);
    let (first, second) = data.split_at(data.len() / 2);
    file(&[
        header(4, 4, GREY),
        chunk(*b"tEXt", b"a"),
        chunk(*b"IDAT", first),
        chunk(*b"IDAT", b""),
        chunk(*b"IDAT", second),
        chunk(*b"tIME", b"1234567"),
        end(),
    ])
}

fn bits_of(depth: BitDepth) -> u8 {
    match depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight => 8,
        BitDepth::Sixteen => 16,
    }
}

/// An image as an encoder writes it.
fn encoded(width: u32, height: u32, color: ColorType, depth: BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(vec![7; 3 << bits_of(depth)]);
    }
    let bits = usize::try_from(width).unwrap() * color.samples() * usize::from(bits_of(depth));
    let row_bytes = bits.div_ceil(8);
    let pixels = (0..row_bytes * usize::try_from(height).unwrap()).map(|at| u8::try_from(at * 7 % 251).unwrap());
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels.collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    bytes
}

#[track_caller]
fn check_valid(bytes: &[u8]) {
    check_image(bytes, bytes.len());
}

#[track_caller]
fn check_image(bytes: &[u8], length: usize) {
    assert_eq!(check(bytes).map_err(|reject| reject.reason.to_string()), Ok(Image { length }));
}

/// Checks that the image is rejected with a message that contains each of these texts.
#[track_caller]
fn check_message(bytes: &[u8], code: RejectCode, parts: &[&str]) {
    check(bytes).expect_err("must be rejected").assert_has(code, parts);
}

#[rstest]
fn every_pixel_format_is_valid(#[values(1, 3, 8, 33)] side: u32) {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    let formats: [(ColorType, &[BitDepth]); 5] = [
        (ColorType::Grayscale, &[One, Two, Four, Eight, Sixteen]),
        (ColorType::Indexed, &[One, Two, Four, Eight]),
        (ColorType::Rgb, &[Eight, Sixteen]),
        (ColorType::GrayscaleAlpha, &[Eight, Sixteen]),
        (ColorType::Rgba, &[Eight, Sixteen]),
    ];
    for (color, depths) in formats {
        for depth in depths {
            check_valid(&encoded(side, 2 * side, color, *depth));
        }
    }
}

/// Bytes of the image data of an interlaced image of grey pixels, counted pixel by pixel.
fn interlaced_rows(width: u32, height: u32) -> Vec<u8> {
    let pass = |x: u32, y: u32| match (x % 8, y % 8) {
        (0, 0) => 0,
        (4, 0) => 1,
        (0 | 4, 4) => 2,
        (2 | 6, 0 | 4) => 3,
        (0 | 2 | 4 | 6, 2 | 6) => 4,
        (1 | 3 | 5 | 7, 0 | 2 | 4 | 6) => 5,
        _ => 6,
    };
    let mut data = Vec::new();
    for number in 0..7 {
        for y in 0..height {
            let pixels = (0..width).filter(|x| pass(*x, y) == number).count();
            if pixels > 0 {
                data.push(1);
                data.resize(data.len() + pixels, 9);
            }
        }
    }
    data
}

#[rstest]
fn interlaced_images_are_valid(#[values(1, 2, 4, 5, 8, 19)] width: u32, #[values(1, 3, 5, 8, 16)] height: u32) {
    let rows = interlaced_rows(width, height);
    let of = |rows: &[u8]| file(&[header(width, height, INTERLACED), chunk(*b"IDAT", &compressed(rows)), end()]);
    check_valid(&of(&rows));
    check_message(
        &of(&rows[..rows.len() - 1]),
        RejectCode::ImageDamaged,
        &["ends 1 bytes before the last row"],
    );
    check_message(&of(&[rows, vec![0]].concat()), RejectCode::ImageDamaged, &["more image data"]);
}

#[rstest]
#[case::data_in_several_chunks(valid())]
#[case::palette(with_chunks(INDEXED, &[chunk(*b"PLTE", &[0; 12])]))]
#[case::short_palette(with_chunks(INDEXED, &[chunk(*b"PLTE", &[0; 3])]))]
#[case::suggested_palette(with_chunks(RGB, &[chunk(*b"PLTE", &[0; 768])]))]
#[case::unknown_ancillary_chunk(with_chunks(GREY, &[chunk(*b"abCd", &[0; 1000])]))]
#[case::malformed_ancillary_chunks(with_chunks(GREY, &[chunk(*b"gAMA", b"x"), chunk(*b"iCCP", b"x"), chunk(*b"zTXt", b"x"), chunk(*b"eXIf", b"")]))]
#[case::animation(file(&[
    header(4, 4, GREY),
    chunk(*b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]),
    chunk(*b"IDAT", &compressed(&ROWS)),
    chunk(*b"fdAT", &[0, 0, 0, 1, 9]),
    end(),
]))]
#[case::data_byte_by_byte(file(&[
    header(4, 4, GREY),
    compressed(&ROWS).iter().flat_map(|byte| chunk(*b"IDAT", &[*byte])).collect(),
    end(),
]))]
#[case::largest_by_pixels(file(&[header(8_000, 8_000, [1, 0, 0, 0, 0]), chunk(*b"IDAT", &compressed(&vec![0; 1_001 * 8_000])), end()]))]
fn images_that_decode_completely_are_valid(#[case] bytes: Vec<u8>) {
    check_valid(&bytes);
}

#[rstest]
#[case::text(b"trailing".to_vec())]
#[case::nul(vec![0])]
#[case::another_image(valid())]
#[case::zip(b"PK\x05\x06".to_vec())]
fn bytes_after_iend_are_not_part_of_the_image(#[case] trailing: Vec<u8>) {
    let length = valid().len();
    check_image(&[valid(), trailing].concat(), length);
}

#[rstest]
#[case::jpeg(b"\xff\xd8\xff\xe0JFIF", "a JPEG image", "convert it to PNG")]
#[case::gif(b"GIF87a", "a GIF image", "convert it to PNG")]
#[case::webp(b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image", "convert it to PNG")]
#[case::heic(b"\0\0\0\x18ftypheic", "a HEIC image", "convert it to PNG")]
#[case::avif(b"\0\0\0\x20ftypavif", "an AVIF image", "convert it to PNG")]
#[case::bmp(b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", "a BMP image", "convert it to PNG")]
#[case::tiff(b"MM\0*\0\0\0\x08", "a TIFF image", "convert it to PNG")]
#[case::icon(b"\0\0\x01\0\x01\0", "a Windows icon", "convert it to PNG")]
#[case::jpeg_xl(b"\xff\x0a\x01", "a JPEG XL image", "convert it to PNG")]
#[case::mng(b"\x8aMNG\r\n\x1a\n", "an MNG animation", "convert it to PNG")]
#[case::svg(b"<?xml version=\"1.0\"?><svg/>", "an SVG image", "convert it to PNG")]
#[case::pdf(b"%PDF-1.4", "a PDF", "store a PNG")]
#[case::html(b"<html><title>Sign in</title>", "an HTML page", "store the PNG itself")]
#[case::xml(
    b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
    "error response",
    "store the PNG itself"
)]
#[case::gzip(b"\x1f\x8b\x08", "a gzip file", "decompress it")]
#[case::apple_double(b"\0\x05\x16\x07\0\x02\0\0", "AppleDouble", "remove it")]
#[case::git_lfs(b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull")]
#[case::no_bytes(b"", "the file is empty", "upload the image again")]
#[case::nul_bytes(&[0; 64], "only NUL bytes", "upload the image again")]
#[case::csv(b"first_name,last_name,birthts\n", "begins with the bytes first_na", "store the image as PNG")]
fn other_format_is_rejected_as_image_not_png(#[case] bytes: &[u8], #[case] format: &str, #[case] remedy: &str) {
    check_message(bytes, RejectCode::ImageNotPng, &[format, "expected a PNG", remedy]);
}

#[test]
fn apple_png_is_recognized() {
    let bytes = file(&[
        chunk(*b"CgBI", &[0x50, 0, 0x20, 2]),
        header(4, 4, RGB),
        chunk(*b"IDAT", b"\0"),
        end(),
    ]);
    check_message(
        &bytes,
        RejectCode::ImageNotPng,
        &["Apple's own format (CgBI)", "pngcrush -revert-iphone-optimizations"],
    );
}

#[test]
fn text_under_the_name_of_a_png_is_excerpted() {
    let reject = check(b"<html>\n<title>Sign in</title>").expect_err("must be rejected");
    assert_eq!(reject.excerpt.as_deref(), Some("<html>"));
    assert_eq!(check(b"\xff\xd8\xff\xe0JFIF").expect_err("must be rejected").excerpt, None);
}

#[rstest]
#[case::line_feed(b"\x89PNG\n\x1a\n".to_vec())]
#[case::two_carriage_returns(b"\x89PNG\r\r\n\x1a\r\n".to_vec())]
#[case::seven_bits(b"\x09PNG\r\n\x1a\n".to_vec())]
#[case::replacement_character(b"\xef\xbf\xbdPNG\r\n\x1a\n".to_vec())]
#[case::encoded_as_utf_8(b"\xc2\x89PNG\r\n\x1a\n".to_vec())]
fn signature_changed_in_text_mode_is_rejected_as_damage(#[case] bytes: Vec<u8>) {
    check_message(
        &bytes,
        RejectCode::ImageDamaged,
        &["a transfer in text mode", "upload the image again"],
    );
}

/// The second row has this filter.
fn with_filter(filter: u8) -> Vec<u8> {
    let mut rows = ROWS;
    rows[5] = filter;
    with_data(&compressed(&rows))
}

fn with_wrong_adler() -> Vec<u8> {
    let mut data = compressed(&ROWS);
    let last = data.len() - 1;
    data[last] ^= 1;
    with_data(&data)
}

fn without_adler() -> Vec<u8> {
    let data = compressed(&ROWS);
    with_data(&data[..data.len() - 4])
}

/// The checksum of the chunk after the header has a wrong bit.
fn with_wrong_crc(kind: [u8; 4]) -> Vec<u8> {
    let mut wrong = chunk(kind, b"a");
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    with_chunks(GREY, &[wrong])
}

const EXPORT: &str = "export the image as PNG again";
const UPLOAD: &str = "upload the image again";

#[rstest]
#[case::no_data(file(&[header(4, 4, GREY), end()]), "no chunk IDAT", EXPORT)]
#[case::empty_data(with_data(b""), "the compressed image data ends early", EXPORT)]
#[case::data_is_no_zlib_stream(with_data(b"xyz"), "does not begin with a zlib header", EXPORT)]
#[case::header_of_zlib_alone(with_data(b"\x78\x9c"), "the compressed image data ends early", EXPORT)]
#[case::invalid_deflate(with_data(b"\x78\x9c\xff\xff\xff\xff\xff\xff"), "(deflate) is invalid", EXPORT)]
#[case::missing_row(with_data(&compressed(&ROWS[..15])), "ends 5 bytes before the last row", EXPORT)]
#[case::additional_row(with_data(&compressed(&[0; 25])), "more image data than the rows", EXPORT)]
#[case::bomb(with_data(&compressed(&vec![0; 1 << 24])), "more image data than the rows", EXPORT)]
#[case::filter_5(with_filter(5), "has the filter 5", EXPORT)]
#[case::filter_255(with_filter(255), "has the filter 255", EXPORT)]
#[case::wrong_adler(with_wrong_adler(), "(Adler-32) is wrong", EXPORT)]
#[case::missing_adler(without_adler(), "the compressed image data ends early", EXPORT)]
#[case::wrong_crc_of_a_critical_chunk(with_wrong_crc(*b"PLTE"), "the checksum of the chunk PLTE is", UPLOAD)]
#[case::wrong_crc_of_an_ancillary_chunk(with_wrong_crc(*b"tEXt"), "the checksum of the chunk tEXt is", UPLOAD)]
#[case::no_header(file(&[chunk(*b"IDAT", b""), end()]), "the first chunk is IDAT, not IHDR", EXPORT)]
#[case::two_headers(with_chunks(GREY, &[header(4, 4, GREY)]), "a second chunk IHDR", EXPORT)]
#[case::short_header(file(&[chunk(*b"IHDR", b"short"), end()]), "the chunk IHDR has 5 bytes", EXPORT)]
#[case::no_width(file(&[header(0, 4, GREY), end()]), "declares 0 × 4 pixels", EXPORT)]
#[case::no_height(file(&[header(4, 0, GREY), end()]), "declares 4 × 0 pixels", EXPORT)]
#[case::impossible_width(file(&[header(1 << 31, 1, GREY), end()]), "declares 2,147,483,648 × 1 pixels", EXPORT)]
#[case::impossible_depth(file(&[header(4, 4, [3, 2, 0, 0, 0]), end()]), "bit depth 3", EXPORT)]
#[case::impossible_depth_of_a_palette(file(&[header(4, 4, [16, 3, 0, 0, 0]), end()]), "bit depth 16, color type 3", EXPORT)]
#[case::impossible_color(file(&[header(4, 4, [8, 5, 0, 0, 0]), end()]), "color type 5", EXPORT)]
#[case::unknown_interlace(file(&[header(4, 4, [8, 0, 0, 0, 2]), end()]), "interlace 2", EXPORT)]
#[case::unknown_compression(file(&[header(4, 4, [8, 0, 1, 0, 0]), end()]), "compression 1", EXPORT)]
#[case::no_palette(with_chunks(INDEXED, &[]), "no chunk PLTE before the image data", EXPORT)]
#[case::empty_palette(with_chunks(INDEXED, &[chunk(*b"PLTE", b"")]), "the chunk PLTE has 0 bytes", EXPORT)]
#[case::partial_color(with_chunks(INDEXED, &[chunk(*b"PLTE", &[0; 4])]), "the chunk PLTE has 4 bytes", EXPORT)]
#[case::large_palette(with_chunks(INDEXED, &[chunk(*b"PLTE", &[0; 15])]), "has 5 colors, and at most 4 fit", EXPORT)]
#[case::two_palettes(with_chunks(INDEXED, &[chunk(*b"PLTE", &[0; 3]), chunk(*b"PLTE", &[0; 3])]), "a second chunk PLTE", EXPORT)]
#[case::palette_of_grey(with_chunks(GREY, &[chunk(*b"PLTE", &[0; 3])]), "PLTE in an image of grey levels", EXPORT)]
#[case::late_palette(
    file(&[header(4, 4, RGB), chunk(*b"IDAT", &compressed(&[0; 52])), chunk(*b"PLTE", &[0; 3]), end()]),
    "the chunk PLTE follows the image data",
    EXPORT
)]
#[case::scattered_data(
    file(&[header(4, 4, GREY), chunk(*b"IDAT", &compressed(&ROWS)), chunk(*b"tEXt", b"a"), chunk(*b"IDAT", b""), end()]),
    "the chunks IDAT are not consecutive",
    EXPORT
)]
#[case::unknown_critical_chunk(with_chunks(GREY, &[chunk(*b"ABCD", b"")]), "the chunk ABCD is critical", EXPORT)]
#[case::end_with_content(file(&[header(4, 4, GREY), chunk(*b"IDAT", &compressed(&ROWS)), chunk(*b"IEND", b"x")]), "IEND is not empty", EXPORT)]
#[case::type_of_digits(with_chunks(GREY, &[chunk(*b"1234", b"")]), "which is not four letters", UPLOAD)]
#[case::signature_alone(SIGNATURE.to_vec(), "ends before the IEND chunk", UPLOAD)]
#[case::signature_cut(SIGNATURE[..5].to_vec(), "ends within the signature", UPLOAD)]
#[case::huge_chunk([SIGNATURE.as_slice(), b"\xff\xff\xff\xffIDAT"].concat(), "declares 4,294,967,295 bytes", UPLOAD)]
#[case::without_end(valid()[..valid().len() - 12].to_vec(), "ends before the IEND chunk", UPLOAD)]
fn damage_is_rejected_with_its_cause(#[case] bytes: Vec<u8>, #[case] cause: &str, #[case] remedy: &str) {
    check_message(
        &bytes,
        RejectCode::ImageDamaged,
        &[cause, "expected a PNG that decodes completely", remedy],
    );
}

#[rstest]
#[case::pixels(file(&[header(8_001, 8_000, RGB), chunk(*b"IDAT", b"never decoded"), end()]), &["8,001 × 8,000 pixels", "at most 64,000,000 pixels"])]
#[case::most_pixels(file(&[header(i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs(), RGB), end()]), &["2,147,483,647 × 2,147,483,647"])]
#[case::bytes(vec![0; usize::try_from(IMAGE_BYTES_MAX).unwrap() + 1], &["8,388,609 bytes", "at most 8,388,608 bytes (8 MiB)"])]
fn images_over_the_limits_are_too_large(#[case] bytes: Vec<u8>, #[case] parts: &[&str]) {
    check_message(&bytes, RejectCode::ImageTooLarge, parts);
}

#[test]
fn listed_size_over_the_limit_is_rejected() {
    assert_eq!(too_large_bytes(IMAGE_BYTES_MAX), None);
    assert_eq!(
        too_large_bytes(IMAGE_BYTES_MAX + 1).map(|reject| reject.code),
        Some(RejectCode::ImageTooLarge)
    );
}

#[test]
fn damage_has_the_offset_of_its_chunk() {
    let bytes = with_wrong_crc(*b"tEXt");
    let position = check(&bytes).expect_err("must be rejected").position.unwrap();
    assert_eq!((position.line, position.column, position.byte_offset), (None, None, 33));
}

#[test]
fn truncated_image_is_rejected() {
    for whole in [valid(), encoded(9, 9, ColorType::Rgba, BitDepth::Sixteen)] {
        for length in 1..whole.len() {
            check_message(&whole[..length], RejectCode::ImageDamaged, &[UPLOAD]);
        }
    }
}

#[test]
fn flipped_bit_is_rejected() {
    let whole = valid();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            assert!(check(&flipped).is_err(), "byte {at}, bit {bit}");
        }
    }
}

/// Small files that declare the largest possible content.
#[rstest]
#[case::narrow(with_data_of(1, 8_000_000))]
#[case::wide(with_data_of(8_000_000, 1))]
#[case::chunks(with_chunks(GREY, &vec![chunk(*b"tEXt", b""); 100_000]))]
#[case::empty_data_chunks(file(&[header(4, 4, GREY), vec![chunk(*b"IDAT", b""); 100_000].concat(), end()]))]
#[case::more_data_than_declared(with_data(&compressed(&vec![0; 64_000_000])))]
fn small_image_is_checked_in_bounded_time(#[case] bytes: Vec<u8>) {
    let elapsed = fastest(|| drop(check(&bytes)));
    assert!(elapsed < LONGEST, "{elapsed:?}");
}

fn with_data_of(width: u32, height: u32) -> Vec<u8> {
    let format = [1, 0, 0, 0, 0];
    let rows = (usize::try_from(width).unwrap().div_ceil(8) + 1) * usize::try_from(height).unwrap();
    file(&[header(width, height, format), chunk(*b"IDAT", &compressed(&vec![0; rows])), end()])
}

proptest::proptest! {
    #[test]
    fn any_bytes_get_a_result(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        proptest::prop_assert!(check(&bytes).is_err());
    }

    #[test]
    fn any_chunks_get_a_result(
        format in proptest::array::uniform5(0..20_u8),
        sides in (0..20_u32, 0..20_u32),
        chunks in proptest::collection::vec((proptest::sample::select(vec![*b"IDAT", *b"PLTE", *b"IEND", *b"IHDR", *b"tRNS", *b"fcTL", *b"fdAT"]),
            proptest::collection::vec(proptest::num::u8::ANY, 0..40)), 0..5),
    ) {
        let chunks: Vec<_> = chunks.iter().map(|(kind, content)| chunk(*kind, content)).collect();
        let _ = check(&file(&[header(sides.0, sides.1, format), chunks.concat(), end()]));
    }

    /// Image data either has all rows, or the image is rejected.
    #[test]
    fn any_image_data_gets_a_result(data in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let has_all_rows = data.len() == 20 && data.chunks(5).all(|row| row[0] <= 4);
        proptest::prop_assert_eq!(check(&with_data(&compressed(&data))).is_ok(), has_all_rows);
        proptest::prop_assert!(check(&with_data(&data)).is_err());
    }
}
