//! Checks of conditional writes with several writers at once. The safety of a commit depends on them.

use datalake_store::{
    bucket::{Etag, PutMode},
    error::StoreError,
};
use futures_util::future::join_all;

use super::{
    check::{Finding, Outcome},
    probe::Probe,
};
use crate::options::Writers;

/// Writers of one object at the same time. More of them than runs may be active.
const WRITERS: usize = 8;

/// Races per check. A store that lets two writers win does so in most races.
const RACES: usize = 3;

/// Creates one object by several writers at once: one of them may succeed.
pub(super) async fn create_if_absent(probe: &Probe<'_>, writers: Writers) -> Outcome {
    const NEEDED: &str = "use a store that supports If-None-Match, or pass --single-writer and make sure that only one run is active";
    for race in 0..RACES {
        let name = format!("create-{race}");
        let winners = race_of(probe, &name, &PutMode::Create).await;
        let winners = winners.map_err(|error| unconditional(error, writers, NEEDED))?;
        if winners > 1 {
            let found = format!("{winners} of {WRITERS} simultaneous creates of one object succeeded");
            return Err(of_writers(writers, found, NEEDED));
        }
        match probe.put(&name, "late", PutMode::Create).await {
            Err(StoreError::Conflict { .. }) => {}
            Ok(_) => return Err(of_writers(writers, "an object that exists was created again".to_owned(), NEEDED)),
            Err(error) => return Err(unconditional(error, writers, NEEDED)),
        }
    }
    Ok(format!("of {WRITERS} simultaneous creates of one object, at most one succeeds"))
}

/// Replaces one object on condition of its `ETag` by several writers at once: one of them may succeed.
pub(super) async fn replace_if_match(probe: &Probe<'_>, writers: Writers) -> Outcome {
    const NEEDED: &str = "use a store that supports If-Match for writes, or pass --single-writer and make sure that only one run is active";
    for race in 0..RACES {
        let name = format!("replace-{race}");
        let etag = probe.put(&name, "before", PutMode::Replace).await?;
        let winners = race_of(probe, &name, &PutMode::Update(etag.clone())).await;
        let winners = winners.map_err(|error| unconditional(error, writers, NEEDED))?;
        if winners > 1 {
            let found = format!("{winners} of {WRITERS} simultaneous conditional replacements of one object succeeded");
            return Err(of_writers(writers, found, NEEDED));
        }
        if winners == 1 && is_replaced(probe, &name, etag, writers, NEEDED).await? {
            return Err(of_writers(
                writers,
                "an object was replaced on condition of an ETag that it no longer has".to_owned(),
                NEEDED,
            ));
        }
    }
    Ok(format!(
        "of {WRITERS} simultaneous conditional replacements of one object, at most one succeeds"
    ))
}

/// Whether a write on condition of an outdated `ETag` succeeds.
async fn is_replaced(probe: &Probe<'_>, name: &str, outdated: Etag, writers: Writers, remedy: &str) -> Result<bool, Finding> {
    match probe.put(name, "late", PutMode::Update(outdated)).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(unconditional(error, writers, remedy)),
    }
}

/// The number of simultaneous writes that succeeded.
async fn race_of(probe: &Probe<'_>, name: &str, mode: &PutMode) -> Result<usize, StoreError> {
    let writes = (0..WRITERS).map(|writer| async move { probe.put(name, &format!("writer {writer}"), mode.clone()).await });
    let mut winners = 0;
    for written in join_all(writes).await {
        match written {
            Ok(_) => winners += 1,
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(winners)
}

/// The finding for an error of a conditional write.
fn unconditional(error: StoreError, writers: Writers, remedy: &str) -> Finding {
    match error.is_not_supported() {
        true => of_writers(writers, "the store does not support conditional writes".to_owned(), remedy),
        false => error.into(),
    }
}

/// The finding for a store without conditional writes, which a single writer does not need.
fn of_writers(writers: Writers, found: String, remedy: &str) -> Finding {
    match writers {
        Writers::Many => Finding::failed(found, remedy),
        Writers::Single => Finding::warning(found, "make sure that only one run is active"),
    }
}
