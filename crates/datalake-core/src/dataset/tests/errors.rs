//! Invalid declarations: each error with its position.

use rstest::rstest;

use crate::dataset::Dataset;

/// A declaration in which one line is replaced, with the position and the texts of its error.
#[track_caller]
fn check_invalid(text: &str, position: (u32, u32), parts: &[&str]) {
    let error = Dataset::parse(text).expect_err(text);
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!((error.line, error.column), position, "{message}");
    assert!(!error.found.is_empty() && !error.expected.is_empty(), "{message}");
}

const HEAD: &str = "source.key = \"s/{id}.csv\"\n";

#[rstest]
#[case::syntax("title = Users", (2, 9), &["string values must be quoted"])]
#[case::unclosed("title = \"Users", (2, 15), &["expected"])]
#[case::unknown_key("titel = \"Users\"", (2, 1), &["unknown key \"titel\" in the declaration", "expected one of title,", "did you mean `title`?"])]
#[case::unknown_section("[colums]\na = \"string\"", (2, 2), &["did you mean `columns`?"])]
#[case::duplicate_key("entity = \"a\"\nentity = \"b\"", (3, 1), &["duplicate key \"entity\"", "each key once"])]
#[case::type_of_title("title = 1", (2, 9), &["an integer", "a text of 1 to 200 bytes"])]
#[case::empty_title("title = \"\"", (2, 9), &["0 bytes"])]
#[case::control_character("entity = \"a\\u0007b\"", (2, 10), &["U+0007"])]
#[case::unknown_format("source.format = \"cvs\"", (2, 17), &["unknown format \"cvs\"", "one of csv, json, none", "did you mean `csv`?"])]
#[case::missing_values("missingValues = \"NA\"", (2, 17), &["an array of texts"])]
#[case::missing_value_twice("missingValues = [\"NA\", \"NA\"]", (2, 24), &["duplicate text \"NA\""])]
#[case::missing_value_with_space("missingValues = [\" \"]", (2, 18), &["white space"])]
fn invalid_line_is_rejected_at_its_position(#[case] line: &str, #[case] position: (u32, u32), #[case] parts: &[&str]) {
    check_invalid(&format!("{HEAD}{line}\n"), position, parts);
}

#[rstest]
#[case::nothing("", (1, 1), &["no [source]", "[source] with the key"])]
#[case::no_key("[source]\nformat = \"csv\"", (1, 1), &["[source] without key"])]
#[case::source_is_text("source = \"s/{id}.csv\"", (1, 10), &["the string \"s/{id}.csv\"", "[source] with key and format"])]
#[case::unknown_key("[source]\nkeys = \"s/{id}.csv\"", (2, 1), &["did you mean `key`?"])]
#[case::adjacent("source.key = \"s/{a}{b}.csv\"", (1, 20), &["a placeholder next to another one"])]
#[case::regex("source.key = \"s/{a:[z-a]}.csv\"", (1, 21), &["invalid regular expression", "invalid character class range"])]
#[case::escaped("source.key = \"s\\u002F{a}{b}.csv\"", (1, 14), &["a placeholder next to another one"])]
#[case::no_format("source.key = \"s/{id}.txt\"", (1, 14), &["cannot infer the format", "ends with .csv, .tsv or .json"])]
#[case::below_the_table("source.key = \"processed_data/{id}.csv\"", (1, 14), &["the product writes below processed_data/"])]
#[case::among_private_files("source.key = \".datalake/{id}.csv\"", (1, 14), &["the product writes below .datalake/"])]
#[case::any_folder("source.key = \"{folder}/{id}.csv\"", (1, 14), &["may be below processed_data/"])]
#[case::csv_of_json("source.key = \"s/{id}.json\"\n[csv]\ndelimiter = \";\"", (2, 1), &["the format of the sources is json"])]
#[case::column_of_key_only("source = { key = \"s/{id}.x\", format = \"none\" }\ncolumns.ids = \"string\"", (2, 9), &["which is not in the key", "did you mean `id`?"])]
#[case::placeholder_of_a_bound("source.key = \"s/{min_a}.csv\"\ncolumns.a = \"integer\"", (1, 14), &["the reserved name min_a"])]
#[case::reserved_placeholder("source.key = \"s/{id}/{limit:[0-9]+}.csv\"", (1, 23), &["the reserved name limit"])]
#[case::one_member("source.key = \"s/{id}.json\"\ncolumns.a = \"string\"\ncolumns.b = { type = \"string\", source = \"/a\" }", (3, 9), &["b, which is read from where a is"])]
#[case::pointer("source.key = \"s/{id}.json\"\ncolumns.b = { type = \"string\", source = \"/a~2\" }", (2, 41), &["~0 for a tilde"])]
#[case::not_utf_8_like("source.key = \"é\u{301}{id}\" # é\ntitel = 1", (2, 1), &["titel"])]
fn invalid_source_is_rejected_at_its_position(#[case] text: &str, #[case] position: (u32, u32), #[case] parts: &[&str]) {
    check_invalid(text, position, parts);
}

