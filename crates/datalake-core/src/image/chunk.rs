//! The chunks of a PNG.

use crate::text::grouped;

/// One chunk whose checksum is correct.
pub(super) struct Chunk<'a> {
    pub(super) kind: &'a [u8; 4],
    pub(super) content: &'a [u8],
    /// Length, type, content and checksum.
    pub(super) whole: &'a [u8],
    pub(super) rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Splits the next chunk from the bytes, or returns what is damaged. A chunk is its length, type, content, and the CRC-32 of type and
    /// content; numbers are big-endian.
    pub(super) fn split_from(bytes: &'a [u8]) -> Result<Self, String> {
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
        let truncated = || {
            format!(
                "the file ends within the chunk {}, which declares {} bytes",
                name(*kind),
                grouped(declared.into())
            )
        };
        let length = usize::try_from(declared)
            .ok()
            .and_then(|length| length.checked_add(4))
            .ok_or_else(truncated)?;
        let checked = typed.get(..length).ok_or_else(truncated)?;
        let (checksum, rest) = typed[length..].split_first_chunk::<4>().ok_or_else(truncated)?;
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

/// The type of a chunk as printable text.
pub(super) fn name(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}
