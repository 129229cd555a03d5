//! People, one person and the examples as pages: what they show is what the API answers.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use datalake_core::user::UserId;
use datalake_table::delta::rows::Edit;

use crate::fixture::{Answer, Lake, ids, put, refusals};

/// The values of an attribute, decoded, in the order of the page.
pub(crate) fn attributes(page: &str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let values = page.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap());
    values.map(unescaped).collect()
}

pub(crate) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// The part of a page from the element of an id to the end of its start tag.
pub(crate) fn element<'a>(page: &'a str, id: &str) -> Option<&'a str> {
    let at = page.find(&format!(" id=\"{id}\""))?;
    let start = page[..at].rfind('<')?;
    page[start..].split('>').next()
}

/// The address that the element of an id leads to.
pub(crate) fn link(page: &str, id: &str) -> Option<String> {
    attributes(element(page, id)?, "href").pop()
}

/// The request that the page says it shows.
fn api(page: &str) -> String {
    let foot = &page[page.find("<footer").unwrap()..];
    attributes(foot, "data-api").remove(0)
}

pub(crate) async fn page(lake: &Lake, path: &str) -> Answer {
    let answer = lake.get(path).await;
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
    answer
}

/// The page shows the rows of the API's answer, in their order, and says how many there are.
async fn check(lake: &Lake, query: &str) {
    for view in ["table", "gallery"] {
        let path = format!("/page/people?{query}&view={view}");
        let page = page(lake, &path).await;
        let answer = lake.get(&format!("/data?{query}")).await;
        assert_eq!(attributes(&page.body, "data-user-id"), ids(&answer.json()), "{path}");
        assert_eq!(attributes(&page.body, "data-total"), [answer.header("x-total-count")], "{path}");
        let shown = lake.get(&api(&page.body)).await;
        assert_eq!(shown.body, answer.body, "{path}");
        assert_eq!(page.header("datalake-version"), answer.header("datalake-version"), "{path}");
    }
}

#[tokio::test]
async fn a_page_shows_what_the_api_answers() {
    let lake = Lake::of_users().await;
    lake.commit(vec![put("1000", "Bo", "1990-01-01", true)]).await;
    lake.watch.refresh_now().await;
    for query in [
        "",
        "is_image_exists=True",
        "is_image_exists=False",
        "min_age",
        "max_age=",
        "min_age&max_age",
        "min_age=30&max_age=40",
        "on=2020-01-01&min_age=16",
        "first_name__contains=e&order=age.desc",
        "first_name__not=Ada&first_name__not=Bo",
        "first_name__in=Ada,Fay&order=first_name.desc,age",
        "img_path__isnull",
        "birthts__gte=0&age__lt=40",
        "limit=2",
        "version=0",
        "as_of=2026-11-24T12:00:00Z",
        "min_version=1",
        "last_name=Nobody",
        "user_id=1",
        "select=user_id,age",
    ] {
        check(&lake, query).await;
    }
}

#[tokio::test]
async fn problems_are_pages() {
    let lake = Lake::of_users().await;
    for (path, status, kind) in [
        ("/page/people?minage=1", 400, "invalid-parameter"),
        ("/page/people?min_age=x", 400, "invalid-parameter"),
        ("/page/people?first_name__like=x", 400, "invalid-parameter"),
        ("/page/people?limit=51", 400, "invalid-parameter"),
        ("/page/people?view=list", 400, "invalid-parameter"),
        ("/page/people?view=table&view=gallery", 400, "invalid-parameter"),
        ("/page/people?cursor=1", 400, "invalid-parameter"),
        ("/page/people?version=9", 404, "no-such-version"),
        ("/page/people/1000?frobnicate", 400, "invalid-parameter"),
        ("/page/people/nobody", 404, "no-such-user"),
        ("/page/people/no%20body", 404, "no-such-user"),
        ("/page/people/%ff", 400, "invalid-path"),
        ("/page/examples?x", 400, "invalid-parameter"),
    ] {
        let answer = lake.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(
            attributes(&answer.body, "data-problem"),
            [format!("urn:datalake:problem:{kind}")],
            "{path}"
        );
    }
    let empty = Lake::empty();
    empty.watch.refresh_now().await;
    for path in ["/page/people", "/page/people/1000"] {
        assert_eq!(empty.get(path).await.status.as_u16(), 503, "{path}");
    }
    assert_eq!(page(&empty, "/page/examples").await.status.as_u16(), 200);
}

