//! The invariants, checked after every step.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{DefaultHasher, Hash},
    rc::Rc,
};

use bytes::Bytes;
use datalake_core::{
    keys::{self, LogKey},
    report::{RunOutcome, RunReport},
    user::UserId,
};
use datalake_store::{
    bucket::{Metadata, Object},
    memory::{Expiry, MemoryBucket, Tags},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    observed::{Fingerprints, Loaded, load},
    scenario::StoreKind,
};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Each version follows the one before it: its number is the next, and its entry records the digest of the entry before.
    LinearHistory,
    /// A report says what the table says.
    TruthfulReport,
    /// The newest version and all its rows load.
    Loadable,
    /// A user has one row.
    OneRow,
    /// `output.csv` shows a version, and never an earlier one than before.
    Published,
    /// A reader sees the rows of one version, and never an earlier one than before.
    WholeVersions,
    /// Only the data owner writes sources.
    Sources,
    /// A row that becomes visible links an image copy that is there.
    LinkedImage,
    /// A run that nothing disturbs succeeds.
    Convergence,
    /// `output.csv` equals that of a rebuild in an empty lake.
    IncrementalIsFull,
    /// Image copies are what the rows record.
    ImageCopies,
    /// A second run writes nothing.
    Idempotence,
    /// A run that would remove most users, or commit to a store without conditional creates, ends without a commit.
    Guard,
    /// Data files, log entries and checkpoints are never changed in place, and the pointer to the newest checkpoint never goes back.
    Immutable,
    /// Nothing that dead runs left stays.
    NoLeftovers,
    /// The versions within the retention load.
    Retention,
    /// The version as of now is the newest one.
    AsOf,
    /// The product does not panic, and waits for nothing that never comes.
    NoPanic,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What was found instead.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}

pub(crate) fn violation(invariant: Invariant, detail: impl Into<String>) -> Violation {
    Violation {
        invariant,
        detail: detail.into(),
    }
}

thread_local! {
    /// The bytes of every source state by ETag: an ETag names bytes, whenever they were there.
    static CONTENTS: RefCell<HashMap<String, Bytes>> = RefCell::default();
}

/// What the oracle is lenient about, because the store breaks its contract on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Listings may be out of date: what is concluded from them may be wrong until the next run.
    pub stale_listings: bool,
    /// Writes may arrive a second time, after later ones.
    pub late_writes: bool,
    /// Clocks are wrong: ages of objects are, too.
    pub wrong_clocks: bool,
}

/// The age after which a run's note on images lets other runs remove its copies.
const NOTE_AGE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The run that a note on images belongs to.
fn noted_by(key: &str) -> Option<&str> {
    let name = key.strip_prefix(keys::IMAGE_NOTES)?.strip_suffix(".json")?;
    name.rsplit_once('.').map(|(run_id, _)| run_id)
}

/// What was visible so far, and what follows from it for the next step.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    kind: StoreKind,
    pub(crate) leniency: Leniency,
    /// The latest time that the store's clock showed: runs judged ages by it, even if the clock leapt back since.
    latest_time: Timestamp,
    newest: Option<Rc<Loaded>>,
    /// Every version that was visible.
    versions: Vec<Rc<Loaded>>,
    versions_at_start: usize,
    /// The table's load failed at the start: the lake is damaged until a run repairs it.
    is_damaged: bool,
    /// The table was damaged once after that: a version may have been committed that was never seen, and versions may have lost files.
    was_damaged: bool,
    /// The index in `versions` of the version that `output.csv` shows.
    published: Option<usize>,
    /// Runs that wrote notes, and when, by the users in them.
    noted: BTreeMap<UserId, BTreeMap<String, Timestamp>>,
}

impl Oracle {
    pub(crate) fn new(store: &MemoryBucket, fingerprints: &Fingerprints, kind: StoreKind) -> Self {
        for source in store.peek_all(keys::SOURCES) {
            remember(&source.meta.etag, &source.bytes);
        }
        let found = load(store, fingerprints);
        let newest = found.clone().ok().flatten();
        let mut oracle = Self {
            kind,
            leniency: Leniency::default(),
            latest_time: store.now(),
            versions: newest.iter().cloned().collect(),
            versions_at_start: usize::from(newest.is_some()),
            newest,
            is_damaged: found.is_err(),
            was_damaged: false,
            published: None,
            noted: BTreeMap::new(),
        };
        oracle.published = store.peek(keys::OUTPUT).and_then(|output| oracle.shown_by(&output.metadata));
        oracle
    }

