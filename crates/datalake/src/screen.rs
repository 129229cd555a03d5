//! Standard output as a screen: its width, colors, and cells without characters that control a terminal.

use std::io::{self, IsTerminal};

use console::Term;
use datalake_core::text::{grouped, visible};

use crate::logging;

/// What standard output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) has_color: bool,
    /// In columns; none if standard output is not a terminal. Lines are then not wrapped, so programs find each row in one line.
    pub(crate) width: Option<usize>,
}

impl Screen {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Self {
            has_color: is_terminal && logging::has_color(),
            width: width.filter(|_| is_terminal),
        }
    }
}

/// How a cell is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Strong,
    Good,
    Warning,
    Bad,
    Faint,
}

impl Tone {
    /// The tone of a run's state.
    pub(crate) fn of_state(state: &str) -> Self {
        match state {
            "succeeded" => Self::Good,
            "failed" | "blocked" | "misconfigured" => Self::Bad,
            "stopped" => Self::Warning,
            _ => Self::Plain,
        }
    }

    /// The text with this tone's color.
    pub(crate) fn paint(self, text: &str, screen: Screen) -> String {
        let code = match self {
            Self::Strong => "1",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Plain => return text.to_owned(),
        };
        match screen.has_color && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// A text of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: &str, tone: Tone) -> Self {
        Self {
            text: visible(text).into_owned(),
            tone,
        }
    }

    /// A number with separators between thousands; faint if it is 0.
    pub(crate) fn count(number: u64) -> Self {
        let tone = if number == 0 { Tone::Faint } else { Tone::Plain };
        Self::new(&grouped(number), tone)
    }

    /// The mark of a missing value.
    pub(crate) fn missing() -> Self {
        Self::new("-", Tone::Faint)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// In columns of a terminal.
    pub(crate) fn width(&self) -> usize {
        console::measure_text_width(&self.text)
    }

    /// A part of the text with the color of the cell.
    pub(crate) fn paint(&self, part: &str, screen: Screen) -> String {
        self.tone.paint(part, screen)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_control_the_terminal() {
        assert_eq!(Cell::from("\u{1b}[31mred").text(), "<U+001B>[31mred");
        assert_eq!(Cell::from("日本").width(), 4);
        assert_eq!(Cell::count(1_234_567).text(), "1,234,567");
    }

    #[test]
    fn color_is_used_only_if_the_screen_has_it() {
        let screen = |has_color| Screen { has_color, width: None };
        assert_eq!(Tone::Bad.paint("x", screen(true)), "\x1b[31mx\x1b[0m");
        assert_eq!(Tone::Bad.paint("x", screen(false)), "x");
    }
}
