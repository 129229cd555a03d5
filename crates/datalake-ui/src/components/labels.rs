//! Labels and types of columns, the nouns of a dataset, and labels of formats. All follow from the declaration: pages decide by types, and name no
//! column.

use datalake_api::rows::format::Format;
use datalake_core::{
    dataset::{ColumnType, Dataset, DerivedFunction, FileColumn, Origin, SourceFormat},
    query::column::Column,
    text::capitalized,
};

use crate::components::format::counted;

/// Most columns of a table by default: more do not fit into a window, or into the size of a page.
const COLUMNS_MAX: usize = 12;

/// The label of a column, as in table headings: `Ordered year` for `ordered_year`. The only column of the ID has that of the row.
pub(crate) fn column(dataset: &Dataset, column: Column) -> String {
    match column {
        Column::Value(index) => match (&dataset.columns()[index].title, index) {
            (Some(title), _) => title.to_string(),
            (None, 0) if dataset.id_columns() == 1 => capitalized(dataset.entity()),
            (None, _) => of_name(&dataset.columns()[index].name),
        },
        Column::File(index) => file(&dataset.files()[index]),
        Column::Derived(index) => of_name(&dataset.derived()[index].name),
    }
}

/// The label of a column within a sentence. A label with a second capital letter, such as an abbreviation, is unchanged.
pub(crate) fn column_in_sentence(dataset: &Dataset, column: Column) -> String {
    let label = self::column(dataset, column);
    let mut letters = label.chars();
    match (letters.next(), letters.next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => first.to_lowercase().chain(label.chars().skip(1)).collect(),
        _ => label,
    }
}

/// The label of a file.
pub(crate) fn file(file: &FileColumn) -> String {
    of_name(&file.name)
}

/// A file within a sentence.
pub(crate) fn file_in_sentence(file: &FileColumn) -> String {
    file.name.replace('_', " ")
}

/// The files of all rows within a sentence, in the singular and in the plural; none if the dataset has no files.
pub(crate) fn files_in_sentence(dataset: &Dataset) -> Option<[String; 2]> {
    match dataset.files() {
        [] => None,
        [only] => Some([file_in_sentence(only), format!("{}s", file_in_sentence(only))]),
        [_, _, ..] => Some(["file", "files"].map(str::to_owned)),
    }
}

/// A source within a sentence, in the singular and in the plural.
pub(crate) fn sources_in_sentence(dataset: &Dataset) -> [&'static str; 2] {
    match dataset.format() {
        SourceFormat::Csv => ["CSV file", "CSV files"],
        SourceFormat::Json => ["JSON file", "JSON files"],
        SourceFormat::KeyOnly => ["source", "sources"],
    }
}

/// Why an earlier version has no files; empty if the dataset has none.
pub(crate) fn kept_files(dataset: &Dataset) -> String {
    match files_in_sentence(dataset) {
        Some([_, plural]) => format!("{} are kept for the latest version only.", capitalized(&plural)),
        None => String::new(),
    }
}

fn of_name(name: &str) -> String {
    capitalized(&name.replace('_', " "))
}

/// The rows within a sentence: `users`.
pub(crate) fn rows(dataset: &Dataset) -> String {
    dataset.rows_in_sentence()
}

/// A number of rows: `1 user`, `2 users`.
pub(crate) fn counted_rows(dataset: &Dataset, count: u64) -> String {
    counted(count, dataset.entity(), &rows(dataset))
}

/// The name of a column in parameters.
pub(crate) fn name(dataset: &Dataset, column: Column) -> &str {
    column.name(dataset)
}

/// The ID of a row: `User`, `Plate / Well`.
pub(crate) fn id(dataset: &Dataset) -> String {
    let columns = (0..dataset.id_columns()).map(|index| column(dataset, Column::Value(index)));
    columns.collect::<Vec<_>>().join(" / ")
}

/// The ID of a row within a sentence: `user`, `plate / well`.
pub(crate) fn id_in_sentence(dataset: &Dataset) -> String {
    let columns = (0..dataset.id_columns()).map(|index| column_in_sentence(dataset, Column::Value(index)));
    columns.collect::<Vec<_>>().join(" / ")
}

/// The columns whose values are the title of a row: the required texts that follow the ID.
pub(crate) fn title_columns(dataset: &Dataset) -> impl Iterator<Item = usize> {
    let columns = dataset.columns().iter().enumerate();
    let columns = columns.skip_while(|(_, column)| matches!(column.origin, Origin::Key(_)));
    let is_title = |column: &datalake_core::dataset::Column| {
        let constraints = &column.constraints;
        column.column_type == ColumnType::String && constraints.is_required && constraints.allowed.is_none()
    };
    columns.take_while(move |(_, column)| is_title(column)).map(|(index, _)| index)
}

/// The columns of a table by default, in the order of responses: the first image file, and the first others that fit.
pub(crate) fn default_columns(dataset: &Dataset) -> impl Iterator<Item = Column> {
    let image = image_file(dataset).map(Column::File);
    let others = Column::all(dataset).filter(|column| Some(*column) != image);
    let others: Vec<Column> = others.take(COLUMNS_MAX - usize::from(image.is_some())).collect();
    Column::all(dataset).filter(move |column| Some(*column) == image || others.contains(column))
}

/// What is computed on a day, within a sentence; none if no column depends on it.
pub(crate) fn computed_on_a_day(dataset: &Dataset) -> Option<String> {
    let mut columns = Column::all(dataset).filter(|column| column.depends_on_today(dataset));
    match (columns.next(), columns.next()) {
        (None, _) => None,
        (Some(only), None) => Some(column_in_sentence(dataset, only)),
        (Some(_), Some(_)) => Some("years".to_owned()),
    }
}

