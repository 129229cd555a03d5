//! Lists the sources, and compares them with what the table recorded.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use datalake_core::{
    count::count,
    dataset::{Dataset, FileColumn},
    keys,
    plan::{self, ListingEntry, ListingStats, RecordedRow, RowObjects, RowPlan, RowSources, SourceGrouper, SourceObject},
    reject::{ExcludedSource, IgnoreCode},
    row_id::RowId,
    run::{EmptyFolder, RunMode},
};
use datalake_store::{
    bucket::{ObjectKind, ObjectMeta},
    error::StoreError,
};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{StreamExt, stream::BoxStream};

use crate::{
    error::RunError,
    options::{OnProgress, Progress},
    recorded_rows::RecordedRows,
};

/// More examples do not help to correct the names. 1,000 use about 100 KiB of the rejects file.
const IGNORED_LISTED_MAX: usize = 1_000;

/// The differences between the listing and the table.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// In key order.
    pub(crate) plans: Vec<RowPlan>,
    /// The first objects that are ignored, at most [`IGNORED_LISTED_MAX`].
    pub(crate) ignored: Vec<(SourceObject, IgnoreCode)>,
    /// The number of all ignored objects.
    pub(crate) ignored_count: u64,
    pub(crate) stats: ListingStats,
    /// The folders of files, without sources, that have lost all their files.
    pub(crate) empty_folders: Vec<EmptyFolder>,
    pub(crate) csv_listed: u64,
    pub(crate) images_listed: u64,
    /// Listed IDs that the table did not record, in the range of a data file that is lost: their rows may have been in it.
    pub(crate) rederived: u64,
}

impl Changes {
    fn ignore(&mut self, object: SourceObject, code: IgnoreCode) {
        self.ignored_count += 1;
        if self.ignored.len() < IGNORED_LISTED_MAX {
            self.ignored.push((object, code));
        }
    }
}

/// What the listing is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The declaration of the sources.
    pub(crate) dataset: &'a Arc<Dataset>,
    pub(crate) base: Option<&'a Version>,
    /// The rejected and ignored sources of that version.
    pub(crate) rejects: &'a [ExcludedSource],
    pub(crate) mode: RunMode,
    /// IDs whose sources are read although the table recorded their ETags.
    pub(crate) reread: &'a BTreeSet<RowId>,
    /// The time of the run.
    pub(crate) run_at: jiff::Timestamp,
}

/// Lists all objects in the folders of the sources once, and returns the differences to the table.
pub(crate) async fn find(table: &Table, scope: Scope<'_>, progress: &OnProgress) -> Result<Changes, RunError> {
    progress(Progress::Listed { objects: 0 });
    let mut changes = Changes::default();
    let mut listing = Listing::new(table, scope.dataset, progress);
    let Scope {
        dataset,
        base,
        rejects,
        mode,
        reread,
        run_at,
    } = scope;
    let mut files = FileCounts::new(dataset, base.map(Version::dataset));
    let mut recorded_rows = RecordedRows::new(table, dataset, base, rejects, run_at);
    let mut listed = listing.next_row(&mut changes).await?;
    let mut recorded = recorded_rows.next().await?;
    loop {
        let order = match (&listed, &recorded) {
            (Some(listed), Some(recorded)) => plan::compare_key_order(dataset, &listed.row_id, &recorded.row_id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => {
                changes.empty_folders = files.empty_folders(dataset);
                return Ok(changes);
            }
        };
        let (is_listed, is_recorded) = (order.is_le(), order.is_ge());
        let sources = listed.as_ref().filter(|_| is_listed);
        let mode = match sources {
            Some(sources) if reread.contains(&sources.row_id) => RunMode::Full,
            _ => mode,
        };
        let change = plan::compare(sources, recorded.as_ref().filter(|_| is_recorded), mode);
        changes.rederived += u64::from(!is_recorded && sources.is_some_and(|sources| may_be_lost(base, &sources.row_id)));
        changes.plans.extend(change);
        if let Some(sources) = sources {
            files.add(sources, recorded.as_ref().filter(|_| is_recorded));
        }
        changes.stats.known += u64::from(is_recorded);
        changes.stats.gone += u64::from(is_recorded && !is_listed);
        if is_listed {
            listed = listing.next_row(&mut changes).await?;
        }
        if is_recorded {
            recorded = recorded_rows.next().await?;
        }
    }
}

/// The numbers of the files of all rows whose source is listed, for each file of the declaration.
struct FileCounts(Vec<FileCount>);

#[derive(Default)]
struct FileCount {
    /// The index of the file in the declaration of the table. None if that has no file with the same keys.
    recorded: Option<usize>,
    /// How many rows linked the file before the run.
    linked: u64,
    listed: u64,
}

impl FileCounts {
    fn new(dataset: &Dataset, recorded: Option<&Arc<Dataset>>) -> Self {
        let index = |file: &FileColumn| {
            let mut files = recorded?.files().iter();
            files.position(|recorded| recorded.key.as_str() == file.key.as_str())
        };
        let count = |file: &FileColumn| FileCount {
            recorded: index(file),
            ..FileCount::default()
        };
        Self(dataset.files().iter().map(count).collect())
    }

    fn add(&mut self, sources: &RowSources, recorded: Option<&RecordedRow>) {
        for (count, listed) in self.0.iter_mut().zip(&sources.files) {
            let recorded = count.recorded.and_then(|index| recorded?.files.get(index));
            count.linked += u64::from(recorded.is_some_and(|file| file.is_linked));
            count.listed += u64::from(listed.is_some());
        }
    }

    /// The folders other than that of the sources of which the listing has no file, although rows link some.
    fn empty_folders(&self, dataset: &Dataset) -> Vec<EmptyFolder> {
        let folders = keys::source_folders(dataset)
            .into_iter()
            .filter(|folder| *folder != dataset.key().folder());
        let empty = folders.filter_map(|folder| {
            let files = dataset.files().iter().zip(&self.0).filter(|(file, _)| file.key.folder() == folder);
            let (linked, listed) = files.fold((0, 0), |(linked, listed), (_, count)| {
                (linked + count.linked, listed + count.listed)
            });
            (linked > 0 && listed == 0).then(|| EmptyFolder {
                folder: folder.to_owned(),
                files: linked,
            })
        });
        empty.collect()
    }
}

/// Whether the row may have been in a data file that is lost.
fn may_be_lost(base: Option<&Version>, row_id: &RowId) -> bool {
    base.is_some_and(|base| base.lost().data_files.iter().any(|file| file.may_contain(row_id.as_str())))
}

/// The listings of all folders of the sources, merged in the common order.
struct Listing<'a>(Vec<FolderListing<'a>>);