/// Who walks over the pages sees what a walk over the API's pages sees, under the same cursors.
#[tokio::test]
async fn pages_go_on_where_the_api_goes_on() {
    let lake = Lake::of_users().await;
    for query in [
        "limit=2",
        "limit=3&order=age.desc",
        "limit=1&is_image_exists=True",
        "limit=2&first_name__not=Ada&order=first_name",
    ] {
        let (mut path, mut address) = (format!("/page/people?{query}&view=gallery"), format!("/data?{query}"));
        let mut before = 0;
        loop {
            let page = page(&lake, &path).await;
            let answer = lake.get(&address).await;
            let rows = answer.json();
            let found = attributes(&page.body, "data-user-id");
            assert_eq!(found, ids(&rows), "{path}");
            let range = (
                attributes(&page.body, "data-first").remove(0),
                attributes(&page.body, "data-last").remove(0),
            );
            assert_eq!(range, ((before + 1).to_string(), (before + found.len()).to_string()), "{path}");
            assert_eq!(link(&page.body, "first-page").is_some(), before > 0, "{path}");
            before += found.len();
            let next = link(&page.body, "next-page");
            let link = answer.headers.get("link").map(|link| link.to_str().unwrap());
            let expected = link.map(|link| link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned());
            let of_api = next
                .as_ref()
                .map(|next| next.replace("/page/people", "/data").replace("&view=gallery", ""));
            assert_eq!(of_api, expected, "{path}");
            let (Some(next), Some(expected)) = (next, expected) else { break };
            (path, address) = (next, expected);
        }
        assert_eq!(before.to_string(), lake.get(&address).await.header("x-total-count"), "{query}");
    }
}

#[tokio::test]
async fn a_walk_stays_with_its_version() {
    let lake = Lake::of_users().await;
    let first = page(&lake, "/page/people?limit=2").await;
    let next = link(&first.body, "next-page").unwrap();
    lake.commit(vec![put("0000", "New", "2000-01-01", true)]).await;
    lake.watch.refresh_now().await;
    let second = page(&lake, &next).await;
    assert_eq!(attributes(&second.body, "data-user-id"), ["1000", "1001"]);
    assert_eq!(attributes(&second.body, "data-banner"), ["other-version"]);
    // Pictures are of the newest version: none is shown for another.
    assert!(!second.body.contains("/data/1000/image"), "{}", second.body);
    // All that leads on from there is of the version that is looked at.
    let begin = link(&second.body, "first-page").unwrap();
    assert_eq!(begin, "/page/people?limit=2&version=0");
    assert_eq!(attributes(&page(&lake, &begin).await.body, "data-user-id"), ["0001", "1"]);
    let csv = attributes(&second.body, "href")
        .into_iter()
        .find(|href| href.starts_with("/data.csv"));
    assert_eq!(csv.as_deref(), Some("/data.csv?version=0"));
    // One of a table that was made anew is gone, and the page leads to its first page.
    let gone = lake.get(&next.replace("cursor=0~", "cursor=0~x")).await;
    assert_eq!(gone.status.as_u16(), 410, "{}", gone.body);
    assert_eq!(link(&gone.body, "first-page").as_deref(), Some("/page/people?limit=2"));
}

#[tokio::test]
async fn headings_put_rows_in_order() {
    let lake = Lake::of_users().await;
    let head = |page: &str| page[page.find("<thead").unwrap()..page.find("</thead").unwrap()].to_owned();
    let whole = page(&lake, "/page/people?min_age=0").await.body;
    assert_eq!(attributes(&head(&whole), "aria-sort"), ["ascending"]);
    let columns = attributes(&head(&whole), "data-column");
    assert_eq!(columns, ["img_path", "user_id", "first_name", "last_name", "birthts", "age"]);
    for (column, href) in columns.iter().zip(attributes(&head(&whole), "href")) {
        let order = if column == "user_id" { "user_id.desc" } else { column };
        assert_eq!(href, format!("/page/people?min_age=0&order={order}"));
        let sorted = page(&lake, &href).await.body;
        let answer = lake.get(&format!("/data?min_age=0&order={order}")).await;
        assert_eq!(attributes(&sorted, "data-user-id"), ids(&answer.json()), "{href}");
        let place = columns.iter().position(|other| other == column).unwrap();
        let turned = attributes(&head(&sorted), "href").remove(place);
        let expected = match column.as_str() {
            "user_id" => "/page/people?min_age=0".to_owned(),
            column => format!("/page/people?min_age=0&order={column}.desc"),
        };
        assert_eq!(turned, expected);
    }
}

