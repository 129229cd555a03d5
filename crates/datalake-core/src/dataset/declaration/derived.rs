//! The section `[derived]`, and the list of columns with statistics.

use super::columns::Names;
use crate::{
    dataset::{
        column::Column,
        derived::{DerivedColumn, DerivedFunction},
        document::{Entry, Node},
        error::DatasetError,
        file::FileColumn,
        name::Name,
        value::ColumnType,
    },
    text::quoted,
};

/// Parses the section.
pub(super) fn parse<'n>(
    node: Option<&Node<'n>>,
    columns: &[Column],
    files: &[FileColumn],
    names: &mut Names<'n>,
) -> Result<Box<[DerivedColumn]>, DatasetError> {
    let Some(node) = node else {
        return Ok(Box::default());
    };
    let table = node.table("[derived] with an expression for each name")?;
    let mut derived = Vec::new();
    for entry in table.entries() {
        let name = names.parse(entry.key).map_err(|(found, expected)| entry.error(found, expected))?;
        names.add(&name, Some(entry), |found, expected| entry.error(found, expected))?;
        derived.push(expression(entry, name, columns, files)?);
    }
    Ok(derived.into())
}

/// Parses a function with one argument.
fn expression(entry: &Entry<'_>, name: Name, columns: &[Column], files: &[FileColumn]) -> Result<DerivedColumn, DatasetError> {
    const EXPECTED: &str = "years(COLUMN), year(COLUMN), length(COLUMN) or has(FILE)";
    let node = &entry.node;
    let text = node.string(EXPECTED)?;
    let Some((function_name, argument)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return Err(node.error(format!("the expression {}", quoted(text)), EXPECTED));
    };
    let names = DerivedFunction::ALL.map(DerivedFunction::as_str);
    let unknown = || {
        node.error(format!("the unknown function {}", quoted(function_name)), EXPECTED)
            .with_nearest(function_name, names)
    };
    let function = DerivedFunction::parse(function_name).ok_or_else(unknown)?;
    let at_argument = |found: String, expected: String| node.error_within(function_name.len() + 1, found, expected);
    if function == DerivedFunction::Has {
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        let expected = match names.as_slice() {
            [] => "a file, and no [files.NAME] is declared".to_owned(),
            names => format!("one of the files {}", names.join(", ")),
        };
        let file = files.iter().position(|file| *file.name == *argument);
        let unknown = || at_argument(format!("the unknown file {}", quoted(argument)), expected).with_nearest(argument, names);
        let argument_index = file.ok_or_else(unknown)?;
        return Ok(DerivedColumn {
            name,
            function,
            argument: files[argument_index].name.clone(),
            argument_index,
        });
    }
    let is_accepted = |column_type: ColumnType| match function {
        DerivedFunction::Years | DerivedFunction::Year => column_type.has_day(),
        DerivedFunction::Length | DerivedFunction::Has => column_type == ColumnType::String,
    };
    let accepted = ColumnType::ALL.into_iter().filter(|column_type| is_accepted(*column_type));
    let accepted = accepted.map(ColumnType::as_str).collect::<Vec<_>>().join(", ");
    let names = columns.iter().map(|column| column.name.as_str());
    let position = columns.iter().position(|column| *column.name == *argument);
    let Some((argument_index, column)) = position.map(|index| (index, &columns[index])) else {
        let found = format!("the unknown column {}", quoted(argument));
        let expected = format!("one of the columns {}", names.clone().collect::<Vec<_>>().join(", "));
        return Err(at_argument(found, expected).with_nearest(argument, names));
    };
    if !is_accepted(column.column_type) {
        let found = format!("the column {argument} of the type {}", column.column_type);
        return Err(at_argument(
            found,
            format!("a column of a type for {}: {accepted}", function.as_str()),
        ));
    }
    Ok(DerivedColumn {
        name,
        function,
        argument: column.name.clone(),
        argument_index,
    })
}

/// Parses the columns with statistics.
pub(super) fn stats(node: &Node<'_>, columns: &[Column], derived: &[DerivedColumn]) -> Result<Box<[Name]>, DatasetError> {
    let numbers = columns
        .iter()
        .filter(|column| column.column_type.is_numeric())
        .map(|column| &column.name);
    let numbers = numbers.chain(
        derived
            .iter()
            .filter(|derived| derived.function.is_numeric())
            .map(|derived| &derived.name),
    );
    let numbers: Vec<&Name> = numbers.collect();
    let known = || numbers.iter().map(|name| name.as_str());
    let expected = match numbers.is_empty() {
        true => "an empty array, because no column is a number".to_owned(),
        false => format!("an array of names of numbers: {}", known().collect::<Vec<_>>().join(", ")),
    };
    let mut stats: Vec<Name> = Vec::new();
    // Names are unique, so there are at most as many as numbers.
    for node in node.array(&expected, usize::MAX)? {
        let name = node.string(&expected)?;
        if stats.iter().any(|other| **other == *name) {
            return Err(node.error(format!("duplicate name {name}"), "unique names"));
        }
        let Some(number) = numbers.iter().find(|number| number.as_str() == name) else {
            let is_column = columns.iter().any(|column| *column.name == *name) || derived.iter().any(|derived| *derived.name == *name);
            let found = match is_column {
                true => format!("the column {name}, which has no numbers"),
                false => format!("the unknown column {}", quoted(name)),
            };
            return Err(node.error(found, expected.as_str()).with_nearest(name, known()));
        };
        stats.push((*number).clone());
    }
    Ok(stats.into())
}
