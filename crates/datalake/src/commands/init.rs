//! `datalake init`

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use bytes::Bytes;
use datalake_core::{count::count, dataset::Dataset, keys, reject::IgnoreCode, text::grouped};
use datalake_processor::{declaration::DeclarationError as InvalidDeclaration, error::RunError};
use datalake_store::{
    bucket::{Bucket, Metadata, ObjectKind, PutMode},
    error::StoreError,
    lake,
};
use datalake_table::declaration::{self, DeclarationError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    args::{InitArgs, LakeArgs},
    dataset_file,
    documentation::REJECTS,
    exit::UsageError,
    lake_arguments::{arguments, with_complete_commands},
    lake_location,
    progress::{Bar, UploadProgress},
    samples,
};

/// Uploads in flight, and sources in memory.
const UPLOADS_IN_FLIGHT_MAX: usize = 32;

/// Creates the lake, and uploads the sources of a folder or the samples.
pub(crate) async fn init(args: InitArgs) -> anyhow::Result<u8> {
    let declared = dataset_file::read_given(args.dataset.as_deref())?;
    if let Some(folder) = &args.from {
        lake_location::check_sources(folder, &args.lake.lake)?;
    }
    let connecting = format!("connecting to {}", args.lake.lake);
    let bar = Bar::waiting(&connecting);
    let (text_of_declaration, dataset) = match declared {
        Some((text, dataset)) => (Some(text), dataset),
        None => (None, stored_dataset(&args.lake).await?),
    };
    // Before the lake is created: an invalid folder changes nothing.
    let sources = match &args.from {
        Some(folder) => {
            bar.set_message(&format!("listing {}", folder.display()));
            Some(list_folder(&dataset, folder)?)
        }
        None => None,
    };
    bar.set_message(&connecting);
    super::create(&args.lake).await?;
    let lake = super::open(&args.lake).await?;
    let bucket = lake.bucket.as_ref();
    let declaration_lines = match text_of_declaration {
        Some(text) => upload_declaration(bucket, text).await?.lines(&arguments(&args.lake)),
        None => String::new(),
    };
    let on_upload = bar.upload_listener();
    let url = &args.lake.lake;
    let mut text = format!("the lake is ready: {url}\n{declaration_lines}");
    // The samples are users.
    let has_samples = args.samples && *dataset == *Dataset::users();
    let skipped_lines = sources.as_ref().map(FolderSources::skipped_lines).unwrap_or_default();
    let uploaded = match (sources, has_samples) {
        (Some(FolderSources { sources, .. }), _) => {
            Some(upload(bucket, &dataset, sources, IfPresent::ReplaceIfDifferent, &on_upload).await?)
        }
        (None, true) => Some(upload_samples(bucket, &on_upload).await?),
        (None, false) => None,
    };
    bar.clear();
    match uploaded {
        Some(Uploaded { written, skipped }) => writeln!(
            text,
            "{} sources uploaded, {} already there\n{skipped_lines}next: `datalake up --lake {url}`, or `datalake process --lake {url}` for one run",
            grouped(written),
            grouped(skipped)
        )?,
        None => writeln!(
            text,
            "next: put {} files {}, then `datalake process --lake {url}`",
            keys::name_templates(&dataset).join(" and "),
            match keys::common_folder(&dataset) {
                "" => "into the lake".to_owned(),
                folder => format!("under {folder}"),
            }
        )?,
    }
    super::print(text.as_bytes())?;
    Ok(0)
}

/// The dataset of a lake, which decides which files of a folder are sources; the users if the lake does not exist yet or has no declaration.
async fn stored_dataset(args: &LakeArgs) -> anyhow::Result<Arc<Dataset>> {
    lake_location::check(&args.lake)?;
    if !lake::exists(&args.lake, &args.s3.open_options()).await? {
        return Ok(Dataset::shared_users());
    }
    let stored = declaration::read(super::open(args).await?.bucket.as_ref()).await;
    let stored = stored.map_err(|error| match error {
        DeclarationError::Store(error) => RunError::from(error),
        error => InvalidDeclaration::Stored(error).into(),
    })?;
    Ok(stored.map_or_else(Dataset::shared_users, Arc::new))
}

/// What happened to the declaration of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeclarationChange {
    Uploaded,
    Replaced,
    Unchanged,
}

impl DeclarationChange {
    /// The lines of the output. `lake` are the arguments that select the lake. What the next run does depends on the table, which a dry run compares.
    fn lines(self, lake: &str) -> String {
        let changed = |verb| {
            let effect = with_complete_commands("see its effect with `datalake process --dry-run`", lake);
            format!("{} {verb}\n{effect}\n", keys::DECLARATION)
        };
        match self {
            Self::Uploaded => changed("uploaded"),
            Self::Replaced => changed("replaced"),
            Self::Unchanged => format!("{} unchanged\n", keys::DECLARATION),
        }
    }
}

/// Writes the declaration, unless the lake has the same text.
async fn upload_declaration(bucket: &dyn Bucket, text: String) -> anyhow::Result<DeclarationChange> {
    let change = match bucket.get(keys::DECLARATION, None, None).await {
        Ok(object) if object.bytes == text.as_bytes() => return Ok(DeclarationChange::Unchanged),
        Ok(_) | Err(StoreError::Invalid { .. }) => DeclarationChange::Replaced,
        Err(StoreError::NotFound { .. }) => DeclarationChange::Uploaded,
        Err(error) => return Err(error.into()),
    };
    bucket
        .put(keys::DECLARATION, text.into(), PutMode::Replace, &Metadata::new())
        .await?;
    Ok(change)
}

/// Where the bytes of a source to upload are.
enum Origin {
    File(PathBuf),
    Embedded(Bytes),
}

