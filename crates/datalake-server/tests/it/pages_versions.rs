//! The pages of versions: the list, and two of them compared.

use crate::{
    fixture::{Lake, now, put},
    pages_runs::{between, check_failure, forget_all_but_the_newest, page, values},
    version_cache::lake_until,
};

#[tokio::test]
async fn versions_are_listed_and_compared() {
    let lake = lake_until(4).await;
    let listed = page(&lake, "/page/versions").await;
    assert_eq!(
        (values(&listed, "data-view"), values(&listed, "data-api")),
        (vec!["versions"], vec!["/versions?limit=25"])
    );
    let table = between(&listed, "id=\"versions\"", "</table>");
    assert_eq!(values(table, "data-version"), ["4", "3", "2", "1", "0"]);
    assert_eq!(table.matches("type=\"radio\" name=\"since\"").count(), 5);
    assert!(
        table.contains("name=\"since\" value=\"3\" checked") && table.contains("name=\"until\" value=\"4\" checked"),
        "{table}"
    );
    let newest = page(&lake, "/page/versions?limit=1").await;
    assert!(
        values(&newest, "href").contains(&"/page/versions?before=4&amp;limit=1") && !newest.contains("type=\"radio\""),
        "{newest}"
    );
    let older = page(&lake, "/page/versions?before=2").await;
    assert_eq!(values(between(&older, "id=\"versions\"", "</table>"), "data-version"), ["1", "0"]);
    assert!(values(&older, "href").contains(&"/page/versions") && !older.contains("id=\"next-page\""));
    check_failure(&lake, "/page/versions?before=x", 400, "invalid-parameter").await;
    check_failure(&lake, "/page/versions?version=1", 400, "invalid-parameter").await;

    let compared = page(&lake, "/page/changes?since=1&until=4").await;
    assert_eq!(
        (values(&compared, "data-view"), values(&compared, "data-api")),
        (vec!["changes"], vec!["/changes?since=1&amp;until=4"])
    );
    assert_eq!(
        (values(&compared, "data-user-id"), values(&compared, "data-change")),
        (vec!["1", "2"], vec!["update", "delete"])
    );
    assert!(
        compared.contains("Name <del>1</del><ins>4</ins>") && compared.contains("<del>Two</del>"),
        "{compared}"
    );
    // Each leads to the row that is shown: of one who was removed, to the former one.
    let links = values(&compared, "href");
    assert!(
        links.contains(&"/page/people/1?version=4") && links.contains(&"/page/people/2?version=1"),
        "{links:?}"
    );
    // Others are compared from there.
    assert!(
        compared.contains("name=\"since\" min=\"0\"") && compared.contains("name=\"until\" min=\"0\""),
        "{compared}"
    );
    // The other way round is the same question; without `until` it is about the newest.
    for path in ["/page/changes?since=4&until=1", "/page/changes?since=1"] {
        assert_eq!(
            values(&page(&lake, path).await, "data-api"),
            ["/changes?since=1&amp;until=4"],
            "{path}"
        );
    }
    assert!(page(&lake, "/page/changes?since=2&until=2").await.contains("id=\"no-changes\""));
    check_failure(&lake, "/page/changes", 400, "invalid-parameter").await;
    check_failure(&lake, "/page/changes?since=x", 400, "invalid-parameter").await;
    check_failure(&lake, "/page/changes?since=1&until=9", 404, "no-such-version").await;
    lake.set_down(true);
    check_failure(&lake, "/page/versions?limit=20", 503, "store-unavailable").await;
}

#[tokio::test]
async fn what_is_gone_cannot_be_compared() {
    let lake = lake_until(4).await;
    forget_all_but_the_newest(&lake).await;
    check_failure(&lake, "/page/changes?since=0&until=4", 410, "version-gone").await;
}

#[tokio::test]
async fn many_changes_are_cut_short() {
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
    let compared = page(&lake, "/page/changes?since=0&until=1").await;
    assert_eq!(values(&compared, "data-user-id").len(), 100);
    assert!(
        compared.contains("id=\"more-changes\"") && values(&compared, "href").contains(&"/changes?since=0&amp;until=1"),
        "{compared}"
    );
    assert!(compared.len() < 80 * 1024, "{} bytes", compared.len());
}
