//! The rejected and ignored sources after a run, from those before it and from what was read. Performs no I/O.

use std::collections::BTreeMap;

use datalake_core::{
    count::count,
    dataset::{Dataset, KeyRole},
    keys,
    plan::{SourceObject, SourceVersion},
    reject::{self, ExcludedSource, Exclusion, IgnoreCode, Reject},
    row::Row,
    row_id::RowId,
    run::RunId,
};
use jiff::Timestamp;

use crate::read::{CsvRead, FileRead, RowRead};

/// The rejected and ignored sources after a run.
#[derive(Debug)]
pub(crate) struct Rejects {
    /// Sorted by key.
    pub(crate) open: Vec<ExcludedSource>,
    /// Whether they differ from those before in what a reader can see.
    pub(crate) is_visible: bool,
}

/// The rows and the rejects before a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'a> {
    pub(crate) rejects: &'a [ExcludedSource],
    /// The rows before the run, of the sources that were read.
    pub(crate) rows: &'a BTreeMap<RowId, Row>,
    /// Whether both have another declaration. Then no reject remains, but one that appears again keeps its time.
    pub(crate) is_other: bool,
}

impl Rejects {
    /// Replaces the rejects of the sources that were read or are gone. `reads` are sorted by ID. `run_at` is the time of the run.
    pub(crate) fn after_reading(
        dataset: &Dataset,
        before: Before<'_>,
        reads: &[RowRead],
        ignored: Vec<(SourceObject, IgnoreCode)>,
        run_id: &RunId,
        run_at: Timestamp,
    ) -> Self {
        let new_reject = |object: SourceObject, row_id: Option<RowId>, exclusion: Exclusion| ExcludedSource {
            key: object.key,
            row_id,
            etag: object.etag,
            size: object.size,
            exclusion,
            run_id: run_id.clone(),
            since: run_at,
            valid_files: Box::default(),
        };
        let rejected = |row_id: &RowId, object: &SourceObject, reject: &Reject| {
            new_reject(object.clone(), Some(row_id.clone()), Exclusion::Rejected(reject.clone()))
        };
        let Before { rejects, rows, is_other } = before;
        let remaining = rejects.iter().filter(|open| !is_other && !is_outdated(dataset, open, reads));
        let mut open: Vec<ExcludedSource> = remaining.cloned().collect();
        for read in reads {
            if let CsvRead::Rejected { reject, object } = &read.csv {
                open.push(rejected(&read.row_id, object, reject));
            }
            if !matches!(read.csv, CsvRead::Gone) {
                for file in &read.files {
                    if let FileRead::Rejected { reject, object } = file {
                        open.push(rejected(&read.row_id, object, reject));
                    }
                }
            }
        }
        open.extend(ignored.into_iter().map(|(object, code)| {
            // A file without a CSV, a shadowed spelling, and a name that resembles that of a source belong to a row.
            let row_id = keys::row_of(dataset, &object.key);
            new_reject(object, row_id, Exclusion::Ignored(code))
        }));
        open.sort_by(|a, b| a.key.cmp(&b.key));

        let earlier: BTreeMap<&str, &ExcludedSource> = rejects.iter().map(|open| (&*open.key, open)).collect();
        for reject in &mut open {
            let earlier = earlier.get(&*reject.key).copied();
            if let Some(earlier) = earlier
                && earlier.exclusion.code() == reject.exclusion.code()
            {
                reject.since = earlier.since;
                reject.run_id = earlier.run_id.clone();
            }
            if let Some(read) = read_of_rejected_csv(dataset, reject, reads)
                && (is_other || !read.has_row_after(rows))
            {
                reject.valid_files = valid_files(read, earlier.filter(|_| !is_other));
            }
        }
        let is_unchanged = |new: &ExcludedSource| earlier.get(&*new.key).is_some_and(|old| old.is_visibly_equal(new));
        let is_visible = open.len() != rejects.len() || !open.iter().all(is_unchanged);
        Self { open, is_visible }
    }

    /// The number of ignored objects, if `open` does not contain all of them.
    pub(crate) fn ignored_beyond(&self, ignored: u64) -> Option<u64> {
        reject::ignored_total_if_truncated(&self.open, ignored)
    }

    /// The number of sources that this run rejected and that were not rejected with the same code before.
    pub(crate) fn rejected_new(&self, run_id: &RunId) -> u64 {
        count(
            { self.open.iter() }
                .filter(|open| !open.is_ignored() && open.run_id == *run_id)
                .count(),
        )
    }

    /// The number of rejected sources, without ignored objects.
    pub(crate) fn rejected(&self) -> u64 {
        count(self.open.iter().filter(|open| !open.is_ignored()).count())
    }
}

fn read_of<'a>(reads: &'a [RowRead], row_id: &RowId) -> Option<&'a RowRead> {
    let index = reads.binary_search_by(|read| read.row_id.cmp(row_id)).ok()?;
    reads.get(index)
}

fn role_of(dataset: &Dataset, key: &str) -> Option<KeyRole> {
    keys::parse_source(dataset, key).ok().map(|source| source.role)
}

/// Whether an earlier reject is replaced or removed by this run. All ignored objects are listed again by each run.
fn is_outdated(dataset: &Dataset, open: &ExcludedSource, reads: &[RowRead]) -> bool {
    match (&open.exclusion, &open.row_id) {
        (Exclusion::Ignored(_), _) | (_, None) => true,
        (Exclusion::Rejected(_), Some(row_id)) => read_of(reads, row_id).is_some_and(|read| match role_of(dataset, &open.key) {
            Some(KeyRole::Source) => !matches!(read.csv, CsvRead::Same),
            Some(KeyRole::File(index)) => !matches!(read.file(index), FileRead::Same) || matches!(read.csv, CsvRead::Gone),
            None => true,
        }),
    }
}

/// What was read of the row's sources, if the reject is that of its CSV.
fn read_of_rejected_csv<'a>(dataset: &Dataset, open: &ExcludedSource, reads: &'a [RowRead]) -> Option<&'a RowRead> {
    match &open.row_id {
        Some(row_id) if !open.is_ignored() && role_of(dataset, &open.key) == Some(KeyRole::Source) => read_of(reads, row_id),
        _ => None,
    }
}

/// The valid files of an ID without a row, which only the reject of the CSV can record.
fn valid_files(read: &RowRead, earlier: Option<&ExcludedSource>) -> Box<[Option<SourceVersion>]> {
    let version = |(index, file): (usize, &FileRead)| match file {
        FileRead::Valid { object, .. } => Some(SourceVersion {
            key: None,
            etag: object.etag.clone(),
            size: object.size,
        }),
        FileRead::Same => earlier.and_then(|earlier| earlier.valid_files.get(index)?.clone()),
        FileRead::Gone | FileRead::Rejected { .. } => None,
    };
    read.files.iter().enumerate().map(version).collect()
}
