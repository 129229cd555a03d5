//! `GET /data/{user_id}` and `GET /data/{user_id}/{file}`: one row, and its files.

use axum::{
    Json,
    extract::{FromRef, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use datalake_core::{
    dataset::FileType,
    row::RowView,
    row_id::{RowId, text_of},
};
use datalake_http::conditional::Validators;
use datalake_store::bucket::{Etag, ObjectMeta};
use datalake_table::memory::snapshot::Snapshot;

use crate::{
    digest::text_digest,
    images::{FileLocation, ImageReader},
    limits::requests::StoreReadPermit,
    problem::{
        MissingFile, MissingRow, Problem,
        document::ProblemDocument,
        from::precondition_response,
        responses::{ConditionalResponses, NewestReadProblems, ReadProblems},
    },
    request::{
        data_query::RowRequest,
        parameters::NoParameters,
        path::{PathFile, PathParameter},
        selected_snapshot::{NewestVersionParameters, SelectedSnapshot, TimeTravelParameters},
        table_read::{NewestRead, TableRead},
    },
    routes::{
        openapi::{
            dataset_parameters::{DayParameter, RowPath},
            schemas::{Binary, ConditionParameters},
        },
        row_document::RowDocument,
    },
    snapshots::versions::Versions,
    state::ApiState,
};

/// The bytes come from the owners of the sources. A browser must not interpret them as anything but an image.
const NO_SNIFF: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// Get one ENTITY
///
/// Returns the row, with its derived columns on the day `on`.
#[utoipa::path(
    get,
    path = "/data/{user_id}",
    operation_id = "showRow",
    tag = "data",
    params(
        RowPath,
        DayParameter,
        TimeTravelParameters,
        ConditionParameters,
    ),
    responses(
        ReadProblems,
        ConditionalResponses,
        (status = 200, description = "The row", body = RowDocument, headers(
            ("etag" = String, description = "The ETag of the response, for `If-None-Match`"),
        )),
    )
)]
pub(crate) async fn show_row(
    PathParameter(user_id): PathParameter,
    TableRead(RowRequest { query, identity }, read_at): TableRead<RowRequest>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = row_of(&read_at.snapshot, &text_of(&user_id))?;
    let day = read_at.day(query.on);
    let validators = read_at.validators(&format!("row\n{identity}"), Some(day), query.on.is_none());
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((read_at.freshness_headers(), precondition_response(precondition, &validators)).into_response());
    }
    let document = RowDocument::new(row, day);
    Ok((read_at.freshness_headers(), validators.headers(), Json(document)).into_response())
}

/// Get the FILE of one ENTITY
///
/// Returns the file that the latest version of the table links. Files of earlier versions are not kept.
#[utoipa::path(
    get,
    path = "/data/{user_id}/{file}",
    operation_id = "showFile",
    tag = "data",
    params(RowPath, NewestVersionParameters, ConditionParameters),
    responses(
        NewestReadProblems,
        ConditionalResponses,
        (status = 200, description = "The FILE", body = Binary, content_type = "application/octet-stream", headers(
            ("etag" = String, description = "The ETag of the file, for `If-None-Match`"),
        )),
        (status = 404, description = "The row does not exist or has no FILE", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_file(
    State(responder): State<FileResponder>,
    PathFile { file, row_id }: PathFile,
    NewestRead(NoParameters, read_at): NewestRead<NoParameters>,
    _: StoreReadPermit,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    responder.show(file, &row_id, &read_at, &method, &headers).await
}

/// Responds with files of rows.
pub(crate) struct FileResponder {
    reader: ImageReader,
    versions: Versions,
}

impl FromRef<ApiState> for FileResponder {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            reader: FromRef::from_ref(state),
            versions: FromRef::from_ref(state),
        }
    }
}

impl FileResponder {
    async fn show(
        &self,
        file: usize,
        user_id: &str,
        read_at: &SelectedSnapshot,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let (snapshot, dataset) = (&read_at.snapshot, read_at.snapshot.dataset());
        let row = row_of(snapshot, user_id)?;
        let declared = &dataset.files()[file];
        let no_file = || Problem::NoImage(MissingFile::of(dataset, declared));
        let key = row.path(file).ok_or_else(no_file)?.concat();
        let (location, missing) = if declared.copy_to.is_some() {
            // A newer version may just have unlinked the copy.
            (FileLocation::copy(key, declared), MissingFile::of(dataset, declared))
        } else {
            let user_id = RowId::parse(user_id).map_err(|_| no_file())?;
            let etag = self.recorded_etag(file, &user_id, snapshot).await?.ok_or_else(no_file)?;
            let location = FileLocation::source(declared, etag, &user_id);
            (location, MissingFile::replaced(snapshot, declared, key))
        };
        let missing = || Problem::NoImage(missing.clone());
        let is_conditional = [header::IF_NONE_MATCH, header::IF_MATCH]
            .iter()
            .any(|name| headers.contains_key(name));
        // Conditions and HEAD do not need the bytes, unless these decide the type.
        if let ([file_type], true) = (&*declared.types, is_conditional || *method == Method::HEAD) {
            let meta = self.reader.head(&location).await?.ok_or_else(missing)?;
            let validators = image_validators(&meta);
            if let Some(precondition) = validators.evaluate_preconditions(headers) {
                return Ok((read_at.freshness_headers(), precondition_response(precondition, &validators)).into_response());
            }
            if *method == Method::HEAD {
                let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(file_type.as_str()));
                let length = (header::CONTENT_LENGTH, HeaderValue::from(meta.size));
                return Ok((read_at.freshness_headers(), validators.headers(), [content_type, NO_SNIFF, length]).into_response());
            }
        }
        let found = self.reader.get(&location).await?.ok_or_else(missing)?;
        let validators = image_validators(&found.meta);
        // A run may have replaced the file since its ETag was read.
        if let Some(precondition) = validators.evaluate_preconditions(headers) {
            return Ok((read_at.freshness_headers(), precondition_response(precondition, &validators)).into_response());
        }
        let file_type = match *declared.types {
            [file_type] => Some(file_type),
            _ => FileType::recognize(&found.bytes),
        };
        let media_type = file_type.map_or("application/octet-stream", FileType::as_str);
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Ok((
            read_at.freshness_headers(),
            validators.headers(),
            [content_type, NO_SNIFF],
            found.bytes,
        )
            .into_response())
    }

    /// The ETag of the file that the row links. It is not in memory.
    async fn recorded_etag(&self, file: usize, user_id: &RowId, snapshot: &Snapshot) -> Result<Option<Etag>, Problem> {
        let row = self.versions.row(snapshot.version(), user_id).await?;
        let linked = row.as_ref().and_then(|row| row.file(file));
        Ok(linked.map(|linked| Etag::new(&linked.etag)))
    }
}

fn row_of<'a>(snapshot: &'a Snapshot, user_id: &str) -> Result<RowView<'a>, Problem> {
    let row = snapshot.row(user_id);
    row.ok_or_else(|| Problem::NoSuchRow(MissingRow::of_version(snapshot, user_id)))
}

/// A digest of the store's ETag identifies the bytes, and reveals nothing else about the store.
fn image_validators(meta: &ObjectMeta) -> Validators {
    Validators::etag_only(&text_digest(meta.etag.as_str()))
}