impl<'a> Listing<'a> {
    fn new(table: &Table, dataset: &'a Arc<Dataset>, progress: &'a OnProgress) -> Self {
        let folders = keys::source_folders(dataset).into_iter();
        let listing = |folder: &str| FolderListing {
            objects: table.bucket().list(folder, None),
            dataset,
            grouper: Some(SourceGrouper::new(Arc::clone(dataset), folder)),
            grouped: VecDeque::new(),
            next: None,
            progress,
        };
        Self(folders.map(listing).collect())
    }

    /// The next row with sources. Adds ignored objects before it to `changes`.
    async fn next_row(&mut self, changes: &mut Changes) -> Result<Option<RowSources>, RunError> {
        loop {
            for folder in &mut self.0 {
                folder.fill(changes).await?;
            }
            let rows = self
                .0
                .iter()
                .enumerate()
                .filter_map(|(index, folder)| Some((index, folder.next.as_ref()?)));
            let least = rows.min_by(|(_, left), (_, right)| left.compare(right)).map(|(index, _)| index);
            let Some(mut row) = least.and_then(|index| self.0[index].next.take()) else {
                return Ok(None);
            };
            for folder in &mut self.0 {
                if let Some(same) = folder.next.take_if(|other| other.compare(&row).is_eq()) {
                    row.merge(same);
                }
            }
            match row.complete() {
                Ok(sources) => {
                    changes.csv_listed += 1;
                    changes.images_listed += count(sources.files.iter().flatten().count());
                    return Ok(Some(sources));
                }
                Err(orphans) => {
                    for file in orphans {
                        changes.ignore(file, IgnoreCode::OrphanImage);
                    }
                }
            }
        }
    }
}

/// The listing of one folder.
struct FolderListing<'a> {
    objects: BoxStream<'a, Result<ObjectMeta, StoreError>>,
    dataset: &'a Dataset,
    /// None at the end of the listing.
    grouper: Option<SourceGrouper>,
    grouped: VecDeque<ListingEntry>,
    /// The next row, if [`FolderListing::fill`] found one.
    next: Option<RowObjects>,
    progress: &'a OnProgress,
}

impl FolderListing<'_> {
    /// Sets the next row, unless it is set or the listing has ended. Adds ignored objects before it to `changes`.
    async fn fill(&mut self, changes: &mut Changes) -> Result<(), RunError> {
        while self.next.is_none() {
            match self.grouped.pop_front() {
                Some(ListingEntry::Row(row)) => self.next = Some(row),
                Some(ListingEntry::Ignored(object, code)) => changes.ignore(object, code),
                None if self.grouper.is_none() => return Ok(()),
                None => self.group_next(changes).await?,
            }
        }
        Ok(())
    }

    async fn group_next(&mut self, changes: &mut Changes) -> Result<(), RunError> {
        /// Moves a progress bar about ten times a second.
        const OBJECTS_PER_STEP: u64 = 1_000;
        let mut out = Vec::new();
        match (self.objects.next().await, self.grouper.take()) {
            (Some(object), Some(mut grouper)) => {
                let object = object?;
                if grouper.concerns(&object.key) {
                    changes.stats.listed += 1;
                    if changes.stats.listed.is_multiple_of(OBJECTS_PER_STEP) {
                        (self.progress)(Progress::Listed {
                            objects: changes.stats.listed,
                        });
                    }
                    match object.kind {
                        ObjectKind::Object => grouper.push(source_object(object), &mut out)?,
                        ObjectKind::NotAFile => {
                            let code = code_of_non_file(self.dataset, &object.key);
                            changes.ignore(source_object(object), code);
                        }
                    }
                }
                self.grouper = Some(grouper);
            }
            (None, Some(grouper)) => grouper.finish(&mut out),
            (_, None) => {}
        }
        self.grouped.extend(out);
        Ok(())
    }
}

/// The code of an object that is not a file: its name may be the reason as well.
fn code_of_non_file(dataset: &Dataset, key: &str) -> IgnoreCode {
    match keys::parse_source(dataset, key) {
        Ok(_) | Err(IgnoreCode::BadId | IgnoreCode::UnknownKind) => IgnoreCode::NotAFile,
        Err(code) => code,
    }
}

/// Converts an object of a listing.
pub(crate) fn source_object(object: ObjectMeta) -> SourceObject {
    SourceObject {
        key: object.key.into(),
        etag: object.etag.as_str().into(),
        size: object.size,
        modified: object.modified,
    }
}
