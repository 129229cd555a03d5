//! The bytes of one `{user_id}.png`: an image that decodes completely, or a reject that states what is damaged.

use png::{DecodeOptions, DecodingError, StreamingDecoder, UnfilterRegion};

use crate::{
    format,
    reject::{Reason, Reject, RejectCode, excerpt},
    text::grouped,
};

/// Largest image that is read. A passport photo at 600 dpi is under 2 MiB; four times that is enough.
pub const IMAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most pixels that an image may have: a viewer that decodes 64 megapixels needs 256 MB.
pub const IMAGE_PIXELS_MAX: u64 = 64_000_000;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// A valid image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Bytes up to the end of the `IEND` chunk. What follows is not part of the image.
    pub length: usize,
}

/// Decodes a whole PNG (PNG specification, third edition) without keeping its pixels: signature, order and checksums of all chunks, the palette,
/// and every row of the image data. The frames of an animation after the first image are checked like other ancillary chunks: by their checksums.
pub fn check(bytes: &[u8]) -> Result<Image, Reject> {
    if let Some(reject) = too_large_bytes(u64::try_from(bytes.len()).unwrap_or(u64::MAX)) {
        return Err(reject);
    }
    let Some(mut rest) = bytes.strip_prefix(SIGNATURE) else {
        return Err(without_signature(bytes));
    };
    let at = |rest: &[u8]| bytes.len() - rest.len();
    let mut decoder: Option<Decoder> = None;
    loop {
        let chunk = Chunk::split_from(rest).map_err(|found| changed(found, at(rest)))?;
        let decoder = match (&mut decoder, chunk.kind) {
            (None, b"CgBI") => return Err(apple_png(at(rest))),
            (None, b"IHDR") => {
                let header = Header::read(chunk.content, at(rest))?;
                let first = decoder.insert(Decoder::new(header));
                first.feed(SIGNATURE).map_err(|found| damaged(found, 0))?;
                first
            }
            (None, kind) => return Err(damaged(format!("the first chunk is {}, not IHDR", name(*kind)), at(rest))),
            (Some(decoder), _) => decoder,
        };
        decoder.take(&chunk).map_err(|found| damaged(found, at(rest)))?;
        rest = chunk.rest;
        if chunk.kind == b"IEND" {
            return Ok(Image { length: at(rest) });
        }
    }
}

/// Bytes of a valid PNG up to the end of its `IEND` chunk; none where there is no such chunk.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    loop {
        let chunk = Chunk::split_from(rest).ok()?;
        rest = chunk.rest;
        if chunk.kind == b"IEND" {
            return Some(bytes.len() - rest.len());
        }
    }
}

/// The reject of an image whose listed size is over the limit, which is never fetched.
pub fn too_large_bytes(size: u64) -> Option<Reject> {
    let reason = || {
        Reason::new(
            format!("the image has {} bytes", grouped(size)),
            format!("at most {} bytes (8 MiB)", grouped(IMAGE_BYTES_MAX)),
            "store a smaller image",
        )
    };
    (size > IMAGE_BYTES_MAX).then(|| Reject::whole(RejectCode::ImageTooLarge, reason()))
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    content: &'a [u8],
    /// Length, type, content and checksum.
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Length, type, content, CRC-32 of type and content; all numbers are big-endian.
    fn split_from(bytes: &'a [u8]) -> Result<Self, String> {
        let Some((length, typed)) = bytes.split_first_chunk::<4>() else {
            return Err("the file ends before the IEND chunk".to_owned());
        };
        let Some((kind, _)) = typed.split_first_chunk::<4>() else {
            return Err("the file ends before the IEND chunk".to_owned());
        };
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(format!("the type of a chunk is {}, which is not four letters", name(*kind)));
        }
        let declared = u32::from_be_bytes(*length);
        let cut_off = || {
            format!(
                "the file ends within the chunk {}, which declares {} bytes",
                name(*kind),
                grouped(declared.into())
            )
        };
        let length = usize::try_from(declared)
            .ok()
            .and_then(|length| length.checked_add(4))
            .ok_or_else(cut_off)?;
        let checked = typed.get(..length).ok_or_else(cut_off)?;
        let (checksum, rest) = typed[length..].split_first_chunk::<4>().ok_or_else(cut_off)?;
        let (declared, computed) = (u32::from_be_bytes(*checksum), crc32fast::hash(checked));
        if declared != computed {
            return Err(format!(
                "the checksum of the chunk {} is {declared:08x}, and that of its bytes {computed:08x}",
                name(*kind)
            ));
        }
        Ok(Self {
            kind,
            content: &checked[4..],
            whole: &bytes[..bytes.len() - rest.len()],
            rest,
        })
    }
}

