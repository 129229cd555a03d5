//! Requests to begin with: the index lists them, and a page shows their answers.

use datalake_core::{query::filter::Filter, user::Day};
use datalake_table::memory::snapshot::Snapshot;
use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshots::watch::Held;

/// A query to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Example {
    /// The path with its query.
    pub href: String,
    /// What it answers.
    pub title: &'static str,
}

/// The id that stands in the paths about one user; the sample sources have a user of this id.
const USER_ID: &str = "1000";

/// Who is asked for, and how: all that most readers ever need.
const BASIC: [(&str, &str); 12] = [
    ("/data", "every user"),
    ("/data?is_image_exists=True", "users with a picture"),
    ("/data?is_image_exists=False", "users without a picture"),
    ("/data?min_age=30&max_age=40", "users of 30 to 40 years"),
    ("/data?min_age", "the youngest"),
    ("/data?max_age", "the oldest"),
    ("/data?min_age&max_age", "the youngest and the oldest"),
    ("/data?is_image_exists=True&max_age", "the oldest among those with a picture"),
    ("/data?is_image_exists=False&min_age", "the youngest among those without a picture"),
    ("/stats", "figures of all users"),
    ("/stats?is_image_exists=True", "figures of the users with a picture"),
    ("/stats?min_age=30&max_age=40", "figures of the users of 30 to 40 years"),
];

const FURTHER: &[(&str, &str)] = &[
    ("/data?min_age=30&on=2020-01-01", "those who were at least 30 on 1 January 2020"),
    (
        "/data?first_name__startswith=a&order=age.desc&limit=3",
        "three of those whose first name begins with A, the oldest first",
    ),
    ("/data?select=user_id,age&shape=columns&limit=5", "two columns, as pandas has them"),
    ("/data.csv?limit=5", "a table for a spreadsheet"),
    ("/data/{user_id}", "one user"),
    ("/data/{user_id}/image", "that user's picture"),
    ("/data/{user_id}/history", "what that user's row was, version after version"),
    ("/data/{user_id}/explain", "where that user's values come from"),
    ("/rejects", "the sources that are refused now, with reasons"),
    ("/versions", "the versions of the table, the newest first"),
    ("/data?version=0", "every user as the first version had them"),
    ("/changes?since=0", "what changed since the first version"),
    ("/runs", "the runs, the newest first"),
    ("/openapi.json", "the description of this API"),
    ("/metrics", "metrics of this server"),
];

/// Who and how old; the queries of `/data` and `/stats` that everything else builds on.
pub fn basic() -> Vec<Example> {
    BASIC.iter().map(|example| made(*example, USER_ID)).collect()
}

/// All others, about somebody who is there.
pub fn further(held: &Held) -> Vec<Example> {
    let user_id = match held {
        Held::Snapshot(snapshot) => somebody(snapshot),
        Held::NoTable | Held::Unknown => None,
    };
    let user_id = user_id.as_deref().unwrap_or(USER_ID);
    FURTHER.iter().map(|example| made(*example, user_id)).collect()
}

fn made((href, title): (&str, &'static str), user_id: &str) -> Example {
    Example {
        href: href.replace("{user_id}", user_id),
        title,
    }
}

/// The user of the sample sources, or the first with a picture of the first few.
fn somebody(snapshot: &Snapshot) -> Option<String> {
    /// Pictures are common: among so many users there is one, if there are any.
    const LOOKED_AT_MAX: usize = 100;
    if snapshot.row(USER_ID).is_some() {
        return Some(USER_ID.to_owned());
    }
    let all = snapshot.select(&Filter::default(), Day::FIRST);
    let mut first = None;
    for row in snapshot.rows(&all).take(LOOKED_AT_MAX) {
        if row.has_image {
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
    fn no_request_is_listed_twice() {
        let all: Vec<_> = basic().into_iter().chain(further(&Held::NoTable)).collect();
        let hrefs: BTreeSet<_> = all.iter().map(|example| example.href.as_str()).collect();
        assert_eq!(hrefs.len(), all.len());
        assert!(hrefs.contains("/data/1000/image"), "{hrefs:?}");
        let is_of_rows = |example: &Example| example.href.starts_with("/data") || example.href.starts_with("/stats");
        assert!(basic().iter().all(is_of_rows));
    }
}
