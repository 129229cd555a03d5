//! Declarations: the users, errors with their positions, and the canonical text.

mod canonical;
mod errors;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn dataset(text: &str) -> Dataset {
    Dataset::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn users_are_the_default() {
    let users = Dataset::users();
    assert_eq!((users.title(), users.entity()), ("Users", "user"));
    assert_eq!((users.format(), users.compression()), (SourceFormat::Csv, Compression::Plain));
    let names: Vec<_> = users.column_names().map(Name::as_str).collect();
    assert_eq!(names, ["user_id", "first_name", "last_name", "birthts", "img_path", "age"]);
    let [row_id, first_name, _, birthts] = users.columns() else {
        panic!("{users:?}")
    };
    assert_eq!((&row_id.origin, row_id.column_type), (&Origin::Key(0), ColumnType::String));
    assert_eq!(first_name.constraints, Constraints::default());
    assert_eq!(birthts.column_type, ColumnType::EpochMs);
    assert_eq!(birthts.constraints.minimum, Some(Value::EpochMs(-3_786_825_600_000)));
    assert_eq!(
        birthts.constraints.maximum,
        Some(Maximum::FromRun(jiff::SignedDuration::from_hours(24)))
    );
    let [image] = users.files() else { panic!("{users:?}") };
    assert_eq!(
        (image.name.as_str(), image.column.as_str(), image.bytes_max),
        ("image", "img_path", 8 * 1024 * 1024)
    );
    assert_eq!(*image.types, [FileType::Png]);
    assert_eq!(
        image.copy_to.as_ref().unwrap().key(&["0001"]).as_deref(),
        Some("processed_data/images/0001.png")
    );
    assert_eq!(users.stats().iter().map(Name::as_str).collect::<Vec<_>>(), ["age"]);
    assert_eq!(users.missing_values(), ["".into()]);
}

const PLATES: &str = r#"
title = "Plates"
entity = "plate"
missingValues = ["", "NA"]
stats = ["od600", "note_length"]

[source]
key = "plates/{experiment}_{plate:P[0-9]{4}}.tsv.gz"

[csv]
delimiter = ";"
encoding = "windows-1252"
decimalChar = ","
groupChar = "."
extra_columns = "reject"

[columns]
experiment = { type = "date", title = "Day of \"the\" experiment", format = "%Y%m%d", maximum = "run+36h" }
"od600" = { type = "number", minimum = 0, maximum = 4.5, required = false, source = "OD 600" }
wells = { type = "integer", enum = [96, 384] }
state = { type = "string", enum = ["new", "done"], maxLength = 4 }
note = { type = "string", required = false, minLength = 2, maxBytes = 5000, pattern = 'a\d+ "x" é.*' }
read = { type = "datetime", minimum = 2020-01-01T00:00:00Z, maximum = "run" }
at = { type = "epoch_s", minimum = "2020-01-01", maximum = "run-90m" }
day = "date"
is_valid = "boolean"

[files.report]
key = "reports/{experiment}/{plate}.pdf"

[files.photo]
key = "photos/{plate}/{experiment}.jpg"
types = ["image/jpeg", "image/png"]
max_bytes = 1_000_000
copy_to = "processed_data/photos/{experiment}/{plate}.jpg"
column = "photo_key"

[derived]
age = "years(read)"
year = "year(day)"
note_length = "length(note)"
has_photo = "has(photo)"
"#;

#[test]
fn every_key_is_read() {
    let plates = dataset(PLATES);
    let names: Vec<_> = plates.column_names().map(Name::as_str).collect();
    let expected = "experiment plate od600 wells state note read at day is_valid report_path photo_key age year note_length has_photo";
    assert_eq!(names.join(" "), expected, "the order is that of the text");
    let expected = CsvDialect {
        delimiter: b';',
        encoding: Encoding::Windows1252,
        decimal: ',',
        group: Some('.'),
        extra_columns: ExtraColumns::Reject,
    };
    assert_eq!((plates.csv(), plates.compression()), (&expected, Compression::Gzip));
    assert_eq!(plates.columns()[2].origin, Origin::Content("OD 600".into()));
    let titles = [&plates.columns()[0].title, &plates.columns()[2].title];
    assert_eq!(titles.map(Option::as_deref), [Some("Day of \"the\" experiment"), None]);
    assert_eq!(plates.files()[0].types.as_ref(), [FileType::Pdf]);
    let derived: Vec<_> = plates.derived().iter().map(ToString::to_string).collect();
    assert_eq!(derived, ["years(read)", "year(day)", "length(note)", "has(photo)"]);
    let key = plates.key().match_key("plates/20261124_P0001.tsv.gz").unwrap();
    assert_eq!(key.values, ["20261124", "P0001"]);
}

#[test]
fn keys_are_those_of_the_source_or_a_file() {
    let users = Dataset::users();
    let role = |key| users.match_key(key).map(|(role, _)| role);
    assert_eq!(role("src-data/1.csv"), Ok(KeyRole::Source));
    assert_eq!(role("src-data/1.png"), Ok(KeyRole::File(0)));
    assert_eq!(role("src-data/1 2.png"), Err(KeyMismatch::InvalidValue));
    assert_eq!(role("src-data/1.jpg"), Err(KeyMismatch::OtherName));
    assert_eq!(role("src-data/a/1.png"), Err(KeyMismatch::Nested));
    assert_eq!(role("other/1.png"), Err(KeyMismatch::OtherFolder));
}

#[test]
fn little_is_required() {
    let row = dataset("source = { key = \"a/{id}.json\" }");
    assert_eq!((row.title(), row.entity(), row.format()), ("Rows", "row", SourceFormat::Json));
    let photos = dataset("entity = \"photo\"\n[source]\nkey = \"photos/{camera}.jpg\"\nformat = \"none\"\n");
    assert_eq!((photos.title(), photos.format()), ("Photos", SourceFormat::KeyOnly));
    assert_eq!(dataset("[source]\nkey = \"a/{id}.tsv\"").csv().delimiter, b'\t');
}

#[test]
fn rows_keep_the_capitals_of_abbreviations_within_a_sentence() {
    let rows = |title| dataset(&format!("title = '{title}'\nsource.key = 's/{{id}}.csv'\n")).rows_in_sentence();
    let titles = ["Users", "All Plants", "PCR plates", "X", "Ämter", "年齢"];
    assert_eq!(titles.map(rows), ["users", "all Plants", "PCR plates", "x", "ämter", "年齢"]);
}

#[test]
fn titles_and_constraints_are_not_part_of_the_columns() {
    let base = "title = 'Plants'\nsource.key = 'src-data/{id}.csv'\n[columns]\nkind = 'string'\nday = 'date'\n[files.photo]\nkey = \
                'src-data/{id}.png'\n[derived]\nage = 'years(day)'\n";
    let check = |from: &str, to: &str, expected: bool| {
        assert!(base.contains(from), "{from}");
        let other = dataset(&base.replace(from, to));
        assert_ne!(other, dataset(base), "{to}");
        assert_eq!(dataset(base).has_same_columns(&other), expected, "{from} -> {to}");
    };
    check("Plants", "All plants", true);
    check("kind = 'string'", "kind = { type = 'string', maxLength = 9, title = 'Kind' }", true);
    check("kind = 'string'", "kind = { type = 'string', source = 'Art' }", true);
    check("png'", "png'\nmax_bytes = 9", true);
    check("{id}.csv", "{id:P[0-9]{4}}.csv", true);
    check("kind = 'string'", "kind = 'integer'", false);
    check("kind = 'string'\nday = 'date'", "day = 'date'\nkind = 'string'", false);
    check("kind = ", "sort = ", false);
    check("files.photo", "files.portrait", false);
    check("png'", "png'\ncolumn = 'photo_key'", false);
    check("png'", "png'\ncopy_to = 'processed_data/photos/{id}.png'", false);
    check("age = ", "years = ", false);
    check("years(day)", "year(day)", false);
}

/// A column of a declaration, valid or not.
fn column() -> impl Strategy<Value = String> {
    let constraint = prop_oneof![
        Just("required = false".to_owned()),
        (-5..5_i32).prop_map(|number| format!("minimum = {number}")),
        (0..9_i32).prop_map(|number| format!("maximum = {number}")),
        (0..9_i32).prop_map(|number| format!("maximum = {number}.5")),
        (0..40_i32).prop_map(|number| format!("maximum = \"run+{number}h\"")),
        (0..40_i32).prop_map(|number| format!("maximum = \"run-{number}s\"")),
        (1..30_u32).prop_map(|day| format!("minimum = \"2026-02-{day:02}\"")),
        (1..9_u32).prop_map(|number| format!("minLength = {number}")),
        (1..9_u32).prop_map(|number| format!("maxLength = {number}")),
        (1..9_u32).prop_map(|number| format!("maxBytes = {number}000")),
        "[a-c\\\\.*é\"]{0,4}".prop_map(|text| format!("pattern = {text:?}")),
        proptest::collection::vec("[a-c ]{0,3}", 0..3).prop_map(|values| format!("enum = {values:?}")),
        proptest::collection::vec(-3..3_i32, 0..3).prop_map(|values| format!("enum = {values:?}")),
        Just("format = \"%d.%m.%Y\"".to_owned()),
        "[A-C \"\\\\é]{0,4}".prop_map(|text| format!("title = {text:?}")),
        "[A-C/~1 ]{0,4}".prop_map(|text| format!("source = {text:?}")),
    ];
    let column_type = proptest::sample::select(ColumnType::ALL.map(ColumnType::as_str).to_vec());
    (column_type, proptest::collection::vec(constraint, 0..3)).prop_map(|(column_type, mut constraints)| {
        constraints.dedup_by_key(|constraint| constraint.split(' ').next().unwrap_or_default().to_owned());
        constraints.insert(0, format!("type = \"{column_type}\""));
        format!("{{ {} }}", constraints.join(", "))
    })
}

proptest! {
    /// The canonical text of any dataset is that of the dataset that it is parsed as.
    #[test]
    fn canonical_text_round_trips(
        columns in proptest::collection::vec(column(), 0..4),
        key in proptest::sample::select(vec!["s/{id}.csv", "s/{a}-{b:[0-9]+}.tsv.gz", "s/{id}/{c0}.json", "s/{c1}.csv"]),
        lines in proptest::sample::subsequence(vec![
            "title = \"A \\\"title\\\" \\\\ é\"", "entity = 'x y'", "missingValues = [\"NA\"]", "csv.delimiter = \";\"", "csv.groupChar = \" \"",
            "csv.extra_columns = \"reject\"", "files.f = { key = \"f/{id}.png\" }", "derived.d = \"length(c0)\"", "derived.e = \"years(c1)\"", "stats = []",
        ], 0..4),
    ) {
        let columns: Vec<_> = columns.iter().enumerate().map(|(index, column)| format!("c{index} = {column}")).collect();
        let text = format!("source.key = {key:?}\n{}\n[columns]\n{}\n", lines.join("\n"), columns.join("\n"));
        match Dataset::parse(&text) {
            Ok(dataset) => {
                let canonical = dataset.canonical();
                let again = Dataset::parse(&canonical).map_err(|error| TestCaseError::fail(format!("{error}\n{canonical}")))?;
                prop_assert_eq!(&again, &dataset, "{}", canonical);
                prop_assert_eq!(again.canonical(), canonical);
            }
            Err(error) => check_position(&text, &error)?,
        }
    }

    /// Any text is a declaration or an error at a position of the text.
    #[test]
    fn any_text_gets_a_result(text in "\\PC{0,40}|([a-c=\\[\\]{}\".,#\n é0-9]|source|key|columns|\"string\"|files|derived|\\{id\\}| = ){0,24}") {
        if let Err(error) = Dataset::parse(&text) {
            check_position(&text, &error)?;
        }
    }

    /// A changed byte of a valid declaration gives a result.
    #[test]
    fn any_changed_byte_gets_a_result(at in 0..PLATES.len(), character in proptest::char::any(), is_removed in proptest::bool::ANY) {
        prop_assume!(PLATES.is_char_boundary(at) && PLATES.is_char_boundary(at + 1));
        let inserted = if is_removed { String::new() } else { character.to_string() };
        let text = format!("{}{inserted}{}", &PLATES[..at], &PLATES[at + 1..]);
        match Dataset::parse(&text) {
            Ok(dataset) => prop_assert_eq!(Dataset::parse(&dataset.canonical()), Ok(dataset)),
            Err(error) => check_position(&text, &error)?,
        }
    }
}

/// Checks that an error is complete, and that its position is one of the text, or its end.
fn check_position(text: &str, error: &DatasetError) -> Result<(), TestCaseError> {
    prop_assert!(!error.found.is_empty() && !error.expected.is_empty(), "{:?}", error);
    let line = text.split('\n').nth(usize::try_from(error.line - 1).unwrap());
    let length = line.map(|line| line.chars().count());
    prop_assert!(
        length.is_some_and(|length| usize::try_from(error.column).unwrap() <= length + 1),
        "{:?}\n{}",
        error,
        text
    );
    Ok(())
}
