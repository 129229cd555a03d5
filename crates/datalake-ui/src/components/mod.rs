//! Components that several views use. They are pure: all their data is passed as arguments.

pub(crate) mod bar_chart;
pub(crate) mod blocked_removals;
pub(crate) mod chart;
pub(crate) mod excerpt;
pub(crate) mod file_state;
pub(crate) mod format;
pub(crate) mod histogram;
pub(crate) mod labels;
pub(crate) mod line_chart;
pub(crate) mod log_line;
pub(crate) mod pager;
pub(crate) mod phases;
pub(crate) mod reject_card;
pub(crate) mod reject_titles;
pub(crate) mod row;
pub(crate) mod run;
pub(crate) mod stored_values;
pub(crate) mod table;
#[cfg(test)]
pub(crate) mod test_dataset;
pub(crate) mod time_axis;
pub(crate) mod value;

use maud::{Markup, html};

use crate::{components::format::sentence, page::api_address::ApiAddress};

/// The heading of a view: its title, a line below it, and its actions on the right.
pub(crate) fn heading(title: &str, subtitle: &Markup, actions: &Markup) -> Markup {
    html! {
        div.heading {
            div {
                h1 { bdi { (title) } }
                @if !subtitle.0.is_empty() {
                    p { (subtitle) }
                }
            }
            (actions)
        }
    }
}

/// A request as a curl command. The script shows a button that copies it.
pub(crate) fn curl(origin: &str, address: &ApiAddress) -> Markup {
    command("curl", origin, address)
}

/// The API request for a part of a page, which a button opens. `id` distinguishes it from others on the page.
pub(crate) fn api_request(id: &str, origin: &str, address: &ApiAddress) -> Markup {
    html! { details.api id=(id) { summary { "API" } (curl(origin, address)) } }
}

/// A request as a shell command that starts with `curl` and options, which must be quoted for a shell.
pub(crate) fn command(curl: &str, origin: &str, address: &ApiAddress) -> Markup {
    let api = address.as_str();
    html! {
        div.curl {
            code tabindex="0" data-api=(api) data-command=(curl) { (curl) " '" (origin) (api) "'" }
            button.copy type="button" hidden { "Copy" }
        }
    }
}

/// A command for a shell, which the script's button copies.
pub(crate) fn shell(command: &str) -> Markup {
    html! {
        div.curl {
            code tabindex="0" { (command) }
            button.copy type="button" hidden { "Copy" }
        }
    }
}

/// The importance of a banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    /// The user should check something.
    Warning,
    /// The user should fix something.
    Error,
}

impl Severity {
    fn class(self) -> &'static str {
        match self {
            Self::Info => "",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A message at the top of a page. `name` is the value of `data-banner`, which tests use.
pub(crate) fn banner(severity: Severity, name: &str, title: &str, message: &Markup) -> Markup {
    html! {
        section class={ "banner " (severity.class()) } data-banner=(name) {
            h2 { (title) }
            (message)
        }
    }
}

/// The banner above data of an earlier version.
pub(crate) fn version_banner(version: u64, latest: u64, switch_href: &str, note: &str) -> Markup {
    let message = html! {
        p { "The latest version is " (latest) ". " a href=(switch_href) { "Switch to the latest version" } "." @if !note.is_empty() { " " (note) } }
    };
    banner(
        Severity::Info,
        "other-version",
        &format!("Viewing version {version} (not the latest)"),
        &message,
    )
}

/// A wide table in a box that scrolls and that the keyboard can focus. `label` names its content for screen readers.
pub(crate) fn scroll(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// A message as a sentence, with text between backticks as code.
pub(crate) fn prose(message: &str) -> Markup {
    let sentence = sentence(message);
    // An unpaired backtick is part of the text.
    let is_paired = sentence.matches('`').count().is_multiple_of(2);
    html! {
        @if is_paired {
            @for (index, part) in sentence.split('`').enumerate() {
                @if index % 2 == 0 { (part) } @else { code { (part) } }
            }
        } @else {
            (sentence)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_backticks_is_code() {
        assert_eq!(prose("send `A: <B>`; then wait").0, "Send <code>A: &lt;B&gt;</code>; then wait.");
        assert_eq!(prose("one ` alone").0, "One ` alone.");
        assert_eq!(prose("``").0, "<code></code>.");
    }

    #[test]
    fn hostile_text_is_escaped() {
        let hostile = "\"><script>alert(1)</script>";
        let rendered = [
            heading(hostile, &html! { (hostile) }, &html! {}),
            curl("http://localhost", &ApiAddress::new(format!("/data?x={hostile}'"))),
            banner(Severity::Error, hostile, hostile, &html! { (hostile) }),
            scroll(hostile, &html! {}),
        ];
        for text in rendered.map(Markup::into_string) {
            assert!(!text.contains("<script"), "{text}");
            assert!(!text.contains("\"\"&gt;"), "{text}");
            assert!(text.contains("&lt;script&gt;"), "{text}");
        }
    }
}
