//! What the outcomes of reading make of the rows: a function of what was there and what was read.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{
    keys::{self, SourceKind},
    plan::{SourceObject, SourceVersion},
    reject::{ExcludedSource, Exclusion, IgnoreCode, Reject},
    report::{Counts, RunId, RunReport, SourceNotice},
    row::{Provenance, Row},
    user::UserId,
};
use datalake_table::table::Edit;
use jiff::Timestamp;

use crate::read::{CsvRead, ImageRead, UserRead};

/// What becomes of a user's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// It stays as it was.
    Kept,
    /// There is none any more.
    Gone,
    /// The row links these bytes; they are others than before.
    Linked(Provenance),
    /// The row links the same bytes as before, in this state of the source.
    Confirmed(Provenance),
}

/// What a run makes of the table.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Sorted by user id. Rows that show the same but came from other bytes are among them.
    pub(crate) edits: Vec<Edit>,
    /// Whether a reader can tell the difference. If not, nothing is committed.
    pub(crate) is_visible: bool,
    /// Users whose row links another image than before, or the same one in another state of its source, or none any more.
    pub(crate) touched: Vec<UserId>,
    /// Rows that link other bytes than before.
    pub(crate) linked: u64,
    pub(crate) counts: Counts,
}

/// Makes the new row of each user that was read; `images` are theirs, in the same order.
pub(crate) fn apply(old_rows: &BTreeMap<UserId, Row>, reads: Vec<UserRead>, images: Vec<Image>, run_id: &RunId) -> Outcome {
    let mut outcome = Outcome::default();
    for (read, image) in reads.into_iter().zip(images) {
        let old = old_rows.get(&read.user_id);
        let is_linked = matches!(image, Image::Linked(_));
        outcome.linked += u64::from(is_linked);
        let new = new_row(old, read, image, run_id);
        outcome.add(old, new, is_linked);
    }
    outcome
}

/// The row that a user has after the run; none where there is no user.
fn new_row(old: Option<&Row>, read: UserRead, image: Image, run_id: &RunId) -> Option<Row> {
    let is_linked = matches!(image, Image::Linked(_));
    let (record, csv) = match read.csv {
        CsvRead::Gone => return None,
        CsvRead::Good { record, object, .. } => (record, object.into_provenance()),
        // The last good row stays.
        CsvRead::Same | CsvRead::Rejected { .. } => {
            let old = old?;
            (old.record.clone(), old.csv.clone())
        }
    };
    let image = match image {
        Image::Kept => old.and_then(|old| old.image.clone()),
        Image::Gone => None,
        Image::Linked(provenance) | Image::Confirmed(provenance) => Some(provenance),
    };
    let mut row = Row {
        user_id: read.user_id,
        record,
        csv,
        image,
        run_id: run_id.clone(),
    };
    // A row belongs to the run that changed it, not to one that only found its bytes under another tag.
    if let Some(old) = old
        && old.is_visibly_equal(&row)
        && !is_linked
    {
        row.run_id = old.run_id.clone();
    }
    Some(row)
}

impl Outcome {
    fn add(&mut self, old: Option<&Row>, new: Option<Row>, image_is_linked: bool) {
        let (old_image, new_image) = (
            old.and_then(|old| old.image.as_ref()),
            new.as_ref().and_then(|new| new.image.as_ref()),
        );
        if old_image != new_image
            && let Some(row) = old.or(new.as_ref())
        {
            self.touched.push(row.user_id.clone());
        }
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => {
                self.counts.added += 1;
                self.is_visible = true;
                self.edits.push(Edit::Put(new));
            }
            (Some(old), None) => {
                self.counts.removed += 1;
                self.is_visible = true;
                self.edits.push(Edit::Remove(old.user_id.clone()));
            }
            (Some(old), Some(new)) => {
                if !old.is_visibly_equal(&new) || image_is_linked {
                    self.counts.changed += 1;
                    self.is_visible = true;
                }
                if *old != new {
                    self.edits.push(Edit::Put(new));
                }
            }
        }
    }
}

