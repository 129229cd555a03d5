//! Lines of a run's log.

use maud::{Markup, html};
use serde_json::{Map, Value};

/// Fields that are shown first, or that are the same in every line.
const LEADING_FIELDS: [&str; 5] = ["timestamp", "level", "message", "target", "run.id"];

/// A line of JSON as time, level, message and the other fields; any other line unchanged.
pub(crate) fn line(text: &str) -> Markup {
    let fields: Option<Map<String, Value>> = serde_json::from_str(text).ok();
    let message = fields.as_ref().and_then(|fields| fields.get("message")?.as_str());
    html! {
        @match (&fields, message) {
            (Some(fields), Some(message)) => {
                @let level = fields.get("level").and_then(Value::as_str).unwrap_or_default();
                @if let Some(time) = fields.get("timestamp").and_then(Value::as_str).and_then(time_of_day) { span.muted { (time) } " " }
                @if !level.is_empty() { span class={ "level " (level.to_ascii_lowercase()) } { (level) } " " }
                (message)
                @for (name, value) in fields.iter().filter(|(name, _)| !LEADING_FIELDS.contains(&name.as_str())) {
                    " " span.muted { (name) "=" (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) }
                }
            },
            _ => (text),
        }
    }
}

/// `2026-11-24T12:00:00.123456Z` as `12:00:00`.
fn time_of_day(timestamp: &str) -> Option<&str> {
    timestamp.split_once('T')?.1.get(..8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let rendered = line(text).into_string();
        let mut shown = String::new();
        let mut is_tag = false;
        for character in rendered.chars() {
            match character {
                '<' => is_tag = true,
                '>' => is_tag = false,
                _ if !is_tag => shown.push(character),
                _ => {}
            }
        }
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn other_lines_are_unchanged() {
        check("plain text", "plain text");
        check("{\"cut", "{&quot;cut");
        check("<b>", "&lt;b&gt;");
        check("[1]", "[1]");
        // A report is not a log line.
        check(r#"{"error":"no bucket"}"#, "{&quot;error&quot;:&quot;no bucket&quot;}");
    }

    #[test]
    fn json_lines_are_formatted() {
        check(
            r#"{"timestamp":"2026-11-24T12:00:00.123Z","level":"INFO","message":"done","run.id":"a","rows":3,"key":"x"}"#,
            "12:00:00 INFO done key=x rows=3",
        );
        check(r#"{"message":"bare"}"#, "bare");
        check(r#"{"timestamp":"é","message":"odd"}"#, "odd");
    }
}