/// The type of a chunk as text.
fn name(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}

#[derive(Clone, Copy, Debug)]
struct Header {
    width: u32,
    height: u32,
    depth: u8,
    colour: u8,
    is_interlaced: bool,
}

const PALETTE: u8 = 3;

impl Header {
    /// Width, height, bit depth, colour type, compression, filter, interlace.
    fn read(content: &[u8], at: usize) -> Result<Self, Reject> {
        let Ok([w0, w1, w2, w3, h0, h1, h2, h3, depth, colour, compression, filter, interlace]) = <[u8; 13]>::try_from(content) else {
            return Err(damaged(format!("the chunk IHDR has {} bytes, not 13", content.len()), at));
        };
        let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
        let sides = format!("{} × {}", grouped(width.into()), grouped(height.into()));
        if width == 0 || height == 0 || width > i32::MAX.unsigned_abs() || height > i32::MAX.unsigned_abs() {
            return Err(damaged(format!("the chunk IHDR declares {sides} pixels"), at));
        }
        let depth_fits = match colour {
            0 => matches!(depth, 1 | 2 | 4 | 8 | 16),
            PALETTE => matches!(depth, 1 | 2 | 4 | 8),
            2 | 4 | 6 => matches!(depth, 8 | 16),
            _ => false,
        };
        if !depth_fits || compression != 0 || filter != 0 || interlace > 1 {
            let found = format!(
                "the chunk IHDR declares a format that does not exist: bit depth {depth}, colour type {colour}, compression {compression}, \
                 filter {filter}, interlace {interlace}"
            );
            return Err(damaged(found, at));
        }
        if u64::from(width) * u64::from(height) > IMAGE_PIXELS_MAX {
            let reason = Reason::new(
                format!("the image has {sides} pixels"),
                format!("at most {} pixels", grouped(IMAGE_PIXELS_MAX)),
                "store a smaller image",
            );
            return Err(Reject::whole(RejectCode::ImageTooLarge, reason).at_byte(at));
        }
        Ok(Self {
            width,
            height,
            depth,
            colour,
            is_interlaced: interlace == 1,
        })
    }

    fn bits_per_pixel(self) -> u64 {
        let samples = match self.colour {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        };
        samples * u64::from(self.depth)
    }
}

/// Bytes of decompressed image data in memory: the window that the compression refers back to, and as much again.
const BUFFER_BYTES: usize = 128 * 1024;

/// Decodes one image, chunk by chunk.
struct Decoder {
    header: Header,
    png: StreamingDecoder,
    buffer: Vec<u8>,
    region: UnfilterRegion,
    rows: Rows,
    stage: Stage,
    has_palette: bool,
}

/// How far the chunks have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    BeforeData,
    Data,
    AfterData,
}

impl Decoder {
    fn new(header: Header) -> Self {
        let mut options = DecodeOptions::default();
        // The checksums of chunks have been compared before; that of the image data is not.
        options.set_ignore_crc(true);
        options.set_ignore_adler32(false);
        Self {
            header,
            png: StreamingDecoder::new_with_options(options),
            buffer: vec![0; BUFFER_BYTES],
            region: UnfilterRegion::default(),
            rows: Rows::new(header),
            stage: Stage::Header,
            has_palette: false,
        }
    }

