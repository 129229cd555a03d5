//! A row of the table, whose values pages render by their type.

use datalake_core::{
    dataset::{Dataset, ValueRef},
    query::column::Column,
    row::RowView,
    user::{Age, Ages, BirthTimestamp},
};

use crate::components::image_state::ImageState;

/// A value of a user; none if the row is that of another dataset.
fn user_value(view: RowView<'_>, column: usize) -> Option<ValueRef<'_>> {
    let is_user = view.dataset() == Dataset::users();
    is_user.then(|| view.value(column)).flatten()
}

/// A text of a user.
pub(crate) fn text(view: RowView<'_>, column: usize) -> &str {
    match user_value(view, column) {
        Some(ValueRef::Text(text)) => text,
        _ => "",
    }
}

/// The birth time of a user.
pub(crate) fn birth(view: RowView<'_>) -> BirthTimestamp {
    let birth = match user_value(view, 3) {
        Some(ValueRef::EpochMs(milliseconds)) => BirthTimestamp::from_ms(milliseconds),
        _ => None,
    };
    birth.unwrap_or(BirthTimestamp::EARLIEST)
}

/// The values of a user.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) user_id: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    birth: BirthTimestamp,
    /// None if the user was born after the day on which ages are computed.
    pub(crate) age: Option<u16>,
    pub(crate) image: ImageState,
}

/// A value with its type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Id(&'a str),
    Text(&'a str),
    /// A day, stored as milliseconds since 1970.
    Day(BirthTimestamp),
    /// Completed years; none before the birth.
    Age(Option<u16>),
    Image(ImageState),
}

impl Row {
    /// The row `view` of `version`, with the age on the requested day.
    pub(crate) fn of(view: RowView<'_>, ages: Ages, version: u64, latest: u64) -> Self {
        let birth = birth(view);
        Self {
            user_id: view.user_id.to_owned(),
            first_name: text(view, 1).to_owned(),
            last_name: text(view, 2).to_owned(),
            birth,
            age: ages.of(birth.day()).map(Age::years),
            image: ImageState::of(view.has_file(0), version, latest),
        }
    }

    /// The value of a column.
    pub(crate) fn value(&self, column: Column) -> Value<'_> {
        match column {
            Column::Value(0) => Value::Id(&self.user_id),
            Column::Value(1) => Value::Text(&self.first_name),
            Column::Value(2) => Value::Text(&self.last_name),
            Column::Value(_) => Value::Day(self.birth),
            Column::Derived(_) => Value::Age(self.age),
            Column::File(_) => Value::Image(self.image),
        }
    }
}
