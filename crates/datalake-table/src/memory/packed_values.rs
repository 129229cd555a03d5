//! The values of one column of a data file, packed by the type of the column.

use datalake_core::{
    calendar::Day,
    dataset::{ColumnType, ValueRef},
};

use crate::{
    error::TableError,
    memory::columns::{BitColumn, DictColumn, IntegerColumn},
};

/// The values of one column.
pub(crate) struct PackedValues {
    values: Values,
    /// The rows with a value; none if every row has one.
    present: Option<BitColumn>,
    column_type: ColumnType,
}

enum Values {
    Texts(DictColumn),
    /// Integers, instants, and days since 1970.
    Integers(IntegerColumn),
    Numbers(Box<[f64]>),
    Bits(BitColumn),
}

impl PackedValues {
    /// Packs the values of a column in the order of the rows. `key` is the file of the values, for errors.
    pub(crate) fn collect<'a>(
        key: &str,
        column_type: ColumnType,
        values: impl ExactSizeIterator<Item = Result<Option<ValueRef<'a>>, TableError>>,
    ) -> Result<Self, TableError> {
        let mut presence = Vec::with_capacity(values.len());
        let values = values.inspect(|value| presence.push(!matches!(value, Ok(None))));
        let values = match column_type {
            ColumnType::String => Values::Texts(DictColumn::collect(
                key,
                values.map(|value| {
                    Ok(match value? {
                        Some(ValueRef::Text(text)) => text,
                        _ => "",
                    })
                }),
            )?),
            ColumnType::Number => {
                let number = |value| match value {
                    Some(ValueRef::Number(number)) => number,
                    _ => 0.0,
                };
                Values::Numbers(values.map(|value| value.map(number)).collect::<Result<_, _>>()?)
            }
            ColumnType::Boolean => {
                let bits: Vec<bool> = values
                    .map(|value| Ok::<_, TableError>(value? == Some(ValueRef::Boolean(true))))
                    .collect::<Result<_, _>>()?;
                Values::Bits(bits.into_iter().collect())
            }
            ColumnType::Integer | ColumnType::Date | ColumnType::DateTime | ColumnType::EpochMs | ColumnType::EpochS => {
                let mut numbers = Vec::with_capacity(values.len());
                let mut last = 0;
                for value in values {
                    // A null takes the value before it, so it does not change how the others are packed.
                    last = value?.map_or(last, integer);
                    numbers.push(last);
                }
                Values::Integers(IntegerColumn::pack(numbers, unit(column_type)))
            }
        };
        let has_nulls = presence.contains(&false);
        Ok(Self {
            values,
            present: has_nulls.then(|| presence.into_iter().collect()),
            column_type,
        })
    }

    /// The day of the value at `index`. Most selections read it from every row, so that it does not go through [`ValueRef`] for the most
    /// frequent type.
    pub(crate) fn day(&self, index: usize) -> Option<Day> {
        match (&self.values, &self.present, self.column_type) {
            (Values::Integers(numbers), None, ColumnType::EpochMs) => Day::from_ms(numbers.get(index)),
            _ => self.get(index)?.day(),
        }
    }

    /// The value at `index`, which is less than the number of rows.
    pub(crate) fn get(&self, index: usize) -> Option<ValueRef<'_>> {
        if self.present.as_ref().is_some_and(|present| !present.get(index)) {
            return None;
        }
        Some(match &self.values {
            Values::Texts(texts) => ValueRef::Text(texts.get(index)),
            Values::Numbers(numbers) => ValueRef::Number(numbers[index]),
            Values::Bits(bits) => ValueRef::Boolean(bits.get(index)),
            Values::Integers(numbers) => {
                let number = numbers.get(index);
                match self.column_type {
                    ColumnType::Date => ValueRef::Date(day_of(number)),
                    ColumnType::DateTime => ValueRef::DateTime(number),
                    ColumnType::EpochMs => ValueRef::EpochMs(number),
                    ColumnType::EpochS => ValueRef::EpochS(number),
                    ColumnType::Integer | ColumnType::String | ColumnType::Number | ColumnType::Boolean => ValueRef::Integer(number),
                }
            }
        })
    }
}

/// The distance of most values of a type.
fn unit(column_type: ColumnType) -> i64 {
    match column_type {
        ColumnType::EpochMs => 1_000,
        ColumnType::DateTime => 1_000_000,
        _ => 1,
    }
}

fn integer(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(number) | ValueRef::DateTime(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number) => number,
        ValueRef::Date(day) => day.number().into(),
        ValueRef::Boolean(value) => value.into(),
        ValueRef::Text(_) | ValueRef::Number(_) => 0,
    }
}

fn day_of(number: i64) -> Day {
    let day = i32::try_from(number).ok().and_then(Day::from_number);
    day.expect("it was packed from a day")
}