    /// Takes the next chunk, whose checksum is right.
    fn take(&mut self, chunk: &Chunk<'_>) -> Result<(), String> {
        if self.stage == Stage::Data && chunk.kind != b"IDAT" {
            self.stage = Stage::AfterData;
        }
        match (chunk.kind, self.stage) {
            (b"IHDR", Stage::Header) => self.stage = Stage::BeforeData,
            (b"IHDR", _) => return Err("there is a second chunk IHDR".to_owned()),
            (b"PLTE", _) => self.take_palette(chunk.content)?,
            (b"IDAT", Stage::AfterData) => return Err("the chunks IDAT are not consecutive".to_owned()),
            (b"IDAT", _) if self.header.colour == PALETTE && !self.has_palette => {
                return Err("the image refers to a palette, and there is no chunk PLTE before the image data".to_owned());
            }
            (b"IDAT", _) => self.stage = Stage::Data,
            (b"IEND", Stage::AfterData) if !chunk.content.is_empty() => return Err("the chunk IEND is not empty".to_owned()),
            (b"IEND", Stage::AfterData) => {}
            (b"IEND", _) => return Err("there is no chunk IDAT, which contains the image data".to_owned()),
            ([first, ..], _) if first.is_ascii_uppercase() => {
                return Err(format!("the chunk {} is critical, and no PNG decoder knows it", name(*chunk.kind)));
            }
            // Ancillary chunks change no pixel.
            _ => return Ok(()),
        }
        self.feed(chunk.whole)?;
        match chunk.kind {
            b"IEND" => self.rows.finish(),
            _ => Ok(()),
        }
    }

    fn take_palette(&mut self, content: &[u8]) -> Result<(), String> {
        let entries_max = match self.header.colour {
            PALETTE => 1 << self.header.depth,
            _ => 256,
        };
        let found = match (self.stage, content.len()) {
            _ if self.has_palette => "there is a second chunk PLTE".to_owned(),
            (Stage::AfterData, _) => "the chunk PLTE follows the image data".to_owned(),
            _ if matches!(self.header.colour, 0 | 4) => "there is a chunk PLTE in an image of grey levels".to_owned(),
            (_, length) if length == 0 || length % 3 != 0 => format!("the chunk PLTE has {length} bytes, which are not colours of 3 bytes"),
            (_, length) if length / 3 > entries_max => format!("the chunk PLTE has {} colours, and at most {entries_max} fit", length / 3),
            _ => {
                self.has_palette = true;
                return Ok(());
            }
        };
        Err(found)
    }

    /// Decodes more bytes of the file. Decompressed rows are inspected and forgotten.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let inspected = self.region.filled;
            let updated = self.png.update(bytes, Some(&mut self.region.as_buf(&mut self.buffer)));
            let (consumed, _) = updated.map_err(|error| describe(&error))?;
            bytes = &bytes[consumed..];
            self.rows.take(&self.buffer[inspected..self.region.filled])?;
            // The decoder appends in small steps; there must always be space for one.
            if self.region.filled > self.buffer.len() / 2 {
                self.buffer.copy_within(self.region.available..self.region.filled, 0);
                self.region.filled -= self.region.available;
                self.region.available = 0;
            }
        }
        Ok(())
    }
}

fn describe(error: &DecodingError) -> String {
    let text = error.to_string();
    let known = [
        ("WrongChecksum", "the checksum of the image data (Adler-32) is wrong"),
        ("InsufficientInput", "the compressed image data ends early"),
        ("BadZlibHeader", "the image data does not begin with a zlib header"),
        ("Corrupt deflate stream", "the compressed image data (deflate) is invalid"),
    ];
    let found = known.iter().find(|(part, _)| text.contains(part));
    found.map_or_else(
        || format!("the decoder reports: {}", text.trim_end_matches('.')),
        |(_, found)| (*found).to_owned(),
    )
}

/// Offset and distance of the columns, then of the rows, of each pass of Adam7.
const ADAM7: [(u32, u32, u32, u32); 7] = [
    (0, 8, 0, 8),
    (4, 8, 0, 8),
    (0, 4, 4, 8),
    (2, 4, 0, 4),
    (0, 2, 2, 4),
    (1, 2, 0, 2),
    (0, 1, 1, 2),
];

/// Follows the rows of the image data: each is one byte for its filter and the packed pixels.
#[derive(Debug)]
struct Rows {
    /// Bytes of a row, without its filter, and number of rows: of the image, or of each pass of an interlaced one. The next one is last.
    passes: Vec<(u64, u32)>,
    /// Bytes of the current row that are to come.
    in_row: u64,
    missing: u64,
}

