//! Aligned tables.

use crate::screen::{Cell, Screen, Tone};

/// Between two columns.
const GAP: &str = "  ";

/// The narrowest last column that is wrapped. A narrower one would have about one word per line.
const WRAPPED_WIDTH_MIN: usize = 24;

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    title: String,
    is_number: bool,
}

impl Column {
    /// A column of texts.
    pub(crate) fn text(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            is_number: false,
        }
    }

    /// A column of numbers, which are aligned to the right.
    pub(crate) fn number(title: &str) -> Self {
        Self {
            is_number: true,
            ..Self::text(title)
        }
    }
}

/// The widths of the columns of a table.
#[derive(Debug)]
pub(crate) struct Layout {
    columns: Vec<Column>,
    widths: Vec<usize>,
    screen: Screen,
}

impl Layout {
    /// The layout that fits the titles and these rows. Later rows may be wider; then they are not aligned.
    pub(crate) fn new(columns: Vec<Column>, rows: &[Vec<Cell>], screen: Screen) -> Self {
        let width = |(index, column): (usize, &Column)| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(Cell::width);
            cells.chain([console::measure_text_width(&column.title)]).max().unwrap_or_default()
        };
        Self {
            widths: columns.iter().enumerate().map(width).collect(),
            columns,
            screen,
        }
    }

    /// Appends the line of the titles.
    pub(crate) fn push_header(&self, text: &mut String) {
        let titles: Vec<_> = self.columns.iter().map(|column| Cell::new(&column.title, Tone::Strong)).collect();
        self.push_row(text, &titles);
    }

    /// Appends a row. On a terminal, the last column is wrapped.
    pub(crate) fn push_row(&self, text: &mut String, row: &[Cell]) {
        let last = self.columns.len().saturating_sub(1);
        let mut start = 0;
        for (index, (column, width)) in self.columns.iter().zip(&self.widths).enumerate() {
            let empty = Cell::default();
            let cell = row.get(index).unwrap_or(&empty);
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            if index > 0 {
                text.push_str(GAP);
                start += GAP.len();
            }
            match (column.is_number, index == last) {
                (true, _) => {
                    text.push_str(&padding);
                    text.push_str(&cell.paint(cell.text(), self.screen));
                }
                (false, true) => push_wrapped(text, cell, start, self.screen),
                (false, false) => {
                    text.push_str(&cell.paint(cell.text(), self.screen));
                    text.push_str(&padding);
                }
            }
            start += width;
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

/// The table as text.
pub(crate) fn table(columns: Vec<Column>, rows: &[Vec<Cell>], screen: Screen) -> String {
    let layout = Layout::new(columns, rows, screen);
    let mut text = String::new();
    layout.push_header(&mut text);
    for row in rows {
        layout.push_row(&mut text, row);
    }
    text
}

/// Names and values, one per line, without titles.
pub(crate) fn fields(rows: Vec<(&str, Cell)>, screen: Screen) -> String {
    let rows: Vec<Vec<Cell>> = rows
        .into_iter()
        .map(|(name, value)| vec![Cell::new(name, Tone::Strong), value])
        .collect();
    let layout = Layout::new(vec![Column::text(""), Column::text("")], &rows, screen);
    let mut text = String::new();
    for row in &rows {
        layout.push_row(&mut text, row);
    }
    text
}

/// Appends the words of a cell that starts in a column of the screen. Further lines start in the same column.
fn push_wrapped(text: &mut String, cell: &Cell, start: usize, screen: Screen) {
    let room = screen
        .width
        .and_then(|width| width.checked_sub(start))
        .filter(|room| *room >= WRAPPED_WIDTH_MIN);
    let Some(room) = room else {
        text.push_str(&cell.paint(cell.text(), screen));
        return;
    };
    for (number, line) in wrapped(cell.text(), room).iter().enumerate() {
        if number > 0 {
            text.push('\n');
            text.push_str(&" ".repeat(start));
        }
        text.push_str(&cell.paint(line, screen));
    }
}

/// The lines of a text. A word that is longer than a line has its own line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let length = console::measure_text_width(line) + 1 + console::measure_text_width(word);
        if line.is_empty() {
            line.push_str(word);
        } else if length <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Screen = Screen {
        has_color: false,
        width: None,
    };

    fn example(screen: Screen) -> String {
        let columns = vec![Column::text("KEY"), Column::number("LINES"), Column::text("REASON")];
        let rows = [
            vec!["src-data/1.csv".into(), Cell::count(1_234), "the value is not a number".into()],
            vec!["日本.csv".into(), Cell::missing()],
        ];
        table(columns, &rows, screen)
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            example(FILE),
            "KEY             LINES  REASON\n\
             src-data/1.csv  1,234  the value is not a number\n\
             日本.csv            -\n"
        );
    }

    #[test]
    fn last_column_is_wrapped_on_a_terminal() {
        let narrow = Screen { width: Some(47), ..FILE };
        assert_eq!(
            example(narrow),
            "KEY             LINES  REASON\n\
             src-data/1.csv  1,234  the value is not a\n                       number\n\
             日本.csv            -\n"
        );
        let too_narrow = Screen { width: Some(30), ..FILE };
        assert_eq!(example(too_narrow), example(FILE));
    }

    #[test]
    fn color_does_not_change_the_alignment() {
        let colored = Screen { has_color: true, ..FILE };
        let text = example(colored);
        assert!(text.contains("\x1b[1mKEY\x1b[0m"), "{text:?}");
        assert_eq!(console::strip_ansi_codes(&text), example(FILE));
    }

    #[test]
    fn fields_have_one_line_each() {
        let rows = vec![("run", Cell::from("r-1")), ("outcome", Cell::from("succeeded"))];
        assert_eq!(fields(rows, FILE), "run      r-1\noutcome  succeeded\n");
    }
}