    /// A digest of what later checks depend on.
    pub(crate) fn digest(&self, hasher: &mut DefaultHasher) {
        (self.is_damaged, self.was_damaged).hash(hasher);
        let identity = |version: &Loaded| (version.table_id.clone(), version.number, version.digest.clone());
        self.newest.as_deref().map(identity).hash(hasher);
        self.published
            .and_then(|index| self.versions.get(index))
            .map(|version| identity(version))
            .hash(hasher);
    }

    /// The newest version that was visible.
    pub(crate) fn newest(&self) -> Option<&Rc<Loaded>> {
        self.newest.as_ref()
    }

    /// Whether a version named files that were gone.
    pub(crate) fn was_damaged(&self) -> bool {
        self.was_damaged
    }

    /// Whether a version became visible after the first look.
    pub(crate) fn has_grown(&self) -> bool {
        self.versions.len() > self.versions_at_start
    }

    /// The operator removed the newest version, or the table.
    pub(crate) fn rolled_back(&mut self, store: &MemoryBucket, fingerprints: &Fingerprints) {
        self.newest = load(store, fingerprints).ok().flatten();
        self.versions.extend(self.newest.clone());
        self.published = None;
    }

    /// Whether writes that come too late have no effect: what must hold with every step then holds.
    fn is_strict(&self) -> bool {
        self.kind.expiry != Expiry::Never && !self.leniency.wrong_clocks && !self.leniency.late_writes
    }

    /// Checks the store after a write.
    pub(crate) fn after_write(&mut self, store: &MemoryBucket, fingerprints: &Fingerprints, write: &Write) -> Result<(), Violation> {
        let key = write.key.as_str();
        if key.starts_with(keys::SOURCES) {
            if write.writer != Writer::Owner {
                return Err(violation(Invariant::Sources, format!("a run wrote {key}")));
            }
            if let Some(source) = store.peek(key) {
                remember(&source.meta.etag, &source.bytes);
            }
        } else if key == keys::OUTPUT {
            self.check_published(store)?;
        } else if let Some(run_id) = noted_by(key) {
            self.note(store, key, run_id);
        } else if key.starts_with(keys::TABLE) {
            check_unchanged(store, write)?;
            self.check_table(store, fingerprints)?;
            if self.is_strict() && key.starts_with(keys::LOG) {
                self.check_log(store, write)?;
            }
        } else if key.starts_with(keys::IMAGES) && self.is_strict() {
            self.check_copy(write)?;
        }
        Ok(())
    }

    /// An entry that is created is that of the newest version, a checkpoint is of a version whose entry is there, and the log has no gap.
    fn check_log(&self, store: &MemoryBucket, write: &Write) -> Result<(), Violation> {
        let broken = |detail: String| Err(violation(Invariant::LinearHistory, detail));
        let newest = self.newest.as_ref().map(|newest| newest.number);
        match keys::parse_log(&write.key) {
            Some(LogKey::Entry(number)) if write.is_new() && newest != Some(number) => {
                return broken(format!(
                    "the entry of version {number} was created, and version {newest:?} is the newest"
                ));
            }
            Some(LogKey::Checkpoint(number)) if write.is_new() && store.peek(&keys::log_entry(number)).is_none() => {
                return broken(format!("a checkpoint of version {number} was written, whose entry is gone"));
            }
            _ => {}
        }
        let mut last: Option<u64> = None;
        for object in store.peek_all(keys::LOG) {
            let Some(LogKey::Entry(number)) = keys::parse_log(&object.meta.key) else {
                continue;
            };
            if let Some(last) = last.filter(|last| last + 1 != number) {
                return broken(format!("the log has entries {last} and {number}, and none between"));
            }
            last = Some(number);
        }
        Ok(())
    }

