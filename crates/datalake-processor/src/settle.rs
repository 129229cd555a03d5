//! Image copies after the commit: makes the copies of users what the newest rows say.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{keys, row::Row, user::UserId};
use datalake_store::{
    bucket::Bucket,
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{
    delta::{load::Newest, version::Version},
    table::Table,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    error::RunError,
    image_budget::ImageBudget,
    images::{self, IMAGES_IN_FLIGHT_MAX},
};

/// Users that are settled under one fence: with 64 requests in flight of 20 ms they take seconds, and a fence lasts minutes.
const USERS_PER_FENCE: usize = 2_000;

/// Fences that expired in a row before giving up: each time the process was paused for minutes, or the store took as long.
const FENCES_MAX: u32 = 8;

/// Newer versions found before giving up. Each is a commit that came in while users were settled.
const VERSIONS_MAX: u32 = 16;

/// What settling did.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The newest version, by which the copies are.
    pub(crate) version: Version,
    /// Copies removed.
    pub(crate) removed: u64,
    /// Users whose row links an image whose bytes are neither in the copy nor in the source.
    pub(crate) lost: BTreeSet<UserId>,
}

/// Settles the copies of `users`, each with whether a copy that no row links may be removed. Those in `fresh` were copied for `version` by this
/// run, and need no look while that is the newest.
pub(crate) async fn settle(
    bucket: &dyn Bucket,
    table: &Table,
    version: &Version,
    users: &BTreeMap<UserId, bool>,
    fresh: &BTreeSet<UserId>,
) -> Result<Settled, RunError> {
    let mut settled = Settled {
        version: version.clone(),
        removed: 0,
        lost: BTreeSet::new(),
    };
    let mut pending: Vec<(&UserId, bool)> = users
        .iter()
        .filter(|(user_id, _)| !fresh.contains(*user_id))
        .map(|(user_id, may_remove)| (user_id, *may_remove))
        .collect();
    for _ in 0..VERSIONS_MAX {
        settled.lost.clear();
        let begun_at = settled.version.id();
        for chunk in pending.chunks(USERS_PER_FENCE) {
            settle_chunk(bucket, table, chunk, &mut settled).await?;
        }
        if simulation::has(Bug::ReconcileSkipsRecheck) {
            return Ok(settled);
        }
        match table.newest(&settled.version).await? {
            Newest::Unchanged if settled.version.id() == begun_at => return Ok(settled),
            Newest::Unchanged => {}
            Newest::NoTable => return Err(RunError::TableGone),
            // Rows may have changed under the copies that were made or removed.
            Newest::Other(newer) => {
                settled.version = newer;
            }
        }
        if users.is_empty() {
            return Ok(settled);
        }
        pending = users.iter().map(|(user_id, may_remove)| (user_id, *may_remove)).collect();
    }
    Err(RunError::Contended { attempts: VERSIONS_MAX })
}

async fn settle_chunk(bucket: &dyn Bucket, table: &Table, users: &[(&UserId, bool)], settled: &mut Settled) -> Result<(), RunError> {
    for _ in 0..FENCES_MAX {
        // Made before the rows are read: a process that is paused after that changes no copy by what it has read.
        let fenced = bucket.fenced().await?;
        let view = if simulation::has(Bug::ReconcileIsNotFenced) {
            bucket
        } else {
            fenced.bucket.as_ref()
        };
        match table.newest(&settled.version).await? {
            Newest::Unchanged => {}
            Newest::Other(newer) => settled.version = newer,
            Newest::NoTable => return Err(RunError::TableGone),
        }
        let ids: Vec<UserId> = users.iter().map(|(user_id, _)| (*user_id).clone()).collect();
        let rows = table.rows_of(&settled.version, &ids).await?;
        let budget = ImageBudget::default();
        let outcomes: Result<Vec<Outcome>, StoreError> = stream::iter(users)
            .map(|(user_id, may_remove)| settle_user(view, &budget, user_id, rows.get(*user_id), *may_remove))
            .buffered(IMAGES_IN_FLIGHT_MAX)
            .try_collect()
            .await;
        match outcomes {
            Ok(outcomes) => {
                for (outcome, (user_id, _)) in outcomes.into_iter().zip(users) {
                    match outcome {
                        Outcome::Settled => {}
                        Outcome::Removed => settled.removed += 1,
                        Outcome::Lost => drop(settled.lost.insert((*user_id).clone())),
                    }
                }
                return Ok(());
            }
            Err(StoreError::Expired { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RunError::Contended { attempts: FENCES_MAX })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Settled,
    Removed,
    Lost,
}

async fn settle_user(
    bucket: &dyn Bucket,
    budget: &ImageBudget,
    user_id: &UserId,
    row: Option<&Row>,
    may_remove: bool,
) -> Result<Outcome, StoreError> {
    match row.and_then(|row| row.image.as_ref()) {
        Some(image) => {
            if images::has_copy(bucket, user_id, image).await? || images::restore(bucket, budget, user_id, image).await? {
                return Ok(Outcome::Settled);
            }
            // Another run may have copied it between the look and the copy that failed.
            Ok(match images::has_copy(bucket, user_id, image).await? {
                true => Outcome::Settled,
                false => Outcome::Lost,
            })
        }
        None if may_remove => remove(bucket, &keys::image(user_id.as_str())).await,
        None => Ok(Outcome::Settled),
    }
}

/// Removes a copy that no row links, unless another run replaces it at this moment.
async fn remove(bucket: &dyn Bucket, copy_key: &str) -> Result<Outcome, StoreError> {
    let present = match bucket.head(copy_key).await {
        Ok(head) => head.meta.etag,
        Err(StoreError::NotFound { .. }) => return Ok(Outcome::Settled),
        Err(error) => return Err(error),
    };
    match bucket.delete(copy_key, Some(&present)).await {
        Ok(()) => Ok(Outcome::Removed),
        Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => Ok(Outcome::Settled),
        Err(error) => Err(error),
    }
}
