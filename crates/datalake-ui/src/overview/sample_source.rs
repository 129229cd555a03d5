//! The content of a source, for owners who create the first one by hand.

use datalake_core::{
    calendar::Day,
    dataset::{Column, ColumnType, Dataset, Origin, Value},
};
use jiff::Timestamp;

/// An instant of the sample, in seconds since 1970.
const AT_SECONDS: i64 = 612_302_400;

/// A header and a row. Each column has a value of its type.
pub(super) fn csv(dataset: &Dataset) -> String {
    // The first texts; further ones are the second.
    let mut texts = ["Ada", "Lovelace"].into_iter().chain(std::iter::repeat("Lovelace"));
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in dataset.columns() {
        let Origin::Content(name) = &column.origin else { continue };
        names.push(&**name);
        values.push(value(dataset, column, &mut texts));
    }
    let delimiter = char::from(dataset.csv().delimiter).to_string();
    format!("{}\n{}\n", names.join(&delimiter), values.join(&delimiter))
}

fn value(dataset: &Dataset, column: &Column, texts: &mut impl Iterator<Item = &'static str>) -> String {
    let constraints = &column.constraints;
    let first = constraints.allowed.as_ref().and_then(|allowed| allowed.first());
    let given = first.or(constraints.minimum.as_ref());
    match (column.column_type, given) {
        (ColumnType::String, None) => texts.next().unwrap_or_default().to_owned(),
        (ColumnType::Boolean, _) => "true".to_owned(),
        (ColumnType::Date, given) => {
            let day = given.and_then(Value::day).unwrap_or_else(|| Day::of(at())).date();
            column
                .date_format
                .as_deref()
                .map_or_else(|| day.to_string(), |format| day.strftime(format).to_string())
        }
        (ColumnType::DateTime, _) => at().to_string(),
        (ColumnType::EpochMs, _) => (AT_SECONDS * 1_000).to_string(),
        (ColumnType::EpochS, _) => AT_SECONDS.to_string(),
        (ColumnType::Number, None) => format!("1{}5", dataset.csv().decimal),
        (ColumnType::Number, Some(number)) => number.to_string().replace('.', &dataset.csv().decimal.to_string()),
        (ColumnType::Integer, None) => "1".to_owned(),
        (ColumnType::String | ColumnType::Integer, Some(value)) => value.to_string(),
    }
}

fn at() -> Timestamp {
    Timestamp::from_second(AT_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::test_dataset::orders;

    #[test]
    fn sample_has_a_value_of_each_type() {
        assert_eq!(csv(Dataset::users()), "first_name,last_name,birthts\nAda,Lovelace,612302400000\n");
        assert_eq!(
            csv(&orders()),
            "customer,ordered,quantity,total,state,gift,paid_at,density\nAda,1989-05-27,1,1.5,new,true,1989-05-27T20:00:00Z,1.5\n"
        );
    }
}