    /// A run that is alone does not replace a copy that is what the newest row records.
    ///
    /// Of two runs one may: it links an image that is newer than the one that the other run has just committed, and copies it before its own
    /// commit fails. What is promised holds after a run that is alone.
    fn check_copy(&self, write: &Write) -> Result<(), Violation> {
        if write.writer != Writer::LoneRun {
            return Ok(());
        }
        let (Some(before), Some(after), Some(newest)) = (&write.before, &write.after, &self.newest) else {
            return Ok(());
        };
        let user_id = keys::parse_image(&write.key);
        let row = newest
            .rows
            .iter()
            .find(|row| user_id.as_ref().is_some_and(|user_id| user_id.as_str() == row.user_id));
        let recorded = row.and_then(|row| row.image.as_ref());
        let recorded = recorded.and_then(|etag| CONTENTS.with_borrow(|contents| contents.get(etag).cloned()));
        match recorded {
            Some(recorded) if recorded == before.bytes && recorded != after.bytes => Err(violation(
                Invariant::ImageCopies,
                format!("{} was what version {} links, and was replaced", write.key, newest.number),
            )),
            _ => Ok(()),
        }
    }

    fn note(&mut self, store: &MemoryBucket, key: &str, run_id: &str) {
        let Some(note) = store.peek(key) else { return };
        let text = String::from_utf8_lossy(&note.bytes);
        // Whatever the note's form: users are strings in it.
        for user_id in text.split('"').filter_map(|part| UserId::parse(part).ok()) {
            let runs = self.noted.entry(user_id).or_default();
            runs.insert(run_id.to_owned(), note.meta.modified);
        }
    }

    fn check_table(&mut self, store: &MemoryBucket, fingerprints: &Fingerprints) -> Result<(), Violation> {
        let found = match load(store, fingerprints) {
            Ok(found) => found,
            Err(_) if self.is_damaged => return Ok(()),
            // Where nothing expires, a writer that was paused for longer than the retention between its checks and its create names files
            // that are gone. What is promised is that the next run repairs the table.
            Err(_) if self.kind.expiry == Expiry::Never => {
                (self.is_damaged, self.was_damaged) = (true, true);
                self.newest = None;
                return Ok(());
            }
            Err(error) => return Err(violation(Invariant::Loadable, error)),
        };
        self.is_damaged = false;
        let Some(found) = found else {
            return match &self.newest {
                None => Ok(()),
                Some(newest) => Err(violation(
                    Invariant::LinearHistory,
                    format!("the table is gone; version {} was there", newest.number),
                )),
            };
        };
        if self.newest.as_ref().is_some_and(|newest| Rc::ptr_eq(newest, &found)) {
            return Ok(());
        }
        check_rows(&found)?;
        if let Some(newest) = &self.newest {
            Self::check_successor(newest, &found)?;
            if newest.number == found.number {
                // The entry was removed and the checkpoint is left, or another file of the table changed.
                return Ok(());
            }
        }
        let versions_before = self.newest.replace(Rc::clone(&found));
        self.versions.push(Rc::clone(&found));
        self.check_links(store, versions_before.as_deref(), &found)
    }

    fn check_successor(newest: &Loaded, found: &Loaded) -> Result<(), Violation> {
        let broken = |detail: String| Err(violation(Invariant::LinearHistory, detail));
        if found.table_id != newest.table_id {
            return broken(format!("table {} was replaced by table {}", newest.table_id, found.table_id));
        }
        if found.number < newest.number {
            return broken(format!("version {} is the newest after version {}", found.number, newest.number));
        }
        if found.number == newest.number {
            return match (&newest.digest, &found.digest) {
                (Some(before), Some(after)) if before != after => broken(format!("version {} was replaced", found.number)),
                _ if newest.output != found.output || newest.rows != found.rows => {
                    broken(format!("the rows of version {} changed", found.number))
                }
                _ => Ok(()),
            };
        }
        if found.number > newest.number + 1 {
            return broken(format!("version {} follows version {}", found.number, newest.number));
        }
        match (&newest.digest, &found.base) {
            (Some(expected), Some(base)) if expected != base => broken(format!(
                "version {} records another base than the entry of version {}",
                found.number, newest.number
            )),
            _ => Ok(()),
        }
    }