/// What was read, whatever becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Sources read, normalized, rejected and warned of; the rest is zero.
    pub(crate) counts: Counts,
    /// Remarks on the first sources that were accepted.
    pub(crate) notices: Vec<SourceNotice>,
    /// The first sources that were rejected.
    pub(crate) rejects: Vec<SourceNotice>,
}

/// Counts the outcomes of reading.
pub(crate) fn count(reads: &[UserRead]) -> Reading {
    let mut reading = Reading::default();
    for read in reads {
        reading.count_csv(&read.csv);
        reading.count_image(&read.image);
    }
    reading
}

impl Reading {
    fn count_csv(&mut self, read: &CsvRead) {
        match read {
            CsvRead::Good { notices, object, .. } => {
                self.counts.csv_read += 1;
                self.counts.normalized += u64::from(notices.iter().any(|notice| notice.is_normalized()));
                self.counts.warnings += u64::from(notices.iter().any(|notice| !notice.is_normalized()));
                for notice in notices {
                    note(&mut self.notices, object, notice.as_str());
                }
            }
            CsvRead::Rejected { reject, object } => {
                self.counts.csv_read += 1;
                self.count_reject(reject, object);
            }
            CsvRead::Same | CsvRead::Gone => {}
        }
    }

    fn count_image(&mut self, read: &ImageRead) {
        match read {
            ImageRead::Good { .. } => self.counts.images_read += 1,
            ImageRead::Rejected { reject, object } => {
                self.counts.images_read += 1;
                self.count_reject(reject, object);
            }
            ImageRead::Same | ImageRead::Gone => {}
        }
    }

    fn count_reject(&mut self, reject: &Reject, object: &SourceObject) {
        self.counts.rejected += 1;
        note(&mut self.rejects, object, reject.code.as_str());
    }
}

/// Adds a remark to those that a report has room for.
fn note(notices: &mut Vec<SourceNotice>, object: &SourceObject, code: &str) {
    if notices.len() < RunReport::NOTICES_MAX {
        notices.push(SourceNotice {
            key: object.key.to_string(),
            code: code.to_owned(),
        });
    }
}

/// Whether the user has a row after the run.
pub(crate) fn has_row_after(old_rows: &BTreeMap<UserId, Row>, read: &UserRead) -> bool {
    match read.csv {
        CsvRead::Gone => false,
        CsvRead::Good { .. } => true,
        CsvRead::Same | CsvRead::Rejected { .. } => old_rows.contains_key(&read.user_id),
    }
}

/// Users known before, by a row or by a rejected CSV, whose CSV is gone: not listed, or removed before it was read.
pub(crate) fn gone<'a>(refusals_before: &[ExcludedSource], old_rows: &BTreeMap<UserId, Row>, reads: &'a [UserRead]) -> Vec<&'a UserId> {
    let rejected: BTreeSet<&UserId> = refusals_before
        .iter()
        .filter(|open| matches!(open.exclusion, Exclusion::Rejected(_)))
        .filter_map(|open| open.user_id.as_ref())
        .collect();
    let is_known = |user_id: &UserId| old_rows.contains_key(user_id) || rejected.contains(user_id);
    reads
        .iter()
        .filter(|read| matches!(read.csv, CsvRead::Gone) && is_known(&read.user_id))
        .map(|read| &read.user_id)
        .collect()
}

/// The refused sources after the run, sorted by key.
#[derive(Debug)]
pub(crate) struct Refusals {
    pub(crate) open: Vec<ExcludedSource>,
    /// Whether a reader of the rejects can tell the difference to those before.
    pub(crate) is_visible: bool,
}

impl Refusals {
    /// The number of ignored objects, if these are not all of them.
    pub(crate) fn ignored_beyond(&self, ignored: u64) -> Option<u64> {
        datalake_core::reject::ignored_total_if_truncated(&self.open, ignored)
    }