#[rstest]
#[case::unknown_key("delimeter = \";\"", (3, 1), &["did you mean `delimiter`?"])]
#[case::long_delimiter("delimiter = \"||\"", (3, 13), &["one ASCII character"])]
#[case::letter("delimiter = \"a\"", (3, 13), &["one ASCII character"])]
#[case::encoding("encoding = \"utf8\"", (3, 12), &["did you mean `utf-8`?"])]
#[case::digit("decimalChar = \"1\"", (3, 15), &["one character"])]
#[case::same("groupChar = \".\"", (3, 13), &["groupChar and decimalChar are both \".\""])]
#[case::extra("extra_columns = \"rejects\"", (3, 17), &["did you mean `reject`?"])]
fn invalid_dialect_is_rejected_at_its_position(#[case] line: &str, #[case] position: (u32, u32), #[case] parts: &[&str]) {
    check_invalid(&format!("{HEAD}[csv]\n{line}\n"), position, parts);
}

#[rstest]
#[case::unknown_type("a = \"sting\"", (3, 5), &["the unknown type \"sting\"", "one of the types string, integer", "did you mean `string`?"])]
#[case::number("a = 1", (3, 5), &["an integer", "one of the types"])]
#[case::no_type("a = { required = true }", (3, 1), &["the column a without type"])]
#[case::name("Name = \"string\"", (3, 1), &["the name \"Name\"", "a letter of a-z"])]
#[case::reserved("limit = \"integer\"", (3, 1), &["the reserved name limit"])]
#[case::operator("a__gte = \"integer\"", (3, 1), &["operator"])]
#[case::bound("min_a = \"integer\"\na = \"integer\"", (3, 1), &["the reserved name min_a"])]
#[case::unknown_constraint("a = { type = \"string\", min_length = 1 }", (3, 24), &["unknown key \"min_length\" in the column a", "did you mean `minLength`?"])]
#[case::other_constraint("a = { type = \"integer\", minLength = 1 }", (3, 25), &["minLength for a column of the type integer", "one of type, title, required, minimum, maximum, enum, source"])]
#[case::key_constraint("id = { type = \"string\", required = false }", (3, 25), &["in the key"])]
#[case::required("a = { type = \"string\", required = \"no\" }", (3, 35), &["true or false"])]
#[case::integer_minimum("a = { type = \"integer\", minimum = \"1\" }", (3, 35), &["the string \"1\"", "expected an integer"])]
#[case::beyond("a = { type = \"integer\", minimum = 99999999999999999999 }", (3, 35), &["beyond 64 bits"])]
#[case::infinite("a = { type = \"number\", minimum = inf }", (3, 34), &["a number"])]
#[case::no_day("a = { type = \"date\", minimum = \"2026-02-30\" }", (3, 32), &["2026-02-30", "a day"])]
#[case::no_time("a = { type = \"datetime\", minimum = \"2026-02-03T12:00\" }", (3, 36), &["a time"])]
#[case::run_minimum("a = { type = \"epoch_ms\", minimum = \"run\" }", (3, 36), &["relative to the run"])]
#[case::run_unit("a = { type = \"epoch_ms\", maximum = \"run+24\" }", (3, 36), &["run+24", "the units are s, m, h and d"])]
#[case::run_of_number("a = { type = \"integer\", maximum = \"run+24h\" }", (3, 35), &["expected an integer"])]
#[case::order("a = { type = \"integer\", minimum = 2, maximum = 1 }", (3, 48), &["the maximum 1 below the minimum 2"])]
#[case::order_of_days("a = { type = \"date\", minimum = 2026-01-02, maximum = 2026-01-01 }", (3, 54), &["below the minimum 2026-01-02"])]
#[case::lengths("a = { type = \"string\", minLength = 2, maxLength = 1 }", (3, 51), &["maxLength 1 below minLength 2"])]
#[case::bytes("a = { type = \"string\", minLength = 9, maxBytes = 8 }", (3, 36), &["minLength 9 exceeds maxBytes 8"])]
#[case::zero("a = { type = \"string\", maxBytes = 0 }", (3, 35), &["an integer from 1 to 65536"])]
#[case::title("a = { type = \"string\", title = \"\" }", (3, 32), &["the title \"\" of 0 characters", "a text of 1 to 80 characters"])]
#[case::title_with_a_tab("a = { type = \"date\", title = 'a\tb' }", (3, 32), &["the control character U+0009"])]
#[case::title_with_spaces("a = { type = \"string\", title = \" A\" }", (3, 32), &["without spaces around it"])]
#[case::pattern("a = { type = \"string\", pattern = \"a(b\" }", (3, 36), &["unclosed group"])]
#[case::empty_enum("a = { type = \"string\", enum = [] }", (3, 31), &["an empty enum"])]
#[case::enum_twice("a = { type = \"string\", enum = [\"x\", \"x\"] }", (3, 37), &["duplicate value \"x\""])]
#[case::enum_of_type("a = { type = \"integer\", enum = [1, \"2\"] }", (3, 36), &["expected an integer"])]
#[case::enum_below("a = { type = \"integer\", minimum = 2, enum = [3, 1] }", (3, 49), &["\"1\", which is below the minimum"])]
#[case::enum_without_match("a = { type = \"string\", pattern = \"x\", enum = [\"y\"] }", (3, 47), &["does not match the pattern"])]
#[case::enum_is_missing("a = { type = \"string\", enum = [\"\"] }", (3, 32), &["there is no value"])]
#[case::date_format("a = { type = \"date\", format = \"%d.%m.\" }", (3, 31), &["\"%d.%m.\"", "%d.%m.%Y"])]
#[case::source("a = { type = \"string\", source = \"\" }", (3, 33), &["the name of a header"])]
#[case::parameter_of_a_column("max_id = \"string\"", (3, 1), &["the reserved name max_id"])]
#[case::same_source("a = \"string\"\nb = { type = \"string\", source = \"A\" }", (4, 1), &["b, which is read from where a is"])]
#[case::same_source_in_upper_case("a = { type = \"string\", source = \"ä\" }\nb = { type = \"string\", source = \"Ä\" }", (4, 1), &["b, which is read from where a is"])]
#[case::source_of_key("id = { type = \"string\", source = \"x\" }", (3, 25), &["in the key"])]
fn invalid_column_is_rejected_at_its_position(#[case] lines: &str, #[case] position: (u32, u32), #[case] parts: &[&str]) {
    check_invalid(&format!("{HEAD}[columns]\n{lines}\n"), position, parts);
}