    /// Notes the time that the store's clock shows.
    pub(crate) fn observe_time(&mut self, now: Timestamp) {
        self.latest_time = self.latest_time.max(now);
    }

    /// Newly linked images are there when their rows become visible, unless another run may have removed the copy: one that noted the user
    /// too, or any, if the run that links it noted it long ago.
    fn check_links(&self, store: &MemoryBucket, before: Option<&Loaded>, found: &Loaded) -> Result<(), Violation> {
        if self.leniency != Leniency::default() {
            return Ok(());
        }
        let was_linked =
            |user_id: &str| before.is_some_and(|before| before.rows.iter().any(|row| row.user_id == user_id && row.image.is_some()));
        for row in found.rows.iter().filter(|row| row.image.is_some() && !was_linked(&row.user_id)) {
            let is_noted_by_another = UserId::parse(&row.user_id)
                .ok()
                .and_then(|user_id| self.noted.get(&user_id))
                .is_some_and(|runs| {
                    let latest = self.latest_time.max(store.now());
                    let is_old = |noted_at: &Timestamp| latest.duration_since(*noted_at).abs() >= NOTE_AGE_MAX;
                    runs.iter()
                        .any(|(run, noted_at)| Some(run) != found.run_id.as_ref() || is_old(noted_at))
                });
            if !is_noted_by_another && store.peek(&keys::image(&row.user_id)).is_none() {
                return Err(violation(
                    Invariant::LinkedImage,
                    format!(
                        "version {} links the image of user {}, and there is no copy",
                        found.number, row.user_id
                    ),
                ));
            }
        }
        Ok(())
    }

    fn shown_by(&self, metadata: &Metadata) -> Option<usize> {
        let number: u64 = metadata.get("datalake-version")?.parse().ok()?;
        let (table_id, digest) = (metadata.get("datalake-table")?, metadata.get("datalake-digest")?);
        self.versions.iter().rposition(|version| {
            let is_digest = version.digest.as_ref().is_none_or(|of_version| of_version == digest);
            version.number == number && version.table_id == *table_id && is_digest
        })
    }

    fn check_published(&mut self, store: &MemoryBucket) -> Result<(), Violation> {
        let broken = |detail: String| Err(violation(Invariant::Published, detail));
        let Some(output) = store.peek(keys::OUTPUT) else {
            return broken("output.csv was removed".to_owned());
        };
        let shown = self.shown_by(&output.metadata);
        let Some(index) = shown else {
            // A version that names a lost file cannot be loaded, and so was never visible; its rows may be published nevertheless.
            if self.was_damaged {
                return Ok(());
            }
            return broken(format!("output.csv names no version that was visible: {:?}", output.metadata));
        };
        let version = Rc::clone(&self.versions[index]);
        if version.output.as_bytes() != output.bytes {
            return broken(format!("output.csv is not that of version {}", version.number));
        }
        let goes_back = self.published.is_some_and(|published| published > index);
        if goes_back && self.kind.tags == Tags::BytesAndMetadata && !self.leniency.late_writes {
            let published = self.published.and_then(|published| self.versions.get(published));
            let before = published.map(|version| version.number);
            return broken(format!("output.csv shows version {} after version {before:?}", version.number));
        }
        self.published = Some(index);
        Ok(())
    }

