//! The CSV format of `output.csv` and of CSV responses: RFC 4180 with LF. The same rows give the same bytes.

use crate::{
    keys,
    query::column::Column,
    row::RowView,
    user::{Age, Ages},
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
pub fn push_header(text: &mut String, columns: &[Column]) {
    let names: Vec<_> = columns.iter().map(|column| column.name()).collect();
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
        match column {
            Column::UserId => push_field(text, row.user_id, escape),
            Column::FirstName => push_field(text, row.first_name, escape),
            Column::LastName => push_field(text, row.last_name, escape),
            Column::Birthts => text.push_str(&row.birth.as_ms().to_string()),
            Column::ImgPath if row.has_image => keys::image_parts(row.user_id).into_iter().for_each(|part| text.push_str(part)),
            Column::ImgPath => {}
            Column::Age => {
                if let Some(age) = ages.of(row.birth.day()) {
                    text.push_str(&Age::years(age).to_string());
                }
            }
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
    let needs_quotes = field.contains(['"', ',', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ');
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
    use crate::user::{BirthTimestamp, Day};

    #[track_caller]
    fn check(last_name: &str, has_image: bool, columns: &[Column], expected: &str) {
        let mut text = String::new();
        let birth = BirthTimestamp::from_ms(-1).unwrap();
        let row = RowView {
            user_id: "0001",
            first_name: "Ada",
            last_name,
            birth,
            has_image,
        };
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        push_line(&mut text, &row, columns, ages);
        assert_eq!(text, expected);
    }

    #[test]
    fn fields_are_quoted_when_required() {
        let stored = &Column::STORED;
        check("Lee", false, stored, "0001,Ada,Lee,-1,\n");
        check("Lee", true, stored, "0001,Ada,Lee,-1,processed_data/images/0001.png\n");
        check("Lee, Jr", false, stored, "0001,Ada,\"Lee, Jr\",-1,\n");
        check("Lee \"the Bee\"", false, stored, "0001,Ada,\"Lee \"\"the Bee\"\"\",-1,\n");
        check("Lee\r\nSmith", false, stored, "0001,Ada,\"Lee\r\nSmith\",-1,\n");
        check(" Lee", false, stored, "0001,Ada,\" Lee\",-1,\n");
        check("=cmd()", false, stored, "0001,Ada,=cmd(),-1,\n");
        check("Lee", false, &[Column::Age, Column::UserId], "56,0001\n");
        check("Lee", false, &[Column::ImgPath], "\"\"\n");
    }

    #[track_caller]
    fn check_escaped(last_name: &str, expected: &str) {
        let row = RowView {
            user_id: "-1",
            first_name: "@Ada",
            last_name,
            birth: BirthTimestamp::from_ms(-1).unwrap(),
            has_image: false,
        };
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        let mut text = String::new();
        push_escaped_line(&mut text, &row, &Column::STORED, ages, Escape::Spreadsheet);
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
        push_header(&mut text, &Column::STORED);
        assert_eq!(text, "user_id,first_name,last_name,birthts,img_path\n");
    }
}
