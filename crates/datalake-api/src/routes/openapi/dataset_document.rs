//! The description for one dataset: the parameters, schemas and files that its declaration has, in its words.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use datalake_core::{
    dataset::{Dataset, FileColumn},
    text::capitalized,
};
use parking_lot::Mutex;
use utoipa::openapi::{Content, HttpMethod, OpenApi as Document, PathItem, Ref, RefOr, Response, Schema, path::Operation};

use super::{dataset_parameters::Group, dataset_schemas, operations};
use crate::request::row_path;

/// The properties of documents that only rows with several files have, by their schemas.
const OF_SEVERAL_FILES: [(&str, &str); 2] = [("Explanation", "files"), ("HistoryState", "file_etags")];

/// The schema that only these properties refer to.
const SCHEMA_OF_SEVERAL_FILES: &str = "ExplainedFile";

/// The path of files in the routes, of which the description has one for each file of the dataset.
pub(crate) const FILE: &str = "/data/{user_id}/{file}";

/// The start of the paths of a row.
const ROW: &str = "/data/{user_id}";

/// The description as compiled, from which that of each dataset follows.
pub(crate) struct Descriptions {
    document: Document,
    /// The latest one, as JSON: nearly all requests are for the same dataset.
    latest: Mutex<Option<(Arc<Dataset>, Bytes)>>,
}

impl Descriptions {
    pub(crate) fn new(document: Document) -> Self {
        Self {
            document,
            latest: Mutex::new(None),
        }
    }

    /// The description for a dataset, as JSON.
    pub(crate) fn of(&self, dataset: &Arc<Dataset>) -> Bytes {
        let mut latest = self.latest.lock();
        if let Some((_, text)) = latest.as_ref().filter(|(known, _)| known == dataset) {
            return text.clone();
        }
        let text = Bytes::from(describe(self.document.clone(), dataset));
        *latest = Some((Arc::clone(dataset), text.clone()));
        text
    }
}

fn remove_several_files(document: &mut Document) {
    let schemas = &mut document.components.get_or_insert_default().schemas;
    schemas.remove(SCHEMA_OF_SEVERAL_FILES);
    for (schema, property) in OF_SEVERAL_FILES {
        if let Some(RefOr::T(Schema::Object(object))) = schemas.get_mut(schema) {
            object.properties.remove(property);
        }
    }
}

fn describe(mut document: Document, dataset: &Dataset) -> String {
    describe_files(&mut document, dataset);
    rename_rows(&mut document, dataset);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let parameters = operation.parameters.take().unwrap_or_default();
        let of_dataset = parameters.into_iter().flat_map(|parameter| match Group::of(&parameter) {
            Some(group) => group.parameters(dataset).into_iter().map(RefOr::T).collect(),
            None => vec![parameter],
        });
        operation.parameters = Some(of_dataset.collect::<Vec<_>>()).filter(|parameters| !parameters.is_empty());
    }
    if dataset.files().len() < 2 {
        remove_several_files(&mut document);
    }
    let schemas = dataset_schemas::of_dataset(dataset);
    document.components.get_or_insert_default().schemas.extend(schemas);
    super::share_parameters(&mut document);
    let text = document.to_pretty_json().expect("the document contains only strings and numbers");
    let (entity, entities) = (dataset.entity(), dataset.rows_in_sentence());
    text.replace("ENTITIES", &escaped(&entities)).replace("ENTITY", &escaped(entity))
}

/// A text as part of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("writing a string to memory cannot fail");
    quoted.trim_matches('"').to_owned()
}

/// Replaces the path of files by one path for each file.
fn describe_files(document: &mut Document, dataset: &Dataset) {
    let paths = &mut document.paths.paths;
    let Some(operation) = paths.remove(FILE).and_then(|item| item.get) else {
        return;
    };
    let others: BTreeSet<_> = paths
        .values_mut()
        .flat_map(operations)
        .filter_map(|operation| operation.operation_id.clone())
        .collect();
    for file in dataset.files() {
        let id = Some(format!("show{}", capitalized(&file.name))).filter(|id| !others.contains(id));
        let id = id.unwrap_or_else(|| format!("show{}File", capitalized(&file.name)));
        let item = PathItem::new(HttpMethod::Get, of_file(operation.clone(), id, file));
        paths.insert(format!("{ROW}/{}", file.name), item);
    }
}

fn of_file(mut operation: Operation, id: String, file: &FileColumn) -> Operation {
    let name = file.name.as_str();
    operation.operation_id = Some(id);
    for text in [&mut operation.summary, &mut operation.description].into_iter().flatten() {
        *text = text.replace("FILE", name);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        response.description = response.description.replace("FILE", name);
        if status == "200" {
            set_types(response, file);
        }
    }
    operation
}

fn set_types(response: &mut Response, file: &FileColumn) {
    let types = file.types.iter().map(|file_type| file_type.as_str().to_owned());
    response.content = types
        .map(|media_type| (media_type, Content::new(Some(Ref::from_schema_name("Binary"))).into()))
        .collect();
}

/// Names the ID in paths as the dataset does.
fn rename_rows(document: &mut Document, dataset: &Dataset) {
    let row = row_path::template(dataset);
    let paths = std::mem::take(&mut document.paths.paths);
    let renamed = paths.into_iter().map(|(path, item)| match path.strip_prefix(ROW) {
        Some(rest) => (format!("{row}{rest}"), item),
        None => (path, item),
    });
    document.paths.paths = renamed.collect();
}
