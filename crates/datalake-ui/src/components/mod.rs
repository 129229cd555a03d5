//! Small pieces that several views are made of. Pure: what they need is an argument.

pub(crate) mod age_histogram;
pub(crate) mod chart;
pub(crate) mod excerpt;
pub(crate) mod log_line;
pub(crate) mod reject_titles;

use std::borrow::Cow;

use datalake_core::report::RunOutcome;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::page::{api_address::ApiAddress, run_permission::RunPermission};
use datalake_runs::run::RunState;

/// What a view begins with: its name, a line about it, and what can be done there.
pub(crate) fn heading(title: &str, line: &Markup, actions: &Markup) -> Markup {
    html! {
        div.heading {
            div {
                h1 { bdi { (title) } }
                @if !line.0.is_empty() {
                    p { (line) }
                }
            }
            (actions)
        }
    }
}

/// A request as a line for a shell, with a button that copies it where there is a script.
pub(crate) fn curl(origin: &str, address: &ApiAddress) -> Markup {
    command("curl", origin, address)
}

/// The same with another beginning than `curl`: options stand in it, quoted for a shell.
pub(crate) fn command(before: &str, origin: &str, address: &ApiAddress) -> Markup {
    let api = address.as_str();
    html! {
        div.curl {
            code tabindex="0" data-api=(api) data-before=(before) { (before) " '" (origin) (api) "'" }
            button.copy type="button" hidden { "Copy" }
        }
    }
}

/// The place from which a run is started: a button where there is a script, and the request as a line where there is none. Once a page:
/// it carries the ids `start-run` and `run-state`.
pub(crate) fn start_run(starting: RunPermission, origin: &str) -> Markup {
    let address = ApiAddress::new("/data");
    let before = match starting {
        RunPermission::NotOffered => return html! {},
        RunPermission::Open => "curl -X POST",
        RunPermission::NeedsToken | RunPermission::SignedIn => "curl -X POST -H \"Authorization: Bearer $TOKEN\"",
    };
    html! {
        div #start-run data-needs-token[starting == RunPermission::NeedsToken] {
            button.primary type="button" data-start="incremental" hidden { "Start a run" }
            (command(before, origin, &address))
            p #run-state role="status" {}
        }
    }
}

/// A moment in UTC, to the minute, and how long ago that was.
pub(crate) fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        (moment(at)) " "
        span.muted.nowrap data-ago { "(" (ago(now.duration_since(at))) ")" }
    }
}

/// A moment in UTC, to the minute.
pub(crate) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(whole_second(at)) { (at.strftime("%Y-%m-%d %H:%M")) " UTC" } }
}

/// How long ago a moment was; the script counts on.
pub(crate) fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(whole_second(at)) data-ago { (ago(now.duration_since(at))) } }
}

/// Moments are recorded to the microsecond, which a hundred times on a page are kilobytes that nobody reads.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The beginning of a text that may be long, with a mark where it goes on: so many bytes, but for a letter that would be cut in two.
pub(crate) fn beginning(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let begins = text.char_indices().map(|(at, _)| at);
    let end = begins.take_while(|at| *at <= bytes_max).last().unwrap_or_default();
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}

/// Where the words change, `ago` of `page.js` has to change with them.
fn ago(elapsed: SignedDuration) -> String {
    let words = duration(elapsed.abs());
    if elapsed.is_negative() {
        format!("in {words}")
    } else {
        format!("{words} ago")
    }
}

/// Roughly how long: whole seconds, minutes, hours or days.
pub(crate) fn duration(elapsed: SignedDuration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long a run took.
pub(crate) fn milliseconds(elapsed_ms: u64) -> String {
    match elapsed_ms {
        ..1_000 => format!("{elapsed_ms} ms"),
        1_000..60_000 => format!("{}.{} s", elapsed_ms / 1_000, elapsed_ms % 1_000 / 100),
        _ => format!("{} min {} s", number(elapsed_ms / 60_000), elapsed_ms % 60_000 / 1_000),
    }
}

/// A number with commas between thousands.
pub(crate) fn number(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let (before, rest) = digits.split_at(digits.len() % 3);
    let groups = rest.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let groups = (!before.is_empty()).then(|| before.into()).into_iter().chain(groups);
    groups.collect::<Vec<_>>().join(",")
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { several })
}

/// A run's state as a badge; tests find it by `data-state`.
pub(crate) fn run_badge(state: RunState) -> Markup {
    let tone = match state {
        RunState::Pending | RunState::Running => "active",
        RunState::Ended(RunOutcome::Succeeded) => "good",
        RunState::Ended(RunOutcome::Failed | RunOutcome::Misconfigured) => "bad",
        RunState::Ended(RunOutcome::Refused) => "warn",
        RunState::Ended(RunOutcome::Stopped) => "",
    };
    html! { span class={ "badge " (tone) } data-state=(state.as_str()) { (state.as_str()) } }
}

