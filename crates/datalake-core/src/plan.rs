//! What has changed between a listing of the sources and what the table recorded, decided without reading a source.
//!
//! Listings come in key order, the table in order of user ids, and the two are not the same: `a-b.csv` < `a.csv`, and `a` < `a-b`. Both are
//! therefore brought into *rank* order, that of the last key that a user's sources can have (`src-data/{user_id}.png`). Whoever is
//! between a user's first possible key and that last one has an id that begins with the user's, so that at most [`UserId::BYTES_MAX`] users
//! wait at any time: memory does not grow with the number of sources.

use std::{cmp::Ordering, collections::BTreeMap};

use jiff::Timestamp;

use crate::{
    keys::{self, SourceKind},
    reject::IgnoreCode,
    report::RunMode,
    row::Provenance,
    user::UserId,
};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceObject {
    /// The raw key.
    pub key: Box<str>,
    /// The store's tag of its bytes.
    pub etag: Box<str>,
    /// Their number.
    pub size: u64,
    /// When the store took them.
    pub modified: Timestamp,
}

impl SourceObject {
    /// What a row records of the object that it was read from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            etag: self.etag.clone(),
            size: self.size,
            modified: self.modified,
        }
    }

    /// The same, without a copy of the tag.
    pub fn into_provenance(self) -> Provenance {
        Provenance {
            etag: self.etag,
            size: self.size,
            modified: self.modified,
        }
    }
}

/// The present sources of one user: a CSV, with or without a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSources {
    /// Whose they are.
    pub user_id: UserId,
    /// The user.
    pub csv: SourceObject,
    /// The user's picture.
    pub image: Option<SourceObject>,
}

/// What a listing holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingEntry {
    /// A user's sources.
    User(UserSources),
    /// An object that is nobody's source.
    Ignored(SourceObject, IgnoreCode),
}

/// A store listed a key after a greater one: nothing that is concluded from such a listing would hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store does not list in key order, so changes cannot be told; key={key} came after key={previous}")]
pub struct OutOfOrder {
    /// The key that came too late.
    pub key: String,
    /// The key before it.
    pub previous: String,
}

/// Gathers each user's sources out of a listing in key order, and gives users in rank order.
#[derive(Debug, Default)]
pub struct SourceGrouper {
    /// By rank.
    waiting: BTreeMap<String, Waiting>,
    /// The last user's source. What is ignored comes in any order: a name that is no text has no place among those that are.
    previous: Option<Box<str>>,
}

#[derive(Debug)]
struct Waiting {
    user_id: UserId,
    csv: Option<SourceObject>,
    image: Option<SourceObject>,
}

impl SourceGrouper {
    /// Takes the next object of the listing and adds to `out` what it completes.
    pub fn push(&mut self, object: SourceObject, out: &mut Vec<ListingEntry>) -> Result<(), OutOfOrder> {
        // The marker of the folder itself says nothing about any user.
        if &*object.key == keys::SOURCES {
            return Ok(());
        }
        let source = match keys::parse_source(&object.key) {
            Ok(source) => source,
            Err(code) => {
                out.push(ListingEntry::Ignored(object, code));
                return Ok(());
            }
        };
        if let Some(previous) = self.previous.replace(object.key.clone())
            && previous >= object.key
        {
            return Err(OutOfOrder {
                key: object.key.into(),
                previous: previous.into(),
            });
        }
        while let Some(first) = self.waiting.first_entry()
            && first.key().as_str() < &*object.key
        {
            first.remove().complete(out);
        }
        let rank = keys::last_source(&source.user_id);
        let waiting = self.waiting.entry(rank).or_insert_with(|| Waiting {
            user_id: source.user_id,
            csv: None,
            image: None,
        });
        let place = match source.kind {
            SourceKind::Csv => &mut waiting.csv,
            SourceKind::Image => &mut waiting.image,
        };
        // In key order the upper-case spelling comes first.
        if let Some(shadowed) = place.replace(object) {
            out.push(ListingEntry::Ignored(shadowed, IgnoreCode::Shadowed));
        }
        Ok(())
    }

