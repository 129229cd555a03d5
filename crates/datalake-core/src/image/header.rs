//! The header of a PNG.

use super::rejects::damaged;
use crate::{
    reject::{Reason, Reject, RejectCode},
    text::grouped,
};

/// The first bytes of every PNG.
pub(super) const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Maximum number of pixels of an image: a viewer that decodes 64 megapixels needs 256 MB.
pub const IMAGE_PIXELS_MAX: u64 = 64_000_000;

/// The image format that the chunk IHDR declares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) depth: u8,
    pub(super) color: u8,
    pub(super) is_interlaced: bool,
}

/// The color type of an image whose pixels are indices into a palette.
pub(super) const PALETTE: u8 = 3;

impl Header {
    /// Parses width, height, bit depth, color type, compression, filter and interlace.
    pub(super) fn read(content: &[u8], at: usize) -> Result<Self, Reject> {
        let Ok([w0, w1, w2, w3, h0, h1, h2, h3, depth, color, compression, filter, interlace]) = <[u8; 13]>::try_from(content) else {
            return Err(damaged(format!("the chunk IHDR has {} bytes, not 13", content.len()), at));
        };
        let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
        let sides = format!("{} × {}", grouped(width.into()), grouped(height.into()));
        if width == 0 || height == 0 || width > i32::MAX.unsigned_abs() || height > i32::MAX.unsigned_abs() {
            return Err(damaged(format!("the chunk IHDR declares {sides} pixels"), at));
        }
        let depth_fits = match color {
            0 => matches!(depth, 1 | 2 | 4 | 8 | 16),
            PALETTE => matches!(depth, 1 | 2 | 4 | 8),
            2 | 4 | 6 => matches!(depth, 8 | 16),
            _ => false,
        };
        if !depth_fits || compression != 0 || filter != 0 || interlace > 1 {
            let found = format!(
                "the chunk IHDR declares a format that does not exist: bit depth {depth}, color type {color}, compression {compression}, \
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
            color,
            is_interlaced: interlace == 1,
        })
    }

    pub(super) fn bits_per_pixel(self) -> u64 {
        let samples = match self.color {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        };
        samples * u64::from(self.depth)
    }
}
