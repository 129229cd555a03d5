//! The page of one user.

use datalake_core::row_id::RowId;
use datalake_table::delta::edit::Edit;

use crate::{
    fixture::{Lake, put, refusals},
    pages::{at, checked, page},
};

/// A lake in which user 1000 was renamed in version 1.
async fn renamed_lake() -> Lake {
    let lake = Lake::of_users().await;
    let edits = vec![put("1000", "Beatrice", "1990-01-01", true)];
    lake.commit_as("run-2", at("2026-11-24T11:30:00Z"), edits, &refusals()).await;
    lake.watch.refresh_now().await;
    lake
}

#[tokio::test]
async fn user_has_row_image_and_history() {
    let lake = renamed_lake().await;
    let user = page(&lake, "/page/users/1000?on=2020-06-01").await;
    assert_eq!(user.attribute("#row [data-column=age]", "data-value"), "30");
    assert_eq!(user.attribute("#row [data-column=birthts]", "data-value"), "631152000000");
    assert_eq!(user.attribute("#image-reason", "data-state"), "linked");
    assert_eq!(user.api(), "/data/1000?on=2020-06-01");
    user.check_link("/page/runs/run-2");
    assert_eq!(user.attributes("#history tr", "data-change"), ["update", "insert"]);
    assert_eq!(user.texts("#history ins"), ["Beatrice"]);
    assert_eq!(lake.get(user.attribute("main img", "src")).await.body, "an image");
}

#[tokio::test]
async fn earlier_version_has_no_image() {
    let lake = renamed_lake().await;
    let user = page(&lake, "/page/users/1000?version=0").await;
    assert_eq!(user.text("h1"), "Bea Last");
    assert!(!user.has("main img"));
    assert_eq!(user.values("data-banner"), ["other-version"]);
}

#[tokio::test]
async fn links_keep_day_and_version() {
    let lake = renamed_lake().await;
    let user = page(&lake, "/page/users/1000?on=2020-06-01&version=0").await;
    user.check_link("/page/users?on=2020-06-01&version=0");
    user.check_link("/page/users/1000?on=2020-06-01");
    user.check_link("/page/users/1000?on=2020-06-01&version=1");
}

#[tokio::test]
async fn user_without_an_image_has_the_reason() {
    let lake = Lake::of_users().await;
    let user = page(&lake, "/page/users/1001").await;
    assert_eq!(user.attribute("#image-reason", "data-state"), "missing");
}

#[tokio::test]
async fn user_who_is_not_yet_born_has_no_age() {
    let lake = Lake::of_users().await;
    let user = page(&lake, "/page/users/1003").await;
    assert!(!user.has("#row [data-column=age][data-value]"));
    assert!(
        user.text("#row [data-column=age]").starts_with("Born after 20"),
        "{}",
        user.text("#row [data-column=age]")
    );
}

#[tokio::test]
async fn removed_user_returns_404_with_the_history() {
    let lake = Lake::of_users().await;
    lake.commit(vec![Edit::Remove(RowId::parse("1000").unwrap())]).await;
    lake.watch.refresh_now().await;
    let answer = lake.get("/page/users/1000").await;
    assert_eq!(answer.status.as_u16(), 404);
    let user = checked(&answer);
    assert_eq!(user.values("data-banner"), ["no-such-user"]);
    assert_eq!(user.values("data-change"), ["delete", "insert"]);
    assert_eq!(user.text("h1"), "Bea Last");
    let text = user.text("[data-banner=no-such-user]");
    assert!(text.contains("Bea Last (1000) was removed in version 1"), "{text}");
    assert_eq!(user.link("last-version"), Some("/page/users/1000?version=0"));
    // Before the removal, the user was there.
    assert!(!page(&lake, "/page/users/1000?version=0").await.has("[data-banner=no-such-user]"));
    user.check_link("/page/users/1000?version=0");
    page(&lake, "/page/users/1000?version=0").await;
}

#[tokio::test]
async fn user_with_only_a_rejected_source_returns_404_with_the_reject() {
    let lake = Lake::of_users().await;
    let answer = lake.get("/page/users/1004").await;
    assert_eq!(answer.status.as_u16(), 404);
    let user = checked(&answer);
    assert_eq!(user.values("data-code"), ["quote"]);
    assert_eq!(user.text("[data-served]"), "no row");
}

#[tokio::test]
async fn unreachable_store_leaves_the_row_from_memory() {
    let lake = Lake::of_users().await;
    lake.set_down(true);
    let user = page(&lake, "/page/users/1000").await;
    assert_eq!(user.attribute("#row [data-column=birthts]", "data-value"), "631152000000");
    assert_eq!(user.count("[data-unavailable]"), 2);
    let unknown = lake.get("/page/users/unknown").await;
    assert_eq!(unknown.status.as_u16(), 404, "{}", unknown.body);
    page(&lake, "/page/users").await;
}

#[tokio::test]
async fn neighbors_are_linked_in_the_order_of_the_ids() {
    let lake = Lake::of_users().await;
    let user = page(&lake, "/page/users/1000?on=2020-06-01").await;
    assert_eq!(user.link("previous-user"), Some("/page/users/1?on=2020-06-01"));
    assert_eq!(user.link("next-user"), Some("/page/users/1001?on=2020-06-01"));
    let first = page(&lake, "/page/users/0001").await;
    assert_eq!(
        (first.link("previous-user"), first.link("next-user")),
        (None, Some("/page/users/1"))
    );
}

#[tokio::test]
async fn provenance_shows_source_and_value_of_each_field() {
    let lake = Lake::of_users().await;
    let user = page(&lake, "/page/users/1000").await;
    let rows = user.texts("#explanation tbody tr");
    let [id, first_name, .., image] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert!(id.starts_with("Username of src-data/1000.csv"), "{id}");
    assert!(
        first_name.contains("CSV field first_name") && first_name.ends_with("Bea"),
        "{first_name}"
    );
    assert!(image.contains("src-data/1000.png"), "{image}");
    assert_eq!(user.count("#provenance-details"), 1);
}
