//! The input rules for JPEGs. `tests/README.md` describes the files.

use rstest::rstest;

use super::*;
use crate::reject::RejectCode;

const BASELINE: &[u8] = include_bytes!("tests/baseline.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("tests/progressive.jpg");
const RESTART_MARKERS: &[u8] = include_bytes!("tests/restart_markers.jpg");
const GRAY: &[u8] = include_bytes!("tests/gray.jpg");

const VALID: [&[u8]; 11] = [
    BASELINE,
    PROGRESSIVE,
    RESTART_MARKERS,
    GRAY,
    include_bytes!("tests/optimized_444.jpg"),
    include_bytes!("tests/progressive_restart_markers.jpg"),
    include_bytes!("tests/gray_progressive.jpg"),
    include_bytes!("tests/cmyk.jpg"),
    include_bytes!("tests/cmyk_progressive.jpg"),
    include_bytes!("tests/exif_422.jpg"),
    include_bytes!("tests/rgb_1x1.jpg"),
];

#[track_caller]
fn check_valid(bytes: &[u8]) {
    assert_eq!(check(bytes).map_err(|reject| reject.reason.to_string()), Ok(()));
}

/// Checks that the image is rejected with a message that contains each of these texts.
#[track_caller]
fn check_message(bytes: &[u8], code: RejectCode, parts: &[&str]) {
    check(bytes).expect_err("must be rejected").assert_has(code, parts);
}

/// The offset of the first marker with this code.
#[track_caller]
fn find(bytes: &[u8], code: u8) -> usize {
    let found = bytes.windows(2).position(|pair| pair == [0xff, code]);
    found.expect("the file has this marker")
}

/// A file with other bytes instead of a range.
fn replaced(bytes: &[u8], at: usize, removed: usize, inserted: &[u8]) -> Vec<u8> {
    [&bytes[..at], inserted, &bytes[at + removed..]].concat()
}

/// A file whose byte at an offset from its first marker with this code is another one.
fn changed_in(bytes: &[u8], code: u8, offset: usize, value: u8) -> Vec<u8> {
    replaced(bytes, find(bytes, code) + offset, 1, &[value])
}

/// A file without its segments of a code.
fn without(bytes: &[u8], code: u8) -> Vec<u8> {
    let mut rest = bytes.to_vec();
    while let Some(at) = rest.windows(2).position(|pair| pair == [0xff, code]) {
        let length = usize::from(u16::from_be_bytes([rest[at + 2], rest[at + 3]]));
        rest.drain(at..at + 2 + length);
    }
    rest
}

fn segment(code: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, code], length.as_slice(), content].concat()
}

/// A gray image: SOI, a quantization table, and these segments.
fn file(segments: &[Vec<u8>]) -> Vec<u8> {
    [
        START.to_vec(),
        segment(0xdb, &[[0].as_slice(), &[1; 64]].concat()),
        segments.concat(),
    ]
    .concat()
}

/// A frame header of one component.
fn frame(code: u8, width: u16, height: u16) -> Vec<u8> {
    let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
    segment(code, &[[8].as_slice(), &sides, &[1, 1, 0x11, 0]].concat())
}

/// A scan header of one component.
fn scan(first: u8, last: u8, bits: u8) -> Vec<u8> {
    segment(0xda, &[1, 1, 0, first, last, bits])
}

const START: [u8; 2] = [0xff, 0xd8];
const EOI: [u8; 2] = [0xff, 0xd9];

#[test]
fn images_that_decode_completely_are_valid() {
    VALID.into_iter().for_each(check_valid);
}

#[rstest]
#[case::text(b"trailing")]
#[case::another_image(BASELINE)]
#[case::video(b"\0\0\0\x18ftypmp42")]
fn bytes_after_the_end_are_accepted(#[case] trailing: &[u8]) {
    check_valid(&[BASELINE, trailing].concat());
}

#[rstest]
#[case::fill_bytes(replaced(BASELINE, find(BASELINE, 0xda), 0, &[0xff; 40]))]
#[case::padding_before_the_end(replaced(BASELINE, BASELINE.len() - 2, 0, &[0; 16]))]
#[case::padding_before_a_restart_marker(replaced(RESTART_MARKERS, find(RESTART_MARKERS, 0xd1), 0, &[7; 10]))]
#[case::comment(replaced(BASELINE, 2, 0, &segment(0xfe, b"\xff\xd8\xff\xd9")))]
fn unusual_bytes_between_segments_are_accepted(#[case] bytes: Vec<u8>) {
    check_valid(&bytes);
}

