//! An excerpt of a source, with the place that is wrong marked, and nothing in it that cannot be seen.

use maud::{Markup, html};

/// The excerpt; `offset` is where in it the place is, in bytes.
pub(crate) fn excerpt(text: &str, offset: Option<u8>) -> Markup {
    let cut = offset.and_then(|offset| text.split_at_checked(offset.into()));
    html! {
        code.excerpt {
            @match cut {
                None => (seen(text)),
                Some((before, "")) => { (seen(before)) mark.end data-mark { "end of the line" } },
                Some((before, from)) => {
                    @let (place, behind) = first(from);
                    (seen(before)) mark data-mark { (seen(place)) } (seen(behind))
                }
            }
        }
    }
}

/// The first character with those that combine with it, which cannot be shown alone, or the code point that stands for it; and the rest.
fn first(text: &str) -> (&str, &str) {
    if (text.starts_with("<U+") || text.starts_with("<0x"))
        && let Some(end) = text.find('>')
    {
        return text.split_at(end + 1);
    }
    let combines = |character: char| matches!(character, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}');
    let behind = text.char_indices().skip(1).find(|(_, character)| !combines(*character));
    text.split_at(behind.map_or(text.len(), |(at, _)| at))
}

/// The text, with characters that show nothing, or turn the direction of others, by their numbers.
fn seen(text: &str) -> Markup {
    let mut rest = text;
    let mut parts = Vec::new();
    while let Some(at) = rest.find(is_unseen) {
        let (shown, from) = rest.split_at(at);
        let (unseen, behind) = from.split_at(from.find(|character| !is_unseen(character)).unwrap_or(from.len()));
        parts.push((shown, unseen));
        rest = behind;
    }
    parts.push((rest, ""));
    html! {
        @for (shown, unseen) in parts {
            (shown)
            // One mark for a row of them: eighty would be kilobytes.
            @if !unseen.is_empty() { span.unseen { (numbers(unseen)) } }
        }
    }
}

fn numbers(text: &str) -> String {
    let numbers: Vec<_> = text.chars().map(|character| format!("U+{:04X}", u32::from(character))).collect();
    numbers.join(" ")
}

fn is_unseen(character: char) -> bool {
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
            .replace("<span class=\"unseen\">", "{")
            .replace("</span>", "}");
        assert_eq!(marked, format!("<code class=\"excerpt\">{expected}</code>"), "{text:?}, {offset:?}");
    }

    #[test]
    fn places_are_marked() {
        check("a,b", None, "a,b");
        check("a,b", Some(0), "<mark>a</mark>,b");
        check("a,b", Some(1), "a<mark>,</mark>b");
        check("a,b", Some(3), "a,b<mark class=\"end\">end of the line</mark>");
        check("Zoë,", Some(2), "Zo<mark>ë</mark>,");
        // Within a character, or behind the end: whoever wrote that is wrong, and nothing is marked.
        check("Zoë,", Some(3), "Zoë,");
        check("a,b", Some(4), "a,b");
        check("e\u{301}x", Some(0), "<mark>e\u{301}</mark>x");
        check("a<U+200B>b", Some(1), "a<mark>&lt;U+200B&gt;</mark>b");
        check("a<0xE9>", Some(1), "a<mark>&lt;0xE9&gt;</mark>");
        check("a<Ub>", Some(1), "a<mark>&lt;</mark>Ub&gt;");
        check("a\u{fffd}b", Some(1), "a<mark>\u{fffd}</mark>b");
    }

    #[test]
    fn nothing_is_unseen() {
        check("a\u{202e}b", None, "a{U+202E}b");
        check("\u{200b}", Some(0), "<mark>{U+200B}</mark>");
        check("\0\t", None, "{U+0000 U+0009}");
        check("a\0\0b\u{feff}", None, "a{U+0000 U+0000}b{U+FEFF}");
        check("<b>\"&", Some(1), "&lt;<mark>b</mark>&gt;&quot;&amp;");
    }
}
