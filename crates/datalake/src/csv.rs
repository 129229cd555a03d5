//! Documents as CSV: RFC 4180 with LF, as in CSV responses of the API.

use datalake_core::csv::{Escape, push_field};

use crate::document::Document;

/// The documents as rows. Columns are the fields of all documents in their order; the fields of an inner object have its name as a prefix. Lists are
/// left out.
pub(crate) fn csv(documents: &[Document]) -> String {
    let rows: Vec<Vec<(String, String)>> = documents.iter().map(flat).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    // A missing object is null, and has no column of its own.
    columns.retain(|column| !documents.iter().any(|document| matches!(document.get(column), Document::Object(_))));
    let mut text = line(columns.iter().copied());
    for row in &rows {
        let value = |column: &&str| row.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value);
        text.push_str(&line(columns.iter().map(value)));
    }
    text
}

fn flat(document: &Document) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for (name, value) in document.fields() {
        match value {
            Document::List(_) => {}
            Document::Object(_) => {
                let inner = flat(value).into_iter();
                values.extend(inner.map(|(inner, value)| (format!("{name}_{inner}"), value)));
            }
            scalar => values.push((name.clone(), scalar.to_string())),
        }
    }
    values
}

fn line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, field) in fields.enumerate() {
        if index > 0 {
            line.push(',');
        }
        push_field(&mut line, field, Escape::Nothing);
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(documents: &str, expected: &str) {
        let documents = Document::parse(documents.as_bytes()).unwrap().into_list();
        assert_eq!(csv(&documents), expected);
    }

    #[test]
    fn inner_objects_become_columns() {
        check(
            r#"[{"id":"a","counts":null,"list":[1]},{"id":"b, \"c\"","counts":{"added":2},"error":"x"}]"#,
            "id,counts_added,error\na,,\n\"b, \"\"c\"\"\",2,x\n",
        );
    }
}