/// What the values of a column are, which decides how views show and filter them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// Identifies the row, and is the name of its source.
    Id,
    Text,
    Number,
    Boolean,
    /// A day, or an instant that is shown by its day.
    Day,
    /// A file, stored as the key of its copy or of the file.
    File,
}

impl ValueType {
    pub(crate) const ALL: [Self; 6] = [Self::Id, Self::Text, Self::Number, Self::Boolean, Self::Day, Self::File];
}

/// The type of the values of a column.
pub(crate) fn value_type(dataset: &Dataset, column: Column) -> ValueType {
    match (column, column.column_type(dataset)) {
        (column, _) if column.is_of_id(dataset) => ValueType::Id,
        (Column::File(_), _) => ValueType::File,
        (_, ColumnType::String) => ValueType::Text,
        (_, ColumnType::Integer | ColumnType::Number) => ValueType::Number,
        (_, ColumnType::Boolean) => ValueType::Boolean,
        (_, ColumnType::Date | ColumnType::DateTime | ColumnType::EpochMs | ColumnType::EpochS) => ValueType::Day,
    }
}

/// Whether browsers can show the files as images.
pub(crate) fn is_image(file: &FileColumn) -> bool {
    file.types.iter().all(|file_type| file_type.as_str().starts_with("image/"))
}

/// The first file that is an image, by its index.
pub(crate) fn image_file(dataset: &Dataset) -> Option<usize> {
    dataset.files().iter().position(is_image)
}

/// The column of the days that completed years are derived from; none for other columns.
pub(crate) fn day_of_years(dataset: &Dataset, column: Column) -> Option<Column> {
    let Column::Derived(index) = column else { return None };
    let derived = &dataset.derived()[index];
    (derived.function == DerivedFunction::Years).then_some(Column::Value(derived.argument_index))
}

/// The name of a download format.
pub(crate) fn format(format: Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Ndjson => "NDJSON",
        Format::Csv => "CSV",
        Format::Parquet => "Parquet",
        Format::Arrow => "Arrow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::test_dataset::orders;

    fn labels(dataset: &Dataset) -> String {
        let labels: Vec<_> = Column::all(dataset).map(|column| self::column(dataset, column)).collect();
        labels.join(", ")
    }

    #[test]
    fn labels_follow_from_the_declaration() {
        assert_eq!(labels(Dataset::users()), "User, First name, Last name, Born, Image, Age");
        assert_eq!(
            labels(&orders()),
            "Order, Customer, Ordered, Quantity, Total, State, Gift, Paid at, OD 600, Invoice, Ordered year"
        );
    }

    #[test]
    fn label_within_a_sentence_begins_with_a_small_letter() {
        let in_sentence = |name: &str| column_in_sentence(&orders(), Column::named(&orders(), name).unwrap());
        assert_eq!(["ordered_year", "density"].map(in_sentence), ["ordered year", "OD 600"]);
        assert_eq!(computed_on_a_day(Dataset::users()).as_deref(), Some("age"));
        assert_eq!(computed_on_a_day(&orders()), None);
    }

    #[test]
    fn id_of_several_values_has_the_labels_of_its_columns() {
        let wells = Dataset::parse("entity = 'well'\nsource.key = 'src-data/{plate_no}/{well}.csv'\n").unwrap();
        assert_eq!(labels(&wells), "Plate no, Well");
        assert_eq!(
            [id(&wells), id_in_sentence(&wells), id(Dataset::users())],
            ["Plate no / Well", "plate no / well", "User"]
        );
        assert!(Column::all(&wells).all(|column| value_type(&wells, column) == ValueType::Id));
    }

    #[test]
    fn nouns_are_those_of_the_declaration() {
        assert_eq!(
            [1, 2_000].map(|count| counted_rows(Dataset::users(), count)),
            ["1 user", "2,000 users"]
        );
        assert_eq!(files_in_sentence(&orders()), Some(["invoice".to_owned(), "invoices".to_owned()]));
    }

    #[test]
    fn image_is_a_default_column_of_a_dataset_with_many_columns() {
        let many = (10..30)
            .map(|number| format!("c{number} = 'string'"))
            .collect::<Vec<_>>()
            .join("\n");
        let text = format!(
            "source.key = 'p/{{id}}.csv'\n[columns]\n{many}\n[files.scan]\nkey = 'p/{{id}}.pdf'\ntypes = ['application/pdf']\n[files.photo]\n\
             key = 'p/{{id}}.png'\ntypes = ['image/png']\n"
        );
        let dataset = Dataset::parse(&text).unwrap();
        let columns: Vec<Column> = default_columns(&dataset).collect();
        assert_eq!(
            (columns.len(), columns.first(), columns.last()),
            (12, Some(&Column::KEY), Some(&Column::File(1)))
        );
        assert_eq!(default_columns(Dataset::users()).count(), Column::all(Dataset::users()).count());
    }

    #[test]
    fn title_consists_of_the_required_texts_after_the_id() {
        let names = |dataset: &Dataset| -> Vec<String> {
            title_columns(dataset)
                .map(|index| dataset.columns()[index].name.to_string())
                .collect()
        };
        assert_eq!(names(Dataset::users()), ["first_name", "last_name"]);
        assert_eq!(names(&orders()), ["customer"]);
    }
}
