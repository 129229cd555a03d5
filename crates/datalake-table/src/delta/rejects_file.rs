//! Rejects files: the sources that are rejected or ignored at a version, as one Parquet file.

use std::sync::Arc;

use datalake_core::{
    keys,
    plan::SourceVersion,
    reject::{ExcludedSource, Exclusion, IgnoreCode, Position, Reason, Reject, RejectCode},
    row_id::RowId,
    run::RunId,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    simulation,
    unique_name::unique_name,
};
use jiff::Timestamp;

use crate::{
    delta::{
        decode, log,
        parquet_columns::{self, Columns, RequestedColumn, long_column, string_column, timestamp_column},
        schema::ColumnType,
        version::Version,
    },
    error::TableError,
};

const KEY: &str = "key";
const USER_ID: &str = "user_id";
const ETAG: &str = "etag";
const SIZE: &str = "size";
const KIND: &str = "kind";
const CODE: &str = "code";
const LINE: &str = "line";
const COLUMN: &str = "column";
const BYTE_OFFSET: &str = "byte_offset";
const EXCERPT: &str = "excerpt";
const EXCERPT_OFFSET: &str = "excerpt_offset";
const COLUMN_NAME: &str = "column_name";
const FOUND: &str = "found";
const EXPECTED: &str = "expected";
const REMEDY: &str = "remedy";
const VALID_FROM: &str = "valid_from";
const RUN_ID: &str = "run_id";
const SINCE: &str = "since";
/// The ETags and sizes of valid files, as JSON: `[["etag", 7], null]`.
const VALID_FILES: &str = "valid_files";

/// The size limit of a rejects file. A million rejected sources take some 100 MiB.
const REJECTS_BYTES_MAX: u64 = 1024 * 1024 * 1024;

const REJECTED: &str = "rejected";
const IGNORED: &str = "ignored";

pub(crate) async fn read(bucket: &Arc<dyn Bucket>, version: &Version) -> Result<Vec<ExcludedSource>, TableError> {
    let Some(path) = version.0.metadata.rejects_path().filter(|_| !version.lost().rejects_file) else {
        return Ok(Vec::new());
    };
    let object = log::get(bucket, &keys::table_file(path), REJECTS_BYTES_MAX).await?;
    decode::decode(object, decode).await
}

/// Writes the rejects unless they are those of `base`, and returns the path of their file. None if there are no rejects.
pub(crate) async fn write(
    bucket: &Arc<dyn Bucket>,
    base: Option<&Version>,
    rejects: &[ExcludedSource],
) -> Result<Option<String>, TableError> {
    if rejects.is_empty() {
        return Ok(None);
    }
    if let Some(base) = base
        && let Some(path) = base.0.metadata.rejects_path().filter(|_| !base.lost().rejects_file)
        && read(bucket, base).await? == stored(rejects)
    {
        return Ok(Some(path.to_owned()));
    }
    let bytes = encode(rejects)?;
    let key = keys::rejects_file(&unique_name().to_string(), crc32fast::hash(&bytes));
    bucket.put(&key, bytes, PutMode::Create, &Metadata::new()).await?;
    Ok(key.strip_prefix(keys::TABLE).map(str::to_owned))
}

/// The rejects as they are read back, with times in microseconds.
fn stored(rejects: &[ExcludedSource]) -> Vec<ExcludedSource> {
    let cut = |time: Timestamp| Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time);
    rejects
        .iter()
        .map(|excluded| ExcludedSource {
            since: cut(excluded.since),
            ..excluded.clone()
        })
        .collect()
}

/// The columns of a rejects file.
const COLUMNS: [&str; 19] = [
    KEY,
    USER_ID,
    ETAG,
    SIZE,
    KIND,
    CODE,
    LINE,
    COLUMN,
    BYTE_OFFSET,
    EXCERPT,
    EXCERPT_OFFSET,
    COLUMN_NAME,
    FOUND,
    EXPECTED,
    REMEDY,
    VALID_FROM,
    RUN_ID,
    SINCE,
    VALID_FILES,
];

/// Files of earlier formats do not have all columns, which then contain only nulls.
fn wanted(name: &str) -> RequestedColumn<'_> {
    let kind = match name {
        SIZE | LINE | COLUMN | BYTE_OFFSET | EXCERPT_OFFSET => ColumnType::Long,
        VALID_FROM | SINCE => ColumnType::Timestamp,
        _ => ColumnType::String,
    };
    (name, Some(kind))
}

