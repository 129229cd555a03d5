//! The bytes of a JPEG: an image that decodes completely, or a reject that states what is damaged.
//!
//! `zune-jpeg` decodes. This file owns what has to be known before: the kind of the JPEG, its end, and the memory of the decoder.

use std::panic::catch_unwind;

use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{
    count::count,
    image::IMAGE_PIXELS_MAX,
    reject::{Reason, Reject, RejectCode},
    text::grouped,
};

/// Maximum memory of a decoder: 64 megapixels of a baseline image with four components, or of a gray progressive one.
pub const DECODER_MIB_MAX: u16 = 192;

/// Maximum number of segments. 10 MB of metadata have about 200 of them, and progressive images have about 30 more. `zune-jpeg` takes time for each
/// scan, and for the square of the number of metadata segments.
const SEGMENTS_MAX: usize = 1_000;

/// Decodes a JPEG completely: baseline, extended sequential and progressive images with Huffman coding, 8 bits per sample, and 1, 3 or 4 components.
/// What follows the marker EOI is not checked: cameras append previews and videos there.
pub fn check(bytes: &[u8]) -> Result<(), Reject> {
    let outline = Outline::read(bytes)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(outline.width.into())
        .set_max_height(outline.height.into())
        .jpeg_set_out_colorspace(if outline.is_decoded_to_gray {
            ColorSpace::Luma
        } else {
            ColorSpace::RGB
        });
    let image = ZCursor::new(&bytes[..outline.end]);
    // Fuzzing found a panic of zune-jpeg, with sampling factors that are now rejected before. Another one must not end the run.
    let cause = match catch_unwind(|| JpegDecoder::new_with_options(image, options).decode()) {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its decoder panicked".to_owned(),
    };
    Err(damaged(format!("the image does not decode: {}", cause.trim_matches('"'))))
}

/// Bytes of memory that [`check`] needs beside the JPEG, apart from 1 MB; at most [`DECODER_MIB_MAX`]. 0 for an image that it rejects before.
pub fn memory(bytes: &[u8]) -> u64 {
    Outline::read(bytes).map_or(0, |outline| outline.memory())
}

/// What the segments of a JPEG declare.
#[derive(Debug, Default)]
struct Outline {
    width: u16,
    height: u16,
    /// Horizontal and vertical sampling factor of each component.
    sampling: Vec<(u64, u64)>,
    /// Whether the decoder computes only the luminance, which needs less memory.
    is_decoded_to_gray: bool,
    /// Whether the decoder keeps all coefficients, because pixels have data in several scans.
    is_in_several_scans: bool,
    has_scan: bool,
    /// Bytes in the segments for applications.
    metadata: u64,
    /// Bytes up to the end of the marker EOI.
    end: usize,
}

impl Outline {
    /// Reads all segments, and rejects images that `zune-jpeg` does not decode, or not in the maximum memory.
    fn read(bytes: &[u8]) -> Result<Self, Reject> {
        let mut outline = Self {
            is_decoded_to_gray: true,
            ..Self::default()
        };
        outline.read_segments(bytes).map_err(|reject| reject.at_byte(outline.end))?;
        let mib = outline.memory().div_ceil(1024 * 1024);
        if mib <= DECODER_MIB_MAX.into() {
            return Ok(outline);
        }
        let kind = if outline.is_in_several_scans {
            "progressive JPEG, or one in several scans,"
        } else {
            "JPEG"
        };
        let found = format!(
            "a {kind} of {} pixels needs {} MiB of memory to be decoded",
            outline.sides(),
            grouped(mib)
        );
        let expected = format!("at most {DECODER_MIB_MAX} MiB");
        Err(reject(
            RejectCode::ImageTooLarge,
            found,
            &expected,
            "store it as a baseline JPEG in one scan, or with fewer pixels",
        ))
    }

    fn read_segments(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        self.end = 2;
        for _ in 0..SEGMENTS_MAX {
            let rest = &bytes[self.end.min(bytes.len())..];
            let fill_bytes = rest.windows(2).take_while(|pair| *pair == [0xff, 0xff]).count();
            let (code, length) = match rest[fill_bytes..] {
                [0xff, 0xd9, ..] if !self.has_scan => return Err(damaged("the marker EOI comes before the image data")),
                [0xff, 0xd9, ..] => {
                    self.end += fill_bytes + 2;
                    return Ok(());
                }
                [0xff, code, high, low, ..] if code != 0 => (code, usize::from(u16::from_be_bytes([high, low]))),
                [0xff] | [0xff, _] | [0xff, _, _] | [] => {
                    return Err(damaged("the file ends before the marker EOI (ff d9), with which a JPEG ends"));
                }
                _ => return Err(damaged("there is no marker where a segment has to begin")),
            };
            let Some(content) = rest.get(fill_bytes + 4..fill_bytes + 2 + length) else {
                return Err(damaged("the file ends within a segment, or the length of the segment is wrong"));
            };
            self.add(code, content)?;
            self.end += fill_bytes + 2 + length;
            if code == 0xda {
                let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
                self.end = bytes[self.end..]
                    .windows(2)
                    .position(is_marker)
                    .map_or(bytes.len(), |data| self.end + data);
            }
        }
        let found = format!("the image has over {} segments", grouped(count(SEGMENTS_MAX)));
        Err(reject(
            RejectCode::ImageTooLarge,
            found,
            "fewer segments",
            "export the image again as a baseline JPEG without metadata",
        ))
    }

