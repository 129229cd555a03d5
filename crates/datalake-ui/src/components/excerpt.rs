//! An excerpt of a source. The position of the error is marked, and invisible characters are shown by their code points.

use maud::{Markup, html};

/// The excerpt; `offset` is the position of the error in it, in bytes.
pub(crate) fn excerpt(text: &str, offset: Option<u8>) -> Markup {
    let cut = offset.and_then(|offset| text.split_at_checked(offset.into()));
    html! {
        code.excerpt {
            @match cut {
                None => (visible(text)),
                Some((before, "")) => { (visible(before)) mark.end data-mark { "end of line" } },
                Some((before, from)) => {
                    @let (marked, after) = first_character(from);
                    (visible(before)) mark data-mark { (visible(marked)) } (visible(after))
                }
            }
        }
    }
}

/// The first character with its combining characters, or an escaped code point such as `<U+200B>`; and the rest.
fn first_character(text: &str) -> (&str, &str) {
    if (text.starts_with("<U+") || text.starts_with("<0x"))
        && let Some(end) = text.find('>')
    {
        return text.split_at(end + 1);
    }
    let combines = |character: char| matches!(character, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}');
    let after = text.char_indices().skip(1).find(|(_, character)| !combines(*character));
    text.split_at(after.map_or(text.len(), |(at, _)| at))
}

/// The text, with invisible characters and those that change the text direction shown by their code points.
fn visible(text: &str) -> Markup {
    let mut rest = text;
    let mut parts = Vec::new();
    while let Some(at) = rest.find(is_invisible) {
        let (shown, from) = rest.split_at(at);
        let (invisible, after) = from.split_at(from.find(|character| !is_invisible(character)).unwrap_or(from.len()));
        parts.push((shown, invisible));
        rest = after;
    }
    parts.push((rest, ""));
    html! {
        @for (shown, invisible) in parts {
            (shown)
            // One element for consecutive characters keeps the page small.
            @if !invisible.is_empty() { span.invisible { (code_points(invisible)) } }
        }
    }
}

fn code_points(text: &str) -> String {
    let code_points: Vec<_> = text.chars().map(|character| format!("U+{:04X}", u32::from(character))).collect();
    code_points.join(" ")
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: Option<u8>, expected: &str) {
        let marked = excerpt(text, offset).into_string();
        let marked = marked
            .replace(" data-mark", "")
            .replace("<span class=\"invisible\">", "{")
            .replace("</span>", "}");
        assert_eq!(marked, format!("<code class=\"excerpt\">{expected}</code>"), "{text:?}, {offset:?}");
    }

    #[test]
    fn error_position_is_marked() {
        check("a,b", None, "a,b");
        check("a,b", Some(0), "<mark>a</mark>,b");
        check("a,b", Some(1), "a<mark>,</mark>b");
        check("a,b", Some(3), "a,b<mark class=\"end\">end of line</mark>");
        check("Zoë,", Some(2), "Zo<mark>ë</mark>,");
        check("e\u{301}x", Some(0), "<mark>e\u{301}</mark>x");
        check("a<U+200B>b", Some(1), "a<mark>&lt;U+200B&gt;</mark>b");
        check("a<0xE9>", Some(1), "a<mark>&lt;0xE9&gt;</mark>");
        check("a<Ub>", Some(1), "a<mark>&lt;</mark>Ub&gt;");
        check("a\u{fffd}b", Some(1), "a<mark>\u{fffd}</mark>b");
    }

    #[test]
    fn invalid_offset_marks_nothing() {
        check("Zoë,", Some(3), "Zoë,");
        check("a,b", Some(4), "a,b");
    }

    #[test]
    fn invisible_characters_are_code_points() {
        check("a\u{202e}b", None, "a{U+202E}b");
        check("\u{200b}", Some(0), "<mark>{U+200B}</mark>");
        check("\0\t", None, "{U+0000 U+0009}");
        check("a\0\0b\u{feff}", None, "a{U+0000 U+0000}b{U+FEFF}");
        check("<b>\"&", Some(1), "&lt;<mark>b</mark>&gt;&quot;&amp;");
    }
}
