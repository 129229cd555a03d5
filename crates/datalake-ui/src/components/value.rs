//! Values of columns as text and as markup.

use std::borrow::Cow;

use datalake_core::dataset::ValueRef;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::components::{
    format::{truncate, utc},
    row::TEXT_BYTES_MAX,
};

/// A value in a table. Long texts are cut off, and instants are shown by their day, or to the minute.
pub(crate) fn short(value: ValueRef<'_>) -> Markup {
    html! {
        @match value {
            ValueRef::Text(text) => bdi { (truncate(text, TEXT_BYTES_MAX)) },
            ValueRef::Date(day) => time { (day.date()) },
            ValueRef::EpochMs(number) | ValueRef::EpochS(number) => time data-value=(number) { (day(value)) },
            ValueRef::DateTime(_) => @match instant(value) {
                Some(at) => time datetime=(at) { (utc(at)) },
                None => (value),
            },
            ValueRef::Integer(_) | ValueRef::Number(_) | ValueRef::Boolean(_) => (value),
        }
    }
}

/// A value as text. Milliseconds and seconds since 1970 are shown by their day, and other instants exactly.
pub(crate) fn text(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Text(text) => text.into(),
        ValueRef::DateTime(_) => instant(value).map_or_else(|| value.to_string(), exact).into(),
        ValueRef::EpochMs(_) | ValueRef::EpochS(_) => day(value).into(),
        _ => value.to_string().into(),
    }
}

/// Two values of a column as texts. Different instants of a day are shown by their times.
pub(crate) fn compared<'a>(before: Option<ValueRef<'a>>, after: Option<ValueRef<'a>>) -> [Option<Cow<'a, str>>; 2] {
    let texts = [before.map(text), after.map(text)];
    if before == after || texts[0] != texts[1] {
        return texts;
    }
    [before, after].map(|value| {
        let value = value?;
        Some(instant(value).map_or_else(|| text(value), |at| exact(at).into()))
    })
}

/// An instant in the form of [`utc`], with its seconds unless it is a whole minute.
fn exact(at: Timestamp) -> String {
    match at.as_microsecond() % 60_000_000 {
        0 => utc(at),
        _ => format!("{} UTC", at.strftime("%Y-%m-%d %H:%M:%S%.f")),
    }
}

fn day(value: ValueRef<'_>) -> String {
    value.day().map_or_else(|| value.to_string(), |day| day.date().to_string())
}

/// The instant that a value is; none for other values, and outside of the calendar.
fn instant(value: ValueRef<'_>) -> Option<Timestamp> {
    match value {
        ValueRef::DateTime(microseconds) => Timestamp::from_microsecond(microseconds).ok(),
        ValueRef::EpochMs(milliseconds) => Timestamp::from_millisecond(milliseconds).ok(),
        ValueRef::EpochS(seconds) => Timestamp::from_second(seconds).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_short(value: ValueRef<'_>, expected: &str) {
        assert_eq!(short(value).into_string(), expected);
    }

    #[test]
    fn type_decides_the_markup() {
        check_short(ValueRef::Text("<b>"), "<bdi>&lt;b&gt;</bdi>");
        check_short(ValueRef::EpochMs(86_400_000), "<time data-value=\"86400000\">1970-01-02</time>");
        check_short(
            ValueRef::DateTime(60_000_001),
            "<time datetime=\"1970-01-01T00:01:00.000001Z\">1970-01-01 00:01 UTC</time>",
        );
        check_short(ValueRef::Number(0.5), "0.5");
        check_short(ValueRef::Boolean(true), "true");
    }

    #[test]
    fn instants_are_exact_texts_in_the_form_of_lists() {
        let texts = [0, 1_000_000, 1].map(|microseconds| text(ValueRef::DateTime(microseconds)).into_owned());
        let expected = ["1970-01-01 00:00 UTC", "1970-01-01 00:00:01 UTC", "1970-01-01 00:00:00.000001 UTC"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn instants_of_one_day_are_compared_with_their_times() {
        let check = |before, after, expected: [Option<&str>; 2]| {
            let texts = compared(before, after);
            assert_eq!(texts.each_ref().map(Option::as_deref), expected);
        };
        let at = |number| Some(ValueRef::EpochMs(number));
        check(at(0), at(86_400_000), [Some("1970-01-01"), Some("1970-01-02")]);
        check(None, at(1), [None, Some("1970-01-01")]);
        check(at(0), at(1_000), [Some("1970-01-01 00:00 UTC"), Some("1970-01-01 00:00:01 UTC")]);
        check(at(5), at(5), [Some("1970-01-01"), Some("1970-01-01")]);
        check(Some(ValueRef::Text("Ada")), Some(ValueRef::Text("Bea")), [Some("Ada"), Some("Bea")]);
    }
}
