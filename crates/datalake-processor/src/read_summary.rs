//! What the report shows of the sources that were read.

use datalake_core::{
    plan::SourceObject,
    reject::Reject,
    report::{RunReport, SourceNotice},
};

use crate::read::{CsvRead, ImageRead, UserRead};

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
}

impl ReadSummary {
    pub(crate) fn of(reads: &[UserRead]) -> Self {
        let mut summary = Self::default();
        for read in reads {
            summary.add_csv(&read.csv);
            summary.add_image(&read.image);
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

    fn add_image(&mut self, read: &ImageRead) {
        match read {
            ImageRead::Valid { .. } => self.images_read += 1,
            ImageRead::Rejected { reject, object } => {
                self.images_read += 1;
                self.add_reject(reject, object);
            }
            ImageRead::Same | ImageRead::Gone => {}
        }
    }

    fn add_reject(&mut self, reject: &Reject, object: &SourceObject) {
        self.rejected += 1;
        push(&mut self.rejects, object, reject.code.as_str());
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
