//! The bytes of a PNG: an image that decodes completely, or a reject that states what is damaged.
//!
//! Owns the check of a PNG: its chunks (`image/chunk.rs`), header, image data (`image/decoder.rs`, `image/rows.rs`) and rejects. It never keeps
//! pixels.

mod chunk;
mod decoder;
mod header;
mod rejects;
mod rows;

pub use self::header::IMAGE_PIXELS_MAX;
use self::{
    chunk::{Chunk, name},
    decoder::Decoder,
    header::{Header, SIGNATURE},
    rejects::{apple_png, changed, damaged, without_signature},
};
use crate::{
    count::count,
    reject::{Reason, Reject, RejectCode},
    text::grouped,
};

/// Maximum size of an image that is read, in bytes. A passport photo at 600 dpi is under 2 MiB; four times that is enough.
pub const IMAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A valid image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Bytes up to the end of the `IEND` chunk. What follows is not part of the image.
    pub length: usize,
}

/// Decodes a whole PNG (PNG specification, third edition) without keeping its pixels: signature, order and checksums of all chunks, the palette,
/// and every row of the image data. The frames of an animation after the first image are checked like other ancillary chunks: by their checksums.
pub fn check(bytes: &[u8]) -> Result<Image, Reject> {
    if let Some(reject) = too_large_bytes(count(bytes.len())) {
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
        decoder.decode(&chunk).map_err(|found| damaged(found, at(rest)))?;
        rest = chunk.rest;
        if chunk.kind == b"IEND" {
            return Ok(Image { length: at(rest) });
        }
    }
}

/// Bytes of a valid PNG up to the end of its `IEND` chunk; none if there is no such chunk.
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

/// The reject of an image whose listed size is over the limit; such an image is never read.
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

#[cfg(test)]
mod tests;
