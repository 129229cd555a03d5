//! Texts in messages, and invisible characters: which are trimmed, and how messages and excerpts show them.

use std::{borrow::Cow, fmt::Write as _};

/// Maximum length of a value in a message, in bytes after escaping.
const VALUE_BYTES_MAX: usize = 80;

/// A text with its first letter in upper case.
pub fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// Whether a character is trimmed around a value: Unicode white space, or a zero-width format character.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// Whether a character is invisible on a screen. A value that contains only invisible characters is empty. Variation selectors and tags of
/// flags are invisible but change the character before them, so they are not trimmed.
pub(crate) fn is_invisible(character: char) -> bool {
    is_blank(character)
        || character.is_control()
        || matches!(
            character,
            '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A value without white space and zero-width characters around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Whether two names differ at most in the case of their letters.
pub(crate) fn is_same_name(left: &str, right: &str) -> bool {
    match left.is_ascii() && right.is_ascii() {
        true => left.eq_ignore_ascii_case(right),
        false => left
            .chars()
            .flat_map(char::to_lowercase)
            .eq(right.chars().flat_map(char::to_lowercase)),
    }
}

/// The code point of a character, with its name if it is a common one.
pub(crate) fn code_point(character: char) -> String {
    let name = match character {
        '\0' => "NULL",
        '\t' => "TAB",
        '\n' => "LINE FEED",
        '\u{b}' => "VERTICAL TAB",
        '\u{c}' => "FORM FEED",
        '\r' => "CARRIAGE RETURN",
        '\u{1a}' => "SUBSTITUTE, Ctrl-Z",
        '\u{1b}' => "ESCAPE",
        ' ' => "SPACE",
        '\u{7f}' => "DELETE",
        '\u{85}' => "NEXT LINE",
        '\u{a0}' => "NO-BREAK SPACE",
        '\u{ad}' => "SOFT HYPHEN",
        '\u{200b}' => "ZERO WIDTH SPACE",
        '\u{200c}' => "ZERO WIDTH NON-JOINER",
        '\u{200d}' => "ZERO WIDTH JOINER",
        '\u{200e}' => "LEFT-TO-RIGHT MARK",
        '\u{200f}' => "RIGHT-TO-LEFT MARK",
        '\u{2028}' => "LINE SEPARATOR",
        '\u{2029}' => "PARAGRAPH SEPARATOR",
        '\u{202a}' => "LEFT-TO-RIGHT EMBEDDING",
        '\u{202b}' => "RIGHT-TO-LEFT EMBEDDING",
        '\u{202c}' => "POP DIRECTIONAL FORMATTING",
        '\u{202d}' => "LEFT-TO-RIGHT OVERRIDE",
        '\u{202e}' => "RIGHT-TO-LEFT OVERRIDE",
        '\u{202f}' => "NARROW NO-BREAK SPACE",
        '\u{2060}' => "WORD JOINER",
        '\u{2212}' => "MINUS SIGN",
        '\u{3000}' => "IDEOGRAPHIC SPACE",
        '\u{feff}' => "BYTE ORDER MARK",
        '\u{fffd}' => "REPLACEMENT CHARACTER",
        _ => return format!("U+{:04X}", u32::from(character)),
    };
    format!("U+{:04X} ({name})", u32::from(character))
}

/// The code points of the first three different characters, for a message.
pub(crate) fn code_points(characters: impl Iterator<Item = char>) -> String {
    let mut seen: Vec<char> = Vec::new();
    for character in characters {
        if seen.len() == 3 {
            break;
        }
        if !seen.contains(&character) {
            seen.push(character);
        }
    }
    seen.into_iter().map(code_point).collect::<Vec<_>>().join(", ")
}

/// A character for excerpts and messages; an invisible one is replaced by its code point.
pub(crate) fn escaped(character: char) -> Cow<'static, str> {
    match character {
        ' ' => " ".into(),
        _ if is_invisible(character) => format!("<U+{:04X}>", u32::from(character)).into(),
        _ => character.to_string().into(),
    }
}

/// A value in quotes for a message, truncated to [`VALUE_BYTES_MAX`].
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        let escaped = escaped(character);
        if text.len() + escaped.len() > VALUE_BYTES_MAX {
            text.push('…');
            break;
        }
        text.push_str(&escaped);
    }
    text.push('"');
    text
}

/// A text for a terminal. Invisible characters, which include those that control a terminal, are replaced by their code points.
pub fn visible(text: &str) -> Cow<'_, str> {
    match text.chars().any(|character| character != ' ' && is_invisible(character)) {
        true => text.chars().map(escaped).collect::<String>().into(),
        false => text.into(),
    }
}

/// A number with separators between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun, such as `1 row` or `2 rows`.
pub fn counted(count: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { singular } else { plural })
}

/// A byte that is not part of UTF-8 text, for excerpts.
pub(crate) fn escaped_byte(byte: u8) -> String {
    let mut text = String::new();
    write!(text, "<0x{byte:02X}>").expect("a string takes any text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_value_is_trimmed() {
        for blank in [
            " ", "\t", "\r\n", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{2028}", "\u{ad}", "\u{202e}", "\u{2060}", "\u{85}",
        ] {
            assert_eq!(trim(&format!("{blank}a b{blank}{blank}")), "a b", "{blank:?}");
        }
        // A variation selector and a tag belong to the emoji before them.
        for whole in ["❤\u{fe0f}", "🏴\u{e0067}\u{e007f}", "a\u{200d}b"] {
            assert_eq!(trim(whole), whole);
        }
    }

    #[test]
    fn invisible_characters_are_escaped() {
        assert_eq!(quoted("a\u{200b} b\0"), "\"a<U+200B> b<U+0000>\"");
        assert_eq!(
            code_points("\u{200b}a\u{200b}\u{e000}".chars()),
            "U+200B (ZERO WIDTH SPACE), U+0061, U+E000"
        );
        assert_eq!(quoted(&"x".repeat(200)).len(), VALUE_BYTES_MAX + "…\"".len());
    }

    #[test]
    fn text_for_a_terminal_has_no_control_characters() {
        assert_eq!(visible("Ana María"), "Ana María");
        assert_eq!(visible("\u{1b}[2J\u{202e}x\n"), "<U+001B>[2J<U+202E>x<U+000A>");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [0, 999, 1_000, 65_536, 1_234_567].map(grouped),
            ["0", "999", "1,000", "65,536", "1,234,567"]
        );
    }

    #[test]
    fn one_is_in_the_singular() {
        assert_eq!(
            [0, 1, 1_001].map(|count| counted(count, "entry", "entries")),
            ["0 entries", "1 entry", "1,001 entries"]
        );
    }
}
