//! An excerpt of a source. The cause of the error is marked, and invisible characters are shown by symbols or by their code points.

use datalake_core::reject::RejectCode;
use maud::{Markup, html};

/// What is marked in an excerpt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The character at the position of the error.
    Character,
    /// The whole field that starts there.
    Field,
    /// The first separator after it.
    Separator,
    /// The whole line.
    Line,
}

impl Extent {
    fn of_code(code: &str) -> Self {
        match RejectCode::parse(code) {
            Some(
                RejectCode::Type
                | RejectCode::OutOfRange
                | RejectCode::InFuture
                | RejectCode::Constraint
                | RejectCode::ValueEmpty
                | RejectCode::ValueTooLong
                | RejectCode::DuplicateColumn,
            ) => Self::Field,
            Some(RejectCode::Delimiter) => Self::Separator,
            Some(RejectCode::MissingColumn | RejectCode::NoHeader | RejectCode::FieldCount | RejectCode::MultipleRows) => Self::Line,
            _ => Self::Character,
        }
    }

    /// Splits a text into the parts before, in and after the mark. `offset` is the position of the error; none if it is not in the text.
    fn split(self, delimiter: char, text: &str, offset: usize) -> Option<(&str, &str, &str)> {
        let (before, from) = text.split_at_checked(offset)?;
        let part = |start: usize, length: usize| {
            let (before, rest) = text.split_at_checked(start)?;
            let (marked, after) = rest.split_at_checked(length)?;
            Some((before, marked, after))
        };
        match self {
            Self::Character => part(offset, first_character(from).len()),
            Self::Field => part(offset, field_length(delimiter, before, from)),
            Self::Separator => {
                let is_separator = |character: char| !character.is_alphanumeric() && !matches!(character, '_' | '"' | '\'');
                let at = from.find(is_separator).unwrap_or_default();
                part(offset + at, first_character(&from[at..]).len())
            }
            Self::Line => part(0, text.len()),
        }
    }
}

/// The length of the field that starts at `from`.
fn field_length(delimiter: char, before: &str, from: &str) -> usize {
    let end = if before.ends_with('"') {
        from.find('"')
    } else {
        from.find(delimiter)
    };
    end.unwrap_or(from.len())
}

/// The excerpt of a source with this code, whose fields have this delimiter; `offset` is the position of the error in it, in bytes.
pub(crate) fn excerpt(delimiter: char, code: &str, text: &str, offset: Option<u8>) -> Markup {
    let marked = offset.and_then(|offset| Extent::of_code(code).split(delimiter, text, offset.into()));
    html! {
        code.excerpt {
            @match marked {
                None => (visible(text)),
                Some((before, "", "")) => { (visible(before)) mark.end data-mark { "end of line" } },
                Some((before, "", after)) => { (visible(before)) mark.end data-mark { "empty" } (visible(after)) },
                Some((before, marked, after)) => { (visible(before)) mark data-mark { (visible(marked)) } (visible(after)) }
            }
        }
    }
}

/// The first character with its combining characters, or an escaped code point such as `<U+200B>`.
fn first_character(text: &str) -> &str {
    if (text.starts_with("<U+") || text.starts_with("<0x"))
        && let Some(end) = text.find('>')
    {
        return &text[..=end];
    }
    let combines = |character: char| matches!(character, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}');
    let after = text.char_indices().skip(1).find(|(_, character)| !combines(*character));
    after.map_or(text, |(at, _)| &text[..at])
}

/// The text, with symbols or code points in place of invisible characters, which the text contains directly or escaped, as in `<U+200B>`.
fn visible(text: &str) -> Markup {
    let mut parts: Vec<(&str, Vec<char>)> = Vec::new();
    let (mut shown_from, mut at) = (0, 0);
    while let Some(first) = text[at..].chars().next() {
        let invisible = escaped(&text[at..]).or_else(|| is_invisible(first).then_some((first, first.len_utf8())));
        let Some((character, length)) = invisible else {
            at += first.len_utf8();
            continue;
        };
        match parts.last_mut() {
            Some((_, run)) if shown_from == at => run.push(character),
            _ => parts.push((&text[shown_from..at], vec![character])),
        }
        at += length;
        shown_from = at;
    }
    html! {
        // One element for consecutive characters keeps the page small.
        @for (shown, invisible) in &parts { (shown) span.invisible title=(title(invisible)) { (symbols(invisible)) } }
        (text[shown_from..])
    }
}

/// An escaped code point at the start of a text, and its length.
fn escaped(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("<U+")?.split('>').next()?;
    let length = "<U+>".len() + digits.len();
    let code_point = (4..=6).contains(&digits.len()).then(|| u32::from_str_radix(digits, 16).ok())??;
    let character = char::from_u32(code_point)?;
    (text.get(..length)?.ends_with('>') && is_invisible(character)).then_some((character, length))
}

