//! The versions page, and the comparison of two versions.

use crate::{
    fixture::{Lake, now, put},
    pages::{check_problem, expire_earlier_versions, page},
    version_cache::lake_until,
};

#[tokio::test]
async fn versions_are_listed_latest_first() {
    let lake = lake_until(4).await;
    let versions = page(&lake, "/page/versions").await;
    assert_eq!(
        (versions.values("data-view"), versions.api()),
        (vec!["versions"], "/versions?limit=25")
    );
    assert_eq!(versions.attributes("#versions tr", "data-version"), ["4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn latest_two_versions_are_selected_for_comparison() {
    let lake = lake_until(4).await;
    let versions = page(&lake, "/page/versions").await;
    assert_eq!(versions.count("#versions input[type=radio][name=since]"), 5);
    assert_eq!(versions.attribute("input[name=since][checked]", "value"), "3");
    assert_eq!(versions.attribute("input[name=until][checked]", "value"), "4");
}

#[tokio::test]
async fn versions_have_pages() {
    let lake = lake_until(4).await;
    let latest = page(&lake, "/page/versions?limit=1").await;
    assert_eq!(latest.link("next-page"), Some("/page/versions?before=4&limit=1"));
    assert!(!latest.has("input[type=radio]"), "one version cannot be compared");
    let older = page(&lake, "/page/versions?before=2").await;
    assert_eq!(older.attributes("#versions tr", "data-version"), ["1", "0"]);
    assert_eq!(older.link("first-page"), Some("/page/versions"));
    assert_eq!(older.link("next-page"), None);
}

#[tokio::test]
async fn comparison_shows_changed_rows() {
    let lake = lake_until(4).await;
    let changes = page(&lake, "/page/changes?since=1&until=4").await;
    assert_eq!(
        (changes.values("data-view"), changes.api()),
        (vec!["changes"], "/changes?since=1&until=4")
    );
    assert_eq!(changes.values("data-user-id"), ["1", "2"]);
    assert_eq!(changes.values("data-change"), ["update", "delete"]);
    assert_eq!(changes.texts("[data-user-id='1'] del").first().map(String::as_str), Some("Name 1"));
    assert_eq!(changes.texts("[data-user-id='1'] ins").first().map(String::as_str), Some("Name 4"));
    assert!(changes.texts("[data-user-id='2'] del").contains(&"Two".to_owned()));
    // A removed user is linked at the earlier version.
    changes.check_link("/page/users/1?version=4");
    changes.check_link("/page/users/2?version=1");
    assert!(changes.has("input[name=since][type=number]") && changes.has("input[name=until][type=number]"));
}

#[tokio::test]
async fn versions_are_compared_in_either_order_and_with_the_latest() {
    let lake = lake_until(4).await;
    for path in ["/page/changes?since=4&until=1", "/page/changes?since=1"] {
        assert_eq!(page(&lake, path).await.api(), "/changes?since=1&until=4", "{path}");
    }
    assert!(page(&lake, "/page/changes?since=2&until=2").await.has("#no-changes"));
}

#[tokio::test]
async fn invalid_requests_for_versions_are_problems() {
    let lake = lake_until(4).await;
    check_problem(&lake, "/page/versions?before=x", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/versions?version=1", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/changes", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/changes?since=x", 400, "invalid-parameter").await;
    check_problem(&lake, "/page/changes?since=1&until=9", 404, "no-such-version").await;
}

#[tokio::test]
async fn unreachable_store_is_a_problem() {
    let lake = lake_until(4).await;
    lake.set_down(true);
    check_problem(&lake, "/page/versions?limit=20", 503, "store-unavailable").await;
}

#[tokio::test]
async fn removed_version_cannot_be_compared() {
    let lake = lake_until(4).await;
    expire_earlier_versions(&lake).await;
    check_problem(&lake, "/page/changes?since=0&until=4", 410, "version-gone").await;
}

#[tokio::test]
async fn comparison_shows_the_first_hundred_rows() {
    let lake = Lake::empty();
    let rows = |name: &str| {
        (0..300)
            .map(|number| put(&format!("{number:03}"), name, "1990-01-01", false))
            .collect()
    };
    lake.commit_as("run-0", now(), rows("Ada B"), &[]).await;
    lake.watch.refresh_now().await;
    lake.commit_as("run-1", now(), rows("Ada C"), &[]).await;
    lake.watch.refresh_now().await;
    let changes = page(&lake, "/page/changes?since=0&until=1").await;
    assert_eq!(changes.values("data-user-id").len(), 100);
    assert_eq!(changes.attribute("#more-changes a", "href"), "/changes?since=0&until=1");
    assert_eq!(changes.attribute("#csv", "href"), "/changes.csv?since=0&until=1&escape=spreadsheet");
}

#[tokio::test]
async fn pages_without_a_table_are_problems() {
    let lake = Lake::empty();
    for path in ["/page/rejects", "/page/versions", "/page/changes?since=0"] {
        check_problem(&lake, path, 503, "table-unknown").await;
    }
    lake.watch.refresh_now().await;
    for path in ["/page/rejects", "/page/versions", "/page/changes?since=0"] {
        check_problem(&lake, path, 503, "no-table-yet").await;
    }
}
