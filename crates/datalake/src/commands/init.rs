//! `datalake init`

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use bytes::Bytes;
use datalake_core::keys;
use datalake_store::bucket::{Bucket, Metadata, ObjectKind, PutMode};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::demo;
use crate::{args::InitArgs, exit::UsageError, lake_place};

/// Uploads in flight: the sources of a folder that are held at one time.
const UPLOADS_IN_FLIGHT_MAX: usize = 32;

/// Makes the lake and uploads a folder's sources, where one is named.
pub(crate) async fn init(args: InitArgs) -> anyhow::Result<u8> {
    let sources = match &args.from {
        Some(folder) => {
            lake_place::check_sources(folder, &args.lake.lake)?;
            Some(list_folder(folder)?)
        }
        None => None,
    };
    super::create(&args.lake).await?;
    let mut words = format!("the lake is ready: {}\n", args.lake.lake);
    let lake = super::open(&args.lake).await?;
    let uploaded = match (sources, args.samples) {
        (Some(sources), _) => Some(upload(lake.bucket.as_ref(), sources, Present::Compared).await?),
        (None, true) => Some(upload_samples(lake.bucket.as_ref()).await?),
        (None, false) => None,
    };
    if let Some(uploaded) = uploaded {
        writeln!(words, "{} sources uploaded, {} already there", uploaded.written, uploaded.same)?;
    }
    super::print(words.as_bytes())?;
    Ok(0)
}

/// Where the bytes of a source to upload are.
enum Origin {
    File(PathBuf),
    Carried(Bytes),
}

impl Origin {
    async fn bytes(self) -> anyhow::Result<Bytes> {
        match self {
            Self::Carried(bytes) => Ok(bytes),
            Self::File(path) => {
                let bytes = tokio::fs::read(&path).await;
                let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
                Ok(bytes.into())
            }
        }
    }
}

/// The sources in a folder, by file name. Files that are nobody's source are left out.
fn list_folder(folder: &Path) -> anyhow::Result<BTreeMap<String, Origin>> {
    let refused = |error| UsageError(format!("cannot read the folder of sources {}: {error}", folder.display()));
    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if keys::parse_source(&keys::source(&name)).is_err() {
            continue;
        }
        // To open a FIFO would wait for a writer.
        match fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_file() => drop(sources.insert(name, Origin::File(entry.path()))),
            _ => tracing::warn!(file = %entry.path().display(), "skipped: not a regular file"),
        }
    }
    if sources.is_empty() {
        return Err(UsageError(format!(
            "there is no {{user_id}}.csv or {{user_id}}.png in {}; pass the folder of the sources to --from",
            folder.display()
        ))
        .into());
    }
    Ok(sources)
}

/// How many sources were missing or different, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) written: u64,
    pub(crate) same: u64,
}

/// What becomes of a source that the lake holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Present {
    /// It is replaced where it differs.
    Compared,
    /// It stays as it is.
    Kept,
}

/// Writes the samples that the lake lacks, as long as it has no table: a sample that somebody edited or removed after the first run stays
/// as it is, however often this is repeated.
pub(crate) async fn upload_samples(bucket: &dyn Bucket) -> anyhow::Result<Uploaded> {
    let samples = demo::samples();
    if bucket.list(keys::LOG, None).try_next().await?.is_some() {
        let same = u64::try_from(samples.len())?;
        return Ok(Uploaded { written: 0, same });
    }
    let samples = samples.into_iter().map(|(name, bytes)| (name, Origin::Carried(bytes))).collect();
    upload(bucket, samples, Present::Kept).await
}

/// Writes the sources that the lake lacks, or holds otherwise, by file name.
async fn upload(bucket: &dyn Bucket, sources: BTreeMap<String, Origin>, if_present: Present) -> anyhow::Result<Uploaded> {
    let mut present: BTreeMap<String, u64> = BTreeMap::new();
    let mut listing = bucket.list(keys::SOURCES, None);
    while let Some(object) = listing.try_next().await? {
        if object.kind == ObjectKind::Object {
            present.insert(object.key, object.size);
        }
    }
    let present = &present;
    let mut written = stream::iter(sources)
        .map(|(name, origin)| async move {
            let key = keys::source(&name);
            let size = present.get(&key);
            if size.is_some() && if_present == Present::Kept {
                return Ok(false);
            }
            let bytes = origin.bytes().await?;
            let has_size = size.is_some_and(|size| Ok(*size) == u64::try_from(bytes.len()));
            if has_size && bucket.get(&key, None, None).await?.bytes == bytes {
                return Ok(false);
            }
            bucket.put(&key, bytes, PutMode::Replace, &Metadata::new()).await?;
            anyhow::Ok(true)
        })
        .buffer_unordered(UPLOADS_IN_FLIGHT_MAX);
    let mut uploaded = Uploaded::default();
    while let Some(is_written) = written.try_next().await? {
        uploaded.written += u64::from(is_written);
        uploaded.same += u64::from(!is_written);
    }
    Ok(uploaded)
}
