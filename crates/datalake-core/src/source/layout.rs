//! What a dataset declares about the content of its sources, in the form in which the steps of parsing need it.

use crate::{
    dataset::{Column, CsvDialect, Dataset, Encoding, ExtraColumns, Origin},
    source::{decode::STORE_AS_UTF_8, delimiter::Delimiter},
};

/// The columns and the words of a dataset.
#[derive(Debug)]
pub(super) struct Layout<'d> {
    /// The columns whose values are in the content, as declared; or those whose values are in the key, in the order of the placeholders.
    pub(super) columns: Box<[SourceColumn<'d>]>,
    /// The texts that mean that there is no value.
    pub(super) missing_values: &'d [Box<str>],
    pub(super) dialect: &'d CsvDialect,
    pub(super) delimiter: Delimiter,
    /// What one source contains, in the singular.
    pub(super) entity: &'d str,
    pub(super) words: &'static Words,
}

/// A column of a layout.
#[derive(Debug)]
pub(super) struct SourceColumn<'d> {
    pub(super) column: &'d Column,
    /// Its name in the header, or that of its placeholder.
    pub(super) header: &'d str,
}

/// What messages call values.
#[derive(Debug)]
pub(super) struct Words {
    /// A value of a `string`.
    pub(super) text: &'static str,
    /// A value of a type with a day.
    pub(super) time: &'static str,
    /// The remedy for a time that is missing.
    pub(super) write_time: &'static str,
    /// The remedy for bytes that are not UTF-8.
    pub(super) decode: &'static str,
}

/// The words of the users, whose texts are names and whose only time is that of birth.
const USERS: Words = Words {
    text: "name",
    time: "birth",
    write_time: "write the birth time",
    decode: STORE_AS_UTF_8,
};

/// How numbers in keys are written. The declared dialect is that of the content.
const KEYS: CsvDialect = CsvDialect {
    delimiter: b',',
    encoding: Encoding::Utf8,
    decimal: '.',
    group: None,
    extra_columns: ExtraColumns::Ignore,
};

const GENERAL: Words = Words {
    text: "value",
    time: "time",
    write_time: "write the time",
    decode: "store it as UTF-8; or declare `encoding = \"windows-1252\"` in [csv], if all sources have that encoding",
};

impl<'d> Layout<'d> {
    /// The layout of a dataset.
    pub(super) fn new(dataset: &'d Dataset) -> Self {
        let of_content = |column: &'d Column| match &column.origin {
            Origin::Content(header) => Some(SourceColumn { column, header }),
            Origin::Key(_) => None,
        };
        Self {
            columns: dataset.columns().iter().filter_map(of_content).collect(),
            missing_values: dataset.missing_values(),
            dialect: dataset.csv(),
            delimiter: Delimiter::new(dataset.csv().delimiter),
            entity: dataset.entity(),
            words: if dataset == Dataset::users() { &USERS } else { &GENERAL },
        }
    }

    /// The layout of the values in the keys of a dataset. A text in a key always is a value.
    pub(super) fn of_key(dataset: &'d Dataset) -> Self {
        let of_key = |column: &'d Column| match column.origin {
            Origin::Key(_) => Some(SourceColumn {
                column,
                header: &column.name,
            }),
            Origin::Content(_) => None,
        };
        Self {
            columns: dataset.columns().iter().filter_map(of_key).collect(),
            missing_values: &[],
            dialect: &KEYS,
            ..Self::new(dataset)
        }
    }

    /// The header as a message states it: `the header first_name,last_name,birthts`.
    pub(super) fn expected_header(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.header).collect();
        let delimiter = match self.delimiter.byte {
            // It cannot be seen.
            b'\t' => "<TAB>".to_owned(),
            byte => char::from(byte).to_string(),
        };
        format!("the header {}", names.join(&delimiter))
    }
}