    fn add(&mut self, code: u8, content: &[u8]) -> Result<(), Reject> {
        match (code, content) {
            (0xc0..=0xc2, _) if !self.sampling.is_empty() => return Err(damaged("there is a second frame header")),
            (0xc0..=0xc2, [precision, h0, h1, w0, w1, _, components @ ..]) => {
                (self.width, self.height) = (u16::from_be_bytes([*w0, *w1]), u16::from_be_bytes([*h0, *h1]));
                self.is_in_several_scans = code == 0xc2;
                return self.add_components(*precision, components.as_chunks().0);
            }
            (0xc3 | 0xc5..=0xc8 | 0xcd..=0xcf, _) => return Err(unsupported("a lossless or hierarchical JPEG")),
            (0xc9..=0xcc, _) => return Err(unsupported("a JPEG with arithmetic coding")),
            (0xda, [components, ..]) => {
                self.is_in_several_scans |= usize::from(*components) != self.sampling.len();
                self.has_scan = true;
            }
            // zune-jpeg skips 5 bytes, and would find other segments than this function does.
            (0xe0, [_, _, _, _]) => return Err(damaged("the segment APP0 has 4 bytes")),
            (0xe0..=0xef, _) => {
                self.metadata += count(content.len()) + 4;
                // Adobe marks RGB and CMYK so.
                self.is_decoded_to_gray &= !(code == 0xee && content.starts_with(b"Adobe") && content.get(11) == Some(&0));
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the components of a frame header: their identifiers, sampling factors and quantization tables.
    fn add_components(&mut self, precision: u8, components: &[[u8; 3]]) -> Result<(), Reject> {
        let factors = |[_, factors, _]: &[u8; 3]| (u64::from(factors >> 4), u64::from(factors & 15));
        self.sampling = components.iter().map(factors).collect();
        let is_ycbcr = components.len() == 3 && !components.iter().map(|[id, ..]| *id).eq(*b"RGB") && self.is_decoded_to_gray;
        // zune-jpeg decodes the luminance of images with vertical subsampling twice.
        self.is_decoded_to_gray = components.len() == 1 || is_ycbcr && self.sampling_max() != (1, 2);
        // The first component must have a value for each pixel.
        let is_usual = { self.sampling.iter() }.all(|factors| matches!(factors, (1 | 2 | 4, 1..=4)))
            && self.sampling.first() == Some(&self.sampling_max());
        match (precision, components.len(), self.height) {
            (8, 1 | 3 | 4, 1..) if u64::from(self.width) * u64::from(self.height) > IMAGE_PIXELS_MAX => {
                let found = format!("the image has {} pixels", self.sides());
                Err(reject(
                    RejectCode::ImageTooLarge,
                    found,
                    &format!("at most {} pixels", grouped(IMAGE_PIXELS_MAX)),
                    "store a smaller image",
                ))
            }
            (8, 1 | 3 | 4, 1..) if is_usual => Ok(()),
            (8, 1 | 3 | 4, 1..) => Err(unsupported("a JPEG with unusual sampling factors")),
            (8, 1 | 3 | 4, 0) => Err(unsupported("a JPEG that declares its height after the image data (DNL)")),
            (8, components, _) => Err(unsupported(&format!("a JPEG with {components} components"))),
            _ => Err(unsupported(&format!("a JPEG with {precision} bits per sample"))),
        }
    }

    fn sampling_max(&self) -> (u64, u64) {
        self.sampling.iter().fold((1, 1), |max, (h, v)| (max.0.max(*h), max.1.max(*v)))
    }

    fn sides(&self) -> String {
        format!("{} × {}", grouped(self.width.into()), grouped(self.height.into()))
    }

    /// An upper bound of the memory of the decoder, in bytes: the pixels, for each component all coefficients or only a row of blocks, and the upsampled
    /// row. Metadata is copied into lists; those of the shortest color profiles need 5 times their bytes.
    fn memory(&self) -> u64 {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let (h_max, v_max) = self.sampling_max();
        let (columns, rows) = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let values = { self.sampling.iter() }.map(|(h, v)| {
            let upsampled = (h_max / h) * (v_max / v) * (16 + v);
            let coefficients = if self.is_in_several_scans { rows * 8 * v } else { 0 };
            columns * 8 * h * (18 * v + upsampled + coefficients)
        });
        let channels = if self.is_decoded_to_gray { 1 } else { 3 };
        width * height * channels + 2 * values.sum::<u64>() + 8 * self.metadata
    }
}

/// An image whose bytes were lost or changed after it was written, or that was not written completely.
fn damaged(found: impl Into<Box<str>>) -> Reject {
    let remedy = "upload the image again; if the file is damaged before the upload too, export it again";
    reject(RejectCode::ImageDamaged, found, "a JPEG that decodes completely", remedy)
}

/// A JPEG of a kind that `zune-jpeg` does not decode.
fn unsupported(kind: &str) -> Reject {
    let expected = "a baseline or progressive JPEG with 8 bits per sample and Huffman coding";
    let found = format!("the file is {kind}, which is not supported");
    reject(RejectCode::FileType, found, expected, "export the image again as a baseline JPEG")
}

fn reject(code: RejectCode, found: impl Into<Box<str>>, expected: &str, remedy: &str) -> Reject {
    Reject::whole(code, Reason::new(found, expected, remedy))
}

#[cfg(test)]
mod tests;