    /// Adds to `out` what the listing's end completes.
    pub fn finish(self, out: &mut Vec<ListingEntry>) {
        for waiting in self.waiting.into_values() {
            waiting.complete(out);
        }
    }
}

impl Waiting {
    fn complete(self, out: &mut Vec<ListingEntry>) {
        match (self.csv, self.image) {
            (Some(csv), image) => out.push(ListingEntry::User(UserSources {
                user_id: self.user_id,
                csv,
                image,
            })),
            (None, Some(image)) => out.push(ListingEntry::Ignored(image, IgnoreCode::OrphanImage)),
            (None, None) => {}
        }
    }
}

/// A state of a source's bytes that needs no second look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceVersion {
    /// The key, where the state belongs to one spelling of it alone: a reject is listed under its key.
    pub key: Option<Box<str>>,
    /// The store's tag.
    pub etag: Box<str>,
    /// Their number.
    pub size: u64,
}

impl SourceVersion {
    fn names(&self, object: &SourceObject) -> bool {
        self.etag == object.etag && self.size == object.size && self.key.as_ref().is_none_or(|key| *key == object.key)
    }
}

/// What the table recorded of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedUser {
    /// Whose state it is.
    pub user_id: UserId,
    /// Whether the user has a row. One whose CSV was never good has none.
    pub has_row: bool,
    /// The CSV's state: the reject's where there is one, else the row's. None where it must be read again.
    pub csv: Option<SourceVersion>,
    /// Likewise of the picture. None where there is none, too.
    pub image: Option<SourceVersion>,
    /// Whether the row links a picture, or a picture is rejected now.
    pub has_image: bool,
}

/// Brings what is known from the order of user ids into rank order.
#[derive(Debug, Default)]
pub struct KeyOrder {
    waiting: BTreeMap<String, RecordedUser>,
}

impl KeyOrder {
    /// Takes the next user in byte order of ids, and adds to `out` those that nobody can come before any more.
    pub fn push(&mut self, known: RecordedUser, out: &mut Vec<RecordedUser>) {
        let floor = keys::first_source_from(&known.user_id);
        while let Some(first) = self.waiting.first_entry()
            && *first.key() <= floor
        {
            out.push(first.remove());
        }
        self.waiting.insert(keys::last_source(&known.user_id), known);
    }

    /// Adds to `out` those who are left.
    pub fn finish(self, out: &mut Vec<RecordedUser>) {
        out.extend(self.waiting.into_values());
    }
}

/// What to do about one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// Nothing: it is as the table recorded it, or is not there and never was.
    Unchanged,
    /// It is new or differs.
    Read(SourceObject),
    /// It was there, and is no more.
    Removed,
}

/// What to do about one user whose sources are not all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserChange {
    /// Whose sources they are.
    pub user_id: UserId,
    /// The CSV. When it is gone, so is the user.
    pub csv: SourceChange,
    /// The picture.
    pub image: SourceChange,
}

/// One step of the merge of two streams in rank order: which of their heads comes next. At least one of them is there.
pub fn compare_key_order(listed: &UserId, known: &UserId) -> Ordering {
    keys::last_source(listed).cmp(&keys::last_source(known))
}

/// Compares what is listed of a user with what is known; none where nothing is to be done.
pub fn compare(listed: Option<&UserSources>, known: Option<&RecordedUser>, mode: RunMode) -> Option<UserChange> {
    let Some(sources) = listed else {
        return known.map(|known| UserChange {
            user_id: known.user_id.clone(),
            csv: SourceChange::Removed,
            image: SourceChange::Removed,
        });
    };
    let is_seen =
        |object: &SourceObject, seen: Option<&SourceVersion>| mode == RunMode::Incremental && seen.is_some_and(|seen| seen.names(object));
    let judge = |object: &SourceObject, seen: Option<&SourceVersion>| match is_seen(object, seen) {
        true => SourceChange::Unchanged,
        false => SourceChange::Read(object.clone()),
    };
    let csv = judge(&sources.csv, known.and_then(|known| known.csv.as_ref()));
    // A new row links its image, whose digest no run has recorded.
    let may_get_row = matches!(csv, SourceChange::Read(_)) && !known.is_some_and(|known| known.has_row);
    let image = match &sources.image {
        Some(object) if may_get_row => SourceChange::Read(object.clone()),
        Some(object) => judge(object, known.and_then(|known| known.image.as_ref())),
        None if known.is_some_and(|known| known.has_image) => SourceChange::Removed,
        None => SourceChange::Unchanged,
    };
    let is_same = (&csv, &image) == (&SourceChange::Unchanged, &SourceChange::Unchanged);
    (!is_same).then(|| UserChange {
        user_id: sources.user_id.clone(),
        csv,
        image,
    })
}