impl Rows {
    fn new(header: Header) -> Self {
        let row_bytes = |width: u32| (u64::from(width) * header.bits_per_pixel()).div_ceil(8);
        let along = |length: u32, from: u32, step: u32| length.saturating_sub(from).div_ceil(step);
        let mut passes: Vec<_> = match header.is_interlaced {
            false => vec![(row_bytes(header.width), header.height)],
            true => ADAM7
                .iter()
                .map(|(x, dx, y, dy)| (along(header.width, *x, *dx), along(header.height, *y, *dy)))
                .filter(|(width, height)| *width > 0 && *height > 0)
                .map(|(width, height)| (row_bytes(width), height))
                .collect(),
        };
        let missing = passes.iter().map(|(bytes, rows)| (bytes + 1) * u64::from(*rows)).sum();
        passes.reverse();
        Self {
            passes,
            in_row: 0,
            missing,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        let taken = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(missing) = self.missing.checked_sub(taken) else {
            return Err("there is more image data than the rows of the image need".to_owned());
        };
        self.missing = missing;
        loop {
            let in_row = usize::try_from(self.in_row).unwrap_or(usize::MAX).min(bytes.len());
            self.in_row -= u64::try_from(in_row).unwrap_or(self.in_row);
            bytes = &bytes[in_row..];
            let Some((filter, rest)) = bytes.split_first() else { return Ok(()) };
            if *filter > 4 {
                return Err(format!(
                    "a row of the image data has the filter {filter}, and the last that exists is 4"
                ));
            }
            bytes = rest;
            while self.passes.pop_if(|(_, rows)| *rows == 0).is_some() {}
            if let Some((row_bytes, rows)) = self.passes.last_mut() {
                *rows -= 1;
                self.in_row = *row_bytes;
            }
        }
    }

    fn finish(&self) -> Result<(), String> {
        match self.missing {
            0 => Ok(()),
            missing => Err(format!("the image data ends {} bytes before the last row does", grouped(missing))),
        }
    }
}

fn apple_png(at: usize) -> Reject {
    let reason = Reason::new(
        "the file is a PNG in Apple's own format (CgBI), which other decoders do not read",
        "a PNG as the specification defines it",
        "export the original image as PNG, or convert it back with `pngcrush -revert-iphone-optimizations`",
    );
    Reject::whole(RejectCode::ImageNotPng, reason).at_byte(at)
}

/// What a file is that does not begin with the signature of a PNG.
fn without_signature(bytes: &[u8]) -> Reject {
    const TRANSLATED: &str = "the signature is changed as by a transfer in text mode";
    if bytes.is_empty() {
        let reason = Reason::new("the file is empty", "a PNG", "upload the image again");
        return Reject::whole(RejectCode::ImageNotPng, reason);
    }
    if SIGNATURE.starts_with(bytes) {
        return changed("the file ends within the signature", bytes.len());
    }
    let mangled: [&[u8]; 5] = [b"\x89PNG", b"\x09PNG\r\n", b"\xef\xbf\xbdPNG", b"\xc2\x89PNG", b"PNG\r\n\x1a\n"];
    if mangled.iter().any(|beginning| bytes.starts_with(beginning)) {
        return changed(TRANSLATED, 0);
    }
    let (found, remedy) = match format::recognize(bytes) {
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

/// Whether bytes begin like a text that a reader recognizes.
fn is_text(bytes: &[u8]) -> bool {
    let beginning = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_long = beginning.len() >= bytes.len().min(64);
    is_long
        && !beginning
            .bytes()
            .take(64)
            .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}

/// An image whose bytes were lost or changed after it was written: its checksums or lengths are wrong. An excerpt of compressed bytes would help
/// no reader, so there is none.
fn changed(found: impl Into<Box<str>>, at: usize) -> Reject {
    image_damaged(
        found,
        "upload the image again; if the file is damaged before the upload too, export it again",
        at,
    )
}

/// An image that was written this way: its checksums are right.
fn damaged(found: impl Into<Box<str>>, at: usize) -> Reject {
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

#[cfg(test)]
mod tests;
