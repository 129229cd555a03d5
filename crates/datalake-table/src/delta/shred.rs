//! Converts nested records to Parquet columns and back. `parquet` supports this only for Arrow, and polars does not support maps.
//!
//! A record is JSON in the form of a line of an entry, so actions have one form. Definition and repetition levels are those of the
//! Dremel paper, as the documentation of the Parquet format describes them.

use parquet::{
    basic::{ConvertedType, Repetition},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::{ParquetError, Result},
    record::Field,
    schema::types::{Type, TypePtr},
};
use serde_json::{Map, Value};

/// The values of one leaf column, with their levels.
#[derive(Debug, Default)]
pub(crate) struct Leaf {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<Value>,
}

/// The levels of a value, which depend on its ancestors.
#[derive(Clone, Copy)]
struct Levels {
    definition: i16,
    repetition: i16,
    /// The repetition level of the next element of the innermost list.
    depth: i16,
}

/// Converts records to leaf columns, in the order of the schema.
pub(crate) fn shred(schema: &Type, records: &[Value]) -> Result<Vec<Leaf>> {
    let mut leaves: Vec<Leaf> = (0..leaf_count(schema)).map(|_| Leaf::default()).collect();
    for record in records {
        let mut rest = leaves.as_mut_slice();
        for field in schema.get_fields() {
            rest = put(
                field,
                record.get(field.name()),
                Levels {
                    definition: 0,
                    repetition: 0,
                    depth: 0,
                },
                rest,
            )?;
        }
    }
    Ok(leaves)
}

fn leaf_count(node: &Type) -> usize {
    if node.is_primitive() {
        1
    } else {
        node.get_fields().iter().map(|field| leaf_count(field)).sum()
    }
}

/// Appends a value to the leaves of a node, which are the first of `leaves`, and returns the others.
fn put<'a>(node: &Type, value: Option<&Value>, levels: Levels, leaves: &'a mut [Leaf]) -> Result<&'a mut [Leaf]> {
    let value = value.filter(|value| !value.is_null());
    let optional = node.get_basic_info().repetition() == Repetition::OPTIONAL;
    let Some(value) = value else {
        return if optional {
            Ok(put_absent(node, levels, leaves))
        } else {
            Err(ParquetError::General(format!("no value for {}", node.name())))
        };
    };
    let levels = Levels {
        definition: levels.definition + i16::from(optional),
        ..levels
    };
    if node.is_primitive() {
        let (leaf, rest) = leaves
            .split_first_mut()
            .ok_or_else(|| ParquetError::General("more leaves than the schema has".to_owned()))?;
        leaf.definitions.push(levels.definition);
        leaf.repetitions.push(levels.repetition);
        leaf.values.push(value.clone());
        return Ok(rest);
    }
    match (node.get_basic_info().converted_type(), value) {
        (ConvertedType::MAP, Value::Object(entries)) => {
            let elements = entries
                .iter()
                .map(|(key, value)| vec![Value::from(key.as_str()), value.clone()])
                .collect();
            put_repeated(node, elements, levels, leaves)
        }
        (ConvertedType::LIST, Value::Array(elements)) => {
            put_repeated(node, elements.iter().map(|element| vec![element.clone()]).collect(), levels, leaves)
        }
        (_, Value::Object(_)) => {
            let mut rest = leaves;
            for field in node.get_fields() {
                rest = put(field, value.get(field.name()), levels, rest)?;
            }
            Ok(rest)
        }
        _ => Err(ParquetError::General(format!("another type than {} has", node.name()))),
    }
}

fn put_absent<'a>(node: &Type, levels: Levels, leaves: &'a mut [Leaf]) -> &'a mut [Leaf] {
    let (own, rest) = leaves.split_at_mut(leaf_count(node));
    for leaf in own {
        leaf.definitions.push(levels.definition);
        leaf.repetitions.push(levels.repetition);
    }
    rest
}

