//! A row of the table, whose values pages render by their type.

use datalake_core::{query::column::Column, row::RowView, user::BirthTimestamp};

use crate::components::image_state::ImageState;

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
    pub(crate) fn of(view: RowView<'_>, age: Option<u16>, version: u64, latest: u64) -> Self {
        Self {
            user_id: view.user_id.to_owned(),
            first_name: view.first_name.to_owned(),
            last_name: view.last_name.to_owned(),
            birth: view.birth,
            age,
            image: ImageState::of(view.has_image, version, latest),
        }
    }

    /// The value of a column.
    pub(crate) fn value(&self, column: Column) -> Value<'_> {
        match column {
            Column::UserId => Value::Id(&self.user_id),
            Column::FirstName => Value::Text(&self.first_name),
            Column::LastName => Value::Text(&self.last_name),
            Column::Birthts => Value::Day(self.birth),
            Column::Age => Value::Age(self.age),
            Column::ImgPath => Value::Image(self.image),
        }
    }
}
