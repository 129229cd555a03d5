//! Whole numbers, and what other texts in their place are.

use std::borrow::Cow;

use crate::text::{self, code_points};

/// A whole number as a source may write it.
pub(super) struct Number {
    pub(super) value: i64,
    /// Whether it was written with a plus sign or a fraction of zero.
    pub(super) is_normalized: bool,
}

impl Number {
    /// Parses a whole number, or returns what the text is instead and the remedy.
    pub(super) fn read(text: &str) -> Result<Self, (Cow<'static, str>, &'static str)> {
        const CONVERT: &str = "convert it to milliseconds since 1970-01-01 UTC";
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, fraction) = unsigned
            .split_once('.')
            .map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_separator = |character: char| {
            matches!(character, ',' | '.' | '\'' | '_' | '’' | '٬') || (character.is_whitespace() && !matches!(character, '\n' | '\r'))
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
        if is_digits(whole) && fraction.is_none_or(is_digits) {
            if fraction.is_some_and(|digits| digits.bytes().any(|digit| digit != b'0')) {
                return Err(("a number with a fraction".into(), "round it to whole milliseconds"));
            }
            let sign = if text.starts_with('-') { "-" } else { "" };
            let value = format!("{sign}{whole}").parse();
            let value = value.map_err(|_| {
                (
                    "a number beyond 64 bits".into(),
                    "check the value and its unit, which is milliseconds",
                )
            })?;
            return Ok(Self {
                value,
                is_normalized: fraction.is_some() || text.starts_with('+'),
            });
        }
        Err(match text {
            "" => ("empty".into(), "write the birth time"),
            _ if is_digits(&mantissa.replace(['.', ','], "")) && is_digits(exponent.trim_start_matches(['+', '-'])) => (
                "a number with an exponent".into(),
                "write all digits; in a spreadsheet, format the column as a number without decimals",
            ),
            _ if is_date(text) => ("a date".into(), CONVERT),
            _ if is_digits(&unsigned.replace(is_separator, "")) => {
                let separators = code_points(unsigned.chars().filter(|character| is_separator(*character)));
                (format!("a number with separators: {separators}").into(), "write the digits alone")
            }
            _ if text
                .chars()
                .any(|character| !character.is_ascii() && (character.is_numeric() || character == '\u{2212}')) =>
            {
                let characters = code_points(text.chars().filter(|character| !character.is_ascii()));
                (
                    format!("which contains {characters}").into(),
                    "write it with the digits 0 to 9 and the ASCII sign -",
                )
            }
            _ if text.chars().any(text::is_invisible) => {
                let characters = code_points(text.chars().filter(|character| text::is_invisible(*character)));
                (format!("which contains {characters}").into(), "write the digits alone")
            }
            _ => ("which is not a number".into(), CONVERT),
        })
    }
}

/// Whether a text begins with a date: three numbers of one, two or four digits with the same separator between them.
fn is_date(text: &str) -> bool {
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    let is_number = |part: &str| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_three = |separator: char| date.split(separator).count() == 3 && date.split(separator).all(is_number);
    ['-', '/', '.'].into_iter().any(has_three)
}
