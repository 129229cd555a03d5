//! Decoding of a PNG chunk by chunk, without keeping its pixels.

use png::{DecodeOptions, DecodingError, StreamingDecoder, UnfilterRegion};

use super::{
    chunk::{Chunk, name},
    header::{Header, PALETTE},
    rows::Rows,
};

/// Bytes of decompressed image data in memory: twice the window that the compression refers back to.
const BUFFER_BYTES: usize = 128 * 1024;

/// Decodes one image, chunk by chunk.
pub(super) struct Decoder {
    header: Header,
    png: StreamingDecoder,
    buffer: Vec<u8>,
    region: UnfilterRegion,
    rows: Rows,
    stage: Stage,
    has_palette: bool,
}

/// The position of the next chunk relative to the image data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    BeforeData,
    Data,
    AfterData,
}

impl Decoder {
    pub(super) fn new(header: Header) -> Self {
        let mut options = DecodeOptions::default();
        // The checksums of chunks have been compared before; that of the image data has not.
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

    /// Decodes the next chunk, whose checksum is correct.
    pub(super) fn decode(&mut self, chunk: &Chunk<'_>) -> Result<(), String> {
        if self.stage == Stage::Data && chunk.kind != b"IDAT" {
            self.stage = Stage::AfterData;
        }
        match (chunk.kind, self.stage) {
            (b"IHDR", Stage::Header) => self.stage = Stage::BeforeData,
            (b"IHDR", _) => return Err("there is a second chunk IHDR".to_owned()),
            (b"PLTE", _) => self.check_palette(chunk.content)?,
            (b"IDAT", Stage::AfterData) => return Err("the chunks IDAT are not consecutive".to_owned()),
            (b"IDAT", _) if self.header.color == PALETTE && !self.has_palette => {
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

    fn check_palette(&mut self, content: &[u8]) -> Result<(), String> {
        let entries_max = match self.header.color {
            PALETTE => 1 << self.header.depth,
            _ => 256,
        };
        let found = match (self.stage, content.len()) {
            _ if self.has_palette => "there is a second chunk PLTE".to_owned(),
            (Stage::AfterData, _) => "the chunk PLTE follows the image data".to_owned(),
            _ if matches!(self.header.color, 0 | 4) => "there is a chunk PLTE in an image of grey levels".to_owned(),
            (_, length) if length == 0 || length % 3 != 0 => format!("the chunk PLTE has {length} bytes, which are not colors of 3 bytes"),
            (_, length) if length / 3 > entries_max => format!("the chunk PLTE has {} colors, and at most {entries_max} fit", length / 3),
            _ => {
                self.has_palette = true;
                return Ok(());
            }
        };
        Err(found)
    }

    /// Decodes more bytes of the file. Decompressed rows are checked and dropped.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let inspected = self.region.filled;
            let updated = self.png.update(bytes, Some(&mut self.region.as_buf(&mut self.buffer)));
            let (consumed, _) = updated.map_err(|error| describe(&error))?;
            bytes = &bytes[consumed..];
            self.rows.count(&self.buffer[inspected..self.region.filled])?;
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