#[test]
fn truncated_image_is_rejected() {
    for whole in VALID {
        for length in 0..whole.len() {
            check_message(&whole[..length], RejectCode::ImageDamaged, &["upload the image again"]);
        }
    }
}

#[rstest]
#[case::no_end(BASELINE[..BASELINE.len() - 2].to_vec(), "the file ends before the marker EOI (ff d9)")]
#[case::half_of_an_end(BASELINE[..BASELINE.len() - 1].to_vec(), "the file ends before the marker EOI")]
#[case::cut(BASELINE[..BASELINE.len() - 60].to_vec(), "the file ends before the marker EOI")]
#[case::cut_within_a_segment(BASELINE[..40].to_vec(), "the file ends within a segment")]
#[case::no_frame(file(&[EOI.to_vec()]), "the marker EOI comes before the image data")]
#[case::no_scan(file(&[frame(0xc0, 8, 8), EOI.to_vec()]), "the marker EOI comes before the image data")]
#[case::two_frames(file(&[frame(0xc0, 8, 8), frame(0xc0, 8, 8)]), "a second frame header")]
#[case::short_frame(decoded(&[segment(0xc0, b"\x08"), scan(0, 63, 0)]), "the image does not decode")]
#[case::length(file(&[vec![0xff, 0xe1, 0, 1]]), "the file ends within a segment")]
#[case::hidden_segment(file(&[segment(0xe0, &[0; 4])]), "the segment APP0 has 4 bytes")]
#[case::no_marker(file(&[vec![0; 30]]), "there is no marker where a segment has to begin")]
#[case::no_width(decoded(&[frame(0xc0, 0, 8), scan(0, 63, 0)]), "the image does not decode: Image width or height is set to zero")]
#[case::scan_before_the_frame(decoded(&[scan(0, 63, 0), frame(0xc0, 8, 8)]), "the image does not decode")]
#[case::quantization_missing(without(BASELINE, 0xdb), "the image does not decode: Error parsing DQT segment")]
#[case::huffman_missing(changed_in(GRAY, 0xda, 6, 0x22), "the image does not decode: Error decoding huffman values")]
#[case::no_code(decoded(&[huffman_table(0x00, 0), huffman_table(0x10, 0), frame(0xc0, 8, 8), scan(0, 63, 0), vec![0xfe; 9]]), "Bad Huffman Code")]
#[case::unknown_component(
    changed_in(GRAY, 0xda, 5, 9),
    "the image does not decode: Error parsing SOF segment. Reason:Invalid component id 9"
)]
fn damage_is_rejected_with_its_cause(#[case] bytes: Vec<u8>, #[case] cause: &str) {
    check_message(
        &bytes,
        RejectCode::ImageDamaged,
        &[cause, "expected a JPEG that decodes completely", "upload the image again"],
    );
}

/// A file of these segments that ends with EOI.
fn decoded(segments: &[Vec<u8>]) -> Vec<u8> {
    file(&[segments.concat(), EOI.to_vec()])
}

/// A segment DHT that gives the code `0` this value.
fn huffman_table(table: u8, value: u8) -> Vec<u8> {
    segment(0xc4, &[[table, 1].as_slice(), &[0; 15], &[value]].concat())
}

#[rstest]
#[case::lossless(frame(0xc3, 8, 8), "a lossless or hierarchical JPEG")]
#[case::hierarchical(frame(0xc5, 8, 8), "a lossless or hierarchical JPEG")]
#[case::arithmetic(frame(0xc9, 8, 8), "a JPEG with arithmetic coding")]
#[case::arithmetic_progressive(frame(0xca, 8, 8), "a JPEG with arithmetic coding")]
#[case::twelve_bits(segment(0xc1, &[12, 0, 8, 0, 8, 1, 1, 0x11, 0]), "a JPEG with 12 bits per sample")]
#[case::height_in_dnl(frame(0xc0, 8, 0), "its height after the image data (DNL)")]
#[case::two_components(segment(0xc0, &[8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0]), "a JPEG with 2 components")]
#[case::sampling(segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x31, 0]), "unusual sampling factors")]
#[case::subsampled_luminance(segment(0xc0, &[8, 0, 8, 0, 8, 3, 1, 0x11, 0, 2, 0x22, 0, 3, 0x11, 0]), "unusual sampling factors")]
fn other_kinds_of_jpeg_are_another_type(#[case] frame: Vec<u8>, #[case] kind: &str) {
    check_message(
        &file(&[frame, EOI.to_vec()]),
        RejectCode::FileType,
        &[
            kind,
            "expected a baseline or progressive JPEG",
            "export the image again as a baseline JPEG",
        ],
    );
}

