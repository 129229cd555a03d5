//! Cells of tables. The type of a column decides how its values are aligned, wrapped and shown in a card on phones, so that tables of any columns look
//! alike.
//!
//! ```text
//! const COLUMNS: [Column; 3] = [Column::new("User", ColumnType::Title), Column::new("Born", ColumnType::Time), Column::new("Added", ColumnType::Change("+"))];
//! html! { table.cards { (table::head(&COLUMNS)) tbody { tr { (COLUMNS[0].cell(&id)) (COLUMNS[1].cell(&born)) (COLUMNS[2].count(added)) } } } }
//! ```

use maud::{Markup, html};

use crate::components::format::number;

/// The type of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// Identifies the row: its header, and the title of its card.
    Title,
    /// Text of any length.
    Text,
    /// A state or another short text that explains itself without a label.
    Badge,
    /// A time, or an ID that does not wrap.
    Word,
    /// A number.
    Number,
    /// A number of changed rows. A card shows it after this sign, and hides it if it is zero.
    Change(&'static str),
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    pub(crate) label: &'a str,
    kind: ColumnType,
}

impl<'a> Column<'a> {
    pub(crate) const fn new(label: &'a str, kind: ColumnType) -> Self {
        Self { label, kind }
    }

    fn class(self) -> &'static str {
        match self.kind {
            ColumnType::Title => "title",
            ColumnType::Text => "wrap",
            ColumnType::Badge | ColumnType::Word => "nowrap",
            ColumnType::Number => "number",
            ColumnType::Change(_) => "number change",
        }
    }

    /// What a card shows before the value.
    fn card_label(self) -> Option<&'a str> {
        match self.kind {
            ColumnType::Title | ColumnType::Badge => None,
            ColumnType::Text | ColumnType::Word | ColumnType::Number => Some(self.label),
            ColumnType::Change(sign) => Some(sign),
        }
    }

    /// A cell of this column.
    pub(crate) fn cell(self, value: &Markup) -> Markup {
        if self.kind == ColumnType::Title {
            html! { th scope="row" class=(self.class()) { (value) } }
        } else {
            html! { td class=(self.class()) data-label=[self.card_label()] { (value) } }
        }
    }

    /// A cell with a number; a dash without one. Zeros are less prominent than other numbers.
    pub(crate) fn count(self, value: Option<u64>) -> Markup {
        let zero = match value {
            Some(1..) => "",
            Some(0) | None => " zero",
        };
        html! {
            td class={ (self.class()) (zero) } data-label=[self.card_label()] { (value.map_or_else(|| "–".to_owned(), number)) }
        }
    }
}

/// The row of headings.
pub(crate) fn head(columns: &[Column<'_>]) -> Markup {
    html! {
        thead {
            tr {
                @for column in columns {
                    @match column.kind {
                        ColumnType::Number | ColumnType::Change(_) => th.number scope="col" { (column.label) },
                        _ => th scope="col" { (column.label) },
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rendered: Markup, expected: &str) {
        assert_eq!(rendered.into_string(), expected);
    }

    #[test]
    fn type_decides_the_class_and_the_label_of_a_cell() {
        let value = html! { "x" };
        check(
            Column::new("User", ColumnType::Title).cell(&value),
            "<th scope=\"row\" class=\"title\">x</th>",
        );
        check(
            Column::new("Trigger", ColumnType::Text).cell(&value),
            "<td class=\"wrap\" data-label=\"Trigger\">x</td>",
        );
    }

    #[test]
    fn zeros_are_marked() {
        let added = Column::new("Added", ColumnType::Change("+"));
        check(added.count(Some(1_200)), "<td class=\"number change\" data-label=\"+\">1,200</td>");
        check(added.count(Some(0)), "<td class=\"number change zero\" data-label=\"+\">0</td>");
        check(added.count(None), "<td class=\"number change zero\" data-label=\"+\">–</td>");
    }
}
