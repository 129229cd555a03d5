//! Example requests, which the index lists and a page links to.

use datalake_core::{query::filter::Filter, user::Day};
use datalake_table::memory::snapshot::Snapshot;
use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshots::watch::TableState;

/// An example request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Example {
    /// The path with its query.
    pub href: String,
    /// A short description of the response.
    pub title: &'static str,
}

/// The user in the examples. The sample sources have a user with this ID.
const USER_ID: &str = "1000";

/// Filters and statistics: all that most clients need.
const BASIC: [(&str, &str); 12] = [
    ("/data", "all users"),
    ("/data?is_image_exists=True", "users with an image"),
    ("/data?is_image_exists=False", "users without an image"),
    ("/data?min_age=30&max_age=40", "users aged 30–40"),
    ("/data?min_age", "youngest users"),
    ("/data?max_age", "oldest users"),
    ("/data?min_age&max_age", "youngest and oldest users"),
    ("/data?is_image_exists=True&max_age", "oldest users with an image"),
    ("/data?is_image_exists=False&min_age", "youngest users without an image"),
    ("/stats", "statistics of all users"),
    ("/stats?is_image_exists=True", "statistics of users with an image"),
    ("/stats?min_age=30&max_age=40", "statistics of users aged 30–40"),
];

const FURTHER: &[(&str, &str)] = &[
    ("/data?min_age=30&on=2020-01-01", "users aged at least 30 on 1 January 2020"),
    (
        "/data?first_name__startswith=a&order=age.desc&limit=3",
        "the three oldest users whose first name starts with A",
    ),
    (
        "/data?select=user_id,age&shape=columns&limit=5",
        "two columns in the layout of pandas",
    ),
    ("/data.csv?limit=5", "CSV for a spreadsheet"),
    ("/data/{user_id}", "one user"),
    ("/data/{user_id}/image", "image of a user"),
    ("/data/{user_id}/history", "row history by version"),
    ("/data/{user_id}/explain", "provenance of a row"),
    ("/rejects", "rejected and ignored sources, with reasons"),
    ("/versions", "versions of the table, latest first"),
    ("/data?version=0", "all users in the first version"),
    ("/changes?since=0", "changes since the first version"),
    ("/runs", "runs, latest first"),
    ("/openapi.json", "OpenAPI description"),
    ("/metrics", "metrics of this server"),
];

/// The basic queries of `/data` and `/stats`.
pub fn basic() -> Vec<Example> {
    BASIC.iter().map(|example| with_user(*example, USER_ID)).collect()
}

/// All other examples, for a user who exists.
pub fn further(table: &TableState) -> Vec<Example> {
    let user_id = match table {
        TableState::Loaded(snapshot) => example_user(snapshot),
        TableState::Missing | TableState::Loading => None,
    };
    let user_id = user_id.as_deref().unwrap_or(USER_ID);
    FURTHER.iter().map(|example| with_user(*example, user_id)).collect()
}

fn with_user((href, title): (&str, &'static str), user_id: &str) -> Example {
    Example {
        href: href.replace("{user_id}", user_id),
        title,
    }
}

/// The user of the sample sources, or the first user with an image, or the first user.
fn example_user(snapshot: &Snapshot) -> Option<String> {
    /// If images are common, one of the first hundred users has one.
    const USERS_MAX: usize = 100;
    if snapshot.row(USER_ID).is_some() {
        return Some(USER_ID.to_owned());
    }
    let all = snapshot.select(&Filter::default(), Day::FIRST);
    let mut first = None;
    for row in snapshot.rows(&all).take(USERS_MAX) {
        if row.has_file(0) {
            return Some(row.user_id.to_owned());
        }
        first.get_or_insert_with(|| row.user_id.to_owned());
    }
    first
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn examples_are_unique() {
        let all: Vec<_> = basic().into_iter().chain(further(&TableState::Missing)).collect();
        let hrefs: BTreeSet<_> = all.iter().map(|example| example.href.as_str()).collect();
        assert_eq!(hrefs.len(), all.len());
        assert!(hrefs.contains("/data/1000/image"), "{hrefs:?}");
        let is_of_rows = |example: &Example| example.href.starts_with("/data") || example.href.starts_with("/stats");
        assert!(basic().iter().all(is_of_rows));
    }
}