    /// Those that were looked at and rejected.
    pub(crate) fn rejected(&self) -> u64 {
        let rejected = self.open.iter().filter(|open| matches!(open.exclusion, Exclusion::Rejected(_)));
        u64::try_from(rejected.count()).unwrap_or(u64::MAX)
    }
}

/// Lays what was read, sorted by user id, over the refusals before: a source that was read or is gone has no refusal but a new one.
pub(crate) fn refusals(
    before: &[ExcludedSource],
    old_rows: &BTreeMap<UserId, Row>,
    reads: &[UserRead],
    ignored: Vec<(SourceObject, IgnoreCode)>,
    run_id: &RunId,
    run_at: Timestamp,
) -> Refusals {
    let read_of = |user_id: &UserId| {
        reads
            .binary_search_by(|read| read.user_id.cmp(user_id))
            .ok()
            .and_then(|index| reads.get(index))
    };
    let is_settled = |open: &&ExcludedSource| match (&open.exclusion, &open.user_id) {
        (Exclusion::Ignored(_), _) | (_, None) => true,
        (Exclusion::Rejected(_), Some(user_id)) => read_of(user_id).is_some_and(|read| match keys::parse_source(&open.key) {
            Ok(source) if source.kind == SourceKind::Csv => !matches!(read.csv, CsvRead::Same),
            _ => !matches!(read.image, ImageRead::Same) || matches!(read.csv, CsvRead::Gone),
        }),
    };
    let fresh = |object: SourceObject, user_id: Option<UserId>, refusal: Exclusion| ExcludedSource {
        key: object.key,
        user_id,
        etag: object.etag,
        size: object.size,
        exclusion: refusal,
        run_id: run_id.clone(),
        since: run_at,
        valid_image: None,
    };
    let rejected = |user_id: &UserId, object: &SourceObject, reject: &Reject| {
        fresh(object.clone(), Some(user_id.clone()), Exclusion::Rejected(reject.clone()))
    };
    let mut open: Vec<ExcludedSource> = before.iter().filter(|open| !is_settled(open)).cloned().collect();
    for read in reads {
        if let CsvRead::Rejected { reject, object } = &read.csv {
            open.push(rejected(&read.user_id, object, reject));
        }
        if let ImageRead::Rejected { reject, object } = &read.image
            && !matches!(read.csv, CsvRead::Gone)
        {
            open.push(rejected(&read.user_id, object, reject));
        }
    }
    open.extend(ignored.into_iter().map(|(object, code)| {
        // An image without a CSV, the spelling that does not count, and a name that is close to a source's name their user.
        let user_id = keys::user_of(&object.key);
        fresh(object, user_id, Exclusion::Ignored(code))
    }));
    open.sort_by(|a, b| a.key.cmp(&b.key));

    let earlier: BTreeMap<&str, &ExcludedSource> = before.iter().map(|open| (&*open.key, open)).collect();
    for refusal in &mut open {
        if let Some(before) = earlier.get(&*refusal.key)
            && before.exclusion.code() == refusal.exclusion.code()
        {
            refusal.since = before.since;
            refusal.run_id = before.run_id.clone();
        }
        let is_csv = keys::parse_source(&refusal.key).is_ok_and(|source| source.kind == SourceKind::Csv);
        if let (Exclusion::Rejected(_), true, Some(user_id)) = (&refusal.exclusion, is_csv, &refusal.user_id)
            && let Some(read) = read_of(user_id)
            && !has_row_after(old_rows, read)
        {
            refusal.valid_image = match &read.image {
                ImageRead::Good { object, .. } => Some(SourceVersion {
                    key: None,
                    etag: object.etag.clone(),
                    size: object.size,
                }),
                ImageRead::Same => earlier.get(&*refusal.key).and_then(|before| before.valid_image.clone()),
                ImageRead::Gone | ImageRead::Rejected { .. } => None,
            };
        }
    }
    let is_visible = open.len() != before.len()
        || open
            .iter()
            .any(|new| !earlier.get(&*new.key).is_some_and(|old| old.is_visibly_equal(new)));
    Refusals { open, is_visible }
}