fn encode(rejects: &[ExcludedSource]) -> Result<bytes::Bytes, TableError> {
    simulation::memoize("rejects_file::encode", rejects, || encode_now(rejects))
}

fn encode_now(rejects: &[ExcludedSource]) -> Result<bytes::Bytes, TableError> {
    let reject = |excluded: &ExcludedSource| match &excluded.exclusion {
        Exclusion::Rejected(reject) => Some(reject.clone()),
        Exclusion::Ignored(_) => None,
    };
    let details: Vec<Option<Reject>> = rejects.iter().map(reject).collect();
    let kind = |excluded: &ExcludedSource| match excluded.exclusion {
        Exclusion::Rejected(_) => REJECTED,
        Exclusion::Ignored(_) => IGNORED,
    };
    let places = || details.iter().map(|reject| reject.as_ref().and_then(|reject| reject.position));
    let reasons = || details.iter().map(|reject| reject.as_ref().map(|reject| &reject.reason));
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let valid_files: Vec<Option<String>> = rejects.iter().map(valid_files_text).collect();
    parquet_columns::write(vec![
        string_column(KEY, rejects.iter().map(|excluded| Some(&*excluded.key))),
        string_column(USER_ID, rejects.iter().map(|excluded| excluded.row_id.as_ref().map(RowId::as_str))),
        string_column(ETAG, rejects.iter().map(|excluded| Some(&*excluded.etag))),
        long_column(SIZE, rejects.iter().map(|excluded| Some(number(excluded.size)))),
        string_column(KIND, rejects.iter().map(|excluded| Some(kind(excluded)))),
        string_column(CODE, rejects.iter().map(|excluded| Some(excluded.exclusion.code()))),
        long_column(LINE, places().map(|place| place?.line.map(i64::from))),
        long_column(COLUMN, places().map(|place| place?.column.map(i64::from))),
        long_column(BYTE_OFFSET, places().map(|place| Some(number(place?.byte_offset)))),
        string_column(EXCERPT, details.iter().map(|reject| reject.as_ref()?.excerpt.as_deref())),
        long_column(
            EXCERPT_OFFSET,
            details.iter().map(|reject| reject.as_ref()?.excerpt_offset.map(i64::from)),
        ),
        string_column(COLUMN_NAME, details.iter().map(|reject| reject.as_ref()?.column_name.as_deref())),
        string_column(FOUND, reasons().map(|reason| reason.map(|reason| &*reason.found))),
        string_column(EXPECTED, reasons().map(|reason| reason.map(|reason| &*reason.expected))),
        string_column(REMEDY, reasons().map(|reason| reason.map(|reason| &*reason.remedy))),
        timestamp_column(VALID_FROM, details.iter().map(|reject| reject.as_ref()?.valid_from)),
        string_column(RUN_ID, rejects.iter().map(|excluded| Some(excluded.run_id.as_str()))),
        timestamp_column(SINCE, rejects.iter().map(|excluded| Some(excluded.since))),
        string_column(VALID_FILES, valid_files.iter().map(Option::as_deref)),
    ])
}

fn decode(key: &str, bytes: bytes::Bytes) -> Result<Vec<ExcludedSource>, TableError> {
    let frame = parquet_columns::read(key, bytes, &COLUMNS.map(wanted))?;
    let columns = Columns { key, frame: &frame };
    let rejects = (0..frame.height()).map(|row| decode_row(columns, row));
    rejects.filter_map(Result::transpose).collect()
}