impl Origin {
    async fn bytes(self) -> anyhow::Result<Bytes> {
        match self {
            Self::Embedded(bytes) => Ok(bytes),
            Self::File(path) => {
                let bytes = tokio::fs::read(&path).await;
                let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
                Ok(bytes.into())
            }
        }
    }
}

/// The files of a folder.
struct FolderSources {
    /// The sources, by key.
    sources: BTreeMap<String, Origin>,
    /// The other files, with the reason why a run would ignore them.
    skipped: Vec<(String, IgnoreCode)>,
}

/// Skipped files that are named. A folder may contain anything.
const SKIPPED_MAX: usize = 5;

impl FolderSources {
    /// The skipped files as lines of the output.
    fn skipped_lines(&self) -> String {
        let named = self.skipped.iter().take(SKIPPED_MAX);
        let lines = named.map(|(name, code)| format!("skipped {name:?}: {code} ({REJECTS}#{code})\n"));
        let others = self.skipped.len().saturating_sub(SKIPPED_MAX);
        let more = (others > 0).then(|| format!("and {} more\n", grouped(count(others))));
        lines.chain(more).collect()
    }
}

/// Lists the files that have the names of sources. The folder has the content of the innermost folder of the lake that contains all sources.
fn list_folder(dataset: &Dataset, folder: &Path) -> anyhow::Result<FolderSources> {
    let failed = |error| UsageError(format!("cannot read the folder of sources {}: {error}", folder.display()));
    let (mut sources, mut skipped) = (BTreeMap::new(), Vec::new());
    let common = keys::common_folder(dataset);
    let mut folders = vec![(common.to_owned(), folder.to_owned())];
    while let Some((prefix, path)) = folders.pop() {
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = prefix.clone() + &name;
            // Opening a FIFO would wait for a writer.
            let metadata = fs::metadata(entry.path());
            let is_file = metadata.as_ref().is_ok_and(fs::Metadata::is_file);
            if metadata.is_ok_and(|metadata| metadata.is_dir()) && keys::is_above_sources(dataset, &format!("{key}/")) {
                folders.push((key + "/", entry.path()));
                continue;
            }
            if keys::folder_of(dataset, &key).is_none() {
                continue;
            }
            match keys::parse_source(dataset, &key) {
                Ok(_) if is_file => drop(sources.insert(key, Origin::File(entry.path()))),
                Ok(_) => tracing::warn!(file = %entry.path().display(), "skipped file that is not regular"),
                Err(code) if is_file => skipped.push((key[common.len()..].to_owned(), code)),
                Err(_) => {}
            }
        }
    }
    skipped.sort_by(|left: &(String, IgnoreCode), right| left.0.cmp(&right.0));
    if sources.is_empty() {
        let folders: Vec<_> = keys::source_folders(dataset)
            .into_iter()
            .filter(|folder| *folder != common)
            .collect();
        let content = match folders.is_empty() {
            true => "with the sources".to_owned(),
            false => format!("that contains {}", folders.join(" and ")),
        };
        return Err(UsageError(format!(
            "there is no {} in {}; pass the folder {content} to --from",
            keys::name_templates(dataset).join(" or "),
            folder.display()
        ))
        .into());
    }
    Ok(FolderSources { sources, skipped })
}

/// How many sources were uploaded, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) written: u64,
    pub(crate) skipped: u64,
}

/// What happens to a source that exists in the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfPresent {
    /// It is replaced if it is different.
    ReplaceIfDifferent,
    /// It is kept.
    Keep,
}

/// Receives how far the upload is.
pub(super) type OnUpload = dyn Fn(UploadProgress) + Send + Sync;

/// Uploads the samples that are missing, if the lake has no table. After the first run a sample that the user edited or removed is not uploaded
/// again.
pub(super) async fn upload_samples(bucket: &dyn Bucket, on_upload: &OnUpload) -> anyhow::Result<Uploaded> {
    let samples = samples::by_file_name();
    if bucket.list(keys::LOG, None).try_next().await?.is_some() {
        let skipped = count(samples.len());
        return Ok(Uploaded { written: 0, skipped });
    }
    let samples = samples
        .into_iter()
        .map(|(name, bytes)| (keys::source(&name), Origin::Embedded(bytes)))
        .collect();
    upload(bucket, Dataset::users(), samples, IfPresent::Keep, on_upload).await
}

/// Uploads the sources that are missing, and those that are different unless `if_present` keeps them. `sources` are by key.
async fn upload(
    bucket: &dyn Bucket,
    dataset: &Dataset,
    sources: BTreeMap<String, Origin>,
    if_present: IfPresent,
    on_upload: &OnUpload,
) -> anyhow::Result<Uploaded> {
    let total = count(sources.len());
    let mut present: BTreeMap<String, u64> = BTreeMap::new();
    let mut objects = 0;
    for folder in keys::source_folders(dataset) {
        let mut listing = bucket.list(folder, None);
        while let Some(object) = listing.try_next().await? {
            objects += 1;
            on_upload(UploadProgress::Listed { objects });
            if object.kind == ObjectKind::Object {
                present.insert(object.key, object.size);
            }
        }
    }
    let present = &present;
    on_upload(UploadProgress::Uploaded { sources: 0, total });
    let mut written = stream::iter(sources)
        .map(|(key, origin)| async move {
            let size = present.get(&key);
            if size.is_some() && if_present == IfPresent::Keep {
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
        uploaded.skipped += u64::from(!is_written);
        let sources = uploaded.written + uploaded.skipped;
        on_upload(UploadProgress::Uploaded { sources, total });
    }
    Ok(uploaded)
}