/// What the guards look at, before any source is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListingStats {
    /// Objects listed, the folder marker aside.
    pub listed: u64,
    /// Users known before the run, by a row or by a rejected CSV.
    pub known: u64,
    /// Those among them whose CSV is no more.
    pub gone: u64,
}

/// Why a run refuses to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// There is nothing under `src-data/`.
    #[error(
        "there is nothing under src-data/, so nothing was changed; check the lake's URL, upload sources, or run `datalake process \
         --allow-mass-delete` if the lake is meant to be empty"
    )]
    EmptyListing,
    /// Too many sources are gone at once.
    #[error(
        "{gone} of {known} known users have no CSV any more, over 20 % of them and over 10, or all of a small lake's, so nothing was changed; \
         check the sources, or run `datalake process --allow-mass-delete` if they are meant to go"
    )]
    MassDeletion {
        /// Users without a CSV.
        gone: u64,
        /// Users known before.
        known: u64,
    },
    /// The deletions that were allowed are not those that the run would make.
    #[error(
        "{gone} of {known} known users have no CSV any more, and they are not those whose removal was allowed, so nothing was changed; \
         allow the removals that this run reports, or restore the sources"
    )]
    OtherDeletions {
        /// Users without a CSV.
        gone: u64,
        /// Users known before.
        known: u64,
    },
    /// Too many sources are rejected at once.
    #[error(
        "{rejected} of {sources} sources are rejected, over the share of {ratio_max} that is allowed, so nothing was changed; see the \
         rejects of this run, or raise --max-reject-ratio"
    )]
    RejectRatio {
        /// Sources rejected.
        rejected: u64,
        /// Sources listed.
        sources: u64,
        /// The share that is allowed, 0 to 1.
        ratio_max: RejectRatio,
    },
}

/// Whether the guard against mass deletion stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionGuard {
    /// Over 20 % and over 10 of the known users gone is refused, and so is an empty listing.
    #[default]
    On,
    /// Somebody said that the sources are meant to go.
    Off,
}

/// Refuses a listing that is empty, or that lacks over 20 % and over 10 of the known users, or all of them where there are at most 10.
pub fn guard_deletions(census: ListingStats, guard: DeletionGuard) -> Result<(), GuardError> {
    let ListingStats { listed, known, gone } = census;
    match guard {
        DeletionGuard::Off => Ok(()),
        DeletionGuard::On if listed == 0 => Err(GuardError::EmptyListing),
        DeletionGuard::On if gone > 10 && gone.saturating_mul(5) > known => Err(GuardError::MassDeletion { gone, known }),
        DeletionGuard::On if gone > 0 && gone == known => Err(GuardError::MassDeletion { gone, known }),
        DeletionGuard::On => Ok(()),
    }
}

/// A share from 0 to 1 of the sources that may be rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RejectRatio(f64);

// The invariant excludes NaN.
impl Eq for RejectRatio {}

impl Default for RejectRatio {
    fn default() -> Self {
        Self(0.5)
    }
}

impl std::fmt::Display for RejectRatio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for RejectRatio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = text.parse().map_err(|_| "must be a number from 0 to 1")?;
        (0.0..=1.0)
            .contains(&share)
            .then_some(Self(share))
            .ok_or("must be a number from 0 to 1")
    }
}

/// Refuses a run after which more than the allowed share of the listed sources is rejected.
pub fn guard_rejects(rejected: u64, sources: u64, ratio_max: RejectRatio) -> Result<(), GuardError> {
    // Four thousand million objects are more than any lake lists within an hour.
    let exact = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    match exact(rejected) > exact(sources) * ratio_max.0 {
        true => Err(GuardError::RejectRatio {
            rejected,
            sources,
            ratio_max,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
