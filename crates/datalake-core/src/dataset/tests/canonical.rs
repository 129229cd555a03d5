//! The canonical text: it does not depend on the spelling.

use super::{PLATES, dataset};
use crate::dataset::Dataset;

/// A declaration whose canonical text has twice as many backslashes.
fn with_backslashes(count: usize, title: &str) -> String {
    let value = "\\".repeat(count);
    format!("title = '{title}'\nsource.key = 's/{{id}}.csv'\ncolumns.a = {{ type = 'string', maxBytes = 65536, enum = ['{value}'] }}\n")
}

#[test]
fn canonical_text_is_limited_too() {
    let left = Dataset::BYTES_MAX - (dataset(&with_backslashes(1, "T")).canonical().len() - 2);
    let title = if left.is_multiple_of(2) { "T" } else { "TT" };
    let largest = dataset(&with_backslashes(left / 2, title));
    assert_eq!(largest.canonical().len(), Dataset::BYTES_MAX);
    assert_eq!(dataset(&largest.canonical()), largest);

    let text = with_backslashes(left / 2 + 1, title);
    let error = Dataset::parse(&text).unwrap_err().to_string();
    let sizes = [text.len(), Dataset::BYTES_MAX + 2, Dataset::BYTES_MAX];
    assert!(sizes.iter().all(|size| error.contains(&format!("{size} bytes"))), "{error}");
    let stored = Dataset::parse_stored(&text).unwrap();
    assert_eq!(Dataset::parse_stored(&stored.canonical()), Ok(stored));
}

#[test]
fn stored_declaration_is_readable_after_a_change_of_the_rules() {
    let head = "source.key = 's/{id}.csv'\n";
    for (text, cause) in [
        (format!("{head}columns.view = 'string'\n"), "the reserved name view"),
        ("source.key = 's/{view}.csv'\n".to_owned(), "the reserved name view"),
        (
            format!("{head}columns = {{ a = 'integer', min_a = 'integer' }}\n"),
            "the reserved name min_a",
        ),
        (
            format!("{head}files.history = {{ key = 's/{{id}}.png', column = 'photo' }}\n"),
            "the reserved name history",
        ),
        (
            format!("{head}files.x = {{ key = 's/{{id}}_x.csv', types = ['image/png'] }}\n"),
            "already used by",
        ),
    ] {
        let error = Dataset::parse(&text).unwrap_err();
        assert!(error.found.contains(cause), "{error}");
        let stored = Dataset::parse_stored(&text).unwrap();
        assert_eq!(Dataset::parse_stored(&stored.canonical()), Ok(stored));
    }
    // The table would have two columns of the same name.
    for columns in [
        "columns.run_id = 'string'\n",
        "columns.x_size = 'integer'\nfiles.x.key = 's/{id}.png'\n",
    ] {
        assert!(Dataset::parse_stored(&format!("{head}{columns}")).is_err(), "{columns}");
    }
}

#[test]
fn canonical_text_does_not_depend_on_the_spelling() {
    let users = Dataset::users().canonical();
    let expected = "title = \"Users\"\nentity = \"user\"\n[source]\nkey = \"src-data/{user_id}.csv\"\n[columns]\nfirst_name = \"string\"\nlast_name = \
                    \"string\"\nbirthts = { type = \"epoch_ms\", title = \"Born\", minimum = -3786825600000, maximum = \"run+24h\" }\n[files.image]\nkey = \
                    \"src-data/{user_id}.png\"\ntypes = [\"image/png\"]\ncolumn = \"img_path\"\ncopy_to = \
                    \"processed_data/images/{user_id}.png\"\n[derived]\nage = \"years(birthts)\"\n";
    assert_eq!(users, expected);
    assert_eq!(&dataset(&users), Dataset::users());
    let written_out = r#"
        # The users, with defaults that are written out.
        derived.age = "years(birthts)"
        entity = 'user'
        missingValues = [""]
        stats = ["age"]
        title = "\u0055sers"
        columns.user_id = { type = "string", maxBytes = 1000 }
        columns.first_name.type = "string"
        columns.last_name = { type = "string", required = true, source = "last_name" }
        columns.birthts = { maximum = "run+1d", minimum = 1850-01-01T00:00:00Z, type = "epoch_ms", title = "Born" }
        [source]
        format = "csv"
        key = "src-data/{user_id}.csv"
        [csv]
        delimiter = ","
        decimalChar = "."
        [files.image]
        key = "src-data/{user_id}.png"
        copy_to = "processed_data/images/{user_id}.png"
        column = "img_path"
        max_bytes = 0x80_0000
    "#;
    assert_eq!(dataset(written_out).canonical(), users);
    assert_eq!(&dataset(written_out), Dataset::users());
    let plates = dataset(PLATES);
    assert_eq!(dataset(&plates.canonical()), plates);
    assert_ne!(dataset(&PLATES.replace("4.5", "4.6")), plates);
}
