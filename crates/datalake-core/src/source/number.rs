//! Numbers as sources write them, and what other texts in their place are.

use std::borrow::Cow;

use crate::{
    dataset::CsvDialect,
    text::{self, code_points, quoted},
};

/// The remedies for texts that a column of numbers does not accept, by what they are.
#[derive(Debug)]
pub(super) struct NumberRemedies {
    pub(super) empty: &'static str,
    pub(super) text: &'static str,
    pub(super) fraction: &'static str,
    pub(super) beyond: &'static str,
    pub(super) separators: &'static str,
}

/// A number, and whether it was written in an unusual way: with a plus sign, with a fraction of zero, or with a point at one of its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<T> {
    pub(super) value: T,
    pub(super) is_normalized: bool,
}

/// What a text is instead of a number, and the remedy.
pub(super) type NotANumber = (Cow<'static, str>, &'static str);

/// Parses a whole number.
pub(super) fn read_integer(text: &str, dialect: &CsvDialect, remedies: &NumberRemedies) -> Result<Number<i64>, NotANumber> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned
        .split_once(dialect.decimal)
        .map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
    let Some(digits) = ungrouped(whole, dialect).filter(|_| fraction.is_none_or(is_digits)) else {
        return Err(not_a_number(text, unsigned, remedies));
    };
    if fraction.is_some_and(|digits| digits.bytes().any(|digit| digit != b'0')) {
        return Err(("a number with a fraction".into(), remedies.fraction));
    }
    let value = match text.starts_with('-') {
        true => format!("-{digits}").parse(),
        false => digits.parse(),
    };
    let value = value.map_err(|_| ("a number beyond 64 bits".into(), remedies.beyond))?;
    Ok(Number {
        value,
        is_normalized: fraction.is_some() || text.starts_with('+'),
    })
}

/// Parses a finite number, with or without fraction and exponent.
pub(super) fn read_number(text: &str, dialect: &CsvDialect, remedies: &NumberRemedies) -> Result<Number<f64>, NotANumber> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned
        .split_once(['e', 'E'])
        .map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa
        .split_once(dialect.decimal)
        .map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_exponent = exponent.is_none_or(|exponent| is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let digits = match (whole, fraction) {
        ("", Some(fraction)) if is_digits(fraction) => Some("".into()),
        (_, None) => ungrouped(whole, dialect),
        (_, Some(fraction)) => ungrouped(whole, dialect).filter(|_| fraction.is_empty() || is_digits(fraction)),
    };
    let Some(digits) = digits.filter(|_| is_exponent) else {
        return Err(not_a_number(text, unsigned, remedies));
    };
    let sign = if text.starts_with('-') { "-" } else { "" };
    let plain = format!("{sign}{digits}.{}e{}", fraction.unwrap_or_default(), exponent.unwrap_or("0"));
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Number {
            // -0 and 0 are one value.
            value: value + 0.0,
            is_normalized: text.starts_with('+') || whole.is_empty() || fraction == Some(""),
        }),
        _ => Err(("a number beyond 64 bits".into(), remedies.beyond)),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits of a whole number, without the declared separator between groups of three. A number with groups does not begin with a zero:
/// `0.125` is a fraction that is written with another separator.
fn ungrouped<'t>(whole: &'t str, dialect: &CsvDialect) -> Option<Cow<'t, str>> {
    if is_digits(whole) {
        return Some(whole.into());
    }
    let mut groups = whole.split(dialect.group?);
    let first = groups
        .next()
        .filter(|first| is_digits(first) && first.len() <= 3 && !first.starts_with('0'))?;
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 || !is_digits(group) {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits.into())
}

