//! Excerpts of rejected sources: the line around a position as short, printable text.

use std::borrow::Cow;

use super::Reject;
use crate::text;

/// The line that contains `offset`, as text of at most 80 bytes, and the offset of that position in the text.
///
/// A line that is too long is cut: the text then starts shortly before the position.
pub(crate) fn excerpt(bytes: &[u8], line_start: usize, offset: usize) -> Option<(Box<str>, u8)> {
    const BEFORE_MAX: usize = 20;
    const MAX: usize = Reject::EXCERPT_BYTES_MAX;
    let (line_start, offset) = (line_start.min(bytes.len()), offset.min(bytes.len()));
    let line_end = bytes[offset..]
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes.len(), |length| offset + length);
    // Each byte takes at least one byte of the text, so bytes further away than the limit never appear in it.
    let is_within = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    let mut start = line_start.max(offset.saturating_sub(MAX));
    while start > line_start && start < offset && is_within(&start) {
        start += 1;
    }
    let mut end = line_end.min(offset + MAX + 4);
    while end < line_end && end > offset && is_within(&end) {
        end -= 1;
    }
    let pieces = pieces(&bytes[start..end]);
    let (mut at, mut position) = (start, pieces.len());
    for (index, (_, length)) in pieces.iter().enumerate() {
        at += length;
        if offset < at {
            position = index;
            break;
        }
    }
    let length_of = |pieces: &[(Cow<'static, str>, usize)]| pieces.iter().map(|(text, _)| text.len()).sum::<usize>();
    let before_max = BEFORE_MAX.max(MAX.saturating_sub(length_of(&pieces[position..])));
    let (mut first, mut before) = (position, 0);
    while first > 0 && before + pieces[first - 1].0.len() <= before_max {
        first -= 1;
        before += pieces[first].0.len();
    }
    let mut text = String::new();
    for (piece, _) in &pieces[first..] {
        if text.len() + piece.len() > MAX {
            break;
        }
        text.push_str(piece);
    }
    let position = u8::try_from(before.min(text.len())).ok()?;
    (!text.is_empty()).then(|| (text.into(), position))
}

/// The printable text of bytes in pieces, each with the number of bytes that it represents.
fn pieces(bytes: &[u8]) -> Vec<(Cow<'static, str>, usize)> {
    let chunks = bytes.utf8_chunks().flat_map(|chunk| {
        let characters = chunk
            .valid()
            .chars()
            .map(|character| (text::escaped(character), character.len_utf8()));
        let undecodable = chunk.invalid().iter().map(|byte| (Cow::from(text::escaped_byte(*byte)), 1));
        characters.chain(undecodable)
    });
    chunks.collect()
}

#[cfg(test)]
mod tests;