const ALL_COMPONENTS: [u8; 10] = [3, 1, 0, 2, 0, 3, 0, 0, 0, 0];

/// An image of three components without image data, with these sampling factors of the first one, and a scan header.
fn color(code: u8, side: u16, factors: u8, scan: &[u8]) -> Vec<u8> {
    let sides = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let components = [3, 1, factors, 0, 2, 0x11, 0, 3, 0x11, 0];
    decoded(&[segment(code, &[[8].as_slice(), &sides, &components].concat()), segment(0xda, scan)])
}

/// Two bytes for each coefficient, if the decoder keeps them, and one for each pixel. The rest is for rows of blocks.
#[rstest]
#[case::baseline_420(color(0xc0, 8_000, 0x22, &ALL_COMPONENTS), 64_000_000)]
#[case::progressive_444(color(0xc2, 5_344, 0x11, &ALL_COMPONENTS), 7 * 5_344 * 5_344)]
#[case::progressive_420(color(0xc2, 7_040, 0x22, &ALL_COMPONENTS), 4 * 7_040 * 7_040)]
fn memory_is_bounded(#[case] bytes: Vec<u8>, #[case] pixels: u64) {
    let rows = memory(&bytes).checked_sub(pixels).unwrap();
    assert!(rows < 3_000_000, "{rows}");
}

#[rstest]
#[case::progressive_444(color(0xc2, 8_000, 0x11, &ALL_COMPONENTS))]
#[case::several_scans(color(0xc0, 8_000, 0x11, &[1, 1, 0, 0, 63, 0]))]
fn memory_is_limited_by_the_header(#[case] bytes: Vec<u8>) {
    check_message(
        &bytes,
        RejectCode::ImageTooLarge,
        &["8,000 × 8,000 pixels needs 429 MiB", "at most 192 MiB", "as a baseline JPEG"],
    );
    assert_eq!(memory(&bytes), 0);
}

#[test]
fn pixels_are_limited_by_the_header() {
    let bytes = |width, height| file(&[frame(0xc0, width, height), b"never decoded".to_vec()]);
    check_message(
        &bytes(8_001, 8_000),
        RejectCode::ImageTooLarge,
        &["8,001 × 8,000 pixels", "at most 64,000,000 pixels", "store a smaller image"],
    );
    check_message(&bytes(u16::MAX, u16::MAX), RejectCode::ImageTooLarge, &["65,535 × 65,535 pixels"]);
    check_message(&bytes(8_000, 8_000), RejectCode::ImageDamaged, &["no marker"]);
}

#[test]
fn segments_are_limited() {
    let segments = vec![segment(0xfe, b""); 1_000].concat();
    check_message(
        &replaced(BASELINE, 2, 0, &segments),
        RejectCode::ImageTooLarge,
        &["over 1,000 segments"],
    );
}
proptest::proptest! {
    #[test]
    fn any_bytes_get_a_result(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        proptest::prop_assert!(check(&[START.as_slice(), &bytes].concat()).is_err());
    }

    #[test]
    fn any_changed_image_gets_a_result(
        file in 0..VALID.len(),
        changes in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..6),
        length in proptest::option::of(proptest::num::usize::ANY),
    ) {
        let mut bytes = VALID[file].to_vec();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(length.map_or(bytes.len(), |length| length % bytes.len()));
        let result = check(&bytes);
        proptest::prop_assert!(memory(&bytes) <= u64::from(DECODER_MIB_MAX) * 1024 * 1024);
        proptest::prop_assert!(length.is_none() || result.is_err() || bytes.windows(2).any(|pair| pair == EOI));
    }
}
