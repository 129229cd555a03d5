//! Formats times, durations, numbers and sentences for pages.

use std::borrow::Cow;

use datalake_core::text::capitalized;
pub(crate) use datalake_core::text::counted;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// The time elapsed since `at`, or the time until then. The title has the absolute time; the script adds the local one.
pub(crate) fn relative_time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(to_whole_second(at)) title=(utc(at)) data-ago { (ago(now.duration_since(at))) } }
}

/// A day and a time in UTC, such as `26 Nov, 18:54`, with the year if it is another one.
pub(crate) fn short_time(at: Timestamp, now: Timestamp) -> String {
    let is_this_year = at.strftime("%Y").to_string() == now.strftime("%Y").to_string();
    let format = if is_this_year { "%-d %b, %H:%M" } else { "%-d %b %Y, %H:%M" };
    at.strftime(format).to_string()
}

/// A day in UTC, such as `26 Nov`.
pub(crate) fn short_day(at: Timestamp) -> String {
    at.strftime("%-d %b").to_string()
}

/// A time in UTC to the minute.
pub(crate) fn utc(at: Timestamp) -> String {
    format!("{} UTC", at.strftime("%Y-%m-%d %H:%M"))
}

/// A time in UTC to the minute, with the time elapsed since then.
pub(crate) fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        (absolute_time(at)) " "
        span.muted.nowrap data-ago { "(" (ago(now.duration_since(at))) ")" }
    }
}

/// A time in UTC to the minute.
pub(crate) fn absolute_time(at: Timestamp) -> Markup {
    html! { time datetime=(to_whole_second(at)) { (utc(at)) } }
}

/// Recorded times have microseconds, which pages do not show; a list with a hundred times is smaller without them.
fn to_whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// `ago` in `page.js` formats the same; change both together.
fn ago(elapsed: SignedDuration) -> String {
    let text = duration(elapsed.abs());
    if elapsed.is_negative() {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

/// A duration in whole seconds, minutes, hours or days.
pub(crate) fn duration(elapsed: SignedDuration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The duration of a run.
pub(crate) fn milliseconds(elapsed_ms: u64) -> String {
    match elapsed_ms {
        ..1_000 => format!("{elapsed_ms} ms"),
        1_000..60_000 => format!("{}.{} s", elapsed_ms / 1_000, elapsed_ms % 1_000 / 100),
        _ => format!("{} min {} s", number(elapsed_ms / 60_000), elapsed_ms % 60_000 / 1_000),
    }
}

/// A number with commas between groups of three digits.
pub(crate) fn number(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let (first, rest) = digits.split_at(digits.len() % 3);
    let groups = rest.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let groups = (!first.is_empty()).then(|| first.into()).into_iter().chain(groups);
    groups.collect::<Vec<_>>().join(",")
}

/// The first `bytes_max` bytes of a text, rounded up to a whole character, with an ellipsis if the text is longer.
pub(crate) fn truncate(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let starts = text.char_indices().map(|(at, _)| at);
    let end = starts.take_while(|at| *at <= bytes_max).last().unwrap_or_default();
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}

/// A message as a sentence: with a capital letter and a full stop. A key, a file name or a parameter at the beginning keeps its spelling.
pub(crate) fn sentence(message: &str) -> String {
    let first_word = message.split_whitespace().next().unwrap_or_default();
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    let is_file_name = first_word.trim_end_matches(['.', '…']).contains('.');
    if is_file_name || first_word.contains(['/', '_', '=', '`']) {
        return format!("{message}{end}");
    }
    capitalized(message) + end
}

#[cfg(test)]
mod tests;