#[tokio::test]
async fn downloads_have_all_pages() {
    let lake = Lake::of_users().await;
    let page = page(&lake, "/page/people?is_image_exists=True&limit=1&view=gallery&order=age").await;
    let downloads: Vec<_> = attributes(&page.body, "href")
        .into_iter()
        .filter(|href| href.starts_with("/data."))
        .collect();
    let expected = ["json", "ndjson", "csv", "parquet", "arrow"].map(|name| format!("/data.{name}?is_image_exists=True&order=age"));
    assert_eq!(downloads, expected);
    let json = lake.get(&downloads[0]).await;
    assert_eq!(ids(&json.json()), ["1002", "1000", "0001", "1003"]);
    let csv = lake.get(&downloads[2]).await;
    assert_eq!(
        (csv.header("content-type"), csv.body.lines().count()),
        ("text/csv; charset=utf-8", 5)
    );
}

/// Whoever goes on from a page stays on the day, in the version, and on the page of a list.
#[tokio::test]
async fn links_lead_on_from_where_one_is() {
    let lake = Lake::of_users().await;
    lake.commit(vec![put("1000", "Beatrice", "1990-01-01", true)]).await;
    lake.watch.refresh_now().await;
    let person = page(&lake, "/page/people/1000?on=2020-06-01&version=0").await.body;
    let links = attributes(&person, "href");
    for expected in [
        "/page/people?on=2020-06-01&version=0",      // All people.
        "/page/people/1000?on=2020-06-01",           // This one now.
        "/page/people/1000?on=2020-06-01&version=1", // A state of the history.
    ] {
        assert!(links.contains(&expected.to_owned()), "{expected}: {links:?}");
    }
    let first = page(&lake, "/page/people?limit=2&min_age=0").await.body;
    let second = page(&lake, &link(&first, "next-page").unwrap()).await.body;
    let shown = attributes(&second, "data-user-id");
    let gallery = attributes(&second, "href")
        .into_iter()
        .find(|href| href.contains("view=gallery"))
        .unwrap();
    let gallery = page(&lake, &gallery).await.body;
    assert_eq!(attributes(&gallery, "data-user-id"), shown, "the same page of the list");
    assert_eq!(attributes(&gallery, "data-look"), ["table", "gallery", "gallery"]);
}

/// Names and ids from sources and from addresses stay text.
#[tokio::test]
async fn hostile_names_are_text() {
    let lake = Lake::of_users().await;
    let hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let names = [hostile, "\u{202e}مرحبا", &"W".repeat(1_000), "O'Hara & Søn"];
    let edits = names.iter().enumerate();
    lake.commit(
        edits
            .map(|(index, name)| put(&format!("9{index}"), name, "2000-01-01", true))
            .collect(),
    )
    .await;
    lake.watch.refresh_now().await;
    let query = format!(
        "/page/people?first_name={}",
        url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect::<String>()
    );
    for path in [
        "/page/people",
        "/page/people?view=gallery",
        "/page/people/90",
        "/page/examples",
        &query,
        "/page/people?cursor=%3Cscript%3E",
    ] {
        let answer = lake.get(path).await;
        let scripts = answer.body.matches("<script").count();
        assert_eq!(scripts, 1, "{path}: {}", answer.body);
        assert!(!answer.body.contains("<img src=x"), "{path}");
        assert!(!answer.body.contains(" style="), "{path}");
    }
    assert_eq!(attributes(&page(&lake, &query).await.body, "data-user-id"), ["90"]);
}

#[tokio::test]
async fn one_person() {
    let lake = Lake::of_users().await;
    let later = "2026-11-24T11:30:00Z".parse().unwrap();
    lake.commit_as("run-2", later, vec![put("1000", "Beatrice", "1990-01-01", true)], &refusals())
        .await;
    lake.watch.refresh_now().await;
    let shown = page(&lake, "/page/people/1000?on=2020-06-01").await.body;
    assert_eq!(attributes(&shown, "data-age"), ["30"]);
    assert_eq!(attributes(&shown, "data-birthts"), ["631152000000"]);
    assert_eq!(attributes(element(&shown, "picture-reason").unwrap(), "data-state"), ["linked"]);
    assert_eq!(api(&shown), "/data/1000?on=2020-06-01");
    assert!(shown.contains("href=\"/page/runs/run-2\""), "{shown}");
    let history = &shown[shown.find("id=\"history\"").unwrap()..];
    assert_eq!(attributes(history, "data-change"), ["update", "insert"]);
    assert!(history.contains("<ins>Beatrice</ins>"), "{history}");
    let picture = attributes(&shown, "src")
        .into_iter()
        .find(|src| src.starts_with("/data/1000/image"))
        .unwrap();
    assert_eq!(lake.get(&picture).await.body, "a picture");
    // As it was: without the picture, which is the newest version's.
    let former = page(&lake, "/page/people/1000?version=0").await.body;
    assert!(former.contains("Bea ") && !former.contains("/data/1000/image"), "{former}");
    assert_eq!(attributes(&former, "data-banner"), ["other-version"]);
    // Without a picture, and why.
    let without = page(&lake, "/page/people/1001").await.body;
    assert_eq!(attributes(element(&without, "picture-reason").unwrap(), "data-state"), ["missing"]);
    // Not born yet on the day.
    assert!(attributes(&page(&lake, "/page/people/1003").await.body, "data-age").is_empty());
}