/// None if another version of this program rejected the source with a code that this version does not know. The source is then read again.
fn decode_row(columns: Columns<'_>, row: usize) -> Result<Option<ExcludedSource>, TableError> {
    let text = |name| columns.strings(name).and_then(|values| columns.string(values, row, name));
    let optional_text = |name| Ok::<_, TableError>(columns.strings(name)?.get(row));
    let number = |name: &'static str| -> Result<u64, TableError> {
        u64::try_from(columns.long(columns.longs(name)?, row, name)?).map_err(|_| columns.invalid(name, "contains a negative number"))
    };
    let small = |name: &'static str| -> Result<Option<u32>, TableError> {
        let value = columns.longs(name)?.get(row);
        value
            .map(u32::try_from)
            .transpose()
            .map_err(|_| columns.invalid(name, "contains a number out of range"))
    };
    let code = text(CODE)?;
    let exclusion = if text(KIND)? == IGNORED {
        IgnoreCode::parse(code).map(Exclusion::Ignored)
    } else {
        let place = match columns.longs(BYTE_OFFSET)?.get(row) {
            Some(_) => Some(Position {
                line: small(LINE)?,
                column: small(COLUMN)?,
                byte_offset: number(BYTE_OFFSET)?,
            }),
            None => None,
        };
        let excerpt_offset = columns.longs(EXCERPT_OFFSET)?.get(row);
        let valid_from = columns.longs(VALID_FROM)?.get(row);
        let reject = |code| {
            Ok::<_, TableError>(Reject {
                column_name: optional_text(COLUMN_NAME)?.map(Box::from),
                position: place,
                excerpt: optional_text(EXCERPT)?.map(Box::from),
                excerpt_offset: excerpt_offset.and_then(|offset| u8::try_from(offset).ok()),
                valid_from: valid_from.and_then(|time| Timestamp::from_microsecond(time).ok()),
                ..Reject::whole(code, Reason::new(text(FOUND)?, text(EXPECTED)?, text(REMEDY)?))
            })
        };
        RejectCode::parse(code).map(reject).transpose()?.map(Exclusion::Rejected)
    };
    let Some(exclusion) = exclusion else { return Ok(None) };
    let row_id = optional_text(USER_ID)?
        .map(RowId::parse)
        .transpose()
        .map_err(|_| columns.invalid(USER_ID, "contains an invalid ID"))?;
    let run_id = RunId::parse(text(RUN_ID)?).map_err(|_| columns.invalid(RUN_ID, "contains an invalid run ID"))?;
    let since = Timestamp::from_microsecond(columns.long(columns.longs(SINCE)?, row, SINCE)?);
    let since = since.map_err(|_| columns.invalid(SINCE, "contains a time out of range"))?;
    let valid_files = match optional_text(VALID_FILES)? {
        Some(files) => parse_valid_files(files).ok_or_else(|| columns.invalid(VALID_FILES, "contains no list of files"))?,
        None => Box::default(),
    };
    Ok(Some(ExcludedSource {
        key: text(KEY)?.into(),
        row_id,
        etag: text(ETAG)?.into(),
        size: number(SIZE)?,
        exclusion,
        run_id,
        since,
        valid_files,
    }))
}

fn valid_files_text(excluded: &ExcludedSource) -> Option<String> {
    let files = excluded.valid_files.iter();
    let files: Vec<Option<(&str, u64)>> = files.map(|file| file.as_ref().map(|file| (&*file.etag, file.size))).collect();
    (!files.is_empty()).then(|| serde_json::json!(files).to_string())
}

fn parse_valid_files(text: &str) -> Option<Box<[Option<SourceVersion>]>> {
    let files: Vec<Option<(Box<str>, u64)>> = serde_json::from_str(text).ok()?;
    let version = |(etag, size)| SourceVersion { key: None, etag, size };
    Some(files.into_iter().map(|file| file.map(version)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(exclusion: Exclusion) -> ExcludedSource {
        ExcludedSource {
            key: "src-data/1.csv".into(),
            row_id: None,
            etag: "tag".into(),
            size: 41,
            exclusion,
            run_id: RunId::parse("run-1").unwrap(),
            since: Timestamp::UNIX_EPOCH,
            valid_files: Box::default(),
        }
    }

    #[test]
    fn rejects_are_encoded_and_decoded() {
        let whole = Reject::whole(RejectCode::InFuture, Reason::new("the cause", "a birth", "check it"));
        let placed = Reject {
            column_name: Some("birthts".into()),
            position: Some(Position {
                line: Some(2),
                column: Some(5),
                byte_offset: 33,
            }),
            excerpt: Some("a,b<U+0000>c".into()),
            excerpt_offset: Some(2),
            valid_from: Some(Timestamp::from_second(1_700_000_000).unwrap()),
            ..whole.clone()
        };
        let given = [
            Exclusion::Rejected(whole),
            Exclusion::Rejected(placed),
            Exclusion::Ignored(IgnoreCode::Temporary),
        ]
        .map(excluded);
        let with_files = ExcludedSource {
            valid_files: [
                None,
                Some(SourceVersion {
                    key: None,
                    etag: "tag".into(),
                    size: 7,
                }),
            ]
            .into(),
            ..given[0].clone()
        };
        let given = [given.as_slice(), &[with_files]].concat();
        assert_eq!(decode("key", encode(&given).unwrap()).unwrap(), given);
    }
}