    /// A report says that the run committed if and only if a version of it was visible.
    ///
    /// Of several processes of one run ID, one may have committed and another one not.
    pub(crate) fn check_report(&self, report: &RunReport, is_only_of_id: bool) -> Result<(), Violation> {
        let false_report = |detail: String| Err(violation(Invariant::TruthfulReport, format!("{} {detail}", report.run_id)));
        if report.outcome == RunOutcome::Misconfigured {
            return false_report(format!(
                "ends as if retrying would not help: {}",
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
                    "reports that it committed version {number} or one before, which no reader saw"
                )),
            },
            (Some(false), _) if is_only_of_id => match self.versions.iter().find(own) {
                Some(version) => false_report(format!("reports that it committed nothing, and made version {}", version.number)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// What a reader observed is one version, whole.
    pub(crate) fn check_observed(&self, (table_id, number): (&str, u64), output: &str) -> Result<(), Violation> {
        let mut of_number = self
            .versions
            .iter()
            .filter(|version| version.number == number && version.table_id == table_id);
        match of_number.any(|version| version.output == output) {
            true => Ok(()),
            false => Err(violation(
                Invariant::WholeVersions,
                format!("a reader loaded version {number} with other rows than it has:\n{output}"),
            )),
        }
    }
}

/// A write, and what it changed.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: String,
    pub(crate) before: Option<Object>,
    pub(crate) after: Option<Object>,
    pub(crate) writer: Writer,
}

/// Who made a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The data owner.
    Owner,
    /// A run, and no other run has lived at the same time.
    LoneRun,
    /// A run beside others.
    Run,
}

impl Write {
    fn is_new(&self) -> bool {
        self.before.is_none() && self.after.is_some()
    }
}

fn check_unchanged(store: &MemoryBucket, write: &Write) -> Result<(), Violation> {
    let (Some(before), Some(after)) = (&write.before, &write.after) else {
        return Ok(());
    };
    let key = write.key.as_str();
    let broken = |detail: String| Err(violation(Invariant::Immutable, detail));
    if key == keys::LAST_CHECKPOINT {
        let named = |object: &Object| {
            let pointer: Option<serde_json::Value> = serde_json::from_slice(&object.bytes).ok();
            pointer.and_then(|pointer| pointer.get("version")?.as_u64())
        };
        return match (named(before), named(after)) {
            (Some(before), Some(after)) if after < before && store.peek(&keys::checkpoint(before)).is_some() => {
                broken(format!("the pointer names checkpoint {after} after checkpoint {before}"))
            }
            _ => Ok(()),
        };
    }
    let is_immutable = keys::parse_log(key).is_some() || keys::parse_data_file(key).is_some() || keys::is_rejects_file(key);
    match is_immutable && before.bytes != after.bytes {
        true => broken(format!("{key} was changed in place")),
        false => Ok(()),
    }
}

fn remember(etag: &datalake_store::bucket::Etag, bytes: &Bytes) {
    CONTENTS.with_borrow_mut(|contents| {
        contents.entry(etag.as_str().to_owned()).or_insert_with(|| bytes.clone());
    });
}

fn check_rows(found: &Loaded) -> Result<(), Violation> {
    match found.rows.windows(2).find(|pair| matches!(pair, [a, b] if a.user_id >= b.user_id)) {
        Some(pair) => Err(violation(
            Invariant::OneRow,
            format!("version {}: the rows {pair:?} are not ascending, each user once", found.number),
        )),
        None => Ok(()),
    }
}

/// Every linked image has a copy with the bytes that the row records.
pub(crate) fn check_copies(store: &MemoryBucket, found: &Loaded) -> Result<(), Violation> {
    for row in &found.rows {
        let Some(etag) = &row.image else { continue };
        let recorded = CONTENTS.with_borrow(|contents| contents.get(etag).cloned());
        let copy = store.peek(&keys::image(&row.user_id)).map(|copy| copy.bytes);
        let is_right = match (&recorded, &copy) {
            (Some(recorded), Some(copy)) => recorded == copy,
            _ => false,
        };
        if !is_right {
            let state = if copy.is_none() { "is missing" } else { "has other bytes" };
            return Err(violation(
                Invariant::ImageCopies,
                format!("version {}: the copy of the image of user {} {state}", found.number, row.user_id),
            ));
        }
    }
    Ok(())
}

/// No copy is there that no row links, and no note is left.
pub(crate) fn check_leftovers(store: &MemoryBucket, found: &Loaded) -> Result<(), Violation> {
    let left = |key: &str| Err(violation(Invariant::NoLeftovers, format!("{key} is left")));
    for copy in store.peek_all(keys::IMAGES) {
        let is_linked = keys::parse_image(&copy.meta.key)
            .is_some_and(|user_id| found.rows.iter().any(|row| row.user_id == user_id.as_str() && row.image.is_some()));
        if !is_linked {
            return left(&copy.meta.key);
        }
    }
    match store.peek_all(keys::IMAGE_NOTES).first() {
        Some(note) => left(&note.meta.key),
        None => Ok(()),
    }
}