#[tokio::test]
async fn one_who_is_gone_has_a_history() {
    let lake = Lake::of_users().await;
    lake.commit(vec![Edit::Remove(UserId::parse("1000").unwrap())]).await;
    lake.watch.refresh_now().await;
    let gone = lake.get("/page/people/1000").await;
    assert_eq!(gone.status.as_u16(), 404);
    assert_eq!(attributes(&gone.body, "data-banner"), ["no-such-user"]);
    assert_eq!(attributes(&gone.body, "data-change"), ["delete", "insert"]);
    let before = attributes(&gone.body, "href").into_iter().find(|href| href.contains("?version="));
    assert_eq!(before.as_deref(), Some("/page/people/1000?version=0"));
    assert_eq!(page(&lake, "/page/people/1000?version=0").await.status.as_u16(), 200);
    // One whose only source is refused never had a row.
    let refused = lake.get("/page/people/1004").await;
    assert_eq!(refused.status.as_u16(), 404);
    assert_eq!(attributes(&refused.body, "data-code"), ["quote"]);
    assert!(refused.body.contains("<span data-meanwhile>no row</span>"), "{}", refused.body);
}

/// A row is shown from memory; what only the store knows is said to be unknown.
#[tokio::test]
async fn a_person_is_shown_while_the_store_is_down() {
    let lake = Lake::of_users().await;
    lake.set_down(true);
    let shown = page(&lake, "/page/people/1000").await.body;
    assert_eq!(attributes(&shown, "data-birthts"), ["631152000000"]);
    assert_eq!(shown.matches("data-unknown").count(), 2, "{shown}");
    let nobody = lake.get("/page/people/nobody").await;
    assert_eq!(nobody.status.as_u16(), 404, "{}", nobody.body);
    assert_eq!(page(&lake, "/page/people").await.status.as_u16(), 200);
}

/// Each example of the page and of the index has a response.
#[tokio::test]
async fn examples_of_the_page_and_of_the_index_have_responses() {
    let lake = Lake::of_users().await;
    let shown = page(&lake, "/page/examples").await.body;
    let hrefs = attributes(&shown, "data-example");
    let index = Request::get("/").header("accept", "application/json").body(Body::empty()).unwrap();
    let index = lake.send(index).await.json();
    let listed: Vec<_> = index["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|example| example["href"].as_str().unwrap())
        .collect();
    assert_eq!(hrefs, listed);
    for href in &hrefs {
        assert_eq!(lake.get(href).await.status.as_u16(), 200, "{href}");
        assert!(attributes(&shown, "href").contains(href), "{href}");
    }
    // The two groups have names, and the line at the end asks for the list.
    for id in ["basic", "further"] {
        assert!(
            shown.contains(&format!("<h2 id=\"{id}\"")) && shown.contains(&format!("href=\"#{id}\"")),
            "{id}"
        );
    }
    assert_eq!(api(&shown), "/");
    let foot = unescaped(&shown[shown.find("<footer").unwrap()..]);
    assert!(foot.contains("curl -H 'Accept: application/json' '"), "{foot}");
    let pages: BTreeSet<_> = attributes(&shown, "href")
        .into_iter()
        .filter(|href| href.starts_with("/page/people?"))
        .collect();
    assert!(pages.len() > 8, "{pages:?}");
    for path in pages {
        page(&lake, &path).await;
    }
}

/// In a lake without the user of the samples, the examples are about another who is there.
#[tokio::test]
async fn examples_are_about_somebody_who_is_there() {
    let lake = Lake::empty();
    lake.commit(vec![put("a", "Ann", "2000-01-01", false), put("b", "Bo", "2000-01-01", true)])
        .await;
    lake.watch.refresh_now().await;
    let hrefs = attributes(&page(&lake, "/page/examples").await.body, "data-example");
    assert!(
        hrefs.contains(&"/data/b".to_owned()) && hrefs.contains(&"/data/b/image".to_owned()),
        "{hrefs:?}"
    );
}
