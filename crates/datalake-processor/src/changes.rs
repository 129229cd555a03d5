//! Lists the sources and merges the listing with what the table knows.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, VecDeque},
};

use datalake_core::{
    keys,
    plan::{self, ListingEntry, ListingStats, SourceGrouper, SourceObject, UserChange, UserSources},
    reject::{ExcludedSource, IgnoreCode},
    report::RunMode,
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, ObjectKind, ObjectMeta},
    error::StoreError,
};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{StreamExt, stream::BoxStream};

use crate::{error::RunError, known::KnownUsers, options::Progress};

/// A reader of the rejects fixes names by their kind, and needs no more of them. 1,000 take about 100 KiB in the file of refused sources.
const IGNORED_LISTED_MAX: usize = 1_000;

/// What the listing holds that the table does not, or holds otherwise.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// In rank order.
    pub(crate) users: Vec<UserChange>,
    /// The first objects that are not sources, at most [`IGNORED_LISTED_MAX`].
    pub(crate) ignored: Vec<(SourceObject, IgnoreCode)>,
    /// The number of all objects that are not sources.
    pub(crate) ignored_count: u64,
    pub(crate) census: ListingStats,
    pub(crate) csv_listed: u64,
    pub(crate) images_listed: u64,
    /// Users listed within the range of a data file that is lost and not known otherwise: their rows may have been in it.
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

/// What a run looks at beside the listing.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) base: Option<&'a Version>,
    /// The open refusals of that version.
    pub(crate) refusals: &'a [ExcludedSource],
    pub(crate) mode: RunMode,
    /// Users whose sources are read whatever the table recorded.
    pub(crate) reread: &'a BTreeSet<UserId>,
    /// The time of the run.
    pub(crate) run_at: jiff::Timestamp,
}

/// Lists everything under `src-data/` once, and keeps what differs from the table.
pub(crate) async fn find(
    bucket: &dyn Bucket,
    table: &Table,
    scope: Scope<'_>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Changes, RunError> {
    let mut changes = Changes::default();
    let mut listing = Listing {
        objects: bucket.list(keys::SOURCES, None),
        gatherer: Some(SourceGrouper::default()),
        gathered: VecDeque::new(),
        progress,
    };
    let Scope {
        base,
        refusals,
        mode,
        reread,
        run_at,
    } = scope;
    let mut known_users = KnownUsers::new(table, base, refusals, run_at).await?;
    let mut listed = listing.next_user(&mut changes).await?;
    let mut known = known_users.next().await?;
    loop {
        let order = match (&listed, &known) {
            (Some(listed), Some(known)) => plan::compare_key_order(&listed.user_id, &known.user_id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(changes),
        };
        let (is_listed, is_known) = (order.is_le(), order.is_ge());
        let (user, recorded) = (listed.as_ref().filter(|_| is_listed), known.as_ref().filter(|_| is_known));
        let mode = match user {
            Some(user) if reread.contains(&user.user_id) => RunMode::Full,
            _ => mode,
        };
        let change = plan::compare(user, recorded, mode);
        changes.rederived += u64::from(!is_known && user.is_some_and(|user| may_be_lost(base, &user.user_id)));
        changes.users.extend(change);
        changes.census.known += u64::from(is_known);
        changes.census.gone += u64::from(is_known && !is_listed);
        if is_listed {
            listed = listing.next_user(&mut changes).await?;
        }
        if is_known {
            known = known_users.next().await?;
        }
    }
}

/// Whether the user's row may have been in a data file that is lost.
fn may_be_lost(base: Option<&Version>, user_id: &UserId) -> bool {
    base.is_some_and(|base| base.lost().data_files.iter().any(|file| file.may_hold(user_id.as_str())))
}

struct Listing<'a> {
    objects: BoxStream<'a, Result<ObjectMeta, StoreError>>,
    gatherer: Option<SourceGrouper>,
    gathered: VecDeque<ListingEntry>,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Listing<'_> {
    /// The next user with sources; whatever is nobody's source on the way there goes to `changes`.
    async fn next_user(&mut self, changes: &mut Changes) -> Result<Option<UserSources>, RunError> {
        loop {
            match self.gathered.pop_front() {
                Some(ListingEntry::User(user)) => {
                    changes.csv_listed += 1;
                    changes.images_listed += u64::from(user.image.is_some());
                    return Ok(Some(user));
                }
                Some(ListingEntry::Ignored(object, code)) => changes.ignore(object, code),
                None if self.gatherer.is_none() => return Ok(None),
                None => self.gather(changes).await?,
            }
        }
    }

    async fn gather(&mut self, changes: &mut Changes) -> Result<(), RunError> {
        /// A bar that moves ten times a second needs no more.
        const OBJECTS_A_STEP: u64 = 1_000;
        let mut out = Vec::new();
        match (self.objects.next().await, self.gatherer.take()) {
            (Some(object), Some(mut gatherer)) => {
                let object = object?;
                if object.key != keys::SOURCES {
                    changes.census.listed += 1;
                    if changes.census.listed.is_multiple_of(OBJECTS_A_STEP) {
                        (self.progress)(Progress::Listed {
                            objects: changes.census.listed,
                        });
                    }
                }
                match object.kind {
                    ObjectKind::Object => gatherer.push(source_object(object), &mut out)?,
                    ObjectKind::NotAFile => {
                        let code = code_of_other(&object.key);
                        changes.ignore(source_object(object), code);
                    }
                }
                self.gatherer = Some(gatherer);
            }
            (None, Some(gatherer)) => gatherer.finish(&mut out),
            (_, None) => {}
        }
        self.gathered.extend(out);
        Ok(())
    }
}

/// Why what is not a file is ignored: its name can be the reason as well.
fn code_of_other(key: &str) -> IgnoreCode {
    match keys::parse_source(key) {
        Ok(_) | Err(IgnoreCode::BadId | IgnoreCode::UnknownKind) => IgnoreCode::NotAFile,
        Err(code) => code,
    }
}

/// The core's view of a listed object.
pub(crate) fn source_object(object: ObjectMeta) -> SourceObject {
    SourceObject {
        key: object.key.into(),
        etag: object.etag.as_str().into(),
        size: object.size,
        modified: object.modified,
    }
}
