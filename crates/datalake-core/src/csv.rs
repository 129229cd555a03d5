//! The CSV format of `output.csv` and of CSV responses: RFC 4180 with LF. The same rows give the same bytes.

use std::fmt::Write as _;

use crate::{
    calendar::Ages,
    dataset::{Dataset, ValueRef},
    query::column::Column,
    row::{Cell, RowView},
};

/// Which fields are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// None, as in `output.csv`.
    #[default]
    Nothing,
    /// Texts that a spreadsheet would evaluate as formulas. Numbers are not escaped, because they evaluate to themselves.
    Spreadsheet,
}

impl Escape {
    /// The prefix that escapes a field.
    fn prefix(self, field: &str) -> &'static str {
        match self {
            Self::Spreadsheet if field.starts_with(['=', '+', '-', '@', '\t', '\r']) => "'",
            Self::Spreadsheet | Self::Nothing => "",
        }
    }
}

/// Appends the header line.
pub fn push_header(text: &mut String, dataset: &Dataset, columns: &[Column]) {
    let names: Vec<_> = columns.iter().map(|column| column.name(dataset).as_str()).collect();
    text.push_str(&names.join(","));
    text.push('\n');
}

/// Appends the line of a row without escaping. A null is an empty field.
pub fn push_line(text: &mut String, row: &RowView<'_>, columns: &[Column], ages: Ages) {
    push_escaped_line(text, row, columns, ages, Escape::Nothing);
}

/// Appends the line of a row with escaping.
pub fn push_escaped_line(text: &mut String, row: &RowView<'_>, columns: &[Column], ages: Ages, escape: Escape) {
    let start = text.len();
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match row.cell(*column, ages) {
            Some(Cell::Value(ValueRef::Text(field))) => push_field(text, field, escape),
            Some(Cell::Value(ValueRef::Integer(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number))) => {
                text.push_str(itoa::Buffer::new().format(number));
            }
            // Neither numbers nor times contain a character that requires quotes.
            Some(Cell::Value(value)) => write!(text, "{value}").expect("a string takes any text"),
            Some(Cell::Path(parts)) => parts.iter().for_each(|part| text.push_str(part)),
            None => {}
        }
    }
    // Most parsers skip an empty line.
    if text.len() == start {
        text.push_str("\"\"");
    }
    text.push('\n');
}

/// Appends a field, in quotes if RFC 4180 requires them or if it begins or ends with a space, which many parsers would remove.
pub fn push_field(text: &mut String, field: &str, escape: Escape) {
    let prefix = escape.prefix(field);
    // Without an early exit, the compiler vectorizes the loop.
    let quoted = |found: bool, byte: u8| found | matches!(byte, b'"' | b',' | b'\n' | b'\r');
    let needs_quotes = field.bytes().fold(false, quoted) || field.starts_with(' ') || field.ends_with(' ');
    if needs_quotes {
        text.push('"');
        text.push_str(prefix);
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(prefix);
        text.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{calendar::Day, row::test_rows::user};

    #[track_caller]
    fn check(last_name: &str, has_image: bool, columns: &[Column], expected: &str) {
        let mut text = String::new();
        let row = user("0001", ["Ada", last_name], -1, has_image);
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        push_line(&mut text, &row.view(Dataset::users()), columns, ages);
        assert_eq!(text, expected);
    }

    #[test]
    fn fields_are_quoted_when_required() {
        let stored = &Column::stored(Dataset::users()).collect::<Vec<_>>();
        check("Lee", false, stored, "0001,Ada,Lee,-1,\n");
        check("Lee", true, stored, "0001,Ada,Lee,-1,processed_data/images/0001.png\n");
        check("Lee, Jr", false, stored, "0001,Ada,\"Lee, Jr\",-1,\n");
        check("Lee \"the Bee\"", false, stored, "0001,Ada,\"Lee \"\"the Bee\"\"\",-1,\n");
        check("Lee\r\nSmith", false, stored, "0001,Ada,\"Lee\r\nSmith\",-1,\n");
        check(" Lee", false, stored, "0001,Ada,\" Lee\",-1,\n");
        check("=cmd()", false, stored, "0001,Ada,=cmd(),-1,\n");
        check("Lee", false, &[Column::Derived(0), Column::KEY], "56,0001\n");
        check("Lee", false, &[Column::File(0)], "\"\"\n");
    }

    #[track_caller]
    fn check_escaped(last_name: &str, expected: &str) {
        let row = user("-1", ["@Ada", last_name], -1, false);
        let stored: Vec<_> = Column::stored(Dataset::users()).collect();
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        let mut text = String::new();
        push_escaped_line(&mut text, &row.view(Dataset::users()), &stored, ages, Escape::Spreadsheet);
        assert_eq!(text, format!("'-1,'@Ada,{expected},-1,\n"));
    }

    #[test]
    fn formulas_are_escaped_for_spreadsheets() {
        check_escaped("=cmd()", "'=cmd()");
        check_escaped("+1", "'+1");
        check_escaped("-1+1", "'-1+1");
        check_escaped("=A1,\"x\"", "\"'=A1,\"\"x\"\"\"");
        check_escaped("\r=1", "\"'\r=1\"");
        check_escaped("\t1", "'\t1");
        check_escaped("Lee=", "Lee=");
        check_escaped("'=1", "'=1");
        check_escaped("", "");
    }

    #[test]
    fn header_contains_the_column_names() {
        let mut text = String::new();
        let stored: Vec<_> = Column::stored(Dataset::users()).collect();
        push_header(&mut text, Dataset::users(), &stored);
        assert_eq!(text, "user_id,first_name,last_name,birthts,img_path\n");
    }
}