fn symbols(characters: &[char]) -> String {
    let mut text = String::new();
    for character in characters {
        if let Some(symbol) = symbol(*character) {
            text.push(symbol);
        } else {
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(&code_point(*character));
        }
    }
    text
}

/// The symbol of a control character.
fn symbol(character: char) -> Option<char> {
    match character {
        '\t' => Some('→'),
        '\n' => Some('↵'),
        '\u{7f}' => Some('␡'),
        // The block from U+2400 on has a symbol for each control character, in the same order.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)),
        _ => None,
    }
}

fn title(characters: &[char]) -> String {
    let mut different = characters.to_vec();
    different.dedup();
    different.truncate(4);
    different.into_iter().map(code_point).collect::<Vec<_>>().join(" ")
}

fn code_point(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, text: &str, offset: Option<u8>, expected: &str) {
        let marked = excerpt(',', code, text, offset).into_string();
        let mut shown = String::new();
        // A title repeats the code points.
        for part in marked.replace(" data-mark", "").split("<span class=\"invisible\" title=\"") {
            let part = if shown.is_empty() {
                part
            } else {
                part.split_once("\">").map_or(part, |(_, part)| part)
            };
            shown.push_str(part);
            shown.push('{');
        }
        let shown = shown.trim_end_matches('{').replace("</span>", "}");
        assert_eq!(
            shown,
            format!("<code class=\"excerpt\">{expected}</code>"),
            "{code}, {text:?}, {offset:?}"
        );
    }

    #[test]
    fn character_at_the_position_is_marked() {
        check("quote", "a,b", None, "a,b");
        check("quote", "a,b", Some(0), "<mark>a</mark>,b");
        check("quote", "a,b", Some(3), "a,b<mark class=\"end\">end of line</mark>");
        check("quote", "Zoë,", Some(2), "Zo<mark>ë</mark>,");
        check("quote", "e\u{301}x", Some(0), "<mark>e\u{301}</mark>x");
        check("encoding", "a<0xE9>", Some(1), "a<mark>&lt;0xE9&gt;</mark>");
        check("quote", "a<Ub>", Some(1), "a<mark>&lt;</mark>Ub&gt;");
        check("encoding", "a\u{fffd}b", Some(1), "a<mark>\u{fffd}</mark>b");
        check("control_character", "a<U+0000>b", Some(1), "a<mark>{␀}</mark>b");
    }

    #[test]
    fn field_ends_at_the_declared_delimiter() {
        let text = excerpt(';', "type", "Fox;1,5x;paid", Some(4)).into_string();
        assert!(text.contains(">1,5x</mark>;paid"), "{text}");
    }

    #[test]
    fn whole_field_is_marked() {
        check("in_future", "Ann,Fox,4102444800000", Some(8), "Ann,Fox,<mark>4102444800000</mark>");
        check("type", "1990-01-01,Ann,Fox", Some(0), "<mark>1990-01-01</mark>,Ann,Fox");
        check("type", "\"a,b\",Fox", Some(1), "&quot;<mark>a,b</mark>&quot;,Fox");
        check("value_empty", "Ann,,0", Some(4), "Ann,<mark class=\"end\">empty</mark>,0");
        check("type", "Ann,Fox,", Some(8), "Ann,Fox,<mark class=\"end\">end of line</mark>");
    }

    #[test]
    fn separator_is_marked() {
        check("delimiter", "first_name;last_name", Some(0), "first_name<mark>;</mark>last_name");
        check("delimiter", "\"first_name\"|x", Some(0), "&quot;first_name&quot;<mark>|</mark>x");
        check("delimiter", "a<U+0009>b", Some(0), "a<mark>{→}</mark>b");
    }

    #[test]
    fn whole_line_is_marked() {
        check("missing_column", "first_name,birthts", Some(0), "<mark>first_name,birthts</mark>");
        check("field_count", "a,b,c,d", Some(6), "<mark>a,b,c,d</mark>");
    }

    #[test]
    fn invalid_offset_marks_nothing() {
        check("quote", "Zoë,", Some(3), "Zoë,");
        check("type", "a,b", Some(4), "a,b");
    }

    #[test]
    fn invisible_characters_have_symbols_or_code_points() {
        check("type", "a\u{202e}b", None, "a{U+202E}b");
        check("quote", "\u{200b}", Some(0), "<mark>{U+200B}</mark>");
        check("type", "\0\t\n", None, "{␀→↵}");
        check("type", "a<U+000D><U+0085>b", None, "a{␍ U+0085}b");
        check("type", "a<U+0041>b<U+>", None, "a&lt;U+0041&gt;b&lt;U+&gt;");
        check("type", "a\0\0b\u{feff}", None, "a{␀␀}b{U+FEFF}");
        check("quote", "<b>\"&", Some(1), "&lt;<mark>b</mark>&gt;&quot;&amp;");
    }
}