#[rstest]
#[case::no_key("types = [\"image/png\"]", (2, 8), &["[files.image] without key"])]
#[case::unknown_key("keys = \"f/{id}.png\"", (3, 1), &["did you mean `key`?"])]
#[case::unknown_placeholder("key = \"f/{ids}.png\"", (3, 11), &["the unknown placeholder \"ids\"", "{id}", "did you mean `id`?"])]
#[case::no_placeholder("key = \"f/x.png\"", (3, 8), &["without the placeholder {id}"])]
#[case::same_key("key = \"s/{id}.csv\"", (3, 7), &["\"s/a.csv\" is already used by \"s/{id}.csv\"", "another folder"])]
#[case::key_of_a_source("key = \"s/{id}_x.csv\"\ntypes = [\"image/png\"]", (3, 7), &["\"s/a_x.csv\" is already used by \"s/{id}.csv\""])]
#[case::key_in_upper_case("key = \"s/{id}.CSV\"", (3, 7), &["\"s/a.CSV\" is already used"])]
#[case::published("key = \"processed_data/{id}.png\"", (3, 7), &["processed_data/"])]
#[case::unknown_type("key = \"f/{id}.png\"\ntypes = [\"image/pgn\"]", (4, 10), &["did you mean `image/png`?"])]
#[case::no_types("key = \"f/{id}.bin\"", (3, 7), &["without types"])]
#[case::empty_types("key = \"f/{id}.png\"\ntypes = []", (4, 9), &["no type"])]
#[case::bytes("key = \"f/{id}.png\"\nmax_bytes = 0", (4, 13), &["an integer from 1 to 67108864"])]
#[case::column("key = \"f/{id}.png\"\ncolumn = \"id\"", (4, 10), &["duplicate name id"])]
#[case::copy_over_sources("key = \"f/{id}.png\"\ncopy_to = \"f/{id}.png\"", (4, 11), &["below processed_data/"])]
#[case::copy_over_the_table("key = \"f/{id}.png\"\ncopy_to = \"processed_data/users/{id}.png\"", (4, 11), &["a folder of its own"])]
#[case::copy_over_the_output("key = \"f/{id}.png\"\ncopy_to = \"processed_data/output.csv/{id}.png\"", (4, 11), &["a folder of its own"])]
#[case::copy_without_folder("key = \"f/{id}.png\"\ncopy_to = \"processed_data/{id}/image.png\"", (4, 11), &["a folder of its own"])]
fn invalid_file_is_rejected_at_its_position(#[case] lines: &str, #[case] position: (u32, u32), #[case] parts: &[&str]) {
    check_invalid(&format!("{HEAD}[files.image]\n{lines}\n"), position, parts);
}

