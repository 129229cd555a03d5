//! Checks of what users see: `output.csv`, reports and the rows of readers.

use std::rc::Rc;

use datalake_core::{
    keys,
    run::{RunOutcome, RunReport},
};
use datalake_store::{
    bucket::Metadata,
    memory::{EtagInput, MemoryBucket},
};

use super::Oracle;
use crate::{
    invariant::{Invariant, Violation, violation},
    loaded_version::Loaded,
};

impl Oracle {
    /// The index of the version that the metadata of `output.csv` names.
    pub(super) fn version_of(&self, metadata: &Metadata) -> Option<usize> {
        let number: u64 = metadata.get("datalake-version")?.parse().ok()?;
        let (table_id, digest) = (metadata.get("datalake-table")?, metadata.get("datalake-digest")?);
        self.versions.iter().rposition(|version| {
            let has_digest = version.digest.as_ref().is_none_or(|of_version| of_version == digest);
            version.number == number && version.table_id == *table_id && has_digest
        })
    }

    /// `output.csv` contains the version that it names, and does not go back.
    pub(super) fn check_published(&mut self, store: &MemoryBucket) -> Result<(), Violation> {
        let violated = |detail: String| Err(violation(Invariant::Published, detail));
        let Some(output) = store.peek(keys::OUTPUT) else {
            return violated("output.csv was removed".to_owned());
        };
        let Some(index) = self.version_of(&output.metadata) else {
            // A version that names a missing file does not load and was never visible, but its rows may be published.
            if self.was_damaged {
                return Ok(());
            }
            return violated(format!("output.csv names a version that was never visible: {:?}", output.metadata));
        };
        let version = Rc::clone(&self.versions[index]);
        if version.output.as_bytes() != output.bytes {
            return violated(format!("output.csv does not contain the rows of version {}", version.number));
        }
        let goes_back = self.published.is_some_and(|published| published > index);
        if goes_back && self.kind.etags == EtagInput::BytesAndMetadata && !self.tolerated.delayed_writes {
            let published = self.published.and_then(|published| self.versions.get(published));
            let before = published.map(|version| version.number);
            return violated(format!("output.csv contains version {} after version {before:?}", version.number));
        }
        self.published = Some(index);
        Ok(())
    }

    /// A report states that the run committed if and only if a version of the run was visible.
    ///
    /// Several processes can have the same run ID. If one of them committed, another one need not have.
    pub(crate) fn check_report(&self, report: &RunReport, has_unique_id: bool) -> Result<(), Violation> {
        let false_report = |detail: String| Err(violation(Invariant::TruthfulReport, format!("{} {detail}", report.run_id)));
        if report.outcome == RunOutcome::Misconfigured {
            return false_report(format!(
                "ends as if retrying will not help: {}",
                report.error.as_deref().unwrap_or_default()
            ));
        }
        let own = |version: &&Rc<Loaded>| version.run_id.as_deref() == Some(report.run_id.as_str());
        match (report.committed, report.version) {
            // A run that committed may end on a later version of another run.
            (Some(true), Some(number)) => match self.versions.iter().find(|version| version.number <= number && own(version)) {
                Some(_) => Ok(()),
                None if self.was_damaged => Ok(()),
                None => false_report(format!(
                    "reports that it committed version {number} or an earlier one, but no version of it was visible"
                )),
            },
            (Some(false), _) if has_unique_id => match self.versions.iter().find(own) {
                Some(version) => false_report(format!(
                    "reports that it committed nothing, but committed version {}",
                    version.number
                )),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A reader loaded the rows of the version that it reports.
    pub(crate) fn check_loaded(&self, (table_id, number): (&str, u64), output: &str) -> Result<(), Violation> {
        let mut of_number = self
            .versions
            .iter()
            .filter(|version| version.number == number && version.table_id == table_id);
        match of_number.any(|version| version.output == output) {
            true => Ok(()),
            false => Err(violation(
                Invariant::WholeVersions,
                format!("a reader loaded version {number} with other rows:\n{output}"),
            )),
        }
    }
}
