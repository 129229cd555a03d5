//! A row as a JSON document.

use std::borrow::Cow;

use datalake_core::{
    calendar::{Ages, Day},
    dataset::{Dataset, ValueRef},
    query::column::Column,
    row::{Cell, Row, RowView},
};
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    json_number::JsonNumber,
    routes::openapi::dataset_schemas::{RowSchema, StoredRow},
};

/// A row as a version of the table stores it. It has no derived columns, which may depend on a day.
#[derive(Clone, Copy, Debug)]
pub struct StoredRowDocument<'a>(pub RowView<'a>);

impl<'a> StoredRowDocument<'a> {
    /// The document of a row that was read by this declaration.
    pub fn of(row: &'a Row, dataset: &'a Dataset) -> Self {
        Self(row.view(dataset))
    }
}

/// A row, with its derived columns on the requested day.
#[derive(Debug)]
pub(crate) struct RowDocument<'a> {
    row: RowView<'a>,
    ages: Ages,
}

impl<'a> RowDocument<'a> {
    pub(crate) fn new(row: RowView<'a>, on: Day) -> Self {
        Self { row, ages: Ages::on(on) }
    }
}

impl Serialize for StoredRowDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // No stored column depends on the day.
        let ages = Ages::on(Day::FIRST);
        serialize_columns(self.0, Column::stored(self.0.dataset()), ages, serializer)
    }
}

impl Serialize for RowDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_columns(self.row, Column::all(self.row.dataset()), self.ages, serializer)
    }
}

fn serialize_columns<S: Serializer>(
    row: RowView<'_>,
    columns: impl Iterator<Item = Column>,
    ages: Ages,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let entry = |column: Column| (column.name(row.dataset()).as_str(), CellDocument(row.cell(column, ages)));
    serializer.collect_map(columns.map(entry))
}

/// The value of a column. Days and times are strings in the format of RFC 3339.
struct CellDocument<'a>(Option<Cell<'a>>);

impl Serialize for CellDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(Cell::Path(parts)) => serializer.serialize_str(&parts.concat()),
            Some(Cell::Value(value)) => match value {
                ValueRef::Text(text) => serializer.serialize_str(text),
                ValueRef::Integer(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number) => serializer.serialize_i64(number),
                ValueRef::Number(number) => JsonNumber(number).serialize(serializer),
                ValueRef::Boolean(value) => serializer.serialize_bool(value),
                ValueRef::Date(_) | ValueRef::DateTime(_) => serializer.collect_str(&value),
            },
        }
    }
}

impl PartialSchema for StoredRowDocument<'_> {
    fn schema() -> RefOr<Schema> {
        StoredRow::schema()
    }
}

impl ToSchema for StoredRowDocument<'_> {
    fn name() -> Cow<'static, str> {
        StoredRow::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        StoredRow::schemas(schemas);
    }
}

impl PartialSchema for RowDocument<'_> {
    fn schema() -> RefOr<Schema> {
        RowSchema::schema()
    }
}

impl ToSchema for RowDocument<'_> {
    fn name() -> Cow<'static, str> {
        RowSchema::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RowSchema::schemas(schemas);
    }
}