#[rstest]
#[case::text("derived.a = \"birth\"", (4, 13), &["the expression \"birth\"", "years(COLUMN)"])]
#[case::function("derived.a = \"yaers(birth)\"", (4, 13), &["the unknown function \"yaers\"", "did you mean `years`?"])]
#[case::column("derived.a = \"years(brith)\"", (4, 20), &["the unknown column \"brith\"", "did you mean `birth`?"])]
#[case::column_type("derived.a = \"years(name)\"", (4, 20), &["the column name of the type string", "date, datetime, epoch_ms, epoch_s"])]
#[case::length("derived.a = \"length(birth)\"", (4, 21), &["for length: string"])]
#[case::file("derived.a = \"has(imgae)\"", (4, 18), &["the unknown file \"imgae\"", "did you mean `image`?"])]
#[case::name("derived.birth = \"years(birth)\"", (4, 9), &["duplicate name birth"])]
#[case::file_parameter("derived.is_image_exists = \"has(image)\"", (4, 9), &["the reserved name is_image_exists"])]
#[case::provenance("derived.image_size = \"length(name)\"", (4, 9), &["the reserved name image_size"])]
#[case::stats("stats = [\"name\"]", (4, 10), &["the column name, which has no numbers", "count_of"])]
#[case::unknown_stats("stats = [\"count_fo\"]", (4, 10), &["the unknown column", "did you mean `count_of`?"])]
#[case::stats_twice("stats = [\"count_of\", \"count_of\"]", (4, 22), &["duplicate name count_of"])]
fn invalid_derived_column_or_statistics_are_rejected_at_their_position(
    #[case] line: &str,
    #[case] position: (u32, u32),
    #[case] parts: &[&str],
) {
    let columns = "columns = { name = \"string\", birth = \"date\", count_of = \"integer\" }";
    check_invalid(
        &format!("{HEAD}{columns}\nfiles.image.key = \"f/{{id}}.png\"\n{line}\n"),
        position,
        parts,
    );
}

#[test]
fn statistics_without_numbers_name_the_unknown_column() {
    check_invalid(
        &format!("{HEAD}columns.a = \"string\"\nstats = [\"b\"]\n"),
        (3, 10),
        &["the unknown column \"b\"", "no column is a number"],
    );
}

#[rstest]
#[case::arrays("x = ", "[", "]")]
#[case::inline_tables("", "x = { ", "}")]
#[case::dotted_keys("", "x.", "x = 1")]
#[case::dotted_headers("[", "x.", "x]")]
#[case::placeholders("source.key = \"", "{x:(", ")}\"")]
#[case::groups("source.key = \"s/{x:", "(a", ")}\"")]
#[case::repetitions("source.key = \"s/{x:a", "{1,9}", "}\"")]
fn nested_declaration_gets_a_result(#[case] before: &str, #[case] part: &str, #[case] after: &str) {
    let count = (Dataset::BYTES_MAX - 100) / (part.len() + after.len());
    for count in [count, 200, 300] {
        let text = format!("{before}{}{}", part.repeat(count), after.repeat(count));
        let error = Dataset::parse(&text).expect_err("nothing of it is known");
        assert!(error.line >= 1 && error.column >= 1, "{error}");
        let text = format!("{before}{}{after}", part.repeat(count));
        assert!(Dataset::parse(&text).is_err());
    }
}

#[test]
fn declaration_that_is_too_large_is_rejected() {
    let text = format!("{HEAD}{}", "#".repeat(Dataset::BYTES_MAX));
    let error = Dataset::parse(&text).unwrap_err();
    assert!(error.to_string().contains("at most 65536 bytes"), "{error}");
    let columns: Vec<_> = (0..300).map(|index| format!("c{index} = \"string\"")).collect();
    check_invalid(
        &format!("{HEAD}[columns]\n{}\n", columns.join("\n")),
        (258, 1),
        &["more than 256 columns"],
    );
}
