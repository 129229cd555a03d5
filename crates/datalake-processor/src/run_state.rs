//! What the steps of a run share.

use std::sync::Arc;

use datalake_core::{
    dataset::Dataset,
    run::{Counts, RunReport},
};
use datalake_store::bucket::Bucket;
use datalake_table::{
    delta::{
        commit_attempt::CommitAttempt,
        version::{Lost, Version},
    },
    digest::Digest,
    table::Table,
};

use crate::{file_copies::copy_sync::CopySync, options::RunOptions, read::Reader};

/// Where a run works, and with which options.
#[derive(Debug)]
pub(crate) struct RunContext<'a> {
    pub(crate) options: &'a RunOptions,
    pub(crate) table: Table,
    /// The declaration of the sources.
    pub(crate) dataset: Arc<Dataset>,
}

impl RunContext<'_> {
    pub(crate) fn bucket(&self) -> &dyn Bucket {
        self.table.bucket().as_ref()
    }
}

/// What a run has found and done. Each step adds to it as soon as a fact is certain, so that the report of a run that fails shows what was found and
/// whether it committed.
pub(crate) struct RunState<'a> {
    pub(crate) report: RunReport,
    /// Sources that were read are not read again by a later attempt.
    pub(crate) reader: Reader<'a>,
    pub(crate) copies: CopySync<'a>,
    /// The version that was read last, without the objects that are known to be lost.
    pub(crate) base: Option<Version>,
    /// Missing and damaged objects of the version with this digest.
    pub(crate) lost: Option<(Digest, Lost)>,
    /// Commits whose outcome is unknown.
    pub(crate) unknown_commits: Vec<CommitAttempt>,
    /// The changes of earlier attempts that committed.
    pub(crate) earlier_changes: Counts,
}

impl<'a> RunState<'a> {
    pub(crate) fn new(context: &'a RunContext<'_>, report: RunReport) -> Self {
        Self {
            reader: Reader::new(context.bucket(), &context.dataset, report.started_at),
            copies: CopySync::new(&context.table, &context.dataset, &report.run_id),
            report,
            base: None,
            lost: None,
            unknown_commits: Vec::new(),
            earlier_changes: Counts::default(),
        }
    }

    /// Before another attempt: moves the changes from the report to those of earlier attempts. The numbers of what was found stay in the report until
    /// the next attempt has listed the sources.
    pub(crate) fn set_aside_changes(&mut self) {
        let counts = &self.report.counts;
        self.earlier_changes = sum(counts, &self.earlier_changes);
        self.report.counts = Counts {
            csv_read: 0,
            images_read: 0,
            added: 0,
            changed: 0,
            removed: 0,
            images_copied: 0,
            images_removed: 0,
            ..counts.clone()
        };
    }

    /// After the last attempt: adds the changes of earlier attempts to those in the report.
    pub(crate) fn add_earlier_changes(&mut self) {
        self.report.counts = sum(&self.report.counts, &self.earlier_changes);
    }
}

/// Adds up what two attempts changed. The numbers of what was found are those of the last attempt.
fn sum(last: &Counts, earlier: &Counts) -> Counts {
    Counts {
        csv_read: last.csv_read + earlier.csv_read,
        images_read: last.images_read + earlier.images_read,
        added: last.added + earlier.added,
        changed: last.changed + earlier.changed,
        removed: last.removed + earlier.removed,
        images_copied: last.images_copied + earlier.images_copied,
        images_removed: last.images_removed + earlier.images_removed,
        ..last.clone()
    }
}
