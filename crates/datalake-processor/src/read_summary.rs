//! What the report shows of the sources that were read.

use datalake_core::{
    plan::SourceObject,
    reject::Reject,
    run::{RejectDetail, RunReport, SourceNotice},
};

use crate::read::{CsvRead, FileRead, RowRead};

/// The sources that a run read, by outcome.
#[derive(Debug, Default)]
pub(crate) struct ReadSummary {
    pub(crate) csv_read: u64,
    pub(crate) images_read: u64,
    pub(crate) normalized: u64,
    pub(crate) rejected: u64,
    pub(crate) warnings: u64,
    /// The first accepted sources with notices, as many as a report contains.
    pub(crate) notices: Vec<SourceNotice>,
    /// The first rejected sources, as many as a report contains.
    pub(crate) rejects: Vec<SourceNotice>,
    /// Details of the first of them.
    pub(crate) reject_details: Vec<RejectDetail>,
}

impl ReadSummary {
    pub(crate) fn of(reads: &[RowRead]) -> Self {
        let mut summary = Self::default();
        for read in reads {
            summary.add_csv(&read.csv);
            for file in &read.files {
                summary.add_file(file);
            }
        }
        summary
    }

    fn add_csv(&mut self, read: &CsvRead) {
        match read {
            CsvRead::Valid { notices, object, .. } => {
                self.csv_read += 1;
                self.normalized += u64::from(notices.iter().any(|notice| notice.is_normalized()));
                self.warnings += u64::from(notices.iter().any(|notice| !notice.is_normalized()));
                for notice in notices {
                    push(&mut self.notices, object, notice.as_str());
                }
            }
            CsvRead::Rejected { reject, object } => {
                self.csv_read += 1;
                self.add_reject(reject, object);
            }
            CsvRead::Same | CsvRead::Gone => {}
        }
    }

    fn add_file(&mut self, read: &FileRead) {
        match read {
            FileRead::Valid { .. } => self.images_read += 1,
            FileRead::Rejected { reject, object } => {
                self.images_read += 1;
                self.add_reject(reject, object);
            }
            FileRead::Same | FileRead::Gone => {}
        }
    }

    fn add_reject(&mut self, reject: &Reject, object: &SourceObject) {
        self.rejected += 1;
        push(&mut self.rejects, object, reject.code.as_str());
        if self.reject_details.len() < RunReport::REJECT_DETAILS_MAX {
            self.reject_details.push(detail(reject, object));
        }
    }
}

fn detail(reject: &Reject, object: &SourceObject) -> RejectDetail {
    let position = reject.position;
    RejectDetail {
        key: object.key.to_string(),
        code: reject.code.as_str().to_owned(),
        line: position.and_then(|position| position.line),
        column: position.and_then(|position| position.column),
        byte_offset: position.map(|position| position.byte_offset),
        excerpt: reject.excerpt.as_deref().map(str::to_owned),
        excerpt_offset: reject.excerpt_offset,
        found: reject.reason.found.to_string(),
        expected: reject.reason.expected.to_string(),
        remedy: reject.reason.remedy.to_string(),
    }
}

/// Adds a notice if the report does not contain the maximum number yet.
fn push(notices: &mut Vec<SourceNotice>, object: &SourceObject, code: &str) {
    if notices.len() < RunReport::NOTICES_MAX {
        notices.push(SourceNotice {
            key: object.key.to_string(),
            code: code.to_owned(),
        });
    }
}