/// What a banner is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// To be known.
    Plain,
    /// To be looked at.
    Warn,
    /// To be mended.
    Bad,
}

/// A message above all else. `name` stands in `data-banner`, for tests.
pub(crate) fn banner(tone: Tone, name: &str, title: &str, words: &Markup) -> Markup {
    let tone = match tone {
        Tone::Plain => "",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    };
    html! {
        section class={ "banner " (tone) } data-banner=(name) {
            h2 { (title) }
            (words)
        }
    }
}

/// A wide table in a box that scrolls, which keys can reach. `label` says what the table holds.
pub(crate) fn scroll(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// Words of a log or a document, as a sentence. A key or a parameter that it begins with stays as it is written.
pub(crate) fn sentence(words: &str) -> String {
    let first_word = words.split_whitespace().next().unwrap_or_default();
    let end = if words.ends_with(['.', '!', '?']) { "" } else { "." };
    if first_word.contains(['/', '_', '=', '`']) {
        return format!("{words}{end}");
    }
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect::<String>() + end
}

/// A [`sentence`] in which what stands between backticks is shown as code.
pub(crate) fn prose(words: &str) -> Markup {
    let words = sentence(words);
    // A backtick without another is one that somebody meant.
    let is_paired = words.matches('`').count().is_multiple_of(2);
    html! {
        @if is_paired {
            @for (place, part) in words.split('`').enumerate() {
                @if place % 2 == 0 { (part) } @else { code { (part) } }
            }
        } @else {
            (words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_number(given: u64, expected: &str) {
        assert_eq!(number(given), expected);
    }

    #[test]
    fn numbers() {
        check_number(0, "0");
        check_number(999, "999");
        check_number(1_000, "1,000");
        check_number(12_345, "12,345");
        check_number(1_234_567, "1,234,567");
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(counted(0, "row", "rows"), "0 rows");
    }

    #[test]
    fn sentences() {
        assert_eq!(sentence("ask again later"), "Ask again later.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence("école"), "École.");
        assert_eq!(sentence("src-data/1.csv is rejected"), "src-data/1.csv is rejected.");
        assert_eq!(sentence(""), ".");
    }

    #[test]
    fn code_within_a_sentence() {
        assert_eq!(prose("send `A: <B>`; then wait").0, "Send <code>A: &lt;B&gt;</code>; then wait.");
        assert_eq!(prose("one ` alone").0, "One ` alone.");
        assert_eq!(prose("``").0, "<code></code>.");
    }

    #[test]
    fn how_long_runs_take() {
        let words = [0, 999, 1_000, 59_999, 60_000, 3_725_000].map(milliseconds);
        assert_eq!(words, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 0 s", "62 min 5 s"]);
    }

    #[test]
    fn beginnings() {
        assert_eq!(beginning("", 3), "");
        assert_eq!(beginning("abc", 3), "abc");
        assert_eq!(beginning("abcd", 3), "abc…");
        // Letters are not cut in two.
        assert_eq!(beginning("aëëë", 2), "a…");
        assert_eq!(beginning("ëëë", 1), "…");
    }

    #[test]
    fn moments_are_told_to_the_second() {
        let at = "2026-11-24T12:00:00.123456Z".parse().unwrap();
        let text = time(at, at).into_string();
        assert!(
            text.contains("datetime=\"2026-11-24T12:00:00Z\"") && !text.contains("title"),
            "{text}"
        );
    }

    #[track_caller]
    fn check_ago(seconds: i64, expected: &str) {
        assert_eq!(ago(SignedDuration::from_secs(seconds)), expected);
    }

    #[test]
    fn times_gone_by() {
        check_ago(0, "0 s ago");
        check_ago(59, "59 s ago");
        check_ago(60, "1 min ago");
        check_ago(3_599, "59 min ago");
        check_ago(3_600, "1 h ago");
        check_ago(172_799, "47 h ago");
        check_ago(172_800, "2 days ago");
        check_ago(-120, "in 2 min");
    }

    #[test]
    fn nothing_leaves_its_place() {
        let hostile = "\"><script>alert(1)</script>";
        let texts = [
            heading(hostile, &html! { (hostile) }, &html! {}),
            curl("http://localhost", &ApiAddress::new(format!("/data?x={hostile}'"))),
            banner(Tone::Bad, hostile, hostile, &html! { (hostile) }),
            scroll(hostile, &html! {}),
        ];
        for text in texts.map(Markup::into_string) {
            assert!(!text.contains("<script"), "{text}");
            assert!(!text.contains("\"\"&gt;"), "{text}");
            assert!(text.contains("&lt;script&gt;"), "{text}");
        }
    }
}
