//! The columns of responses and of `output.csv`, in their order.

use crate::dataset::{ColumnType, Dataset, DerivedFunction, Name, Value};

/// A column of a row: its position in the declaration of the dataset, which has its name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// A value of the key or the content of the source, by its index in [`Dataset::columns`].
    Value(usize),
    /// The key of a file or of its copy, by the file's index in [`Dataset::files`]; null without the file.
    File(usize),
    /// A value that is computed when it is read, by its index in [`Dataset::derived`].
    Derived(usize),
}

impl Column {
    /// The first column, whose value identifies a row, alone or with those of the next columns.
    pub const KEY: Self = Self::Value(0);

    /// Whether its values are a part of the ID of a row.
    pub fn is_of_id(self, dataset: &Dataset) -> bool {
        matches!(self, Self::Value(index) if index < dataset.id_columns())
    }

    /// Whether each of its values identifies a row.
    pub fn is_whole_id(self, dataset: &Dataset) -> bool {
        self == Self::KEY && dataset.id_columns() == 1
    }

    /// Every column, in order.
    pub fn all(dataset: &Dataset) -> impl Iterator<Item = Self> + Clone + use<> {
        Self::stored(dataset).chain((0..dataset.derived().len()).map(Self::Derived))
    }

    /// The columns of `output.csv`. Derived columns are not stored, because they may depend on the day.
    pub fn stored(dataset: &Dataset) -> impl Iterator<Item = Self> + Clone + use<> {
        let values = (0..dataset.columns().len()).map(Self::Value);
        values.chain((0..dataset.files().len()).map(Self::File))
    }

    /// The column with this name.
    pub fn named(dataset: &Dataset, name: &str) -> Option<Self> {
        Self::all(dataset).find(|column| **column.name(dataset) == *name)
    }

    /// The name in parameters and responses.
    pub fn name(self, dataset: &Dataset) -> &Name {
        match self {
            Self::Value(index) => &dataset.columns()[index].name,
            Self::File(index) => &dataset.files()[index].column,
            Self::Derived(index) => &dataset.derived()[index].name,
        }
    }

    /// The type of its values.
    pub fn column_type(self, dataset: &Dataset) -> ColumnType {
        match self {
            Self::Value(index) => dataset.columns()[index].column_type,
            Self::File(_) => ColumnType::String,
            Self::Derived(index) => match dataset.derived()[index].function {
                DerivedFunction::Years | DerivedFunction::Year | DerivedFunction::Length => ColumnType::Integer,
                DerivedFunction::Has => ColumnType::Boolean,
            },
        }
    }

    /// Whether its values have a minimum and a maximum.
    pub fn is_ordered(self, dataset: &Dataset) -> bool {
        self.column_type(dataset).is_ordered()
    }

    /// Whether its values are numbers with statistics: integers, floats, and derived numbers.
    pub fn is_numeric(self, dataset: &Dataset) -> bool {
        self.column_type(dataset).is_numeric()
    }

    /// The values that a column can have, if it declares an `enum`.
    pub fn allowed(self, dataset: &Dataset) -> Option<&[Value]> {
        match self {
            Self::Value(index) => dataset.columns()[index].constraints.allowed.as_deref(),
            Self::File(_) | Self::Derived(_) => None,
        }
    }

    /// The values of a column with few declared ones, as declared: those of an `enum`, or false and true. None for other columns, and for derived
    /// ones, because whether a row has a file is no value of the row.
    pub fn categories(self, dataset: &Dataset) -> Option<Vec<Value>> {
        let Self::Value(index) = self else { return None };
        let column = &dataset.columns()[index];
        match (column.column_type, &column.constraints.allowed) {
            (ColumnType::Boolean, _) => Some(vec![Value::Boolean(false), Value::Boolean(true)]),
            (_, allowed) => allowed.as_deref().map(<[Value]>::to_vec),
        }
    }

    /// Whether its values depend on the day of the query.
    pub fn depends_on_today(self, dataset: &Dataset) -> bool {
        matches!(self, Self::Derived(index) if dataset.derived()[index].function == DerivedFunction::Years)
    }

    /// The names of all columns, for messages.
    pub(crate) fn names(dataset: &Dataset) -> String {
        let names: Vec<_> = Self::all(dataset).map(|column| column.name(dataset).as_str()).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_with_an_enum_and_booleans_have_categories() {
        let text = "source.key = 'src-data/{id}.csv'\n[columns]\nstate = { type = 'string', enum = ['new', 'sent'] }\npaid = 'boolean'\nnote = \
                    'string'\n[files.scan]\nkey = 'src-data/{id}.pdf'\n[derived]\nscanned = 'has(scan)'\n";
        let dataset = Dataset::parse(text).unwrap();
        let of = |name| {
            let column = Column::named(&dataset, name).unwrap();
            let values = column.categories(&dataset)?;
            Some(values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(of("state").as_deref(), Some("new sent"));
        assert_eq!(of("paid").as_deref(), Some("false true"));
        assert_eq!([of("id"), of("note"), of("scan_path"), of("scanned")], [None, None, None, None]);
    }
}
