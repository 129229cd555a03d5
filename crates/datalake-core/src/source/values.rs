//! The values of a row: names and birth times.

use std::{borrow::Cow, ops::Range};

use jiff::Timestamp;

use super::{FUTURE_MAX, MAYBE_SECONDS_BELOW, NAME_BYTES_MAX, decode::Source, number::Number, records::Field};
use crate::{
    reject::{Notice, Reason, Reject, RejectCode},
    text::{self, code_point, code_points, grouped, quoted},
    user::BirthTimestamp,
};

/// The value of one field, without quotes and without white space around it.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) text: Cow<'a, str>,
    /// The bytes of the source's text that the value was read from.
    pub(super) raw: Range<usize>,
    /// Whether white space was removed around it.
    pub(super) is_trimmed: bool,
}

impl<'a> Value<'a> {
    pub(super) fn read(source: &Source<'a>, field: &Field) -> Self {
        let (text, is_trimmed) = match field.content(source) {
            Cow::Borrowed(content) => (Cow::Borrowed(text::trim(content)), text::trim(content).len() != content.len()),
            Cow::Owned(content) => (
                Cow::Owned(text::trim(&content).to_owned()),
                text::trim(&content).len() != content.len(),
            ),
        };
        Self {
            text,
            raw: field.content.clone(),
            is_trimmed: is_trimmed || field.has_blanks_around,
        }
    }

    pub(super) fn reject(&self, source: &Source<'_>, code: RejectCode, column: &str, reason: Reason) -> Reject {
        source.reject(code, Some(column), self.raw.start, reason)
    }
}

/// A first or last name.
pub(super) fn name(source: &Source<'_>, value: &Value<'_>, column: &str) -> Result<Box<str>, Reject> {
    let text = &*value.text;
    if text.chars().all(text::is_invisible) && !text.chars().any(is_forbidden_control) {
        let raw = source.text.get(value.raw.clone()).unwrap_or_default();
        let found = match code_points(raw.chars()) {
            characters if characters.is_empty() => format!("{column} is empty"),
            characters => format!("{column} has only characters that cannot be seen: {characters}"),
        };
        let reason = Reason::new(found, "a name", "write the name; a user without one cannot be accepted");
        return Err(value.reject(source, RejectCode::ValueEmpty, column, reason));
    }
    if text.len() > NAME_BYTES_MAX {
        let reason = Reason::new(
            format!("{column} has {} bytes", grouped(u64::try_from(text.len()).unwrap_or(u64::MAX))),
            format!("at most {} bytes", grouped(u64::try_from(NAME_BYTES_MAX).unwrap_or(u64::MAX))),
            "shorten it; check that no quote is missing",
        );
        return Err(value.reject(source, RejectCode::ValueTooLong, column, reason));
    }
    if let Some(character) = text.chars().find(|character| is_forbidden_control(*character)) {
        let raw = source.text.get(value.raw.clone()).unwrap_or_default();
        let at = value.raw.start + raw.find(is_forbidden_control).unwrap_or_default();
        let reason = Reason::new(
            format!("{column} contains the control character {}", code_point(character)),
            "a name without control characters",
            "remove the character",
        );
        return Err(source.reject(RejectCode::ControlCharacter, Some(column), at, reason));
    }
    Ok(text.into())
}

/// Whether a name may not contain the character. A quoted name may span lines (RFC 4180, section 2.6); every other control character is an
/// accident or an attack.
fn is_forbidden_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r')
}

/// A birth time.
pub(super) fn birth(
    source: &Source<'_>,
    value: &Value<'_>,
    column: &str,
    run_at: Timestamp,
    notices: &mut Vec<Notice>,
) -> Result<BirthTimestamp, Reject> {
    let text = &*value.text;
    let reject = |code, reason| value.reject(source, code, column, reason);
    let number = Number::read(text).map_err(|(found, remedy)| {
        const EXPECTED: &str = "a whole number of milliseconds since 1970-01-01 UTC, like 612302400000";
        let found = match text {
            "" => format!("{column} is empty"),
            _ => format!("{column} is {}, {found}", quoted(text)),
        };
        reject(RejectCode::Type, Reason::new(found, EXPECTED, remedy))
    })?;
    let birthts_ms = number.value;
    let quoted_text = quoted(text);
    let day = |birthts_ms| BirthTimestamp::from_ms(birthts_ms).map_or(String::new(), |birth| format!(", {}", birth.day().date()));
    if birthts_ms < BirthTimestamp::EARLIEST.as_ms() {
        let reason = Reason::new(
            format!("{column} is {quoted_text}{}", day(birthts_ms)),
            format!("a birth of 1850 or later, at least {}", BirthTimestamp::EARLIEST.as_ms()),
            "check the value and its unit, which is milliseconds",
        );
        return Err(reject(RejectCode::OutOfRange, reason));
    }
    let latest = run_at.saturating_add(FUTURE_MAX).map_or(i64::MAX, Timestamp::as_millisecond);
    let birth = BirthTimestamp::from_ms(birthts_ms).filter(|birth| birth.as_ms() <= latest);
    let Some(birth) = birth else {
        let reason = Reason::new(
            format!("{column} is {quoted_text}{}, after the day of the run", day(birthts_ms)),
            "a birth at most 24 hours after the run",
            "check the value and its unit, which is milliseconds",
        );
        let valid_from = Timestamp::from_millisecond(birthts_ms).ok();
        let valid_from = valid_from.filter(|_| BirthTimestamp::from_ms(birthts_ms).is_some());
        return Err(Reject {
            valid_from: valid_from.and_then(|birth| birth.checked_sub(FUTURE_MAX).ok()),
            ..reject(RejectCode::InFuture, reason)
        });
    };
    if number.is_normalized {
        notices.push(Notice::NumberFormat);
    }
    if birthts_ms.unsigned_abs() < MAYBE_SECONDS_BELOW {
        notices.push(Notice::MaybeSeconds);
    }
    Ok(birth)
}