/// Appends a map or a list: a group with one repeated group, whose fields are those of an element.
fn put_repeated<'a>(node: &Type, elements: Vec<Vec<Value>>, levels: Levels, leaves: &'a mut [Leaf]) -> Result<&'a mut [Leaf]> {
    let repeated = node
        .get_fields()
        .first()
        .ok_or_else(|| ParquetError::General(format!("{} has no elements", node.name())))?;
    if elements.is_empty() {
        return Ok(put_absent(node, levels, leaves));
    }
    let (own, rest) = leaves.split_at_mut(leaf_count(node));
    for (index, element) in elements.into_iter().enumerate() {
        let repetition = if index == 0 { levels.repetition } else { levels.depth + 1 };
        let levels = Levels {
            definition: levels.definition + 1,
            repetition,
            depth: levels.depth + 1,
        };
        let mut own = &mut *own;
        for (field, value) in repeated.get_fields().iter().zip(&element) {
            own = put(field, Some(value), levels, own)?;
        }
    }
    Ok(rest)
}

impl Leaf {
    /// Writes the column. The variant of the writer determines the physical type.
    pub(crate) fn write(&self, writer: &mut ColumnWriter<'_>) -> Result<()> {
        let (definitions, repetitions) = (Some(self.definitions.as_slice()), Some(self.repetitions.as_slice()));
        let mistyped = || ParquetError::General("a value of another type than its column".to_owned());
        match writer {
            ColumnWriter::BoolColumnWriter(writer) => {
                let values = self
                    .values
                    .iter()
                    .map(|value| value.as_bool().ok_or_else(mistyped))
                    .collect::<Result<Vec<_>>>()?;
                writer.write_batch(&values, definitions, repetitions)?;
            }
            ColumnWriter::Int32ColumnWriter(writer) => {
                let number = |value: &Value| value.as_i64().and_then(|value| i32::try_from(value).ok()).ok_or_else(mistyped);
                let values = self.values.iter().map(number).collect::<Result<Vec<_>>>()?;
                writer.write_batch(&values, definitions, repetitions)?;
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                let values = self
                    .values
                    .iter()
                    .map(|value| value.as_i64().ok_or_else(mistyped))
                    .collect::<Result<Vec<_>>>()?;
                writer.write_batch(&values, definitions, repetitions)?;
            }
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let text = |value: &Value| value.as_str().map(ByteArray::from).ok_or_else(mistyped);
                let values = self.values.iter().map(text).collect::<Result<Vec<_>>>()?;
                writer.write_batch(&values, definitions, repetitions)?;
            }
            _ => return Err(mistyped()),
        }
        Ok(())
    }
}

/// The part of a file's schema that `wanted` also contains, in the file's order: other engines add columns and use another order.
pub(crate) fn projection(present: &Type, wanted: &Type) -> Result<TypePtr> {
    let is_struct = |node: &Type| node.is_group() && node.get_basic_info().converted_type() == ConvertedType::NONE;
    let shared = |field: &TypePtr| {
        let other = wanted.get_fields().iter().find(|other| other.name() == field.name())?;
        Some(if is_struct(field) && is_struct(other) {
            projection(field, other)
        } else {
            Ok(field.clone())
        })
    };
    let fields = present.get_fields().iter().filter_map(shared).collect::<Result<Vec<_>>>()?;
    let fields = fields
        .into_iter()
        .filter(|field| field.is_primitive() || !field.get_fields().is_empty())
        .collect();
    let builder = Type::group_type_builder(present.name()).with_fields(fields);
    let information = present.get_basic_info();
    let builder = if information.has_repetition() {
        builder.with_repetition(information.repetition())
    } else {
        builder
    };
    let builder = if information.has_id() {
        builder.with_id(Some(information.id()))
    } else {
        builder
    };
    builder.build().map(TypePtr::new)
}

/// A value of a record as JSON. Types that no action uses become null.
pub(crate) fn to_json(field: &Field) -> Value {
    match field {
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::Str(value) => Value::from(value.as_str()),
        Field::Bytes(value) => value.as_utf8().map_or(Value::Null, Value::from),
        Field::Group(row) => row
            .get_column_iter()
            .map(|(name, value)| (name.clone(), to_json(value)))
            .collect::<Map<_, _>>()
            .into(),
        Field::ListInternal(list) => list.elements().iter().map(to_json).collect::<Vec<_>>().into(),
        Field::MapInternal(map) => {
            let entry = |(key, value): &(Field, Field)| Some((to_json(key).as_str()?.to_owned(), to_json(value)));
            map.entries().iter().filter_map(entry).collect::<Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}