/// What a text is instead of a number.
fn not_a_number(text: &str, unsigned: &str, remedies: &NumberRemedies) -> NotANumber {
    let is_separator = |character: char| {
        matches!(character, ',' | '.' | '\'' | '_' | '’' | '٬') || (character.is_whitespace() && !matches!(character, '\n' | '\r'))
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
    match text {
        "" => ("empty".into(), remedies.empty),
        _ if is_digits(&mantissa.replace(['.', ','], "")) && is_digits(exponent.trim_start_matches(['+', '-'])) => (
            "a number with an exponent".into(),
            "write all digits; in a spreadsheet, format the column as a number without decimals",
        ),
        _ if is_date(text) => ("a date".into(), remedies.text),
        _ if is_digits(&unsigned.replace(is_separator, "")) => {
            let separators = separators(unsigned.chars().filter(|character| is_separator(*character)));
            (format!("a number with separators: {separators}").into(), remedies.separators)
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
            (format!("which contains {characters}").into(), remedies.separators)
        }
        _ => ("which is not a number".into(), remedies.text),
    }
}

/// The first separators of a number: those of ASCII in quotes, the code points of others, which cannot be distinguished by sight.
fn separators(characters: impl Iterator<Item = char>) -> String {
    let (visible, others): (Vec<char>, Vec<char>) = characters.partition(char::is_ascii_punctuation);
    let mut shown: Vec<String> = Vec::new();
    for character in visible {
        let character = quoted(&character.to_string());
        if !shown.contains(&character) {
            shown.push(character);
        }
    }
    shown.extend(Some(code_points(others.into_iter())).filter(|others| !others.is_empty()));
    shown.join(", ")
}

/// Whether a text begins with a date: three numbers of one, two or four digits with the same separator between them.
fn is_date(text: &str) -> bool {
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    let is_number = |part: &str| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_three = |separator: char| date.split(separator).count() == 3 && date.split(separator).all(is_number);
    ['-', '/', '.'].into_iter().any(has_three)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;

    const REMEDIES: NumberRemedies = NumberRemedies {
        empty: "empty",
        text: "text",
        fraction: "fraction",
        beyond: "beyond",
        separators: "separators",
    };

    #[track_caller]
    fn check(text: &str, [decimal, group]: [char; 2], expected: Result<Number<f64>, &str>) {
        let dialect = CsvDialect {
            decimal,
            group: Some(group),
            ..*Dataset::users().csv()
        };
        assert_eq!(
            read_number(text, &dialect, &REMEDIES).map_err(|(_, remedy)| remedy),
            expected,
            "{text}"
        );
    }

    #[test]
    fn numbers_have_the_declared_separators() {
        let number = |value| {
            Ok(Number {
                value,
                is_normalized: false,
            })
        };
        let normalized = |value| {
            Ok(Number {
                value,
                is_normalized: true,
            })
        };
        check("1.5", ['.', ','], number(1.5));
        check("-1,234,567.25", ['.', ','], number(-1_234_567.25));
        check("1.234,5", [',', '.'], number(1_234.5));
        check("12 345", [',', ' '], number(12_345.0));
        check("1e-3", ['.', ','], number(0.001));
        check("1.5E+10", ['.', ','], number(15_000_000_000.0));
        check("-0", ['.', ','], number(0.0));
        check("+1", ['.', ','], normalized(1.0));
        check(".5", ['.', ','], normalized(0.5));
        check("5.", ['.', ','], normalized(5.0));
        check("1,23.5", ['.', ','], Err("separators"));
        check("0.125", [',', '.'], Err("separators"));
        check("-0.125,5", [',', '.'], Err("separators"));
        check("1.0000", [',', '.'], Err("separators"));
        check("100.125", [',', '.'], number(100_125.0));
        check("1,5", ['.', '\''], Err("separators"));
        check("1234,567", ['.', ','], Err("separators"));
        check("1e999", ['.', ','], Err("beyond"));
        check("", ['.', ','], Err("empty"));
        for text in [".", "-", "NaN", "inf", "1e", "e5", "0x10", "1.5.2", "--1"] {
            assert!(read_number(text, Dataset::users().csv(), &REMEDIES).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_may_have_groups() {
        let dialect = CsvDialect {
            group: Some('\''),
            ..*Dataset::users().csv()
        };
        let read = |text| {
            read_integer(text, &dialect, &REMEDIES)
                .map(|number| number.value)
                .map_err(|(_, remedy)| remedy)
        };
        assert_eq!(read("-1'234'567"), Ok(-1_234_567));
        assert_eq!(read("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(read("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(read("9223372036854775808"), Err("beyond"));
        assert_eq!(read("1'2"), Err("separators"));
        assert_eq!(read("1.5"), Err("fraction"));
    }
}
